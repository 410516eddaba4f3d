//! Files of data sets, fetched once.
//!
//! A file is only taken when its SHA-256 is the published one. So it does not matter whether it comes encrypted; HTTPS is
//! there because some servers speak nothing else.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{StatusCode, header};

use super::published::{Published, sha256};
use crate::error::{Error, Result};
use crate::listener::{Listener, Progress};

/// Tries without a single new byte before a source is given up.
const TRIES: usize = 3;
/// No file of a data set is larger. A server that sends on and on does not fill the disk.
const LARGEST: u64 = 1 << 30;

/// Why a source gave nothing.
enum Trouble {
    /// The connection broke: what has come stays, and the rest may come yet.
    Broken(String),
    /// This source will not give the file.
    Refused(String),
}

impl Published<'_> {
    /// Fetches the file into `folder`, which is created if need be. What an earlier try has left is gone on with; the
    /// file has its name when it is whole, its SHA-256 is right and it is on the disk. Errors name every source with what
    /// it said.
    pub(super) fn fetch(&self, folder: &Path, listener: &dyn Listener) -> Result<()> {
        let target = folder.join(self.name);
        let path = folder.join(format!("{}.part", self.name));
        let cannot = |e| Error::cannot_write(&path, &e);
        fs::create_dir_all(folder).map_err(|e| Error::cannot_write(folder, &e))?;
        let mut part = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(cannot)?;
        match part.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::failure(format!(
                    "{} is being fetched by another process",
                    target.display()
                )));
            }
            Err(TryLockError::Error(e)) => return Err(cannot(e)),
        }
        let mut said = Vec::new();
        for source in self.sources {
            let url = format!("{source}{}", self.name);
            listener.note(&format!("fetching {url} into {}", folder.display()));
            match self.fetch_from(&url, &mut part, listener) {
                Ok(()) => {
                    part.sync_all().map_err(cannot)?;
                    return fs::rename(&path, &target).map_err(|e| Error::cannot_write(&target, &e));
                }
                Err(reason) => said.push(format!("{url}: {reason}")),
            }
        }
        if part.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            // An empty file helps no later try.
            let _ = fs::remove_file(&path);
        }
        Err(Error::failure(format!(
            "cannot fetch {}: {}; put the file into {} by hand",
            self.name,
            said.join("; "),
            folder.display()
        )))
    }

    /// Fills `part` from one source until its SHA-256 is right.
    fn fetch_from(
        &self,
        url: &str,
        part: &mut File,
        listener: &dyn Listener,
    ) -> std::result::Result<(), String> {
        let mut left = TRIES;
        loop {
            let before = length(part)?;
            match receive(url, part, listener) {
                Ok(()) => break,
                Err(Trouble::Refused(reason)) => return Err(reason),
                Err(Trouble::Broken(reason)) => {
                    left = if length(part)? > before { TRIES } else { left - 1 };
                    if left == 0 {
                        return Err(reason);
                    }
                }
            }
        }
        let found = sha256(part).map_err(|e| e.to_string())?;
        if found == self.sha256 {
            return Ok(());
        }
        let bytes = length(part)?;
        empty(part)?;
        Err(format!("its {bytes} bytes have the sha256 {found}, the published file has {}", self.sha256))
    }
}

