//! A small but real SMTP server (RFC 5321): `STARTTLS` and TLS with a certificate of its own,
//! `AUTH PLAIN` and `LOGIN`, and faults on request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use noroshi_alerts::{Secret, Security, Smtp};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Name and password that the server accepts.
pub const USER: &str = "noroshi";
pub const PASSWORD: &str = "correct horse";

/// Longest wait for a state that will come; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where in a conversation a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Greeting,
    Mail,
    Rcpt,
    /// After the whole mail was read, before it is answered.
    EndOfData,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This line is the answer.
    Answer(&'static str),
    /// The mail is kept, and the connection broken instead of an answer.
    KeepAndClose,
    /// The connection is broken.
    Close,
    /// Nothing is said any more.
    Silence,
}

/// A mail that was accepted.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub source: Vec<u8>,
    pub is_encrypted: bool,
    pub user: Option<String>,
}

/// The server; it ends with its runtime.
pub struct SmtpServer {
    address: SocketAddr,
    certificate_pem: String,
    shared: Arc<Shared>,
}

struct Shared {
    tls: TlsAcceptor,
    security: Security,
    mechanisms: &'static str,
    faults: watch::Sender<VecDeque<(At, Fault)>>,
    received: watch::Sender<Vec<Received>>,
}

impl SmtpServer {
    /// Starts a server on a free port of 127.0.0.1 that offers these mechanisms of `AUTH`.
    pub async fn start(security: Security, mechanisms: &'static str) -> Self {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate_pem = key.cert.pem();
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
        let shared = Arc::new(Shared {
            tls: TlsAcceptor::from(Arc::new(config)),
            security,
            mechanisms,
            faults: watch::Sender::default(),
            received: watch::Sender::new(Vec::new()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, certificate_pem, shared }
    }

    /// Returns how to reach this server.
    pub fn smtp(&self) -> Smtp {
        Smtp {
            host: "localhost".to_owned(),
            port: self.address.port(),
            security: self.shared.security,
            user: Some(USER.to_owned()),
            password: Secret::new(PASSWORD),
            from: "Noroshi <noroshi@example.net>".to_owned(),
            ca_pem: Some(self.certificate_pem.clone()),
        }
    }

    /// Lets the next conversation that gets so far go wrong.
    pub fn fail(&self, at: At, fault: Fault) {
        self.shared.faults.send_modify(|faults| faults.push_back((at, fault)));
    }

    /// Returns the mails so far.
    pub fn mails(&self) -> Vec<Received> {
        self.shared.received.borrow().clone()
    }

    /// Waits for so many mails and returns them.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        let mut mails = self.shared.received.subscribe();
        let wait = mails.wait_for(|mails| mails.len() >= count);
        let Ok(mails) = tokio::time::timeout(PATIENCE, wait).await else {
            panic!("{} of {count} mails arrived", self.mails().len());
        };
        mails.unwrap().clone()
    }

    /// Waits until every fault asked for has begun to happen.
    pub async fn faults_begun(&self) {
        let mut faults = self.shared.faults.subscribe();
        let wait = faults.wait_for(VecDeque::is_empty);
        tokio::time::timeout(PATIENCE, wait).await.expect("no fault happened").unwrap();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if shared.security == Security::Tls {
                let Ok(stream) = shared.tls.accept(stream).await else { return };
                Conversation::new(&shared, true).run(BufReader::new(stream), true).await;
                return;
            }
            let mut conversation = Conversation::new(&shared, false);
            if let Some(stream) = conversation.run(BufReader::new(stream), true).await {
                let Ok(stream) = shared.tls.accept(stream).await else { return };
                let mut conversation = Conversation::new(&shared, true);
                conversation.run(BufReader::new(stream), false).await;
            }
        });
    }
}

/// One conversation, before or after `STARTTLS`.
struct Conversation<'a> {
    shared: &'a Shared,
    is_encrypted: bool,
    user: Option<String>,
    from: String,
    to: Vec<String>,
}

impl<'a> Conversation<'a> {
    fn new(shared: &'a Shared, is_encrypted: bool) -> Self {
        Self { shared, is_encrypted, user: None, from: String::new(), to: Vec::new() }
    }

