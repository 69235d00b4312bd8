//! What a plug-in's exit and output mean.
//!
//! Source: Nagios Core `base/checks.c` (`get_service_check_return_code`, `parse_check_output`) and
//! the Monitoring Plugins' developer guidelines. On purpose otherwise than Nagios: semicolons stay
//! (Nagios turns them into colons, because its status file needs them), line ends may be CR LF,
//! and what a plug-in with an impossible exit code said is kept behind the complaint.

use std::time::Duration;

use noroshi_model::{Perfdata, Status};
use serde::{Deserialize, Serialize};

use super::perfdata::parse_perfdata;

/// How much of standard error is shown when there is nothing on standard output.
const STDERR_CHARS_MAX: usize = 400;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was ended because it took longer than this.
    TimedOut(Duration),
    /// There is no such program.
    NotFound(String),
    /// The program may not be executed.
    NotExecutable(String),
    /// The server itself could not start it; says nothing about what is checked.
    CannotStart(String),
    /// It was not run, or not to its end, because the spawner failed: `spawner_ended`,
    /// `spawner_silent`, `spawner_not_started`. Says nothing about what is checked.
    NotRun(String),
}

/// What a run means.
#[derive(Clone, Debug, PartialEq)]
pub struct Understood {
    /// What was found.
    pub status: Status,
    /// First line, without performance data.
    pub output: String,
    /// Further lines, without performance data, joined by newline.
    pub long_output: String,
    /// Performance data of all lines.
    pub perfdata: Vec<Perfdata>,
}

/// Makes status, texts and performance data of what a plug-in returned and wrote.
///
/// Bytes that are no UTF-8 become U+FFFD; everything from the first NUL on is left out, as in
/// Nagios. `stderr` is shown only when `stdout` is empty.
pub fn understand(exit: &Exit, stdout: &[u8], stderr: &[u8]) -> Understood {
    let mut understood = understand_passive(Status::Ok, &text(stdout));
    let said = understood.output.clone();
    let but =
        |complaint: String| if said.is_empty() { complaint } else { format!("{complaint} {said}") };
    let (status, output) = match exit {
        Exit::Code(code @ 0..=3) => {
            let statuses = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown];
            let index = usize::try_from(*code).unwrap_or(3);
            (statuses[index], or_nothing(stdout, stderr, said))
        }
        Exit::Code(126) => {
            (Status::Critical, but("(return code 126: the plug-in may not be executed)".to_owned()))
        }
        Exit::Code(127) => {
            (Status::Critical, but("(return code 127: the plug-in does not exist)".to_owned()))
        }
        Exit::Code(code) => (
            Status::Critical,
            but(format!("(return code {code} is out of bounds: a plug-in returns 0 to 3)")),
        ),
        Exit::Signal(signal) => {
            (Status::Critical, but(format!("(the plug-in was ended by signal {signal})")))
        }
        Exit::TimedOut(after) => (
            Status::Critical,
            but(format!("(the plug-in timed out after {} s)", after.as_secs_f64())),
        ),
        Exit::NotFound(program) => {
            (Status::Critical, format!("(the plug-in {program} does not exist)"))
        }
        Exit::NotExecutable(program) => {
            (Status::Critical, format!("(the plug-in {program} may not be executed)"))
        }
        Exit::CannotStart(why) => {
            (Status::Unknown, format!("(the server cannot start the plug-in: {why})"))
        }
        Exit::NotRun(reason) => {
            (Status::Unknown, format!("(the plug-in was not run to its end: {reason})"))
        }
    };
    understood.status = status;
    understood.output = output;
    understood
}

/// Makes of a run what can be handed on to somebody who understands it by [`understand_passive`]:
/// the status, and the output with complaints put into its first line.
pub fn as_text(exit: &Exit, stdout: &[u8], stderr: &[u8]) -> (Status, String) {
    let understood = understand(exit, stdout, stderr);
    let said = text(stdout);
    let end = said.find(['|', '\n']).unwrap_or(said.len());
    // What stands on standard error may hold a bar, which would begin performance data.
    let first = understood.output.replace('|', "/");
    (understood.status, format!("{first}{}", &said[end..]))
}

/// Makes texts and performance data of an output whose status is known: a passive result.
///
/// The first line up to `|` is the output; the rest of it is performance data. Of the following
/// lines everything is long output up to a `|`; what comes after that is performance data to the
/// end (`parse_check_output`).
pub fn understand_passive(status: Status, output: &str) -> Understood {
    let mut lines = output.lines().map(|line| line.trim_end_matches('\r'));
    let (first, mut data) = match lines.next().unwrap_or("").split_once('|') {
        Some((text, data)) => (text, data.to_owned()),
        None => (output.lines().next().unwrap_or(""), String::new()),
    };
    let mut long: Vec<&str> = Vec::new();
    let mut is_data = false;
    for line in lines {
        if is_data {
            data.push(' ');
            data.push_str(line);
            continue;
        }
        match line.split_once('|') {
            Some((text, rest)) => {
                if !text.trim().is_empty() {
                    long.push(text.trim_end());
                }
                data.push(' ');
                data.push_str(rest);
                is_data = true;
            }
            None => long.push(line.trim_end()),
        }
    }
    while long.last().is_some_and(|line| line.is_empty()) {
        long.pop();
    }
    Understood {
        status,
        output: first.trim().to_owned(),
        long_output: long.join("\n"),
        perfdata: parse_perfdata(&data),
    }
}

