//! The address of a page.

use hyper::Uri;
use url::form_urlencoded::byte_serialize;

use crate::poll::PollFailure;

/// A URL taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// As it was configured.
    pub(crate) text: String,
    pub(crate) is_tls: bool,
    /// Name or address, an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query; at least `/`.
    pub(crate) path: String,
}

impl Url {
    /// Reads an address. Errors: [`PollFailure::Config`].
    pub(crate) fn parse(text: &str) -> Result<Self, PollFailure> {
        let wrong = |what: &str| PollFailure::Config {
            reason: format!("{text:?} {what}; write it as http://HOST[:PORT]/PATH or https://"),
        };
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("begins neither with http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user; set user and password beside it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let usual = if is_tls { 443 } else { 80 };
        // `Uri` says of a port beyond 65535 that there is none.
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None | Some("") => usual,
            Some(digits) => digits.parse().map_err(|_| wrong("has a port that is none"))?,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { text: text.to_owned(), is_tls, host, port, path })
    }

    /// Adds parameters to the query.
    pub(crate) fn with_params(mut self, params: &[(&str, &str)]) -> Self {
        for (name, value) in params {
            let name: String = byte_serialize(name.as_bytes()).collect();
            let value: String = byte_serialize(value.as_bytes()).collect();
            let mark = if self.path.contains('?') { '&' } else { '?' };
            self.path = format!("{}{mark}{name}={value}", self.path);
        }
        self
    }

    /// Returns where a redirect leads, which may be written without server or path (RFC 3986, 5).
    ///
    /// Errors: [`PollFailure::Config`].
    pub(crate) fn join(&self, location: &str) -> Result<Self, PollFailure> {
        let scheme = if self.is_tls { "https" } else { "http" };
        let base = format!("{scheme}://{}{}", self.authority(), self.path);
        let joined = url::Url::parse(&base).and_then(|base| base.join(location));
        let mut joined = joined.map_err(|error| PollFailure::Config {
            reason: format!("the server redirects to {location:?}: {error}"),
        })?;
        joined.set_fragment(None);
        Self::parse(joined.as_str())
    }

    /// Tells whether both are pages of one server.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }

    /// Returns host and port, for messages.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// Returns the value of the header `Host`: without the port when it is the usual one.
    pub(crate) fn host_header(&self) -> String {
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { self.bracketed() } else { self.authority() }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`. Errors: [`PollFailure::Config`].
pub(crate) fn split_address(text: &str, usual_port: u16) -> Result<(String, u16), PollFailure> {
    let url = Url::parse(&format!("http://{text}")).map_err(|_| PollFailure::Config {
        reason: format!("{text:?} is no address; write it as HOST or HOST:PORT"),
    })?;
    let has_port = url.host_header() != url.bracketed() || text.ends_with(":80");
    let is_alone = url.path == "/" && !text.contains('/');
    if !is_alone {
        let reason = format!("{text:?} has more than host and port");
        return Err(PollFailure::Config { reason });
    }
    Ok((url.host, if has_port { url.port } else { usual_port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let cases = [
            ("http://web1/status?a=b", "web1", 80, "/status?a=b", "web1"),
            ("https://web1", "web1", 443, "/", "web1"),
            ("http://[::1]:8080/x", "::1", 8080, "/x", "[::1]:8080"),
            ("http://192.0.2.1:80/x", "192.0.2.1", 80, "/x", "192.0.2.1"),
        ];
        for (text, host, port, path, header) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.port, url.path.as_str()), (host, port, path));
            assert_eq!(url.host_header(), header);
        }
    }

    #[test]
    fn redirects_lead_where_the_rules_of_urls_say() {
        let url = Url::parse("http://web1:8080/probe/metrics?a=b").unwrap();
        let cases = [
            ("/other", "http://web1:8080/other", true),
            ("next?c=d#e", "http://web1:8080/probe/next?c=d", true),
            ("//web2/x", "http://web2/x", false),
            ("https://web1:8080/x", "https://web1:8080/x", false),
        ];
        for (location, expected, is_same_server) in cases {
            let joined = url.join(location).unwrap();
            assert_eq!(joined.text, expected, "{location}");
            assert_eq!(url.is_same_server(&joined), is_same_server, "{location}");
        }
        for wrong in ["ftp://web1/x", "http://me:pw@web1/", "http://["] {
            assert!(url.join(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_come_behind_those_that_the_address_has() {
        let params = [("module", "http_2xx"), ("target", "http://a/?b=c d&e")];
        let with = |text: &str| Url::parse(text).unwrap().with_params(&params).path;
        let query = "module=http_2xx&target=http%3A%2F%2Fa%2F%3Fb%3Dc+d%26e";
        assert_eq!(with("http://web1/probe"), format!("/probe?{query}"));
        assert_eq!(with("http://web1/probe?debug=1"), format!("/probe?debug=1&{query}"));
        assert_eq!(with("http://web1"), format!("/?{query}"));
    }

    #[test]
    fn addresses_without_scheme_are_split() {
        let cases = [
            ("cache1", ("cache1", 11211)),
            ("cache1:11212", ("cache1", 11212)),
            ("cache1:80", ("cache1", 80)),
            ("[::1]:5", ("::1", 5)),
            ("[::1]", ("::1", 11211)),
        ];
        for (text, (host, port)) in cases {
            assert_eq!(split_address(text, 11211).unwrap(), (host.to_owned(), port), "{text}");
        }
        for wrong in ["", "cache1:x", "cache1/x", "http://cache1", "me@cache1", "a b"] {
            assert!(split_address(wrong, 11211).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_the_reason() {
        let cases = [
            ("web1/status", "is no URL"),
            ("ftp://web1/", "begins neither"),
            ("http://", "is no URL"),
            ("http://me:pw@web1/", "holds a user"),
            ("http://web1:99999/", "has a port that is none"),
        ];
        for (text, reason) in cases {
            let error = Url::parse(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text} gives {error}");
            assert_eq!(error.as_str(), "config");
        }
    }
}
