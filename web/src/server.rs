//! The server: the routes under their layers, and the connections.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method};
use axum::middleware;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration as CookieDuration;
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::app::App;
use crate::error::ApiError;
use crate::people::{SESSION_IDLE_MAX, SessionRecords};
use crate::route::{Access, Route};
use crate::{
    WebDeps, agent, api, assets, auth, connection, graph, limits, live, openapi, prometheus,
    self_metrics, sign_in,
};

/// How long requests may go on after the stop. The daemon as a whole has five seconds.
const STOP_MAX: Duration = Duration::from_secs(3);
/// The cookie's name. The prefix `__Host-` cannot be used: it needs HTTPS, and the server is also
/// used without, on the machine itself.
const COOKIE: &str = "noroshi_session";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Serves pages and API on a listener until `stop`, then ends what is open within three seconds.
///
/// Cancel: dropping the future closes the listener and all connections.
pub async fn serve(listener: TcpListener, deps: WebDeps, stop: CancellationToken) {
    let app = app(deps, stop.clone());
    // Ends by the stop too; what is open then has a moment left.
    let limit = async {
        live::watch(Arc::clone(&app), stop.clone()).await;
        stop.cancelled().await;
        tokio::time::sleep(STOP_MAX).await;
    };
    tokio::select! {
        () = connection::serve(listener, router(&app), stop.clone()) => {}
        () = limit => tracing::warn!("requests were still open at the stop"),
    }
}

/// Returns all routes, in the order of the documentation.
pub(crate) fn routes() -> Vec<Route> {
    [
        sign_in::routes(),
        api::routes(),
        live::routes(),
        graph::routes(),
        agent::routes(),
        prometheus::routes(),
        self_metrics::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn app(deps: WebDeps, stop: CancellationToken) -> Arc<App> {
    let routes = routes();
    let open = routes.iter().filter(|route| route.access == Access::Open);
    let open_paths: HashSet<&'static str> = open.map(|route| route.path).collect();
    let document = openapi::document(&routes).to_string();
    App::new(deps, open_paths, document, stop)
}

/// Puts the layers around the routes. A request passes them from the last to the first.
fn router(app: &Arc<App>) -> Router {
    let routes = routes().into_iter().fold(Router::new(), |router, route| route.mount(router));
    let idle = CookieDuration::try_from(SESSION_IDLE_MAX).unwrap_or(CookieDuration::WEEK);
    let sessions = SessionManagerLayer::new(SessionRecords(Arc::clone(&app.people)))
        .with_name(COOKIE)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(app.deps.is_secure)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(idle));
    routes
        .fallback(fallback)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(limits::panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(app), auth::identify))
        .layer(sessions)
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(limits::panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(app), limits::observe))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .with_state(Arc::clone(app))
}

/// Answers for paths that no route has: a file of the browser program, or one of its pages.
async fn fallback(State(_): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path();
    let role = request.extensions().get::<auth::Identity>().map(|identity| identity.role);
    if role.is_none_or(|role| role < crate::people::Role::Viewer) {
        return ApiError::Forbidden("this needs role viewer".to_owned()).answer_at(path);
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_ours = ["/api/", "/agent/", "/prometheus/", "/assets/"]
        .iter()
        .any(|prefix| path.starts_with(prefix));
    match assets::file(path, request.headers()) {
        Some(file) if is_read => file,
        None if is_read && !is_ours => assets::page(request.headers()),
        _ => ApiError::NotFound(format!("there is nothing at {path}")).answer_at(path),
    }
}