/// Receives what is missing in `part`.
fn receive(url: &str, part: &mut File, listener: &dyn Listener) -> std::result::Result<(), Trouble> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        // A server that says nothing for so long is asked again.
        .timeout_per_read(Some(Duration::from_secs(30)))
        .user_agent(concat!("gannet/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let have = length(part).map_err(Trouble::Refused)?;
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    let response = request.call().map_err(|e| Trouble::Broken(e.to_string()))?;
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = response.status();
    let starts = match status {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT if text(header::CONTENT_RANGE).starts_with(&format!("bytes {have}-")) => {
            have
        }
        // What is here is not the beginning of what is there.
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
            empty(part).map_err(Trouble::Refused)?;
            return Err(Trouble::Broken(format!("the server answers {status}")));
        }
        _ => return Err(Trouble::Refused(format!("the server answers {status}"))),
    };
    if text(header::CONTENT_TYPE).starts_with("text/html") {
        return Err(Trouble::Refused("the server sends a web page instead of the file".into()));
    }
    let total = text(header::CONTENT_LENGTH).parse::<u64>().ok().and_then(|rest| rest.checked_add(starts));
    if total.is_some_and(|total| total > LARGEST) {
        return Err(Trouble::Refused(format!("the server offers {} bytes", total.unwrap_or_default())));
    }
    if starts == 0 {
        empty(part).map_err(Trouble::Refused)?;
    }
    let on_disk = |e: std::io::Error| Trouble::Refused(format!("the disk: {e}"));
    part.seek(SeekFrom::Start(starts)).map_err(on_disk)?;
    listener.progress(Progress::Bytes { done: starts, total });
    let mut body = response.into_body().into_with_config().limit(LARGEST + 1).reader();
    let (mut buffer, mut received) = (vec![0; 1 << 16], starts);
    let result = loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(read) => read,
            Err(e) => break Err(Trouble::Broken(format!("after {received} bytes: {e}"))),
        };
        if let Err(e) = part.write_all(&buffer[..read]) {
            break Err(on_disk(e));
        }
        received += read as u64;
        listener.progress(Progress::Bytes { done: received, total });
        if received > LARGEST {
            break Err(Trouble::Refused(format!("the server sends more than {LARGEST} bytes")));
        }
    };
    listener.progress(Progress::Ended);
    match total {
        Some(total) if result.is_ok() && received < total => {
            Err(Trouble::Broken(format!("only {received} of {total} bytes have come")))
        }
        _ => result,
    }
}

fn length(file: &File) -> std::result::Result<u64, String> {
    file.metadata().map(|metadata| metadata.len()).map_err(|e| e.to_string())
}

