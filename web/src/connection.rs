//! Connections: bounded in number and in the patience with slow clients.
//!
//! `axum::serve` bounds neither. HTTP/1.1 only: browsers speak HTTP/2 by TLS alone, which a proxy
//! in front ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Most open connections: a thousand agents and some hundred pages, each with six. Further ones
/// wait in the kernel's queue until one ends.
const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take to send a request's head, and how long a connection may wait for the
/// next request. Longer than an agent's step, so that its connection stays.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// Pause after a failed accept: out of file descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`; then lets each finish the request that it has begun.
///
/// Cancel: open connections are closed.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let ending = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    while let Some((stream, peer, place)) = accept(&listener, &places, &stop).await {
        let watcher = ending.watcher();
        let router = router.clone();
        tasks.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_MAX)
                .serve_connection(
                    TokioIo::new(stream),
                    service_fn(move |request| answer(router.clone(), request, peer)),
                );
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%peer, error = %noroshi_model::chain(&error), "connection ended");
            }
            drop(place);
        });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    ending.shutdown().await;
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<axum::response::Response, std::convert::Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}

/// Returns the next connection with its place; `None` at the stop.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let next = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Live changes are small and must not wait for the acknowledgement of others.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
                    }
                    return Some((stream, peer, place));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        accepted = next => accepted,
    }
}
