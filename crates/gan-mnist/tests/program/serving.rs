//! A program that serves a page, and what a client sends it that is no browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::program::Outcome;
use crate::resume::start;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that has said where its page is. It is killed when this is dropped.
pub(crate) struct Serving {
    process: Child,
    /// Lines of both streams, with which of them is stderr.
    lines: Receiver<(bool, String)>,
    seen: Vec<(bool, String)>,
    /// `http://127.0.0.1:PORT/TOKEN/`.
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) token: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Serving {
    /// Starts the program in `folder` with a line of arguments, and waits until it says `NAME: ADDRESS`.
    #[track_caller]
    pub(crate) fn start(folder: &Path, line: &str, name: &str) -> Serving {
        let mut process = start(folder, line);
        let (send, lines) = channel();
        read_lines(process.stdout.take().unwrap(), false, send.clone());
        read_lines(process.stderr.take().unwrap(), true, send);
        let mut seen = Vec::new();
        let address = loop {
            let Ok((stderr, line)) = lines.recv() else { panic!("it ended without an address: {seen:?}") };
            seen.push((stderr, line.clone()));
            if let Some(address) = line.strip_prefix(&format!("{name}: ")) {
                break address.to_owned();
            }
        };
        let rest = address.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix('/'));
        let (port, token) = rest.and_then(|rest| rest.split_once('/')).expect("port and token");
        let (port, token) = (port.parse().expect("a port"), token.to_owned());
        Serving { process, lines, seen, address, port, token }
    }

    /// Whether the address was said on stderr.
    pub(crate) fn said_on_stderr(&self) -> bool {
        self.seen.last().unwrap().0
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Outcome {
        let code = self.process.wait().expect("it ends").code().unwrap_or(-1);
        let mut lines = std::mem::take(&mut self.seen);
        lines.extend(self.lines.iter());
        let of = |stderr: bool| {
            let own = lines.iter().filter(|(on_stderr, _)| *on_stderr == stderr);
            own.map(|(_, line)| line.clone() + "\n").collect::<String>()
        };
        Outcome { code, stdout: of(false), stderr: of(true) }
    }

    /// Connects.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and returns the answer, status and everything behind the headers; 0 where there is none.
    pub(crate) fn send(&self, request: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = self.connect();
        // Of a request that is refused early the rest may not be taken.
        let _ = stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write));
        answer(&mut stream)
    }

    /// A request of the page's own for a path behind the token.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let Serving { port, token, .. } = self;
        let length = body.len();
        let head = format!(
            "{method} /{token}/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), body].concat())
    }

    /// The status of a request with other first lines: `{T}` stands for the token, `{P}` for the port.
    pub(crate) fn status(&self, head: &str) -> u16 {
        let head = head.replace("{T}", &self.token).replace("{P}", &self.port.to_string());
        self.send((head.replace('\n', "\r\n") + "\r\n\r\n").as_bytes()).0
    }
}

/// The answer that comes.
pub(crate) fn answer(stream: &mut TcpStream) -> (u16, Vec<u8>) {
    let mut bytes = Vec::new();
    // A connection that is closed with something unread is reset, behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    let status = std::str::from_utf8(bytes.get(9..12).unwrap_or_default()).unwrap().parse().unwrap_or(0);
    let body = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    (status, bytes.split_off(body))
}

fn read_lines(from: impl Read + Send + 'static, stderr: bool, send: Sender<(bool, String)>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = send.send((stderr, line));
        }
    });
}