    /// Talks until the client goes; returns the stream when TLS is to begin on it.
    async fn run<S>(&mut self, mut stream: BufReader<S>, greets: bool) -> Option<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if greets {
            self.answer(&mut stream, At::Greeting, "220 localhost ESMTP test").await?;
        }
        loop {
            let line = read_line(&mut stream).await?;
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let mut lines = "250-localhost\r\n250-8BITMIME\r\n".to_owned();
                    if self.is_encrypted {
                        lines = format!("{lines}250-AUTH {}\r\n", self.shared.mechanisms);
                    } else if self.shared.security == Security::Starttls {
                        lines.push_str("250-STARTTLS\r\n");
                    }
                    say(&mut stream, &(lines + "250 SIZE 10000000")).await?;
                }
                "STARTTLS" => {
                    say(&mut stream, "220 go ahead").await?;
                    assert!(stream.buffer().is_empty(), "the client spoke before TLS began");
                    return Some(stream.into_inner());
                }
                "AUTH" => self.sign_in(&mut stream, &line).await?,
                "MAIL" if self.is_encrypted && self.user.is_none() => {
                    say(&mut stream, "530 5.7.0 authentication required").await?;
                }
                "MAIL" => {
                    self.from = path(&line);
                    self.answer(&mut stream, At::Mail, "250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    self.to.push(path(&line));
                    self.answer(&mut stream, At::Rcpt, "250 2.1.5 ok").await?;
                }
                "DATA" => self.take_mail(&mut stream).await?,
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return None;
                }
                _ => say(&mut stream, "250 ok").await?,
            }
        }
    }

    /// RFC 4616 (PLAIN) and the custom called LOGIN.
    async fn sign_in<S>(&mut self, stream: &mut BufReader<S>, line: &str) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let decode = |text: &str| {
            String::from_utf8(BASE64_STANDARD.decode(text).unwrap_or_default()).unwrap_or_default()
        };
        let (user, password) = if let Some(first) = line.strip_prefix("AUTH PLAIN ") {
            let text = decode(first);
            let mut parts = text.split('\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        } else {
            say(stream, "334 VXNlcm5hbWU6").await?;
            let user = decode(&read_line(stream).await?);
            say(stream, "334 UGFzc3dvcmQ6").await?;
            (user, decode(&read_line(stream).await?))
        };
        if user == USER && password == PASSWORD {
            self.user = Some(user);
            say(stream, "235 2.7.0 welcome").await
        } else {
            say(stream, "535 5.7.8 bad credentials").await
        }
    }

    async fn take_mail<S>(&mut self, stream: &mut BufReader<S>) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        say(stream, "354 go ahead").await?;
        let mut source = Vec::new();
        loop {
            let mut line = Vec::new();
            if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
                return None;
            }
            if line == b".\r\n" {
                break;
            }
            source.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        let (is_encrypted, user) = (self.is_encrypted, self.user.clone());
        let (from, to) = (std::mem::take(&mut self.from), std::mem::take(&mut self.to));
        let mail = Received { from, to, source, is_encrypted, user };
        let fault = self.fault(At::EndOfData);
        if matches!(fault, None | Some(Fault::KeepAndClose)) {
            self.shared.received.send_modify(|mails| mails.push(mail));
        }
        misbehave(stream, fault, "250 2.0.0 kept").await
    }

    fn fault(&self, at: At) -> Option<Fault> {
        let mut found = None;
        self.shared.faults.send_modify(|faults| {
            let place = faults.iter().position(|(place, _)| *place == at);
            found = place.and_then(|place| faults.remove(place));
        });
        found.map(|(_, fault)| fault)
    }

    async fn answer<S>(&mut self, stream: &mut BufReader<S>, at: At, text: &str) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        misbehave(stream, self.fault(at), text).await
    }
}

/// Answers, or does what was asked for instead; `None` ends the conversation.
async fn misbehave<S>(stream: &mut BufReader<S>, fault: Option<Fault>, text: &str) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match fault {
        None => say(stream, text).await,
        Some(Fault::Answer(text)) => say(stream, text).await,
        Some(Fault::Close | Fault::KeepAndClose) => None,
        Some(Fault::Silence) => {
            // Until the client gives up and closes.
            while read_line(stream).await.is_some() {}
            None
        }
    }
}

async fn say<S>(stream: &mut BufReader<S>, text: &str) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    stream.get_mut().flush().await.ok()
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end().to_owned())
}

/// Returns what stands between the angle brackets.
fn path(line: &str) -> String {
    let begin = line.find('<').map_or(0, |at| at + 1);
    let end = line.find('>').unwrap_or(line.len());
    line[begin..end].to_owned()
}
