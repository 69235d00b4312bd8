//! Services that speak in lines: SMTP, IMAP, POP3, FTP, SSH.
//!
//! Sources: RFC 5321 and 3207 (SMTP, STARTTLS), RFC 9051 (IMAP), RFC 1939 and 2595 (POP3, STLS),
//! RFC 959 and 4217 (FTP, AUTH TLS), RFC 4253 section 4.2 (SSH).

use super::Said;
use super::talk::Talk;
use crate::probe::Security;

/// How many lines one answer may have.
const LINES_MAX: usize = 200;
/// Who we say we are; the name cannot exist (RFC 6761, section 6.4).
const EHLO: &str = "EHLO noroshi.invalid\r\n";

/// Greets a mail server, and once more by TLS.
pub(super) async fn smtp(mut talk: Talk, security: Security) -> Result<(Talk, Said), String> {
    let first = reply(&mut talk, "220").await?;
    talk.say(EHLO).await?;
    let mut offers = reply(&mut talk, "250").await?;
    if security == Security::StartTls {
        if !offers.iter().any(|line| line.get(4..).is_some_and(|word| word == "STARTTLS")) {
            return Err("the server does not offer STARTTLS".to_owned());
        }
        talk.say("STARTTLS\r\n").await?;
        reply(&mut talk, "220").await?;
        talk = talk.start_tls().await?;
        talk.say(EHLO).await?;
        offers = reply(&mut talk, "250").await?;
    }
    debug_assert!(!offers.is_empty(), "an answer has a line");
    Ok((talk, Said::new(first_line(&first), "QUIT\r\n")))
}

/// Greets an FTP server.
pub(super) async fn ftp(mut talk: Talk, security: Security) -> Result<(Talk, Said), String> {
    let first = reply(&mut talk, "220").await?;
    if security == Security::StartTls {
        talk.say("AUTH TLS\r\n").await?;
        reply(&mut talk, "234").await?;
        talk = talk.start_tls().await?;
    }
    Ok((talk, Said::new(first_line(&first), "QUIT\r\n")))
}

/// Greets an IMAP server.
pub(super) async fn imap(mut talk: Talk, security: Security) -> Result<(Talk, Said), String> {
    let first = talk.line().await?;
    if !first.starts_with("* OK") && !first.starts_with("* PREAUTH") {
        return Err(unexpected("* OK", &first));
    }
    if security == Security::StartTls {
        tagged(&mut talk, "a1", "STARTTLS").await?;
        talk = talk.start_tls().await?;
        tagged(&mut talk, "a2", "CAPABILITY").await?;
    }
    Ok((talk, Said::new(first, "a3 LOGOUT\r\n")))
}

/// Greets a POP3 server.
pub(super) async fn pop3(mut talk: Talk, security: Security) -> Result<(Talk, Said), String> {
    let first = ok(&mut talk).await?;
    if security == Security::StartTls {
        talk.say("STLS\r\n").await?;
        ok(&mut talk).await?;
        talk = talk.start_tls().await?;
    }
    Ok((talk, Said::new(first, "QUIT\r\n")))
}

/// Reads which SSH a server speaks. It may say other lines before.
pub(super) async fn ssh(mut talk: Talk) -> Result<(Talk, Said), String> {
    let mut first: Option<String> = None;
    for _ in 0..LINES_MAX {
        let line = match talk.line().await {
            Ok(line) => line,
            // What it said says more than that it then went away.
            Err(why) => return Err(first.map_or(why, |first| unexpected("SSH-", &first))),
        };
        if line.starts_with("SSH-") {
            // A server that hears no version notes an error for each probe.
            return Ok((talk, Said::new(line, "SSH-2.0-noroshi\r\n")));
        }
        first.get_or_insert(line);
    }
    Err(unexpected("SSH-", &first.unwrap_or_default()))
}

/// Reads an answer of one or more lines, which must begin with `code`.
async fn reply(talk: &mut Talk, code: &str) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let line = talk.line().await?;
        if lines.is_empty() && !line.starts_with(code) {
            return Err(unexpected(code, &line));
        }
        // FTP lets the lines between the first and the last be anything.
        let is_last = line.starts_with(code) && line.get(3..4) != Some("-");
        lines.push(line);
        if is_last {
            return Ok(lines);
        }
    }
    Err("the server sent an answer without end".to_owned())
}

/// Says a command of IMAP and wants it agreed to.
async fn tagged(talk: &mut Talk, tag: &str, command: &str) -> Result<(), String> {
    talk.say(format!("{tag} {command}\r\n")).await?;
    for _ in 0..LINES_MAX {
        let line = talk.line().await?;
        let Some(answer) = line.strip_prefix(tag) else { continue };
        if answer.trim_start().starts_with("OK") {
            return Ok(());
        }
        return Err(format!("the server does not take {command}: {line:?}"));
    }
    Err("the server sent an answer without end".to_owned())
}

/// Reads a line of POP3 that agrees.
async fn ok(talk: &mut Talk) -> Result<String, String> {
    let line = talk.line().await?;
    if line.starts_with("+OK") { Ok(line) } else { Err(unexpected("+OK", &line)) }
}

fn first_line(lines: &[String]) -> String {
    lines.first().cloned().unwrap_or_default()
}

fn unexpected(wanted: &str, said: &str) -> String {
    format!("expected {wanted:?} first, got {:?}", super::shown(said))
}
