//! A small HTTP/1.1 client for pages that are asked again and again.
//!
//! One connection a target, kept between the polls; every address of the name is tried; answers
//! have a bound, packed ones after they are unpacked; redirects are followed where that is wanted.
//! Time limits are the caller's: dropping the future closes the connections.

mod connect;
mod page;
mod url;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};

use crate::config::Password;
use crate::poll::PollFailure;
use page::{Page, Reply};
use url::Url;

pub(crate) use connect::open_tcp;
pub(crate) use url::split_address;

/// Where and how a page is reached.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) url: &'a str,
    /// Further parameters of the query.
    pub(crate) params: Vec<(&'a str, &'a str)>,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a Password>,
    /// A file that holds the password.
    pub(crate) password_file: Option<&'a Path>,
    /// A key, sent as `Bearer`.
    pub(crate) token: Option<&'a Password>,
    /// A file that holds the key.
    pub(crate) token_file: Option<&'a Path>,
    /// Certificates (PEM) that are trusted in the place of the public ones.
    pub(crate) ca_file: Option<&'a Path>,
    /// How many redirects are followed; 0: one counts as a failure.
    pub(crate) redirects_max: usize,
}

impl<'a> Endpoint<'a> {
    /// Names a page that asks for nothing.
    pub(crate) fn new(url: &'a str) -> Self {
        Self {
            url,
            params: Vec::new(),
            user: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            ca_file: None,
            redirects_max: 0,
        }
    }

    /// Returns the header that says who asks. Errors: [`PollFailure::Config`].
    fn authorization(&self) -> Result<Option<HeaderValue>, PollFailure> {
        let kept = |given: Option<&Password>, file: Option<&Path>| match (given, file) {
            (Some(given), _) => Ok(given.reveal().to_owned()),
            (None, Some(file)) => secret(file),
            (None, None) => Ok(String::new()),
        };
        let text = if self.token.is_some() || self.token_file.is_some() {
            format!("Bearer {}", kept(self.token, self.token_file)?)
        } else if let Some(user) = self.user {
            // RFC 7617.
            let pair = format!("{user}:{}", kept(self.password, self.password_file)?);
            format!("Basic {}", STANDARD.encode(pair))
        } else {
            return Ok(None);
        };
        let mut value = HeaderValue::try_from(text).map_err(|error| PollFailure::Config {
            reason: format!("user, password or token: {error}"),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Reads a secret from a file; the line break at its end is none of it.
fn secret(path: &Path) -> Result<String, PollFailure> {
    let read = fs::read_to_string(path);
    let text = read.map_err(|error| PollFailure::Config {
        reason: format!("cannot read {}: {error}", path.display()),
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// An answer of status 200, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Empty when the server says none.
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

/// Asks one page.
pub(crate) struct Client {
    /// The page itself, then those to which it led the last time.
    pages: Vec<Page>,
    authorization: Option<HeaderValue>,
    ca_file: Option<PathBuf>,
    redirects_max: usize,
}

impl Client {
    /// Reads the address, the secrets and the certificates. Errors: [`PollFailure::Config`].
    pub(crate) fn new(endpoint: &Endpoint<'_>) -> Result<Self, PollFailure> {
        let url = Url::parse(endpoint.url)?.with_params(&endpoint.params);
        Ok(Self {
            pages: vec![Page::new(url, endpoint.ca_file)?],
            authorization: endpoint.authorization()?,
            ca_file: endpoint.ca_file.map(Path::to_owned),
            redirects_max: endpoint.redirects_max,
        })
    }

    /// Returns the address as it was configured.
    pub(crate) fn url(&self) -> &str {
        &self.pages[0].url.text
    }

    /// Asks the page once, and those to which it leads.
    ///
    /// Who asks is told to the configured server alone. Errors: [`PollFailure`]. Cancel: the
    /// connections are closed.
    pub(crate) async fn fetch(
        &mut self,
        headers: &[(HeaderName, HeaderValue)],
        bytes_max: usize,
    ) -> Result<Answer, PollFailure> {
        for hop in 0..=self.redirects_max {
            let is_at_home = self.pages[hop].url.is_same_server(&self.pages[0].url);
            let authorization = self.authorization.as_ref().filter(|_| is_at_home);
            match self.pages[hop].fetch(headers, authorization, bytes_max).await? {
                Reply::Answer(answer) => return Ok(answer),
                Reply::Moved { status, .. } if self.redirects_max == 0 => {
                    return Err(PollFailure::Status { status });
                }
                Reply::Moved { location, .. } => {
                    let next = self.pages[hop].url.join(&location)?;
                    self.lead_to(hop + 1, next)?;
                }
            }
        }
        Err(PollFailure::Redirects { redirects_max: self.redirects_max })
    }

    /// Sets the page behind so many redirects; the connection is kept when it is the same.
    fn lead_to(&mut self, hop: usize, next: Url) -> Result<(), PollFailure> {
        if self.pages.get(hop).is_none_or(|page| page.url != next) {
            self.pages.truncate(hop);
            self.pages.push(Page::new(next, self.ca_file.as_deref())?);
        }
        Ok(())
    }
}
