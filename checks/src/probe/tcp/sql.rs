//! Databases: the greeting of a `MySQL` server, the first answer of a `PostgreSQL` server.
//!
//! Nobody signs in: that the server asks for a password or refuses the user shows that it takes
//! connections. The greeting is carried through to that answer, because `MySQL` counts a client
//! that goes away before as a failure of its host and locks the host out after a hundred.
//!
//! Sources: `MySQL` client/server protocol, "Connection Phase" (handshake v10, handshake response
//! 41, SSL request, authentication switch, ERR packet); `PostgreSQL` 15 documentation, sections
//! 55.2.1 (start-up), 55.7 (message formats), appendix A (error codes).

use super::Said;
use super::talk::Talk;
use crate::probe::Security;

/// `MySQL`: capabilities of a client that speaks protocol 4.1, and that of TLS.
const PROTOCOL_41: u32 = 0x0200;
const CLIENT_SSL: u32 = 0x0800;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x0008_0000;
/// `MySQL`: errors that say who may not come in, not that the server is in trouble: access denied
/// (1045, 1698, 1044), host not allowed (1130), old authentication refused (1251).
const REFUSED: [u16; 5] = [1045, 1698, 1044, 1130, 1251];
/// `MySQL`: the largest packet that the client would take; any number will do.
const PACKET_MAX: u32 = 1 << 24;
/// `MySQL`: UTF-8.
const CHARSET: u8 = 33;
/// `PostgreSQL`: protocol 3.0, and the request for TLS.
const PROTOCOL_3: u32 = 196_608;
const SSL_REQUEST: u32 = 80_877_103;
/// How many messages are read before the server must have answered.
const MESSAGES_MAX: usize = 8;

/// Greets a `MySQL` or `MariaDB` server.
pub(super) async fn mysql(
    mut talk: Talk,
    security: Security,
    user: &str,
) -> Result<(Talk, Said), String> {
    let (mut sequence, greeting) = packet(&mut talk).await?;
    if let Some((code, words)) = error(&greeting) {
        if REFUSED.contains(&code) {
            return Ok((talk, Said::new(words, "")));
        }
        return Err(format!("error {code}: {words}"));
    }
    let (version, offered) =
        greeted(&greeting).ok_or_else(|| "the server does not speak MySQL".to_owned())?;
    let mut capabilities = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;
    if security == Security::StartTls {
        if offered & CLIENT_SSL == 0 {
            return Err("the server does not offer TLS".to_owned());
        }
        capabilities |= CLIENT_SSL;
        sequence = sequence.wrapping_add(1);
        send(&mut talk, sequence, &response_head(capabilities)).await?;
        talk = talk.start_tls().await?;
    }
    let mut response = response_head(capabilities);
    response.extend_from_slice(user.as_bytes());
    // The end of the name, an empty password, and how it would have been written.
    response.extend_from_slice(b"\0\0mysql_native_password\0");
    send(&mut talk, sequence.wrapping_add(1), &response).await?;
    for _ in 0..MESSAGES_MAX {
        let (sequence, answer) = packet(&mut talk).await?;
        match (answer.first(), error(&answer)) {
            (_, Some((code, _))) if REFUSED.contains(&code) => {
                return Ok((talk, Said::new(version, "")));
            }
            (_, Some((code, words))) => return Err(format!("error {code}: {words}")),
            // COM_QUIT.
            (Some(0), _) => return Ok((talk, Said::new(version, "\x01\0\0\0\x01"))),
            // Another way to prove who it is, or more of this one: there is nothing to prove.
            _ => send(&mut talk, sequence.wrapping_add(1), &[]).await?,
        }
    }
    Err("the server sent an answer without end".to_owned())
}

/// Returns version and capabilities of a greeting.
fn greeted(greeting: &[u8]) -> Option<(String, u32)> {
    let rest = greeting.strip_prefix(&[10])?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let version = super::shown(&String::from_utf8_lossy(&rest[..end]));
    // After the version: thread 4, salt 8, filler 1, capabilities 2, charset 1, status 2, more 2.
    let low = rest.get(end + 14..end + 16)?;
    let high = rest.get(end + 19..end + 21).unwrap_or(&[0, 0]);
    Some((version, u32::from_le_bytes([low[0], low[1], high[0], high[1]])))
}

/// Returns what a response and a request for TLS begin with.
fn response_head(capabilities: u32) -> Vec<u8> {
    let mut head = capabilities.to_le_bytes().to_vec();
    head.extend_from_slice(&PACKET_MAX.to_le_bytes());
    head.push(CHARSET);
    head.extend_from_slice(&[0; 23]);
    head
}

