//! LDAP: a bind without name, and one entry read.
//!
//! The few messages are put together by hand: each is a dozen bytes of BER, and a client library
//! would bring pools and filters that a probe has no use for.
//!
//! Source: RFC 4511, sections 4.2 (bind), 4.5 (search), 4.14 (`StartTLS`); RFC 4512, section 5.1
//! (root DSE).

use super::Said;
use super::talk::Talk;
use crate::probe::Security;

/// Universal tags.
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const BOOLEAN: u8 = 0x01;
const SEQUENCE: u8 = 0x30;
/// Tags of messages (`APPLICATION` 0, 1, 3, 4, 5, 23, 24).
const BIND: u8 = 0x60;
const BOUND: u8 = 0x61;
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;
const EXTENDED: u8 = 0x77;
const EXTENDED_ANSWER: u8 = 0x78;
/// `AuthenticationChoice`: simple, `[0]`; also the name of an extended request.
const CONTEXT_0: u8 = 0x80;
/// `Filter`: present, `[7]`.
const PRESENT: u8 = 0x87;
/// Name of the request that begins TLS.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// A message with number 9 that ends the conversation (`APPLICATION` 2, empty).
const UNBIND: &[u8] = &[0x30, 0x05, 0x02, 0x01, 0x09, 0x42, 0x00];
/// How many messages a search may bring before its end.
const MESSAGES_MAX: usize = 20;

/// Binds, reads the entry `base`, and wants both to succeed.
pub(super) async fn ldap(
    mut talk: Talk,
    security: Security,
    base: &str,
) -> Result<(Talk, Said), String> {
    if security == Security::StartTls {
        talk.say(message(1, EXTENDED, &element(CONTEXT_0, START_TLS))).await?;
        let (tag, body) = answer(&mut talk).await?;
        wants(tag, EXTENDED_ANSWER)?;
        succeeded("StartTLS", &body)?;
        talk = talk.start_tls().await?;
    }
    let bind = [element(INTEGER, &[3]), element(OCTET_STRING, &[]), element(CONTEXT_0, &[])];
    talk.say(message(2, BIND, &bind.concat())).await?;
    let (tag, body) = answer(&mut talk).await?;
    wants(tag, BOUND)?;
    succeeded("a bind without name", &body)?;

    talk.say(message(3, SEARCH, &search(base))).await?;
    let mut contexts = None;
    for _ in 0..MESSAGES_MAX {
        let (tag, body) = answer(&mut talk).await?;
        match tag {
            ENTRY => contexts = Some(values(&body).unwrap_or_default()),
            DONE => {
                succeeded("the search", &body)?;
                let Some(contexts) = contexts else {
                    return Err(format!("there is no entry {base:?}"));
                };
                let said = match (base, contexts.is_empty()) {
                    ("", true) => "root DSE read".to_owned(),
                    ("", false) => format!("naming contexts {}", contexts.join(", ")),
                    _ => format!("{base} read"),
                };
                return Ok((talk, Said { text: said, goodbye: UNBIND }));
            }
            // A reference to another server is no answer to what was asked.
            _ => {}
        }
    }
    Err("the server sent an answer without end".to_owned())
}

/// Makes the body of a search for one entry: the root's naming contexts, of others nothing.
fn search(base: &str) -> Vec<u8> {
    let attribute: &[u8] = if base.is_empty() { b"namingContexts" } else { b"1.1" };
    [
        element(OCTET_STRING, base.as_bytes()),
        element(ENUMERATED, &[0]), // the entry itself
        element(ENUMERATED, &[0]), // aliases are not followed
        element(INTEGER, &[0]),    // no limit of entries
        element(INTEGER, &[0]),    // nor of time: the check has its own
        element(BOOLEAN, &[0]),    // types and values
        element(PRESENT, b"objectClass"),
        element(SEQUENCE, &element(OCTET_STRING, attribute)),
    ]
    .concat()
}

/// Makes a message.
fn message(number: u8, tag: u8, body: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[element(INTEGER, &[number]), element(tag, body)].concat())
}

