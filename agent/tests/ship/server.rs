//! A server as an agent sees it: real HTTP, answers as the test says, remembers every frame.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use noroshi_model::frame::{self, Frame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const TOKEN: &str = "nrs_right";

/// How the server answers a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// As a server does: 200, or 401 for another token than [`TOKEN`].
    Right,
    /// A status and a header `Retry-After`.
    Status(u16, Option<&'static str>),
    /// 413 for more than so many frames.
    AtMost(usize),
    /// 400 when the frame of this sequence is in the body.
    Not(u64),
    /// Never.
    Silence,
}

/// What the server has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Frames of bodies answered with 200, in the order of arrival.
    pub(crate) frames: Vec<Frame>,
    /// How far the sender's clock was behind on arrival, of each body: milliseconds.
    pub(crate) delays_ms: Vec<i64>,
    /// The status of each answer.
    pub(crate) statuses: Vec<u16>,
    /// How many bodies came, answered or not.
    pub(crate) bodies: usize,
    /// The answers to come; the last one stays.
    answers: VecDeque<Answer>,
    /// The plug-in that the next right answer asks for.
    pub(crate) ask: Option<&'static str>,
}

/// What ends the listening, and the thread that ends then.
type Running = (CancellationToken, JoinHandle<()>);

#[derive(Clone)]
pub(crate) struct Server {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    pub(crate) address: SocketAddr,
    running: Arc<Mutex<Option<Running>>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Server {
    pub(crate) fn start(answers: &[Answer]) -> Self {
        Self::start_with(answers, None)
    }

    pub(crate) fn start_with(answers: &[Answer], tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let seen = Seen { answers: answers.iter().copied().collect(), ..Seen::default() };
        let mut server = Self {
            seen: Arc::new((Mutex::new(seen), Condvar::new())),
            address: ([127, 0, 0, 1], 0).into(),
            running: Arc::default(),
            tls,
        };
        server.come_back();
        server
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        // The certificate names localhost.
        format!("{scheme}://localhost:{}", self.address.port())
    }

    /// Listens, at the same address as before.
    pub(crate) fn come_back(&mut self) {
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = CancellationToken::new();
        let (server, stopped) = (self.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            let listening = async { server.listen(TcpListener::from_std(listener).unwrap()).await };
            runtime.block_on(async {
                tokio::select! { () = listening => {}, () = stopped.cancelled() => {} }
            });
            // Connections end here, in the middle of whatever they were doing.
        });
        *self.running.lock().unwrap() = Some((stop, thread));
    }

    /// Stops to listen and breaks all connections.
    pub(crate) fn die(&self) {
        let (stop, thread) = self.running.lock().unwrap().take().unwrap();
        stop.cancel();
        thread.join().unwrap();
    }

    /// Asks for a plug-in in the next answer.
    pub(crate) fn ask(&self, plugin: &'static str) {
        self.seen.0.lock().unwrap().ask = Some(plugin);
    }

    /// From now on answers so.
    pub(crate) fn answer(&self, answer: Answer) {
        self.seen.0.lock().unwrap().answers = [answer].into();
    }

    /// Waits until something was seen and returns what the test wants of it.
    pub(crate) fn wait<T>(&self, what: &str, mut until: impl FnMut(&Seen) -> Option<T>) -> T {
        let begin = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            if let Some(found) = until(&seen) {
                return found;
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            assert!(!left.is_zero(), "waited in vain for {what}; answers {:?}", seen.statuses);
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits for so many frames and returns run and sequence of all.
    pub(crate) fn wait_for_frames(&self, count: usize) -> Vec<(u64, u64)> {
        self.wait(&format!("{count} frames"), |seen| {
            let names = || seen.frames.iter().map(|frame| (frame.run, frame.sequence)).collect();
            (seen.frames.len() >= count).then(names)
        })
    }

    /// Waits until the server has given so many answers of a status.
    pub(crate) fn wait_for_answers(&self, status: u16, count: usize) {
        self.wait(&format!("{count} times {status}"), |seen| {
            let found = seen.statuses.iter().filter(|seen| **seen == status).count();
            (found >= count).then_some(())
        });
    }

    async fn listen(&self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let server = self.clone();
            tokio::spawn(async move {
                match &server.tls {
                    None => server.serve(stream).await,
                    Some(config) => {
                        // A client that does not trust the certificate ends the handshake.
                        if let Ok(stream) = TlsAcceptor::from(config.clone()).accept(stream).await {
                            server.serve(stream).await;
                        }
                    }
                }
            });
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.take(request).await) });
        let connection = hyper::server::conn::http1::Builder::new();
        // An agent that was killed breaks its connection.
        drop(connection.serve_connection(TokioIo::new(stream), service).await);
    }

    async fn take(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/agent/v1/frames"));
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        let Ok(body) = request.into_body().collect().await else {
            return Response::new(Full::default());
        };
        let body = body.to_bytes();
        let head = frame::decode_body(&body).unwrap();
        let frames = zstd::stream::decode_all(head.compressed).unwrap();
        let frames = frame::decode_all(&frames).unwrap();
        let answer = {
            let mut seen = self.seen.0.lock().unwrap();
            seen.bodies += 1;
            self.seen.1.notify_all();
            if seen.answers.len() > 1 {
                seen.answers.pop_front()
            } else {
                seen.answers.front().copied()
            }
        };
        let (status, after) = match answer.unwrap() {
            Answer::Silence => std::future::pending().await,
            Answer::Status(status, after) => (status, after),
            _ if token != format!("Bearer {TOKEN}") => (401, None),
            Answer::AtMost(max) if frames.len() > max => (413, None),
            Answer::Not(refused) if frames.iter().any(|f| f.sequence == refused) => (400, None),
            Answer::Right | Answer::AtMost(_) | Answer::Not(_) => (200, None),
        };
        let mut seen = self.seen.0.lock().unwrap();
        seen.statuses.push(status);
        let mut text = String::new();
        if status == 200 {
            let accepted: usize = frames.iter().map(|frame| frame.batch.samples.len()).sum();
            let run: Vec<_> = seen.ask.take().into_iter().collect();
            text = format!(
                r#"{{"accepted":{accepted},"too_old":0,"in_future":0,"over_budget":0,"run":{run:?}}}"#
            );
            seen.frames.extend(frames);
            seen.delays_ms.push(now_ms() - head.sent_at.as_millis());
        }
        self.seen.1.notify_all();
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(after) = after {
            response.headers_mut().insert("retry-after", after.parse().unwrap());
        }
        response
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with the clock of a real program")]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}
