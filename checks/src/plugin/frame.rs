//! What server and spawner say to each other. The form stands in `checks/SPAWNER.md`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::run::Ran;
use super::understand::Exit;

/// The largest frame: what Linux takes as arguments and environment of a program is 2 MiB, and
/// JSON may double it.
const FRAME_BYTES_MAX: usize = 4 << 20;
/// Two lengths.
const PREFIX_BYTES: usize = 8;

/// What the server asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Run a program.
    Run {
        /// The number under which it is answered.
        id: u64,
        /// Program and arguments.
        argv: Vec<String>,
        /// Environment besides `PATH` and `LC_CTYPE`.
        env: BTreeMap<String, String>,
        /// When it is ended.
        time_limit: Duration,
    },
    /// End a run: nobody waits for it any longer. It is not answered.
    Cancel {
        /// Its number.
        id: u64,
    },
}

/// The head of an answer; standard output and standard error follow it as they are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) exit: Exit,
    pub(super) run_time: Duration,
    stdout_bytes: usize,
}

/// Writes a request behind what is in `into`.
///
/// Errors: `InvalidInput` when it is too long; then nothing is written.
pub(super) fn put_request(into: &mut Vec<u8>, request: &Request) -> io::Result<()> {
    put(into, request, [&[], &[]])
}

/// Writes an answer behind what is in `into`.
pub(super) fn put_answer(into: &mut Vec<u8>, id: u64, ran: &Ran) -> io::Result<()> {
    let (exit, stdout_bytes) = (ran.exit.clone(), ran.stdout.len());
    let head = Answer { id, exit, run_time: ran.run_time, stdout_bytes };
    put(into, &head, [&ran.stdout, &ran.stderr])
}

/// Makes of an answer and its tail what the run gave.
pub(super) fn ran(answer: Answer, mut tail: Vec<u8>) -> Ran {
    let stderr = tail.split_off(answer.stdout_bytes.min(tail.len()));
    Ran { exit: answer.exit, stdout: tail, stderr, run_time: answer.run_time }
}

fn put(into: &mut Vec<u8>, head: &impl Serialize, tail: [&[u8]; 2]) -> io::Result<()> {
    let begin = into.len();
    into.extend_from_slice(&[0; PREFIX_BYTES]);
    serde_json::to_writer(&mut *into, head)?;
    let head_bytes = into.len() - begin - PREFIX_BYTES;
    let tail_bytes = tail[0].len() + tail[1].len();
    if head_bytes + tail_bytes > FRAME_BYTES_MAX {
        into.truncate(begin);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "longer than a frame may be"));
    }
    into.extend_from_slice(tail[0]);
    into.extend_from_slice(tail[1]);
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    into[begin..begin + 4].copy_from_slice(&length(head_bytes));
    into[begin + 4..begin + PREFIX_BYTES].copy_from_slice(&length(tail_bytes));
    Ok(())
}

/// What came through the line and is not yet taken.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
}

impl Inbox {
    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next frame, its head and what follows it; `None` when it is not yet whole.
    ///
    /// Errors: `InvalidData` for what is no frame.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<u8>)>> {
        let rest = &self.bytes[self.at..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = |at: usize| {
            u32::from_be_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]])
                as usize
        };
        let (head_bytes, tail_bytes) = (length(0), length(4));
        let frame_bytes = head_bytes.saturating_add(tail_bytes);
        if frame_bytes > FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than a frame may be"));
        }
        if rest.len() < frame_bytes {
            return Ok(None);
        }
        let (head, tail) = rest[..frame_bytes].split_at(head_bytes);
        let frame = (serde_json::from_slice(head)?, tail.to_vec());
        self.at += PREFIX_BYTES + frame_bytes;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_bytes_stay_bytes() {
        let mut bytes = Vec::new();
        let argv = vec!["check".to_owned(), "a \"b\"\n\u{1f525}".to_owned()];
        let env = BTreeMap::from([("A".to_owned(), String::new())]);
        let time_limit = Duration::from_millis(1500);
        put_request(&mut bytes, &Request::Run { id: 7, argv, env, time_limit }).unwrap();
        put_request(&mut bytes, &Request::Cancel { id: u64::MAX }).unwrap();
        let mut inbox = Inbox::default();
        let mut requests = Vec::new();
        // However it is cut on its way.
        for piece in bytes.chunks(5) {
            inbox.push(piece);
            while let Some((request, _)) = inbox.take::<Request>().unwrap() {
                requests.push(request);
            }
        }
        let Request::Run { id: 7, argv, time_limit, .. } = &requests[0] else { panic!() };
        assert_eq!((argv[1].as_str(), time_limit.as_millis()), ("a \"b\"\n\u{1f525}", 1500));
        assert!(matches!(requests[1..], [Request::Cancel { id: u64::MAX }]), "{requests:?}");

        let given = Ran {
            exit: Exit::NotFound("x".to_owned()),
            stdout: vec![0xff, 0, b'\n'],
            stderr: b"no".to_vec(),
            run_time: Duration::from_micros(3),
        };
        let mut bytes = Vec::new();
        put_answer(&mut bytes, 9, &given).unwrap();
        inbox.push(&bytes);
        let (answer, tail) = inbox.take::<Answer>().unwrap().unwrap();
        assert_eq!((answer.id, ran(answer, tail)), (9, given));
        assert!(inbox.take::<Answer>().unwrap().is_none());
    }

    #[test]
    fn what_is_too_long_or_no_frame_is_refused() {
        let mut bytes = b"before".to_vec();
        let argv = vec!["x".repeat(FRAME_BYTES_MAX)];
        let run = Request::Run { id: 1, argv, env: BTreeMap::new(), time_limit: Duration::ZERO };
        assert!(put_request(&mut bytes, &run).is_err());
        assert_eq!(bytes, b"before");
        for wrong in [&[0xff; 8][..], b"\0\0\0\x02\0\0\0\0{}"] {
            let mut inbox = Inbox::default();
            inbox.push(wrong);
            assert!(inbox.take::<Request>().is_err(), "{wrong:?}");
        }
    }
}
