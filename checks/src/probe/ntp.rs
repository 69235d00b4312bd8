//! NTP: what time a server thinks it is, and how good it thinks that is.
//!
//! Source: RFC 5905, section 7.3 (packet), section 8 (offset and delay), section 6 (eras).

use std::time::Duration;

use noroshi_model::{Perfdata, Range, Status, Timestamp, Unit};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::NtpProbe;
use super::dns::address;
use super::finding::Finding;
use super::tcp::{measures, precise};
use crate::macros::Macros;

/// Bytes of a packet without extension fields.
const PACKET_BYTES: usize = 48;
/// Leap indicator 0, version 4, mode 3 (client).
const CLIENT: u8 = 0b00_100_011;
/// Seconds from 1900 (NTP's era 0) to 1970.
const SECONDS_1900_TO_1970: i64 = 2_208_988_800;
/// Seconds of an NTP era.
const ERA: i64 = 1 << 32;
/// After this time without an answer the question is sent again.
const RESEND_AFTER: Duration = Duration::from_secs(2);
/// How many times a question is sent at most.
const TRIES: usize = 3;

/// What a server said.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Said {
    /// How far its clock is ahead of ours, in seconds.
    offset: f64,
    /// Round trip, in seconds.
    delay: f64,
    stratum: u8,
    /// Leap indicator 3: its clock was never set.
    is_unset: bool,
}

/// Asks and judges.
pub(crate) async fn look(probe: &NtpProbe, macros: &Macros, now: Timestamp) -> Finding {
    let own = if probe.server.is_empty() { "$HOSTADDRESS$" } else { &probe.server };
    let server = macros.expand(own, &[]);
    let begun = Instant::now();
    match ask(&server, now, begun).await {
        Ok(said) => judge(probe, said),
        Err(why) => {
            let mut finding = Finding::new(Status::Critical, format!("{server}: {why}"));
            finding.measures.extend(measures(Status::Critical, begun.elapsed()));
            finding
        }
    }
}

async fn ask(server: &str, now: Timestamp, begun: Instant) -> Result<Said, String> {
    let text = |error: std::io::Error| noroshi_model::chain(&error);
    let to = address(server, 123).await?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(text)?;
    socket.connect(to).await.map_err(text)?;
    let mut packet = [0; PACKET_BYTES];
    let elapsed = || now.as_secs_f64() + begun.elapsed().as_secs_f64();
    let mut asked: Vec<(f64, [u8; PACKET_BYTES])> = Vec::new();
    for _ in 0..TRIES {
        let sent = elapsed();
        let question = question(sent);
        socket.send(&question).await.map_err(text)?;
        asked.push((sent, question));
        let waited = timeout(RESEND_AFTER, async {
            loop {
                let count = socket.recv(&mut packet).await.map_err(text)?;
                // The server gives our own time back: a late answer to the question before this one
                // is one as well, and what answers none of them is not for us.
                let answer = &packet[..count];
                let of = asked.iter().find(|(_, question)| is_answer(answer, question));
                if let Some((sent, _)) = of {
                    return read(answer, *sent, elapsed());
                }
                if count < PACKET_BYTES {
                    return Err("the answer is too short".to_owned());
                }
            }
        });
        if let Ok(said) = waited.await {
            return said;
        }
    }
    Err("no answer".to_owned())
}

/// Tells whether a packet answers this question.
fn is_answer(packet: &[u8], question: &[u8; PACKET_BYTES]) -> bool {
    packet.get(24..32).is_some_and(|origin| *origin == question[40..48])
}

/// Makes a packet that asks; `sent` in seconds since 1970.
fn question(sent: f64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    packet[0] = CLIENT;
    let seconds = (sent.floor() as i64 + SECONDS_1900_TO_1970).rem_euclid(ERA);
    let fraction = (sent.fract() * 4_294_967_296.0) as u32;
    packet[40..44].copy_from_slice(&u32::try_from(seconds).unwrap_or(0).to_be_bytes());
    packet[44..48].copy_from_slice(&fraction.to_be_bytes());
    packet
}

/// Reads an answer to a question that was sent at `sent`.
fn read(packet: &[u8], sent: f64, received: f64) -> Result<Said, String> {
    let packet: &[u8; PACKET_BYTES] =
        packet.first_chunk().ok_or_else(|| "the answer is too short".to_owned())?;
    // Mode 4 is a server's answer.
    if packet[0] & 7 != 4 {
        return Err("the answer is none of a server".to_owned());
    }
    if packet[1] == 0 {
        let code: String = packet[12..16].iter().map(|byte| char::from(*byte)).collect();
        return Err(format!("the server wants to be left alone ({})", code.trim_end_matches('\0')));
    }
    let (theirs_in, theirs_out) = (moment(&packet[32..40], sent), moment(&packet[40..48], sent));
    Ok(Said {
        offset: f64::midpoint(theirs_in - sent, theirs_out - received),
        delay: (received - sent) - (theirs_out - theirs_in),
        stratum: packet[1],
        is_unset: packet[0] >> 6 == 3,
    })
}

