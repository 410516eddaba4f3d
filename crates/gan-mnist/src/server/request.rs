//! What is asked for, if it may be.

use std::io::{ErrorKind, Read};

use super::answer::Answer;

/// The most bytes of a request line with its headers.
const LONGEST_HEAD: usize = 8 << 10;

/// The most headers. Browsers send about fifteen.
const MOST_HEADERS: usize = 64;

/// The names of this machine that a page may be asked for by. Any port will do: it is another one behind a tunnel.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Something is looked at.
    Get,
    /// Something is asked for.
    Post,
}

/// A request of a page that was let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// What stands behind the token in the path, without a slash before it.
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// Reads a request whose path begins with `token`, with a body of at most so many bytes. `None` when the client goes away or is
/// too slow; an error is the answer to a request that is refused.
pub(super) fn read(
    from: &mut impl Read,
    token: &str,
    longest_body: usize,
) -> Result<Option<Request>, Answer> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = end_of(&head) {
            break end;
        }
        if head.len() >= LONGEST_HEAD {
            return Err(Answer::refusal(431, "The request is longer than a page of this program sends."));
        }
        let mut buffer = [0; 1024];
        match from.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(n) => head.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Ok(None),
        }
    };
    let mut body = head.split_off(end);
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(&head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Answer::refusal(
                431,
                "The request has more headers than a page of this program sends.",
            ));
        }
        Ok(httparse::Status::Partial) | Err(_) => {
            return Err(Answer::refusal(400, "This is no HTTP request."));
        }
    }
    let (method, path) = check(&parsed, token)?;
    let length = body_length(&parsed)?;
    if length > longest_body || (method == Method::Get && length > 0) {
        return Err(Answer::refusal(413, "The request holds more than it may."));
    }
    let had = body.len().min(length);
    body.resize(length, 0);
    match from.read_exact(&mut body[had..]) {
        Ok(()) => Ok(Some(Request { method, path, body })),
        Err(_) => Ok(None),
    }
}

/// Where the headers end, if they do.
fn end_of(head: &[u8]) -> Option<usize> {
    head.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

/// The method and the path of a request that comes from a page of this server, or from someone who was told its address.
fn check(parsed: &httparse::Request<'_, '_>, token: &str) -> Result<(Method, String), Answer> {
    let Some(host) = only(parsed, "host")?.filter(|host| names_this_machine(host)) else {
        return Err(Answer::refusal(403, "The request was meant for another machine."));
    };
    let origin = only(parsed, "origin")?;
    if origin.is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
        return Err(Answer::refusal(403, "The request comes from another page."));
    }
    let path = parsed.path.and_then(|path| path.strip_prefix('/')).unwrap_or_default();
    // Without the slash at its end, what the page names would lie elsewhere.
    let (given, rest) = path.split_once('/').unwrap_or_default();
    if !same(given, token) {
        return Err(Answer::refusal(
            403,
            "The address is not the one that the program printed: open that one, with all its letters.",
        ));
    }
    let method = match parsed.method {
        Some("GET") => Method::Get,
        // Browsers always say where such a request comes from.
        Some("POST") if origin.is_some() => Method::Post,
        Some("POST") => {
            return Err(Answer::refusal(403, "The request does not say from which page it comes."));
        }
        _ => return Err(Answer::refusal(405, "Only GET and POST are answered.")),
    };
    Ok((method, rest.to_owned()))
}

/// Whether the header `Host` names this machine.
fn names_this_machine(host: &str) -> bool {
    HOSTS.iter().any(|name| match host.strip_prefix(name) {
        Some("") => true,
        Some(port) => port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
        None => false,
    })
}

/// The value of a header, which must not be there twice.
fn only<'a>(parsed: &httparse::Request<'_, 'a>, name: &str) -> Result<Option<&'a str>, Answer> {
    let mut found = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let first = found.next().map(|header| std::str::from_utf8(header.value));
    match (first, found.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Answer::refusal(400, "A header is there twice, or is no text.")),
    }
}

/// The length of the body.
fn body_length(parsed: &httparse::Request<'_, '_>) -> Result<usize, Answer> {
    if only(parsed, "transfer-encoding")?.is_some() {
        return Err(Answer::refusal(411, "The length of the request has to be said before it."));
    }
    let Some(length) = only(parsed, "content-length")? else { return Ok(0) };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    match length.parse() {
        Ok(length) if digits => Ok(length),
        _ if digits => Err(Answer::refusal(413, "The request holds more than it may.")),
        _ => Err(Answer::refusal(400, "The length of the request is no number.")),
    }
}

