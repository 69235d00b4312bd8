//! Servers to poll and a shelf for what comes of it.

use std::convert::Infallible;
use std::future::Future;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use noroshi_model::seam::Accepted;
use noroshi_model::{Batch, BoxFuture, Clock, Refused, Sample, Sink, Timestamp};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest wait for a state that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs with the real time of day.
pub(crate) struct WallClock {
    start: tokio::time::Instant,
}

impl WallClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: tokio::time::Instant::now() })
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_700_000_000) + self.start.elapsed()
    }
}

/// Keeps every batch and tells when one came.
pub(crate) struct Shelf {
    batches: watch::Sender<Vec<Batch>>,
    refusal: Mutex<Option<Refused>>,
}

impl Shelf {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { batches: watch::Sender::new(Vec::new()), refusal: Mutex::new(None) })
    }

    /// Refuses everything, or nothing any more.
    pub(crate) fn refuse(&self, refusal: Option<Refused>) {
        *self.refusal.lock() = refusal;
    }

    /// Waits until the batches are as `is_so` says and returns them.
    pub(crate) async fn wait(&self, what: &str, is_so: impl Fn(&[Batch]) -> bool) -> Vec<Batch> {
        let mut batches = self.batches.subscribe();
        let waiting = batches.wait_for(|batches| is_so(batches));
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        let found = found.unwrap_or_else(|_| panic!("{what} did not come: {:#?}", self.last()));
        found.unwrap().clone()
    }

    /// Waits for the batch after the next one has come, in which whatever was changed shows.
    pub(crate) async fn wait_more(&self, count: usize) -> Vec<Batch> {
        let goal = self.batches.borrow().len() + count;
        self.wait("a further batch", |batches| batches.len() >= goal).await
    }

    pub(crate) fn last(&self) -> Option<Batch> {
        self.batches.borrow().last().cloned()
    }
}

impl Sink for Shelf {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        Box::pin(async move {
            let refusal = *self.refusal.lock();
            let stored = batch.samples.len();
            // A refused batch is kept as well: the test wants to see that it was offered.
            self.batches.send_modify(|batches| batches.push(batch));
            refusal.map_or(Ok(Accepted { stored, ..Accepted::default() }), Err)
        })
    }
}

/// Returns the value of a series by its name and labels as written.
pub(crate) fn value(batch: &Batch, series: &str) -> Option<f64> {
    let is_meant = |sample: &&Sample| sample.labels.to_string() == series;
    batch.samples.iter().find(is_meant).map(|sample| sample.value)
}

/// A service of the machine, started for a test; it ends when it is dropped.
pub(crate) struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Service {
    /// Starts a program and waits until it listens; `package` is what to install when it is missing.
    pub(crate) async fn start(command: &mut Command, port: u16, package: &str) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{command:?} cannot start ({error}): apt-get install -y {package}")
        });
        let service = Self(child);
        let waiting = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the service did not begin to listen");
        service
    }
}

/// Returns a port of 127.0.0.1 that nothing listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// What a served page is: status, content type, body.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl Page {
    pub(crate) fn text(body: impl Into<Bytes>) -> Self {
        Self { status: 200, content_type: "text/plain", body: body.into() }
    }
}

/// An HTTP server on a free port of 127.0.0.1; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) page: Arc<Mutex<Page>>,
    /// Connections taken so far.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Heads of the requests so far, as `GET /path` and the headers.
    pub(crate) requests: Arc<Mutex<Vec<Request<()>>>>,
    /// Requests under way, and the most at once.
    pub(crate) busy_max: Arc<AtomicUsize>,
    /// How long an answer takes.
    pub(crate) delay: Arc<Mutex<Duration>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(page: Page) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (page, requests) = (Arc::new(Mutex::new(page)), Arc::new(Mutex::new(Vec::new())));
        let (busy, busy_max) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let delay = Arc::new(Mutex::new(Duration::ZERO));
        let stage = (page.clone(), requests.clone(), busy, busy_max.clone(), delay.clone());
        let counted = connections.clone();
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let stage = stage.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let (page, requests, busy, busy_max, delay) = stage.clone();
                    async move {
                        let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
                        busy_max.fetch_max(now, Ordering::SeqCst);
                        requests.lock().push(request.map(|_| ()));
                        let delay = *delay.lock();
                        tokio::time::sleep(delay).await;
                        busy.fetch_sub(1, Ordering::SeqCst);
                        Ok::<_, Infallible>(answer(&page.lock()))
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                open.spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { port, page, connections, requests, busy_max, delay, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.port)
    }

    pub(crate) fn set(&self, body: &str) {
        self.page.lock().body = Bytes::copy_from_slice(body.as_bytes());
    }
}

pub(crate) fn answer(page: &Page) -> Response<Full<Bytes>> {
    Response::builder()
        .status(page.status)
        .header("content-type", page.content_type)
        .body(Full::new(page.body.clone()))
        .unwrap()
}

/// A server that gives each connection to `speak`.
pub(crate) async fn raw_server<F, Fut>(speak: F) -> (u16, JoinHandle<()>)
where
    F: Fn(tokio::net::TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.spawn(speak(stream));
        }
    });
    (port, task)
}