fn empty(file: &File) -> std::result::Result<(), String> {
    file.set_len(0).map_err(|e| format!("the disk: {e}"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;
    use crate::listener::Silent;

    const DIGEST: &str = "e24bc62381f1224fbbb74688663f8f9743b9680b193edd666835e97b06e730eb";

    fn content() -> Vec<u8> {
        (0..200_000u32).map(|n| (n % 251) as u8).collect()
    }

    /// A server that answers one connection after the other by `answers`: what is to be sent back to a request that asks
    /// for the bytes from the given one on. It ends with the last answer.
    fn serve(answers: Vec<fn(u64) -> Vec<u8>>) -> (String, JoinHandle<Vec<u64>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut from = 0;
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_ascii_lowercase();
                    if let Some(range) = line.strip_prefix("range: bytes=") {
                        from = range.trim_end_matches('-').parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                asked.push(from);
                // A client that has read enough may be gone.
                let _ = stream.write_all(&answer(from));
            }
            asked
        });
        (url, thread)
    }

    /// A server that gives `body` to the first who asks.
    pub(in super::super) fn serve_once(body: Vec<u8>) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                if line.unwrap().is_empty() {
                    break;
                }
            }
            stream.write_all(&reply(&format!("200 OK\r\nContent-Length: {}", body.len()), &body)).unwrap();
        });
        (url, thread)
    }

    fn reply(head: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
    }

    fn whole(_: u64) -> Vec<u8> {
        reply("200 OK\r\nContent-Length: 200000", &content())
    }

    /// The rest, of which the last 50,000 bytes are missing.
    fn cut_off(from: u64) -> Vec<u8> {
        let (head, content) = (rest_head(from), content());
        reply(&head, &content[from as usize..150_000.max(from as usize)])
    }

    fn rest(from: u64) -> Vec<u8> {
        reply(&rest_head(from), &content()[from as usize..])
    }

    fn rest_head(from: u64) -> String {
        let length = 200_000 - from;
        match from {
            0 => format!("200 OK\r\nContent-Length: {length}"),
            _ => format!(
                "206 Partial Content\r\nContent-Range: bytes {from}-199999/200000\r\nContent-Length: {length}"
            ),
        }
    }

    fn other(_: u64) -> Vec<u8> {
        reply("200 OK\r\nContent-Length: 5", b"other")
    }

    fn page(_: u64) -> Vec<u8> {
        reply("200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6", b"<html>")
    }

    fn missing(_: u64) -> Vec<u8> {
        reply("404 Not Found\r\nContent-Length: 0", b"")
    }

    fn without_end(_: u64) -> Vec<u8> {
        reply("200 OK\r\nContent-Length: 9999999999999", &[0; 100])
    }

    fn beyond_the_end(_: u64) -> Vec<u8> {
        reply("416 Range Not Satisfiable\r\nContent-Length: 0", b"")
    }

    fn nothing(_: u64) -> Vec<u8> {
        Vec::new()
    }

    /// What a fetch comes to, the names in the folder after it, and the positions that the server was asked for.
    fn fetch(before: &[u8], answers: Vec<fn(u64) -> Vec<u8>>) -> (Result<()>, Vec<String>, Vec<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/folder");
        if !before.is_empty() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("set.gz.part"), before).unwrap();
        }
        let (url, server) = serve(answers);
        let published = Published { name: "set.gz", sources: &[&url], sha256: DIGEST };
        let result = published.fetch(&folder, &Silent);
        if result.is_ok() {
            assert_eq!(fs::read(folder.join("set.gz")).unwrap(), content());
        }
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        (result, names, server.join().unwrap())
    }

    #[test]
    fn a_file_comes_whole_and_goes_on_where_it_was_cut_off() {
        let content = content();
        for (before, answers, asked) in [
            (&[][..], vec![whole as fn(u64) -> Vec<u8>], vec![0]),
            (&[], vec![cut_off, rest], vec![0, 150_000]),
            // Several broken connections, as long as each brings something or the tries suffice.
            (
                &[],
                vec![nothing, nothing, cut_off, nothing, nothing, rest],
                vec![0, 0, 0, 150_000, 150_000, 150_000],
            ),
            // What an earlier run has left, and a server that cannot begin in the middle.
            (&content[..1000], vec![rest], vec![1000]),
            (&content[..1000], vec![whole], vec![1000]),
            // What is left is longer than the file.
            (&[7; 200_001], vec![beyond_the_end, whole], vec![200_001, 0]),
        ] {
            let (result, names, positions) = fetch(before, answers);
            result.unwrap();
            assert_eq!((names, positions), (vec!["set.gz".to_string()], asked));
        }
    }

    #[test]
    fn what_is_not_the_file_is_never_called_so() {
        for (before, answers, complaint, left) in [
            (&[][..], vec![other as fn(u64) -> Vec<u8>], "its 5 bytes have the sha256 d9298a10", 0),
            // What was left does not fit what comes.
            (&[9; 1000], vec![rest], "its 200000 bytes have the sha256", 0),
            (&[], vec![page], "a web page instead of the file", 0),
            (&[], vec![missing], "404 Not Found", 0),
            (&[], vec![without_end], "offers 9999999999999 bytes", 0),
            (&[], vec![nothing, nothing, nothing], "put the file into", 0),
            // Here the rest may come another day.
            (&[], vec![cut_off, nothing, nothing, nothing], "put the file into", 1),
        ] {
            let (result, names, _) = fetch(before, answers);
            let message = result.unwrap_err().to_string();
            assert!(
                message.contains(complaint) && message.contains("cannot fetch set.gz: http"),
                "{message}"
            );
            assert_eq!(names.len(), left, "{message}: {names:?}");
        }
    }

    #[test]
    fn a_second_source_is_asked_where_the_first_refuses_and_redirections_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (first, first_server) = serve(vec![missing]);
        let (second, second_server) =
            serve(vec![|_| reply("302 Found\r\nLocation: /moved/set.gz\r\nContent-Length: 0", b""), whole]);
        let published = Published { name: "set.gz", sources: &[&first, &second], sha256: DIGEST };
        published.fetch(folder.path(), &Silent).unwrap();
        assert_eq!(fs::read(folder.path().join("set.gz")).unwrap(), content());
        assert_eq!((first_server.join().unwrap().len(), second_server.join().unwrap().len()), (1, 2));
    }

    #[test]
    fn a_server_that_cannot_encrypt_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            for _ in 0..TRIES {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.write_all(&reply("400 Bad Request", b"this is no TLS"));
            }
        });
        let published = Published { name: "set.gz", sources: &[&url], sha256: DIGEST };
        let message = published.fetch(folder.path(), &Silent).unwrap_err().to_string();
        assert!(message.contains(&url) && message.contains("put the file into"), "{message}");
        assert!(!folder.path().join("set.gz").exists());
        server.join().unwrap();
    }

    #[test]
    fn two_processes_do_not_fetch_into_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let part = File::create(folder.path().join("set.gz.part")).unwrap();
        part.lock().unwrap();
        let published = Published { name: "set.gz", sources: &["http://127.0.0.1:9/"], sha256: DIGEST };
        let message = published.fetch(folder.path(), &Silent).unwrap_err().to_string();
        assert!(message.contains("being fetched by another process"), "{message}");
    }
}
