//! Label names in paths.
//!
//! Prometheus 3 takes any UTF-8 name; clients that fear for the path write it as `U__` and the
//! name with `_` doubled and other characters as `_HEX_` (`docs/querying/api.md`, "Querying label
//! values"; `model/metric.go` of prometheus/common, `UnescapeName`).

/// Returns the name that is meant.
pub(super) fn unescape(name: &str) -> String {
    name.strip_prefix("U__").and_then(decode).unwrap_or_else(|| name.to_owned())
}

/// Decodes what follows `U__`; `None` when it is not encoded so, and is then meant as it stands.
fn decode(escaped: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find('_')?;
        match &rest[..end] {
            "" => name.push('_'),
            // Six digits reach every character.
            hex if hex.len() <= 6 => name.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?),
            _ => return None,
        }
        rest = &rest[end + 1..];
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        let cases = [
            ("job", "job"),
            ("U__job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__no__escape", "no_escape"),
            ("U___61_b", "ab"),
            ("U___1f525_", "🔥"),
            // Not encoded so: meant as it stands.
            ("U__a_b", "U__a_b"),
            ("U___zz_", "U___zz_"),
            ("U___110000_", "U___110000_"),
            ("http.status", "http.status"),
        ];
        for (escaped, name) in cases {
            assert_eq!(unescape(escaped), name);
        }
    }
}
