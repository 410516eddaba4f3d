//! What a request is answered with.

use std::borrow::Cow;

/// What a page may do: run the scripts and take the styles that are served beside it, ask this server, and nothing else.
/// Attributes may set a style: charts say so where a number stands.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer that is known as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(super) status: u16,
    kind: &'static str,
    body: Cow<'static, [u8]>,
}

impl Answer {
    /// A page.
    pub(crate) fn html(text: &str) -> Answer {
        Answer::of("text/html; charset=utf-8", text.as_bytes().to_vec().into())
    }

    /// A script.
    pub(crate) fn script(text: &'static str) -> Answer {
        Answer::of("text/javascript; charset=utf-8", text.as_bytes().into())
    }

    /// A style sheet.
    pub(crate) fn style(text: &'static str) -> Answer {
        Answer::of("text/css; charset=utf-8", text.as_bytes().into())
    }

    /// Bytes that a script knows what to do with.
    pub(crate) fn bytes(bytes: Vec<u8>) -> Answer {
        Answer::of("application/octet-stream", bytes.into())
    }

    /// That something was asked for and will be done.
    pub(crate) fn accepted() -> Answer {
        Answer { status: 202, ..Answer::of(TEXT, Cow::Borrowed(b"It will be done.\n")) }
    }

    /// That there is nothing at this path.
    pub(crate) fn nothing() -> Answer {
        Answer::refusal(404, "There is nothing here.")
    }

    /// That the request is not carried out, and why, in a sentence.
    pub(crate) fn refusal(status: u16, why: impl Into<Cow<'static, str>>) -> Answer {
        let mut text = why.into().into_owned();
        text.push('\n');
        Answer { status, ..Answer::of(TEXT, text.into_bytes().into()) }
    }

    fn of(kind: &'static str, body: Cow<'static, [u8]>) -> Answer {
        Answer { status: 200, kind, body }
    }

    /// As it is sent, headers and body.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let Answer { status, kind, body } = self;
        let mut bytes = head(status, kind, Some(body.len())).into_bytes();
        bytes.extend_from_slice(&body);
        bytes
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

/// The head of an answer of so many bytes, or of one whose end is that of the connection.
pub(super) fn head(status: u16, kind: &str, length: Option<usize>) -> String {
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Error",
    };
    let length = length.map_or(String::new(), |length| format!("Content-Length: {length}\r\n"));
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\n{length}Connection: close\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: {POLICY}\r\nCross-Origin-Opener-Policy: same-origin\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    )
}
