//! Who is served, and by which threads.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::answer::{Answer, head};
use super::broadcast::{Broadcast, News};
use super::connection::Connection;
use super::listener::Listener;
use super::request::{self, Request};
use crate::error::{Error, Result};

/// Connections at once. A browser has six at most with one server.
const MOST_CONNECTIONS: usize = 32;

/// How long a client may take to say what it wants, to take an answer, and to go away.
const PATIENCE: Duration = Duration::from_secs(5);
const LEAVING: Duration = Duration::from_secs(1);

/// How often a client that listens is written something, so that one that went away is noticed.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A thread here reads a request and writes an answer.
const STACK: usize = 256 << 10;

/// What is served.
pub(crate) trait Site: Send + Sync + 'static {
    /// The longest body of a request, in bytes.
    fn longest_body(&self) -> usize {
        0
    }

    /// What a request is answered with. Called by several threads at once.
    fn answer(&self, request: &Request) -> Reply;
}

/// What a request is answered with.
pub(crate) enum Reply {
    /// All of it at once.
    Answer(Answer),
    /// A stream of events (WHATWG HTML, server-sent events) that goes on until its end or that of the client.
    Events(Arc<Broadcast>),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply::Answer(answer)
    }
}

/// Serves a site until it is dropped.
pub(crate) struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server on {}", self.address)
    }
}

struct Shared {
    site: Arc<dyn Site>,
    token: String,
    connections: Mutex<usize>,
    /// A connection was closed.
    closed: Condvar,
    ended: AtomicBool,
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, usize> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Serves from now on.
    pub(crate) fn start(listener: Listener, site: Arc<dyn Site>) -> Result<Server> {
        let Listener { socket, token, .. } = listener;
        let cannot = |e| Error::failure(format!("cannot serve a page: {e}"));
        let address = socket.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            site,
            token,
            connections: Mutex::new(0),
            closed: Condvar::new(),
            ended: AtomicBool::new(false),
        });
        let for_all = shared.clone();
        let accepting = thread::Builder::new().name("accepting".into()).stack_size(STACK);
        let accepting = accepting.spawn(move || accept(&socket, &for_all)).map_err(cannot)?;
        Ok(Server { shared, address, accepting: Some(accepting) })
    }

    /// Takes no new connections, and gives those that there are so long to end.
    pub(crate) fn finish(mut self, patience: Duration) {
        self.stop();
        let until = Instant::now() + patience;
        let mut connections = self.shared.connections();
        while *connections > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.closed.wait_timeout(connections, left);
            connections = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn stop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let Some(accepting) = self.accepting.take() else { return };
        // A connection wakes the thread that waits for one.
        if TcpStream::connect_timeout(&self.address, LEAVING).is_ok() {
            let _ = accepting.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One of the connections that there may be, until it is dropped.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Place> {
        let mut connections = shared.connections();
        if *connections >= MOST_CONNECTIONS {
            return None;
        }
        *connections += 1;
        Some(Place(shared.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.connections() -= 1;
        self.0.closed.notify_all();
    }
}

fn accept(socket: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = socket.accept();
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok((mut stream, _)) = accepted else {
            // No more files can be open, for instance: that may pass.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let Some(place) = Place::take(shared) else {
            // A few bytes always fit, and this thread waits for nobody.
            let answer =
                Answer::refusal(503, "There are too many connections already: close some of the pages.");
            let _ = stream.set_nonblocking(true).and_then(|()| stream.write_all(&answer.into_bytes()));
            continue;
        };
        let converse = move || {
            let place = place;
            converse(stream, &place.0);
        };
        // Where no thread can be had, the connection is closed.
        let _ = thread::Builder::new().name("page".into()).stack_size(STACK).spawn(converse);
    }
}

/// Reads a request and answers it. Whatever goes wrong is the client's loss.
fn converse(stream: TcpStream, shared: &Shared) {
    let mut connection = Connection::new(stream, PATIENCE);
    let reply = match request::read(&mut connection, &shared.token, shared.site.longest_body()) {
        Ok(Some(request)) => shared.site.answer(&request),
        Ok(None) => return,
        Err(refusal) => refusal.into(),
    };
    connection.extend(PATIENCE);
    let written = match reply {
        Reply::Answer(answer) => connection.write_all(&answer.into_bytes()),
        Reply::Events(broadcast) => stream_events(&mut connection, &broadcast),
    };
    if written.is_ok() {
        connection.close(LEAVING);
    }
}

/// Writes events until their end. Errors when the client goes away or takes nothing any more.
fn stream_events(connection: &mut Connection, broadcast: &Arc<Broadcast>) -> std::io::Result<()> {
    connection.write_all(head(200, "text/event-stream", None).as_bytes())?;
    let mut listening = broadcast.listen();
    loop {
        let news = listening.next(HEARTBEAT);
        match news {
            News::Events(events) => {
                for event in events {
                    connection.extend(PATIENCE);
                    connection.write_all(event.as_bytes())?;
                }
            }
            // A comment.
            News::None => {
                connection.extend(PATIENCE);
                connection.write_all(b":\n\n")?;
            }
            News::End => return Ok(()),
        }
    }
}
