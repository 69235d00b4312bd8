//! What a TCP check is told: where to, what to talk, and what is wanted.

use std::time::Duration;

use crate::probe::Family;
use crate::probe::connect::host_and_port;

/// A TCP connection, with or without a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpProbe {
    /// Where to: `host:port`, `port`, or `host` where the protocol has a usual port; macros are
    /// expanded. Empty: the host's address and the usual port.
    pub target: String,
    /// What to talk once connected.
    pub protocol: Protocol,
    /// Whether and when TLS begins.
    pub security: Security,
    /// With TLS, the name that the certificate must be for; empty: the host of the target.
    pub server_name: String,
    /// Whether a certificate that does not verify is only told, not critical.
    pub is_insecure: bool,
    /// Warn when the certificate has fewer days left.
    pub certificate_days_warning: Option<f64>,
    /// Critical when the certificate has fewer days left.
    pub certificate_days_critical: Option<f64>,
    /// Text that the first line of the service must hold; empty: any.
    pub greeting: String,
    /// Which addresses of the name are used.
    pub family: Family,
    /// Warn when it takes longer.
    pub warning: Option<Duration>,
    /// Critical when it takes longer.
    pub critical: Option<Duration>,
}

impl TcpProbe {
    /// Makes a probe without TLS and without limits of time.
    pub fn new(target: &str, protocol: Protocol) -> Self {
        Self {
            target: target.to_owned(),
            protocol,
            security: Security::None,
            server_name: String::new(),
            is_insecure: false,
            certificate_days_warning: Some(21.0),
            certificate_days_critical: Some(7.0),
            greeting: String::new(),
            family: Family::Any,
            warning: None,
            critical: None,
        }
    }

    /// Returns the texts in which macros are expanded.
    pub(in crate::probe) fn texts(&self) -> Vec<&str> {
        let mut texts = vec![self.target.as_str(), &self.server_name];
        match &self.protocol {
            Protocol::Ldap { base } => texts.push(base),
            Protocol::Mysql { user } => texts.push(user),
            Protocol::Postgresql { user, database } => texts.extend([user.as_str(), database]),
            Protocol::Expect { send, expect } => texts.extend([send.as_str(), expect]),
            _ => {}
        }
        texts
    }

    /// Tells whether it is known to which port it connects. Of a target with macros, which must
    /// be expanded first, that cannot be told.
    pub fn has_port(&self) -> bool {
        host_and_port(&self.target, "", self.protocol.port(self.security)).is_some()
    }
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Never.
    #[default]
    None,
    /// After the first words, by the protocol's own command.
    StartTls,
    /// With the first byte.
    Tls,
}

/// What is talked over a TCP connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing: a connection is enough.
    #[default]
    Connect,
    /// The greeting must begin with `220`, the answer to `EHLO` with `250`.
    Smtp,
    /// The greeting must begin with `* OK` or `* PREAUTH`.
    Imap,
    /// The greeting must begin with `+OK`.
    Pop3,
    /// The server must name its version: `SSH-`.
    Ssh,
    /// The greeting must begin with `220`.
    Ftp,
    /// Binds without name and reads an entry.
    Ldap {
        /// The entry to read; empty: the root DSE, which every server has.
        base: String,
    },
    /// Greets as a `MySQL` client; that the server refuses the user is an answer too.
    Mysql {
        /// As whom. It needs no rights and need not exist.
        user: String,
    },
    /// Greets as a `PostgreSQL` client; that the server asks for a password is an answer.
    Postgresql {
        /// As whom. It needs no rights and need not exist.
        user: String,
        /// To which database; empty: that of the user's name.
        database: String,
    },
    /// Sends a text and waits for another.
    Expect {
        /// What is sent; may be empty. `\r`, `\n`, `\t` and `\\` are understood.
        send: String,
        /// What must come; may be empty.
        expect: String,
    },
}

impl Protocol {
    /// Returns the usual port; `None` when there is none.
    pub fn port(&self, security: Security) -> Option<u16> {
        let is_tls = security == Security::Tls;
        let (plain, tls) = match self {
            Self::Connect | Self::Expect { .. } => return None,
            Self::Smtp => (25, 465),
            Self::Imap => (143, 993),
            Self::Pop3 => (110, 995),
            Self::Ssh => (22, 22),
            Self::Ftp => (21, 990),
            Self::Ldap { .. } => (389, 636),
            Self::Mysql { .. } => (3306, 3306),
            Self::Postgresql { .. } => (5432, 5432),
        };
        Some(if is_tls { tls } else { plain })
    }

    /// Tells whether the protocol has a command that begins TLS.
    pub fn has_start_tls(&self) -> bool {
        !matches!(self, Self::Connect | Self::Ssh | Self::Expect { .. })
    }
}
