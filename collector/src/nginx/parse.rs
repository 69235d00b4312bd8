//! The page that `ngx_http_stub_status_module.c` writes (`ngx_http_stub_status_handler`).
//!
//! Five format strings, unchanged since 0.1.18 but for the second:
//!
//! ```text
//! "Active connections: %uA \n"
//! "server accepts handled requests\n"        ("... request_time\n" by a patch of Tengine)
//! " %uA %uA %uA \n"
//! "Reading: %uA Writing: %uA Waiting: %uA \n"
//! ```

/// What the page says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StubStatus {
    /// Open client connections, waiting ones included.
    pub active: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections handled since the start.
    pub handled: u64,
    /// Requests since the start.
    pub requests: u64,
    /// Connections whose request header is being read.
    pub reading: u64,
    /// Connections to which an answer is being written.
    pub writing: u64,
    /// Connections that wait for a request.
    pub waiting: u64,
}

/// Why a page is none of `stub_status`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StubStatusError {
    /// A line is missing.
    #[error("this is no page of stub_status: the line {expected:?} is missing")]
    Line {
        /// How the line begins.
        expected: &'static str,
    },
    /// A line has not the numbers that it should have.
    #[error("the line {line:?} has not the numbers of stub_status")]
    Numbers {
        /// The line, cut.
        line: String,
    },
}

impl StubStatus {
    /// Reads a page. Errors: [`StubStatusError`].
    pub fn parse(page: &str) -> Result<Self, StubStatusError> {
        let mut lines = page.lines();
        let [active] = numbers(lines.next(), "Active connections:", [""])?;
        let head = "server accepts handled requests";
        if !lines.next().is_some_and(|line| line.starts_with(head)) {
            return Err(StubStatusError::Line { expected: head });
        }
        let [accepted, handled, requests] = numbers(lines.next(), "", ["", "", ""])?;
        let [reading, writing, waiting] =
            numbers(lines.next(), "", ["Reading:", "Writing:", "Waiting:"])?;
        Ok(Self { active, accepted, handled, requests, reading, writing, waiting })
    }
}

/// Reads a line that begins with `head` and holds one number after each of `names`.
///
/// Words after the last are allowed: Tengine adds the time of the requests.
fn numbers<const N: usize>(
    line: Option<&str>,
    head: &'static str,
    names: [&'static str; N],
) -> Result<[u64; N], StubStatusError> {
    let expected = names.first().copied().filter(|name| !name.is_empty()).unwrap_or(head);
    let line = line.ok_or(StubStatusError::Line { expected })?;
    let rest = line.strip_prefix(head).ok_or(StubStatusError::Line { expected })?;
    let wrong = || StubStatusError::Numbers { line: line.chars().take(80).collect() };
    let mut words = rest.split_ascii_whitespace();
    let mut found = [0; N];
    for (number, name) in found.iter_mut().zip(names) {
        if !name.is_empty() && words.next() != Some(name) {
            return Err(wrong());
        }
        *number = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_real_nginx_is_read() {
        let page = include_str!("payloads/1.22.1.txt");
        let status = StubStatus::parse(page).unwrap();
        let expected =
            StubStatus { active: 1, accepted: 4, handled: 4, requests: 4, writing: 1, ..status };
        assert_eq!(status, expected);
        assert_eq!((status.reading, status.waiting), (0, 0));
    }

    #[test]
    fn a_page_of_tengine_with_one_more_column_is_read() {
        let page = "Active connections: 2 \nserver accepts handled requests request_time\n \
                    10 9 30 4000 \nReading: 0 Writing: 1 Waiting: 1 \n";
        let status = StubStatus::parse(page).unwrap();
        assert_eq!((status.accepted, status.handled, status.requests), (10, 9, 30));
    }

    #[test]
    fn what_is_no_such_page_is_refused_with_the_reason() {
        let cases = [
            ("", "\"Active connections:\" is missing"),
            ("<html>404</html>", "\"Active connections:\" is missing"),
            ("Active connections: x \n", "\"Active connections: x \" has not the numbers"),
            ("Active connections: 1 \n", "\"server accepts handled requests\" is missing"),
            (
                "Active connections: 1 \nserver accepts handled requests\n 1 2 \n",
                "\" 1 2 \" has not",
            ),
            (
                "Active connections: 1 \nserver accepts handled requests\n 1 2 3 \nWriting: 1\n",
                "\"Writing: 1\" has not",
            ),
            ("Active connections: 99999999999999999999 \n", "has not the numbers"),
        ];
        for (page, reason) in cases {
            let error = StubStatus::parse(page).unwrap_err().to_string();
            assert!(error.contains(reason), "{page:?} gives {error:?}");
        }
    }
}
