//! Pages that this process serves to a browser of this machine, over HTTP/1.1.
//!
//! A page may stop a run, and other programs and other pages of the browser are to do nothing of the kind:
//!
//! - Only 127.0.0.1 is listened on, and the address holds a token that nobody can guess.
//! - The header `Host` has to name this machine, so that no other name leads here (DNS rebinding), and `Origin`, where a browser
//!   sends it, has to be that of the page itself.
//! - Pages run the scripts that are served here and no others, and stand in no frame.
//! - Requests are bounded in their length and their time, connections in their number; each has a thread of its own, which ends
//!   when its client takes nothing for a while. Whoever computes waits for none of them.

mod answer;
mod broadcast;
mod connection;
mod listener;
mod request;
mod serving;

pub(crate) use answer::Answer;
pub(crate) use broadcast::Broadcast;
pub(crate) use listener::Listener;
pub(crate) use request::{Method, Request};
pub(crate) use serving::{Reply, Server, Site};
