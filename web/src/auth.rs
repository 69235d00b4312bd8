//! Who is asking: the first thing decided about each request.
//!
//! Nothing but the open routes answers without credentials: a session's cookie in the browser,
//! `Authorization: Bearer TOKEN` or Basic for programs. Requests that a browser sends on behalf of
//! another site are refused.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tower_sessions::Session;

use crate::app::App;
use crate::error::ApiError;
use crate::people::{Role, SEEN_STEP, TOKEN_PREFIX};
use crate::sign_in;

/// Keys in a session's data.
pub(crate) const USER: &str = "user";
pub(crate) const IS_FROM_LINK: &str = "is_from_link";
pub(crate) const SEEN_AT: &str = "seen_at";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user's or the token's name.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) via: Via,
}

/// How they showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// A session's cookie.
    Session {
        /// Whether a sign-in link opened it: its owner may set a password without knowing one.
        is_from_link: bool,
    },
    /// User and password with each request.
    Password,
    /// A token.
    Token,
}

/// Lets a request pass that is open or whose sender is known; tells the others to sign in.
pub(crate) async fn identify(
    State(app): State<Arc<App>>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    let is_open = app.is_open(request.uri().path());
    let credentials = request.headers().get(header::AUTHORIZATION).cloned();
    let address = address(&request);
    let identity =
        if is_open { Ok(None) } else { find(&app, &session, credentials, address).await };
    let via = match &identity {
        Ok(identity) => identity.as_ref().map(|identity| identity.via),
        Err(_) => None,
    };
    match identity {
        Err(error) => return error.answer_at(request.uri().path()),
        Ok(None) if !is_open => return unauthorized(&request),
        Ok(Some(identity)) => drop(request.extensions_mut().insert(identity)),
        Ok(None) => {}
    }
    if is_foreign(request.method(), request.headers(), via) {
        let message = "this request comes from another site".to_owned();
        return ApiError::Forbidden(message).answer_at(request.uri().path());
    }
    next.run(request).await
}

async fn find(
    app: &Arc<App>,
    session: &Session,
    credentials: Option<HeaderValue>,
    address: IpAddr,
) -> Result<Option<Identity>, ApiError> {
    let Some(value) = credentials else { return by_session(app, session).await };
    let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Ok(None);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => by_token(app, rest.trim()).await,
        "basic" => by_basic(app, rest.trim(), address).await,
        _ => Ok(None),
    }
}

async fn by_session(app: &Arc<App>, session: &Session) -> Result<Option<Identity>, ApiError> {
    if session.id().is_none() {
        return Ok(None);
    }
    let failed = |error| ApiError::internal("cannot read a session", &error);
    let Some(name) = session.get::<String>(USER).await.map_err(failed)? else { return Ok(None) };
    let is_from_link = session.get(IS_FROM_LINK).await.map_err(failed)?.unwrap_or(false);
    let people = Arc::clone(&app.people);
    let user = {
        let name = name.clone();
        app.gate.disk(move || people.user(&name)).await??
    };
    let Some(user) = user else { return Ok(None) };
    let now = app.deps.clock.now();
    let seen = session.get(SEEN_AT).await.map_err(failed)?.unwrap_or_default();
    if now.since(seen) >= SEEN_STEP {
        session.insert(SEEN_AT, now).await.map_err(failed)?;
    }
    let via = Via::Session { is_from_link };
    Ok(Some(Identity { name: user.name, role: user.role, via }))
}

async fn by_token(app: &Arc<App>, secret: &str) -> Result<Option<Identity>, ApiError> {
    let token = if let Some(known) = app.people.known_token(secret) {
        Some(known)
    } else {
        let (people, secret) = (Arc::clone(&app.people), secret.to_owned());
        app.gate.disk(move || people.verify_token(&secret)).await??
    };
    Ok(token.map(|token| Identity { name: token.name, role: token.role, via: Via::Token }))
}

/// Basic: a user with the password, or any user with a token as password.
async fn by_basic(
    app: &Arc<App>,
    encoded: &str,
    address: IpAddr,
) -> Result<Option<Identity>, ApiError> {
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
        return Ok(None);
    };
    if password.starts_with(TOKEN_PREFIX) {
        return by_token(app, password).await;
    }
    let user = app.verify_password(name, password, address).await?;
    let via = Via::Password;
    Ok(user.map(|user| Identity { name: user.name, role: user.role, via }))
}

