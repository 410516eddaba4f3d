//! Where pages are served.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Error, Result};

/// A port of 127.0.0.1 that is listened on. Who connects waits until it is served.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) token: String,
    port: u16,
}

impl Listener {
    /// Listens on a port, on any that is free for 0. An error names `flag`, by which it was asked for.
    pub(crate) fn bind(flag: &str, port: u16) -> Result<Listener> {
        let cannot = |e: io::Error| {
            let what = match e.kind() {
                ErrorKind::AddrInUse => {
                    "is in use by another program: name another, or none for any that is free".into()
                }
                ErrorKind::PermissionDenied => {
                    "is not for this user: name one from 1024 up, or none for any that is free".into()
                }
                _ => format!("cannot be listened on: {e}"),
            };
            Error::failure(format!("{flag} {port}: port {port} of 127.0.0.1 {what}"))
        };
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(cannot)?;
        let port = socket.local_addr().map_err(cannot)?.port();
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|e| {
            Error::failure(format!("the system gives no random numbers for the address of a page: {e}"))
        })?;
        let token = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Listener { socket, token, port })
    }

    /// The address of the page.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/{}/", self.port, self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_a_token_of_its_own() {
        let [a, b] = [0, 0].map(|port| Listener::bind("--live", port).unwrap());
        assert!(a.token.len() == 32 && a.token != b.token, "{} {}", a.token, b.token);
        assert_eq!(a.address(), format!("http://127.0.0.1:{}/{}/", a.port, a.token));
        assert!(a.socket.local_addr().unwrap().ip().is_loopback());
    }

    #[test]
    fn a_port_in_use_is_named_with_its_flag() {
        let taken = Listener::bind("--live", 0).unwrap();
        let message = Listener::bind("--live", taken.port).unwrap_err().to_string();
        assert!(message.starts_with(&format!("--live {}: port {}", taken.port, taken.port)), "{message}");
        assert!(message.contains("in use") && message.contains("none for any that is free"), "{message}");
    }
}