/// Reads a time stamp as seconds since 1970, in the era that is nearest to `near`.
fn moment(bytes: &[u8], near: f64) -> f64 {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, byte| (n << 8) | u32::from(*byte));
    let (seconds, fraction) = (number(&bytes[..4]), number(&bytes[4..8]));
    let in_era = i64::from(seconds) - SECONDS_1900_TO_1970;
    let eras = ((near - in_era as f64) / ERA as f64).round() as i64;
    (in_era + eras * ERA) as f64 + f64::from(fraction) / 4_294_967_296.0
}

fn judge(probe: &NtpProbe, said: Said) -> Finding {
    let (warning, critical) =
        (probe.offset_warning.as_secs_f64(), probe.offset_critical.as_secs_f64());
    let status = match said.offset.abs() {
        _ if said.is_unset || said.stratum > probe.stratum_max => Status::Critical,
        offset if offset > critical => Status::Critical,
        offset if offset > warning => Status::Warning,
        _ => Status::Ok,
    };
    let (size, side) = (
        precise(Duration::from_secs_f64(said.offset.abs())),
        if said.offset < 0.0 { "behind" } else { "ahead" },
    );
    let mut output = format!("{size} {side}, stratum {}", said.stratum);
    if said.is_unset {
        output.push_str(", the server's own clock is not set");
    } else if said.stratum > probe.stratum_max {
        output.push_str(", which is too far from a true clock");
    }
    let mut finding = Finding::new(status, output);
    let range = |end: f64| Some(Range { start: -end, end, is_inside: false });
    finding.perfdata.push(Perfdata {
        label: "offset".to_owned(),
        value: Some(said.offset),
        unit: Unit::Seconds,
        warning: range(warning),
        critical: range(critical),
        min: None,
        max: None,
    });
    let delay = Duration::from_secs_f64(said.delay.clamp(0.0, 3600.0));
    finding.measures.extend(measures(status, delay));
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(question: &[u8; PACKET_BYTES], theirs: f64) -> [u8; PACKET_BYTES] {
        let mut packet = self::question(theirs);
        packet[0] = 0b00_100_100;
        packet[1] = 2;
        let transmit: [u8; 8] = packet[40..48].try_into().unwrap();
        packet[32..40].copy_from_slice(&transmit);
        packet[24..32].copy_from_slice(&question[40..48]);
        packet
    }

    #[test]
    fn the_offset_is_the_mean_of_both_ways() {
        // Sent at 1000, received at 1000.5; the server says 1003.25 in between. Both ways being
        // equally long it was 1000.25 here: 3 s ahead.
        let question = question(1000.0);
        let said = read(&answer(&question, 1003.25), 1000.0, 1000.5).unwrap();
        assert!((said.offset - 3.0).abs() < 1e-6 && (said.delay - 0.5).abs() < 1e-6, "{said:?}");
        assert_eq!((said.stratum, said.is_unset), (2, false));
    }

    #[test]
    fn the_era_after_2036_is_understood() {
        let later = 2_200_000_000.0;
        let question = question(later);
        let said = read(&answer(&question, later + 1.0), later, later).unwrap();
        assert!((said.offset - 1.0).abs() < 1e-6, "{said:?}");
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let question = question(1000.0);
        let good = answer(&question, 1000.0);
        let mut refusing = good;
        refusing[1] = 0;
        refusing[12..16].copy_from_slice(b"RATE");
        let why = read(&refusing, 1000.0, 1000.0).unwrap_err();
        assert!(why.contains("RATE"), "{why}");
        let other = self::question(999.0);
        assert!(is_answer(&good, &question) && !is_answer(&good, &other));
        assert!(!is_answer(&good[..20], &question));
        assert!(read(&good[..47], 1000.0, 1000.0).unwrap_err().contains("short"));
        assert!(read(&question, 1000.0, 1000.0).is_err());
    }

    /// The first answer comes after the question was sent again, and after something that is none:
    /// it is an answer all the same.
    #[tokio::test]
    async fn a_late_answer_to_an_earlier_question_counts() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            let mut first = [0; PACKET_BYTES];
            let (_, to) = server.recv_from(&mut first).await.unwrap();
            let mut second = [0; PACKET_BYTES];
            server.recv_from(&mut second).await.unwrap();
            let stranger = answer(&question(1.0), 1000.0);
            server.send_to(&stranger, to).await.unwrap();
            server.send_to(&answer(&first, 1001.0), to).await.unwrap();
        });
        let said = ask(&address, Timestamp::from_secs(1000), Instant::now()).await.unwrap();
        serving.await.unwrap();
        // It came about two seconds after the first question, half of which is on each way.
        assert!(said.delay >= RESEND_AFTER.as_secs_f64() && said.offset.abs() < 5.0, "{said:?}");
    }
}