/// Returns number and words of an ERR packet; `None` when it is another.
fn error(packet: &[u8]) -> Option<(u16, String)> {
    let rest = packet.strip_prefix(&[0xff])?;
    let code = u16::from_le_bytes([*rest.first()?, *rest.get(1)?]);
    // `#` and five characters of SQL state, unless the error came instead of the greeting.
    let words = &rest[2..];
    let words = if words.first() == Some(&b'#') { words.get(6..)? } else { words };
    Some((code, super::shown(&String::from_utf8_lossy(words))))
}

/// Reads a packet: three bytes of length, its number, its content.
async fn packet(talk: &mut Talk) -> Result<(u8, Vec<u8>), String> {
    let head = talk.exactly(4).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    Ok((head[3], talk.exactly(length as usize).await?))
}

async fn send(talk: &mut Talk, sequence: u8, content: &[u8]) -> Result<(), String> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = vec![length[0], length[1], length[2], sequence];
    bytes.extend_from_slice(content);
    talk.say(bytes).await
}

/// Greets a `PostgreSQL` server.
pub(super) async fn postgresql(
    mut talk: Talk,
    security: Security,
    user: &str,
    database: &str,
) -> Result<(Talk, Said), String> {
    if security == Security::StartTls {
        let mut request = 8_u32.to_be_bytes().to_vec();
        request.extend_from_slice(&SSL_REQUEST.to_be_bytes());
        talk.say(request).await?;
        if talk.exactly(1).await? != b"S" {
            return Err("the server does not offer TLS".to_owned());
        }
        talk = talk.start_tls().await?;
    }
    talk.say(start_up(user, database)).await?;
    for _ in 0..MESSAGES_MAX {
        let head = talk.exactly(5).await?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let body = talk.exactly(length.saturating_sub(4)).await?;
        match head[0] {
            b'R' => {
                let text = match body.get(..4) {
                    Some([0, 0, 0, 0]) => "PostgreSQL lets the user in",
                    _ => "PostgreSQL asks for a password",
                };
                return Ok((talk, Said::new(text.to_owned(), "X\0\0\0\x04")));
            }
            b'E' => return refused(talk, &body),
            // Notices may come before.
            b'N' | b'v' => {}
            _ => return Err("the server does not speak PostgreSQL".to_owned()),
        }
    }
    Err("the server sent an answer without end".to_owned())
}

fn start_up(user: &str, database: &str) -> Vec<u8> {
    let database = if database.is_empty() { user } else { database };
    let mut body = PROTOCOL_3.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, "application_name", "noroshi", ""] {
        // A name with a zero in it would end early; there is none.
        body.extend(text.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &body].concat()
}

/// Tells apart who may not come in (class 28, an unknown database) and a server in trouble.
fn refused(talk: Talk, body: &[u8]) -> Result<(Talk, Said), String> {
    let field = |kind: u8| {
        let fields = body.split(|byte| *byte == 0).filter_map(|field| field.split_first());
        let found = fields.into_iter().find(|(first, _)| **first == kind);
        found.map(|(_, text)| super::shown(&String::from_utf8_lossy(text))).unwrap_or_default()
    };
    let (state, words) = (field(b'C'), field(b'M'));
    if state.starts_with("28") || state == "3D000" {
        return Ok((talk, Said::new(format!("PostgreSQL answers: {words}"), "")));
    }
    Err(format!("error {state}: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_tells_version_and_capabilities() {
        let mut greeting = b"\x0a10.11.6-MariaDB\0".to_vec();
        greeting.extend([7, 0, 0, 0]); // thread
        greeting.extend(b"saltsalt\0");
        greeting.extend([0xfe, 0xf7, 33, 2, 0, 0xff, 0x81]);
        let version = "10.11.6-MariaDB".to_owned();
        assert_eq!(greeted(&greeting), Some((version, 0x81ff_f7fe)));
        for end in 0..greeting.len() - 4 {
            assert!(end < 17 + 13 || greeted(&greeting[..end]).is_some() || end < 32);
        }
        assert_eq!(greeted(b"SSH-2.0"), None);
    }

    #[test]
    fn an_error_is_read_with_and_without_its_state() {
        let words = "Access denied".to_owned();
        assert_eq!(error(b"\xff\x15\x04#28000Access denied"), Some((1045, words)));
        assert_eq!(error(b"\xff\x10\x04Too many"), Some((1040, "Too many".to_owned())));
        assert_eq!(error(b"\xff\x10"), None);
        assert_eq!(error(b"\0"), None);
    }

    #[test]
    fn a_start_up_names_user_and_database() {
        let bytes = start_up("noroshi", "");
        assert_eq!(bytes[..8], [0, 0, 0, bytes.len() as u8, 0, 3, 0, 0]);
        assert!(bytes.ends_with(b"database\0noroshi\0application_name\0noroshi\0\0"));
    }
}