/// Whether two texts are the same; how long it takes does not say where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a request: its method, path and body, or the status of a refusal; 0 where there is no answer.
    fn outcome(text: &str) -> Result<(Method, String, Vec<u8>), u16> {
        let text = text.replace('\n', "\r\n");
        match read(&mut text.as_bytes(), "secret", 4) {
            Ok(Some(Request { method, path, body })) => Ok((method, path, body)),
            Ok(None) => Err(0),
            Err(answer) => Err(answer.status),
        }
    }

    #[test]
    fn a_page_that_knows_the_token_is_let_in() {
        let get = |path: &str| Ok((Method::Get, path.to_owned(), Vec::new()));
        for host in ["127.0.0.1:80", "localhost:65535", "[::1]:7", "localhost"] {
            assert_eq!(outcome(&format!("GET /secret/ HTTP/1.1\nHost: {host}\n\n")), get(""));
        }
        let from_page = "GET /secret/a/b HTTP/1.1\nhost: localhost:7\nORIGIN: http://localhost:7\n\n";
        assert_eq!(outcome(from_page), get("a/b"));
        let post = "POST /secret/stop HTTP/1.1\nHost: localhost:7\nOrigin: http://localhost:7\nContent-Length: 3\n\nabcdef";
        assert_eq!(outcome(post), Ok((Method::Post, "stop".into(), b"abc".to_vec())));
    }

    #[test]
    fn others_are_refused() {
        let host = "Host: 127.0.0.1:7\n";
        let origin = "Origin: http://127.0.0.1:7\n";
        for (request, status) in [
            // Other tokens, and the paths of other servers.
            (format!("GET / HTTP/1.1\n{host}\n"), 403),
            (format!("GET /secret HTTP/1.1\n{host}\n"), 403),
            (format!("GET /secre/ HTTP/1.1\n{host}\n"), 403),
            (format!("GET /secrets/ HTTP/1.1\n{host}\n"), 403),
            (format!("GET /Secret/ HTTP/1.1\n{host}\n"), 403),
            (format!("GET //secret/ HTTP/1.1\n{host}\n"), 403),
            (format!("GET /../secret/ HTTP/1.1\n{host}\n"), 403),
            (format!("GET http://127.0.0.1:7/secret/ HTTP/1.1\n{host}\n"), 403),
            // Other names that lead here.
            ("GET /secret/ HTTP/1.1\n\n".into(), 403),
            ("GET /secret/ HTTP/1.1\nHost: evil.example:7\n\n".into(), 403),
            ("GET /secret/ HTTP/1.1\nHost: 127.0.0.1.evil.example\n\n".into(), 403),
            ("GET /secret/ HTTP/1.1\nHost: localhost:7@evil.example\n\n".into(), 403),
            ("GET /secret/ HTTP/1.1\nHost: 127.0.0.1:7x\n\n".into(), 403),
            (format!("GET /secret/ HTTP/1.1\n{host}{host}\n"), 400),
            // Other pages.
            (format!("GET /secret/ HTTP/1.1\n{host}Origin: http://evil.example\n\n"), 403),
            (format!("GET /secret/ HTTP/1.1\n{host}Origin: http://127.0.0.1:8\n\n"), 403),
            (format!("GET /secret/ HTTP/1.1\n{host}Origin: null\n\n"), 403),
            (format!("POST /secret/stop HTTP/1.1\n{host}\n"), 403),
            // Other methods and protocols.
            (format!("PUT /secret/ HTTP/1.1\n{host}\n"), 405),
            (format!("OPTIONS /secret/ HTTP/1.1\n{host}\n"), 405),
            ("hello\n\n".into(), 400),
            ("\u{16}\u{3}\u{1}\n\n".into(), 400),
            // Longer than it may be.
            (format!("POST /secret/ HTTP/1.1\n{host}{origin}Content-Length: 5\n\nabcde"), 413),
            (
                format!("POST /secret/ HTTP/1.1\n{host}{origin}Content-Length: 99999999999999999999999\n\n"),
                413,
            ),
            (format!("POST /secret/ HTTP/1.1\n{host}{origin}Content-Length: -1\n\n"), 400),
            (format!("POST /secret/ HTTP/1.1\n{host}{origin}Content-Length: +1\n\na"), 400),
            (format!("POST /secret/ HTTP/1.1\n{host}{origin}Content-Length: 1\nContent-Length: 1\n\na"), 400),
            (format!("POST /secret/ HTTP/1.1\n{host}{origin}Transfer-Encoding: chunked\n\n1\na\n0\n\n"), 411),
            (format!("GET /secret/ HTTP/1.1\n{host}Content-Length: 1\n\na"), 413),
            (format!("GET /secret/ HTTP/1.1\n{host}X: {}\n\n", "x".repeat(LONGEST_HEAD)), 431),
            (format!("GET /{} HTTP/1.1\n{host}\n", "x".repeat(LONGEST_HEAD)), 431),
            (format!("GET /secret/ HTTP/1.1\n{host}{}\n", "X: y\n".repeat(MOST_HEADERS)), 431),
            // Whoever goes away in the middle.
            ("GET /secret/ HTTP/1.1\nHost: local".into(), 0),
            (format!("POST /secret/ HTTP/1.1\n{host}{origin}Content-Length: 4\n\nabc"), 0),
        ] {
            assert_eq!(outcome(&request), Err(status), "{request}");
        }
    }
}
