//! The sign-in page: made here, because it must work before the browser program may be loaded, and
//! without JavaScript.

use std::sync::{Arc, LazyLock};

use axum::Form;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tower_sessions::Session;

use crate::app::App;
use crate::auth::{IS_FROM_LINK, SEEN_AT, USER, address};
use crate::error::ApiError;
use crate::people::{People, User};
use crate::route::{Access, Body, Route, Value};

const TEMPLATE: &str = include_str!("sign_in.html");
const STYLE: &str = include_str!("sign_in.css");

/// Lets the page carry its style inside: whoever is not signed in may load nothing else.
static CONTENT_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/sign-in", Access::Open, show)
            .summary("The sign-in page")
            .takes("token", Value::Text, "secret of a one-time sign-in link")
            .takes("next", Value::Text, "path to go to afterwards")
            .answer(Body::Other("text/html")),
        Route::post("/sign-in", Access::Open, enter)
            .summary("Signs in by user and password or by a link's secret: sets the cookie, 303")
            .takes("user", Value::Text, "name")
            .takes("password", Value::Text, "password")
            .takes("token", Value::Text, "secret of a one-time sign-in link")
            .takes("next", Value::Text, "path to go to afterwards")
            .request(Body::Form)
            .status(303),
        Route::post("/sign-out", Access::Viewer, leave)
            .summary("Ends the session: 303 to the sign-in page")
            .status(303),
    ]
}

/// What the page asks with.
#[derive(Debug, Default, Deserialize)]
struct Fields {
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

/// What the page shows.
#[derive(Default)]
struct Page<'a> {
    user: &'a str,
    next: &'a str,
    /// A valid link's secret and whom it lets in: one button instead of the fields.
    link: Option<(&'a str, &'a str)>,
    /// What went wrong.
    message: &'a str,
}

async fn show(
    State(app): State<Arc<App>>,
    Query(fields): Query<Fields>,
) -> Result<Response, ApiError> {
    let next = fields.next.as_str();
    if fields.token.is_empty() {
        return Ok(Page { next, ..Page::default() }.answer(StatusCode::OK));
    }
    let secret = fields.token.clone();
    let user = with_people(&app, move |people| Ok(people.link_user(&secret)?)).await?;
    let page = match &user {
        Some(user) => Page { next, link: Some((&fields.token, &user.name)), ..Page::default() },
        None => Page { next, message: LINK_OVER, ..Page::default() },
    };
    Ok(page.answer(if user.is_some() { StatusCode::OK } else { StatusCode::UNAUTHORIZED }))
}

const LINK_OVER: &str = "This link was used already or is too old. A new one is printed by \
                         “noroshi user sign-in-link NAME”.";
const WRONG: &str = "That name and password do not fit.";

async fn enter(State(app): State<Arc<App>>, session: Session, request: Request) -> Response {
    let address = address(&request);
    let fields: Fields = match Form::from_request(request, &()).await {
        Ok(Form(fields)) => fields,
        Err(error) => return ApiError::BadRequest(error.body_text()).into_response(),
    };
    let Fields { user, password, token, next } = &fields;
    let found = if token.is_empty() {
        app.verify_password(user, password, address).await
    } else {
        let secret = token.clone();
        with_people(&app, move |people| Ok(people.redeem_link(&secret)?)).await
    };
    let message = match found {
        Ok(Some(person)) => {
            let is_from_link = !token.is_empty();
            return match open(&app, &session, &person, is_from_link).await {
                Ok(()) => see_other(local(next)),
                Err(error) => error.into_response(),
            };
        }
        Ok(None) if token.is_empty() => WRONG.to_owned(),
        Ok(None) => LINK_OVER.to_owned(),
        Err(error @ (ApiError::Throttled(_) | ApiError::Busy)) => {
            let (status, _) = error.status();
            let message = capitalized(&error.to_string());
            let page = Page { user, next, message: &message, ..Page::default() };
            let mut response = page.answer(status);
            let wait = HeaderValue::from(error.retry_after_seconds().unwrap_or(1));
            response.headers_mut().insert(header::RETRY_AFTER, wait);
            return response;
        }
        Err(error) => return error.into_response(),
    };
    tracing::info!(%address, user = user.as_str(), "sign-in refused");
    Page { user, next, message: &message, ..Page::default() }.answer(StatusCode::UNAUTHORIZED)
}

