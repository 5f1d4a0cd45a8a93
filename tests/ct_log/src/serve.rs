//! HTTP servers on ports of their own, and the lies that need no log: statuses, silence, bodies that are not what they should be.
//!
//! They run on threads of their own, so that a test needs no runtime; a server ends when it is dropped.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::{Answer, Asked, packed_zeros};
use crate::lie::{Lie, Lies};

/// What a server does with a request: lies that are told at its path come along.
pub(crate) type Answering = dyn Fn(&Asked, &[Lie]) -> Answer + Send + Sync;

/// A server on a port of its own.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// A port that will be a server's: known before the server is made.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    pub address: SocketAddr,
}

/// What one face of a log does wrong, and what it was asked.
#[derive(Debug)]
pub struct Control {
    lies: Mutex<Lies>,
    /// Counts how often the lies were forgotten: what is held waits for that.
    honest: watch::Sender<u64>,
    asked: Mutex<Vec<String>>,
    more_asked: Condvar,
}

impl Control {
    pub(crate) fn new() -> Self {
        Control {
            lies: Mutex::default(),
            honest: watch::Sender::new(0),
            asked: Mutex::default(),
            more_asked: Condvar::new(),
        }
    }

    /// Tells a lie wherever the path contains this text, beside those that are told already.
    pub fn lie_at(&self, path_part: &str, lie: Lie) {
        locked(&self.lies).tell(path_part, lie);
    }

    /// Forgets all lies, and lets go of what was held.
    pub fn be_honest(&self) {
        locked(&self.lies).forget();
        self.honest.send_modify(|count| *count += 1);
    }

    /// How often something was asked whose path and query contain this text.
    pub fn asked(&self, part: &str) -> usize {
        count(&locked(&self.asked), part)
    }

    /// Waits until that was asked so often, and says whether it was: no longer than [`ASKED_WAIT`]. Blocks the thread.
    pub fn wait_until_asked(&self, part: &str, times: usize) -> bool {
        let until = Instant::now() + ASKED_WAIT;
        let mut asked = locked(&self.asked);
        while count(&asked, part) < times {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            asked = self.more_asked.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn note(&self, line: String) {
        locked(&self.asked).push(line);
        self.more_asked.notify_all();
    }

    fn lies(&self, path: &str) -> Vec<Lie> {
        locked(&self.lies).at(path)
    }
}

fn count(asked: &[String], part: &str) -> usize {
    asked.iter().filter(|line| line.contains(part)).count()
}

/// A lock whose holder panicked is of a test that fails anyway.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door {
    pub fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has free ports");
        listener.set_nonblocking(true).expect("sockets can be told not to block");
        let address = listener.local_addr().expect("it is bound");
        Door { listener, address }
    }

    /// The URL of what is served here, with a closing slash.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn serve(self, control: &Arc<Control>, answering: Arc<Answering>) -> Server {
        let _inside = runtime().enter();
        let listener = tokio::net::TcpListener::from_std(self.listener).expect("the runtime runs");
        let control = Arc::clone(control);
        let accepting = runtime().spawn(accept(listener, control, answering));
        Server { address: self.address, accepting }
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The threads of all servers here.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("ct-log").enable_all().build().expect("threads can be started")
    })
}

async fn accept(listener: tokio::net::TcpListener, control: Arc<Control>, answering: Arc<Answering>) {
    // They end with the server.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (control, answering) = (Arc::clone(&control), Arc::clone(&answering));
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let service = service_fn(|request| respond(request, &control, &*answering));
            let mut server = hyper::server::conn::http1::Builder::new();
            let connection = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // A client that hangs up is no news.
            let _ = connection.await;
        });
    }
}

type AnswerBody = Either<Full<Bytes>, LyingBody>;

