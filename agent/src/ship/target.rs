//! Where the server is: a URL, taken apart.

use hyper::Uri;

/// The path of the ingest, after what a proxy may want in front.
const PATH: &str = "/agent/v1/frames";

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) is_tls: bool,
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For the header `Host`: with brackets and, if the URL has one, the port.
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// Why a text is no server's address.
#[derive(Debug, thiserror::Error)]
#[error(
    "{url:?} is no server's address: {reason}; write for example https://noroshi.example.org:8420"
)]
pub struct TargetError {
    url: String,
    reason: &'static str,
}

impl Target {
    /// Reads `http://HOST[:PORT][/PATH]` or the same with `https`.
    pub(crate) fn parse(url: &str) -> Result<Self, TargetError> {
        let fail = |reason| TargetError { url: url.to_owned(), reason };
        let uri: Uri = url.trim().parse().map_err(|_| fail("it is no URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(fail("it starts with neither https:// nor http://")),
        };
        let authority = uri.authority().ok_or_else(|| fail("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(fail("a user has no place in it; the token goes into its own file"));
        }
        let port_text = authority.as_str().rsplit_once(':').map(|(_, port)| port);
        let port = match (authority.port_u16(), port_text) {
            (Some(port), _) => port,
            (None, Some(text)) if !text.ends_with(']') => {
                return Err(fail("its port is no number from 0 to 65535"));
            }
            (None, _) if is_tls => 443,
            (None, _) => 80,
        };
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if uri.query().is_some() {
            return Err(fail("it has a query"));
        }
        Ok(Self {
            is_tls,
            host: bare.unwrap_or(host).to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            path: format!("{}{PATH}", uri.path().trim_end_matches('/')),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, expected) in [
            ("https://a.example", (true, "a.example", 443, "a.example", PATH)),
            ("http://a.example/", (false, "a.example", 80, "a.example", PATH)),
            ("https://a:8420", (true, "a", 8420, "a:8420", PATH)),
            ("http://[2001:db8::1]:8420", (false, "2001:db8::1", 8420, "[2001:db8::1]:8420", PATH)),
            ("https://[::1]", (true, "::1", 443, "[::1]", PATH)),
            ("https://a/noroshi/", (true, "a", 443, "a", "/noroshi/agent/v1/frames")),
        ] {
            let found = Target::parse(url).unwrap();
            let found = (found.is_tls, &*found.host, found.port, &*found.authority, &*found.path);
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        for (url, reason) in [
            ("", "no URL"),
            ("a.example:8420", "neither"),
            ("ftp://a", "neither"),
            ("/path", "neither"),
            ("https://user@a", "a user"),
            ("https://a:99999", "no URL|port"),
            ("https://a?x=1", "a query"),
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(reason.split('|').any(|reason| error.contains(reason)), "{url}: {error}");
        }
    }
}