/// Returns the client's address: the peer's, or what a proxy on this machine says it is.
pub(crate) fn address(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip());
    if !peer.is_loopback() {
        return peer;
    }
    // The last entry is the one that our own proxy added.
    let forwarded = request.headers().get_all("x-forwarded-for").iter().next_back();
    let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    last.and_then(|text| text.trim().parse().ok()).unwrap_or(peer)
}

/// Tells whether a request that may change something was made by a page of another site.
///
/// Source: OWASP, Cross-Site Request Forgery Prevention Cheat Sheet, "Fetch Metadata headers" and
/// "Verifying Origin With Standard Headers". Browsers leave `Sec-Fetch-Site` out on plain HTTP,
/// but send `Origin` with every POST. Whoever sends neither is no browser; such a request may not
/// lean on a cookie. A token is never sent by a browser on its own.
fn is_foreign(method: &Method, headers: &HeaderMap, via: Option<Via>) -> bool {
    if method.is_safe() || via == Some(Via::Token) {
        return false;
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = text("host").unwrap_or("");
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_none_or(|authority| !authority.eq_ignore_ascii_case(host))
        }
        (None, None) => matches!(via, Some(Via::Session { .. })),
    }
}

/// Answers 401: with the sign-in page to a person, with JSON to a program.
fn unauthorized(request: &Request) -> Response {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mode = text("sec-fetch-mode");
    let is_navigation = request.method().is_safe()
        && mode.is_none_or(|mode| mode == "navigate")
        && text("accept").is_some_and(|accepted| accepted.contains("text/html"));
    let mut response = if is_navigation {
        let next = request.uri().path_and_query().map_or("/", |path| path.as_str());
        sign_in::page_for(next)
    } else {
        ApiError::Unauthorized.answer_at(request.uri().path())
    };
    // A challenge for Basic makes a browser open its own dialog over our page.
    let challenge = if is_navigation || mode.is_some() {
        "Bearer realm=\"noroshi\""
    } else {
        "Basic realm=\"noroshi\", charset=\"UTF-8\""
    };
    let challenge = HeaderValue::from_static(challenge);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_and_programs_change_something() {
        let session = Some(Via::Session { is_from_link: false });
        let site = |value| vec![("sec-fetch-site", value)];
        let origin = |value| vec![("host", "noroshi.example:8420"), ("origin", value)];
        // method, headers, by, refused
        let cases = [
            (Method::POST, site("same-origin"), session, false),
            (Method::POST, site("none"), session, false),
            (Method::POST, site("same-site"), session, true),
            (Method::POST, site("cross-site"), session, true),
            (Method::POST, site("cross-site"), Some(Via::Password), true),
            (Method::POST, site("cross-site"), None, true),
            (Method::DELETE, site("cross-site"), session, true),
            (Method::GET, site("cross-site"), session, false),
            (Method::POST, site("cross-site"), Some(Via::Token), false),
            (Method::POST, origin("http://noroshi.example:8420"), session, false),
            (Method::POST, origin("http://NOROSHI.example:8420"), session, false),
            (Method::POST, origin("http://noroshi.example"), session, true),
            (Method::POST, origin("https://evil.example"), session, true),
            (Method::POST, origin("null"), session, true),
            (Method::POST, vec![], session, true),
            (Method::POST, vec![], Some(Via::Password), false),
            (Method::POST, vec![], None, false),
        ];
        for (method, pairs, via, is_refused) in cases {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect::<Vec<(header::HeaderName, HeaderValue)>>()
                .into_iter()
                .collect();
            assert_eq!(
                is_foreign(&method, &headers, via),
                is_refused,
                "{method} {pairs:?} {via:?}"
            );
        }
    }

    #[test]
    fn the_address_is_the_proxys_word_only_when_the_proxy_is_here() {
        let ask = |peer: &str, forwarded: &'static str| {
            let mut request = Request::new(axum::body::Body::empty());
            let peer: SocketAddr = peer.parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(peer));
            if !forwarded.is_empty() {
                let value = HeaderValue::from_static(forwarded);
                request.headers_mut().insert("x-forwarded-for", value);
            }
            address(&request).to_string()
        };
        assert_eq!(ask("192.0.2.1:5", ""), "192.0.2.1");
        assert_eq!(ask("192.0.2.1:5", "198.51.100.7"), "192.0.2.1");
        assert_eq!(ask("127.0.0.1:5", "203.0.113.9, 198.51.100.7"), "198.51.100.7");
        assert_eq!(ask("127.0.0.1:5", "nonsense"), "127.0.0.1");
    }
}
