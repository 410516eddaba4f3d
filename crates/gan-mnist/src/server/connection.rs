//! A connection, with a time at which it is given up.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The bytes of a client that are read and thrown away after an answer, at most.
const THROWN_AWAY: usize = 256 << 10;

/// A connection whose reads and writes fail after a deadline, however little at a time the other side sends or takes.
pub(super) struct Connection {
    stream: TcpStream,
    deadline: Instant,
}

impl Connection {
    /// Gives up after so long.
    pub(super) fn new(stream: TcpStream, patience: Duration) -> Connection {
        Connection { stream, deadline: Instant::now() + patience }
    }

    /// Gives up after so long from now.
    pub(super) fn extend(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    /// Says that nothing more comes, and waits for the other side to say so too: to close with bytes of it unread would
    /// take away from it what was written.
    pub(super) fn close(mut self, patience: Duration) {
        self.extend(patience);
        let _ = self.stream.shutdown(Shutdown::Write);
        let (mut buffer, mut read) = ([0; 4096], 0);
        while read < THROWN_AWAY {
            match self.read(&mut buffer) {
                Ok(n) if n > 0 => read += n,
                _ => return,
            }
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        // A call that has written something comes back with that, but only when its own time is over.
        self.stream.write(&bytes[..bytes.len().min(64 << 10)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