/// Opens a session under a new identifier, so that nobody else can know it beforehand.
async fn open(
    app: &App,
    session: &Session,
    user: &User,
    is_from_link: bool,
) -> Result<(), ApiError> {
    let failed = |error| ApiError::internal("cannot open a session", &error);
    session.flush().await.map_err(failed)?;
    session.insert(USER, &user.name).await.map_err(failed)?;
    session.insert(IS_FROM_LINK, is_from_link).await.map_err(failed)?;
    session.insert(SEEN_AT, app.deps.clock.now()).await.map_err(failed)?;
    tracing::info!(user = user.name, role = %user.role, is_from_link, "signed in");
    Ok(())
}

async fn leave(session: Session) -> Result<Response, ApiError> {
    session.flush().await.map_err(|error| ApiError::internal("cannot end a session", &error))?;
    Ok(see_other("/sign-in"))
}

async fn with_people<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&People) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let people = Arc::clone(&app.people);
    app.gate.disk(move || work(&people)).await?
}

/// Returns the page for somebody who wanted to go to `next` and is not signed in.
pub(crate) fn page_for(next: &str) -> Response {
    Page { next, ..Page::default() }.answer(StatusCode::UNAUTHORIZED)
}

impl Page<'_> {
    fn answer(&self, status: StatusCode) -> Response {
        let mut response = (status, Html(self.html())).into_response();
        let policy = CONTENT_POLICY.clone();
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }

    fn html(&self) -> String {
        let message = match self.message {
            "" => String::new(),
            text => format!("<p class=\"message\" role=\"alert\">{}</p>", escape(text)),
        };
        let (fields, button) = match self.link {
            Some((secret, user)) => {
                let secret = escape(secret);
                let field = format!("<input type=\"hidden\" name=\"token\" value=\"{secret}\">");
                (field, format!("Sign in as {}", escape(user)))
            }
            None => (FIELDS.replace("{user}", &escape(self.user)), "Sign in".to_owned()),
        };
        TEMPLATE
            .replace("{style}", STYLE)
            .replace("{message}", &message)
            .replace("{fields}", &fields)
            .replace("{button}", &button)
            .replace("{next}", &escape(local(self.next)))
    }
}

const FIELDS: &str = r#"<label>Name<input name="user" value="{user}" autocomplete="username"
 autocapitalize="none" spellcheck="false" maxlength="64" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password"
 maxlength="1024" required></label>"#;

/// Returns a path on this server, or `/` for anything that might lead elsewhere.
fn local(next: &str) -> &str {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(|c: char| c == '\\' || c.is_control())
        && !next.starts_with("/sign-");
    if is_local { next } else { "/" }
}

fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // The template's own marks, so that a text cannot be one.
            '{' => escaped.push_str("&#123;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_on_this_server_are_gone_to() {
        for path in ["/", "/hosts/web1?range=1h", "/a//b"] {
            assert_eq!(local(path), path);
        }
        let elsewhere =
            ["", "hosts", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb"];
        for path in elsewhere {
            assert_eq!(local(path), "/", "{path}");
        }
        assert_eq!(local("/sign-out"), "/");
    }

    #[test]
    fn what_was_typed_comes_back_as_text() {
        let page = Page { user: "<b>\"{next}", next: "/?a='b'", message: "<i>", link: None };
        let html = page.html();
        assert!(html.contains("value=\"&lt;b&gt;&quot;&#123;next}\""), "{html}");
        assert!(html.contains("value=\"/?a=&#39;b&#39;\""), "{html}");
        assert!(html.contains("&lt;i&gt;"), "{html}");
    }
}
