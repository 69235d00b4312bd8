//! An error and its causes in one line, for logs and for people.

use std::error::Error;

/// Returns an error with all its causes: `what: why: why`.
///
/// A cause that the text before it already holds is not said twice. The number that the operating
/// system's errors carry (`(os error 111)`) is left out: the words before it say the same.
pub fn chain(error: &dyn Error) -> String {
    let mut text = without_number(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = without_number(&error.to_string());
        if !text.ends_with(&why) {
            text.push_str(": ");
            text.push_str(&why);
        }
        cause = error.source();
    }
    text
}

/// Removes every ` (os error N)`, as `std::io::Error` writes it.
fn without_number(text: &str) -> String {
    const BEGIN: &str = " (os error ";
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let digits = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
        kept.push_str(before);
        rest = digits.strip_prefix(')').unwrap_or_else(|| {
            kept.push_str(BEGIN);
            after
        });
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Outer(&'static str, io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn an_error_is_said_with_its_causes_once_and_without_numbers() {
        let refused = || io::Error::from_raw_os_error(111);
        let cases = [
            ("cannot connect to web1:80", "cannot connect to web1:80: Connection refused"),
            ("no mail: Connection refused (os error 111)", "no mail: Connection refused"),
            ("(os error 1 of 2)", "(os error 1 of 2): Connection refused"),
            ("a (os error x) b", "a (os error x) b: Connection refused"),
        ];
        for (said, expected) in cases {
            assert_eq!(chain(&Outer(said, refused())), expected, "{said:?}");
        }
    }
}