/// Returns the output up to the first NUL as text.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Says so when a plug-in wrote nothing, with what it wrote to standard error.
fn or_nothing(stdout: &[u8], stderr: &[u8], said: String) -> String {
    let is_empty = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_whitespace);
    let has_data = stdout.split(|byte| *byte == b'\n').next().is_some_and(|l| l.contains(&b'|'));
    if !said.is_empty() || has_data {
        return said;
    }
    if is_empty(stderr) {
        return "(no output)".to_owned();
    }
    let errors = text(stderr);
    let line: Vec<&str> = errors.split_whitespace().collect();
    let line: String = line.join(" ").chars().take(STDERR_CHARS_MAX).collect();
    format!("(no output; on standard error: {line})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(exit: i32, stdout: &str) -> (Status, String, String, String) {
        let it = understand(&Exit::Code(exit), stdout.as_bytes(), b"");
        let data: Vec<&str> = it.perfdata.iter().map(|p| p.label.as_str()).collect();
        (it.status, it.output.clone(), it.long_output.clone(), data.join(","))
    }

    #[test]
    fn lines_and_bars_are_divided_as_nagios_does() {
        let cases = [
            ("OK - fine", "OK - fine", "", ""),
            ("OK - fine | a=1 b=2\n", "OK - fine", "", "a,b"),
            ("OK\nmore\nand more\n", "OK", "more\nand more", ""),
            ("OK | a=1\nmore\nlast | b=2\nc=3 d=4\n", "OK", "more\nlast", "a,b,c,d"),
            ("OK\n | a=1\n", "OK", "", "a"),
            ("| a=1", "", "", "a"),
            ("|", "", "", ""),
            ("OK |", "OK", "", ""),
            ("  OK  padded  |  a=1  ", "OK  padded", "", "a"),
            ("OK - windows | x=1\r\nline two\r\n", "OK - windows", "line two", "x"),
            ("OK - a | b=1 | c=2", "OK - a", "", "b,c"),
            ("OK; with; semicolons", "OK; with; semicolons", "", ""),
            ("OK before\0after | a=1", "OK before", "", ""),
        ];
        for (text, output, long, data) in cases {
            let want = (Status::Ok, output.to_owned(), long.to_owned(), data.to_owned());
            assert_eq!(parts(0, text), want, "{text:?}");
        }
    }

    #[test]
    fn exit_codes_mean_what_nagios_says() {
        for (code, status) in [
            (0, Status::Ok),
            (1, Status::Warning),
            (2, Status::Critical),
            (3, Status::Unknown),
            (4, Status::Critical),
            (126, Status::Critical),
            (127, Status::Critical),
            (255, Status::Critical),
            (-1, Status::Critical),
        ] {
            assert_eq!(parts(code, "text").0, status, "code {code}");
        }
        assert!(
            parts(4, "text").1.contains("return code 4") && parts(4, "text").1.ends_with("text")
        );
    }

    #[test]
    fn every_abnormal_end_says_what_happened() {
        let say = |exit: Exit| understand(&exit, b"half a li", b"").output;
        assert_eq!(say(Exit::Signal(9)), "(the plug-in was ended by signal 9) half a li");
        let late = say(Exit::TimedOut(Duration::from_millis(1500)));
        assert_eq!(late, "(the plug-in timed out after 1.5 s) half a li");
        let cannot = understand(&Exit::CannotStart("no memory".to_owned()), b"", b"");
        assert_eq!(cannot.status, Status::Unknown);
        let missing = understand(&Exit::NotFound("/x/y".to_owned()), b"", b"");
        assert_eq!(missing.status, Status::Critical);
        assert_eq!(missing.output, "(the plug-in /x/y does not exist)");
    }

    #[test]
    fn silence_is_told_with_what_stands_on_standard_error() {
        let it = understand(&Exit::Code(2), b" \n", b"Traceback:\n  no module\n");
        assert_eq!(it.output, "(no output; on standard error: Traceback: no module)");
        assert_eq!(understand(&Exit::Code(0), b"", b"").output, "(no output)");
    }

    #[test]
    fn what_is_handed_on_as_text_is_understood_as_the_run_itself() {
        let late = Exit::TimedOut(Duration::from_secs(2));
        for (exit, stdout, stderr) in [
            (Exit::Code(0), "OK - fine | a=1;2;3\nmore\nlast | b=2\n", ""),
            (Exit::Code(2), "two lines\nhere", ""),
            (Exit::Code(1), "| a=1", ""),
            (Exit::Code(77), "text | a=1", ""),
            (Exit::Code(3), "", "Traceback: no module"),
            (late, "half a | a=1\nli", ""),
            (Exit::Signal(9), "", ""),
            (Exit::NotFound("/x".to_owned()), "", ""),
        ] {
            let (status, text) = as_text(&exit, stdout.as_bytes(), stderr.as_bytes());
            let whole = understand(&exit, stdout.as_bytes(), stderr.as_bytes());
            assert_eq!(understand_passive(status, &text), whole, "{text:?}");
        }
        let (_, text) = as_text(&Exit::Code(2), b"", b"a | b=1");
        assert_eq!(understand_passive(Status::Critical, &text).perfdata, []);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        let it = understand(&Exit::Code(0), b"OK caf\xe9 | t\xb0=1C", b"");
        assert_eq!(it.output, "OK caf\u{fffd}");
        assert_eq!(it.perfdata[0].label, "t\u{fffd}");
    }
}