/// Makes an element: tag, length, content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        // Two bytes of length: nothing that is sent is longer than a name.
        _ => {
            out.push(0x82);
            out.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

/// Reads a message; returns the tag and the body of what it holds.
async fn answer(talk: &mut Talk) -> Result<(u8, Vec<u8>), String> {
    let wrong = || "the server does not speak LDAP".to_owned();
    let head = talk.exactly(2).await?;
    if head[0] != SEQUENCE {
        return Err(wrong());
    }
    let length = match head[1] {
        short if short < 0x80 => usize::from(short),
        long => {
            let count = usize::from(long & 0x7f);
            if !(1..=4).contains(&count) {
                return Err(wrong());
            }
            let bytes = talk.exactly(count).await?;
            bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
    };
    let body = talk.exactly(length).await?;
    let (number, rest) = split(&body).ok_or_else(wrong)?;
    let (operation, _) = split(rest).ok_or_else(wrong)?;
    if number.0 != INTEGER {
        return Err(wrong());
    }
    Ok((operation.0, operation.1.to_vec()))
}

type Element<'a> = (u8, &'a [u8]);

/// Takes the first element off; `None` when the bytes are none.
fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 4 {
            return None;
        }
        let (length, rest) = rest.split_at_checked(count)?;
        (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((*tag, content), rest))
}

fn wants(tag: u8, wanted: u8) -> Result<(), String> {
    if tag == wanted { Ok(()) } else { Err(format!("the server answered with message {tag:#04x}")) }
}

/// Wants the result code `success`; the error tells the server's own words.
fn succeeded(what: &str, body: &[u8]) -> Result<(), String> {
    let wrong = || "the server's answer cannot be read".to_owned();
    let ((_, code), rest) = split(body).ok_or_else(wrong)?;
    if code == [0] {
        return Ok(());
    }
    let words = split(rest).and_then(|(_, rest)| split(rest)).map(|((_, words), _)| words);
    let words = super::shown(&String::from_utf8_lossy(words.unwrap_or_default()));
    let code = code.iter().fold(0_u32, |code, byte| code << 8 | u32::from(*byte));
    Err(format!("{what} failed with result {code} {words}").trim_end().to_owned())
}

/// Returns the values of an entry's first attribute.
fn values(body: &[u8]) -> Option<Vec<String>> {
    let (_, rest) = split(body)?;
    let ((_, attributes), _) = split(rest)?;
    let ((_, attribute), _) = split(attributes)?;
    let (_, set) = split(attribute)?;
    let ((_, mut values), _) = split(set)?;
    let mut found = Vec::new();
    while let Some(((_, value), rest)) = split(values) {
        found.push(super::shown(&String::from_utf8_lossy(value)));
        values = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_bytes_of_the_standard() {
        // RFC 4511: LDAPMessage { 1, bindRequest { version 3, name "", simple "" } }.
        let bind = [element(INTEGER, &[3]), element(OCTET_STRING, &[]), element(CONTEXT_0, &[])];
        let expected = [0x30, 12, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];
        assert_eq!(message(1, BIND, &bind.concat()), expected);
        let long = element(OCTET_STRING, &[b'x'; 200]);
        assert_eq!(long[..4], [0x04, 0x82, 0, 200]);
        assert_eq!(split(&long), Some(((0x04, &[b'x'; 200][..]), &[][..])));
    }

    #[test]
    fn a_result_that_is_no_success_is_told_in_the_servers_words() {
        let fine = [0x0a, 1, 0, 4, 0, 4, 0];
        assert_eq!(succeeded("bind", &fine), Ok(()));
        let refused = [0x0a, 1, 48, 4, 0, 4, 3, b'n', b'o', b'!'];
        assert_eq!(succeeded("bind", &refused), Err("bind failed with result 48 no!".to_owned()));
    }

    #[test]
    fn bytes_that_are_cut_off_anywhere_are_no_element_and_no_panic() {
        let whole = message(3, SEARCH, &search("dc=example"));
        for end in 0..whole.len() {
            assert_eq!(split(&whole[..end]), None, "{end}");
            assert!(succeeded("x", &whole[2..end.max(2)]).is_err() || end > 2);
            drop(values(&whole[..end]));
        }
    }
}