async fn respond(
    request: Request<Incoming>,
    control: &Control,
    answering: &Answering,
) -> Result<Response<AnswerBody>, Infallible> {
    let asked = match read(request).await {
        Ok(asked) => asked,
        Err(answer) => return Ok(honest_response(answer)),
    };
    let line =
        if asked.query.is_empty() { asked.path.clone() } else { format!("{}?{}", asked.path, asked.query) };
    let lies = control.lies(&asked.path);
    let mut released = control.honest.subscribe();
    control.note(line);
    let Some(lie) = lies.iter().find(|lie| lie.is_of_transport()) else {
        return Ok(honest_response(answering(&asked, &lies)));
    };
    if *lie == Lie::Hold {
        // Only a control that is gone ends it otherwise, and its server is gone then.
        let _ = released.changed().await;
        return Ok(honest_response(answering(&asked, &[])));
    }
    Ok(lying_response(lie, answering(&asked, &[]), released))
}

async fn read(request: Request<Incoming>) -> Result<Asked, Answer> {
    let (head, body) = request.into_parts();
    let accepted = head.headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|_| Answer::refusal(413, "the body is too long, or ends early"))?.to_bytes();
    Ok(Asked {
        post: head.method == http::Method::POST,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        takes_gzip: accepted.is_some_and(|names| names.contains("gzip")),
        body,
    })
}

fn honest_response(answer: Answer) -> Response<AnswerBody> {
    let mut builder =
        Response::builder().status(answer.status).header(header::CONTENT_TYPE, answer.media_type);
    if answer.gzip {
        builder = builder.header(header::CONTENT_ENCODING, "gzip");
    }
    builder.body(Either::Left(Full::from(answer.body))).expect("status and headers are well formed")
}

fn lying_response(lie: &Lie, honest: Answer, released: watch::Receiver<u64>) -> Response<AnswerBody> {
    let body = |ending| Either::Right(LyingBody { begin: Some(honest.body.clone()), ending });
    let mut response = match lie {
        Lie::Status(status) => honest_response(Answer::refusal(*status, "told to fail")),
        Lie::Garbage => honest_response(Answer::bytes("application/json", GARBAGE)),
        Lie::GzipBomb(bytes) => {
            let body = packed_zeros(*bytes);
            honest_response(Answer { gzip: true, ..Answer::bytes("application/json", body) })
        }
        Lie::Redirect(_) => honest_response(Answer::refusal(302, "elsewhere")),
        Lie::Oversize(bytes) => Response::new(body(Ending::Filling(*bytes))),
        Lie::Endless => Response::new(body(Ending::Filling(u64::MAX))),
        Lie::Cut => Response::new(body(Ending::Cut { sent: false })),
        Lie::Stall => {
            let mut released = released;
            let stalled = Box::pin(async move {
                let _ = released.changed().await;
            });
            Response::new(body(Ending::Stalled(stalled)))
        }
        _ => honest_response(honest),
    };
    if let Lie::Redirect(url) = lie {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, url.parse().expect("a URL is a header's value"));
    }
    response
}

/// A body that begins as the honest answer, and goes on otherwise.
struct LyingBody {
    begin: Option<Vec<u8>>,
    ending: Ending,
}

enum Ending {
    /// So many bytes of spaces, which JSON allows.
    Filling(u64),
    /// The connection breaks, once what came before is on its way.
    Cut { sent: bool },
    /// No more yet.
    Stalled(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Body for LyingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(mut begin) = self.begin.take() {
            if !matches!(self.ending, Ending::Filling(_)) {
                begin.truncate(begin.len() / 2);
            }
            return Poll::Ready(Some(Ok(Frame::data(begin.into()))));
        }
        match &mut self.ending {
            Ending::Filling(0) => Poll::Ready(None),
            Ending::Filling(left) => {
                let count = (*left).min(FILLING.len() as u64);
                *left -= count;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&FILLING[..count as usize])))))
            }
            Ending::Cut { sent: true } => Poll::Ready(Some(Err(io::Error::other("told to break off")))),
            Ending::Cut { sent } => {
                *sent = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Stalled(released) => released.as_mut().poll(context).map(|()| None),
        }
    }
}

/// How long [`Control::wait_until_asked`] waits.
pub const ASKED_WAIT: Duration = Duration::from_secs(60);
/// How long the body of a request may be.
const BODY_BYTES_MAX: usize = 1 << 20;
const FILLING: &[u8] = &[b' '; 16 << 10];
const GARBAGE: &[u8] = b"\x00\xff{\"tree_size\":\x80]]]]<html>\r\n\r\n\x1f\x8b";
