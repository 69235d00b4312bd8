//! One table of routes: the router, the rights and the `OpenAPI` document are made from it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::app::App;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::people::Role;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody, without credentials.
    Open,
    /// Role viewer and above.
    Viewer,
    /// Role operator and above.
    Operator,
    /// Role admin.
    Admin,
    /// Role agent alone: a frame belongs to one agent.
    Agent,
    /// Whoever may bring samples: agents and admins.
    Samples,
    /// Whoever may call in: agents, operators and admins.
    Heartbeat,
}

impl Access {
    fn admits(self, role: Role) -> bool {
        match self {
            Self::Open => true,
            Self::Viewer => role >= Role::Viewer,
            Self::Operator => role >= Role::Operator,
            Self::Admin => role == Role::Admin,
            Self::Agent => role == Role::Agent,
            Self::Samples => matches!(role, Role::Agent | Role::Admin),
            Self::Heartbeat => role == Role::Agent || role >= Role::Operator,
        }
    }

    /// Says which role is needed.
    pub(crate) fn needs(self) -> &'static str {
        match self {
            Self::Open => "no role",
            Self::Viewer => "role viewer",
            Self::Operator => "role operator",
            Self::Admin => "role admin",
            Self::Agent => "role agent",
            Self::Samples => "role agent or admin",
            Self::Heartbeat => "role agent or operator",
        }
    }
}

/// The kind of a parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A moment: Unix seconds with fraction, or RFC 3339.
    Time,
    /// A duration: seconds with fraction, or `5m`.
    Duration,
    /// Several texts: the parameter is repeated.
    Texts,
    /// Several numbers: the parameter is repeated.
    Numbers,
}

/// One parameter of a route.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    /// Its name; in the path when the path holds `{name}`.
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    pub(crate) is_required: bool,
    pub(crate) help: &'static str,
}

/// What a body is: a schema of JSON, or something else by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// None.
    Empty,
    /// JSON of a schema in `openapi/schemas.json`.
    Json(&'static str),
    /// A form with the route's parameters.
    Form,
    /// Another media type.
    Other(&'static str),
}

/// One method of one path.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// In axum's and `OpenAPI`'s common form: `/api/v1/hosts/{host}`.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) summary: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) request: Body,
    pub(crate) answer: Body,
    /// The status of success; `None`: 200 with an answer, 204 without.
    pub(crate) status: Option<u16>,
    /// Whether the answer goes on until somebody ends it: no limit of time.
    pub(crate) is_stream: bool,
    /// Most bytes of the request's body.
    pub(crate) body_bytes_max: usize,
    handler: MethodRouter<Arc<App>, Infallible>,
}

/// Most bytes of an ordinary request's body: a comment, a password, a long expression.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

impl Route {
    /// Describes a route.
    fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self {
            method,
            path,
            access,
            summary: "",
            parameters: Vec::new(),
            request: Body::Empty,
            answer: Body::Empty,
            status: None,
            is_stream: false,
            body_bytes_max: BODY_BYTES_MAX,
            handler: on(filter, handler),
        }
    }

    /// Describes a route that reads.
    pub(crate) fn get<H, T>(path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self::new(Method::GET, path, access, handler)
    }

    /// Describes a route that changes something, or reads by a form.
    pub(crate) fn post<H, T>(path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self::new(Method::POST, path, access, handler)
    }

    /// Describes a route that puts something in the place of what is there.
    pub(crate) fn put<H, T>(path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self::new(Method::PUT, path, access, handler)
    }

    /// Describes a route that removes something.
    pub(crate) fn delete<H, T>(path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self::new(Method::DELETE, path, access, handler)
    }

    pub(crate) fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    pub(crate) fn needs(self, name: &'static str, value: Value, help: &'static str) -> Self {
        self.parameter(Parameter { name, value, is_required: true, help })
    }

    pub(crate) fn takes(self, name: &'static str, value: Value, help: &'static str) -> Self {
        self.parameter(Parameter { name, value, is_required: false, help })
    }

    fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    pub(crate) fn request(self, request: Body) -> Self {
        Self { request, ..self }
    }

    pub(crate) fn answer(self, answer: Body) -> Self {
        Self { answer, ..self }
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    pub(crate) fn body_bytes_max(self, body_bytes_max: usize) -> Self {
        Self { body_bytes_max, ..self }
    }

    pub(crate) fn stream(self) -> Self {
        Self { is_stream: true, ..self }
    }

    /// Adds the route to a router, behind the check of the role.
    pub(crate) fn mount(self, router: Router<Arc<App>>) -> Router<Arc<App>> {
        let access = self.access;
        let mut handler = self.handler;
        if !self.is_stream {
            handler = handler.layer(middleware::from_fn(crate::limits::in_time));
        }
        let handler = handler
            .layer(axum::extract::DefaultBodyLimit::max(self.body_bytes_max))
            .layer(middleware::from_fn(move |request, next| admit(access, request, next)));
        router.route(self.path, handler)
    }
}

/// Lets a request pass whose sender has the role.
async fn admit(access: Access, request: Request, next: Next) -> Response {
    let role = request.extensions().get::<Identity>().map(|identity| identity.role);
    match role {
        _ if access == Access::Open => next.run(request).await,
        None => ApiError::Unauthorized.answer_at(request.uri().path()),
        Some(role) if access.admits(role) => next.run(request).await,
        Some(role) => {
            let message = format!("this needs {}; yours is {role}", access.needs());
            ApiError::Forbidden(message).answer_at(request.uri().path())
        }
    }
}
