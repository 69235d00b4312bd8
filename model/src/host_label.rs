//! Labels that a host says of itself, in its agent's config: which may be.
//!
//! They become labels of the host beside those of the server's configuration, so they must not pass
//! for what the server finds out by itself.

/// The series whose labels they are; its value is 1.
pub const HOST_LABELS: &str = "noroshi_agent_labels_info";

/// Most of them: a host has a role, a site, an owner, a rack. More are measurements.
pub const HOST_LABELS_MAX: usize = 32;

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Longest value, in bytes: as a name of a host.
pub const VALUE_BYTES_MAX: usize = 253;

/// Names that stand for something else wherever labels are matched: of series, of hosts, and of
/// what `[[agents.rule]]` knows of an agent.
const RESERVED: [&str; 11] = [
    "address", "check", "groups", "host", "instance", "job", "kernel", "le", "os", "token",
    "version",
];

/// Tells what is wrong with such a label; `None` when it may be.
///
/// A name has the letters of a label of Prometheus (<https://prometheus.io/docs/concepts/data_model>)
/// and does not begin with two underscores.
pub fn fault(name: &str, value: &str) -> Option<String> {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !begins || !name.chars().all(is_letter) {
        let text = "is no name of a label: letters, digits and _, no digit first";
        return Some(format!("{name:?} {text}"));
    }
    if name.starts_with("__") || RESERVED.contains(&name) {
        return Some(format!("`{name}` means something else; call the label otherwise"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("`{name}` is longer than {NAME_BYTES_MAX} bytes"));
    }
    if value.is_empty() {
        return Some(format!("`{name}` is empty, which is as if it were not there: remove it"));
    }
    if value.len() > VALUE_BYTES_MAX || value.contains(char::is_control) {
        let text = format!("is longer than {VALUE_BYTES_MAX} bytes or has control characters");
        return Some(format!("the value of `{name}` {text}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_else_or_is_too_long_is_refused() {
        for (name, value, expected) in [
            ("role", "web", None),
            ("_x9", "é, any text", None),
            ("instance", "web1", Some("`instance` means something else; call the label otherwise")),
            ("job", "x", Some("`job` means")),
            ("host", "x", Some("`host` means")),
            ("token", "x", Some("`token` means")),
            ("__name__", "x", Some("`__name__` means")),
            ("9role", "x", Some("\"9role\" is no name of a label")),
            ("my-role", "x", Some("\"my-role\" is no name")),
            ("", "x", Some("\"\" is no name")),
            ("role", "", Some("`role` is empty")),
            ("role", "a\nb", Some("the value of `role` is longer than 253 bytes or has control")),
        ] {
            let found = fault(name, value);
            assert_eq!(found.is_some(), expected.is_some(), "{name}={value}: {found:?}");
            let text = found.unwrap_or_default();
            assert!(text.starts_with(expected.unwrap_or_default()), "{text}");
        }
        // The longest that may be, and one byte more.
        assert_eq!(fault(&"n".repeat(64), &"v".repeat(253)), None);
        assert!(fault(&"n".repeat(65), "v").is_some());
        assert!(fault("n", &"v".repeat(254)).is_some());
    }
}
