//! A run on a page that moves: what report.html shows, while it happens.
//!
//! In the process that trains, an observer puts what it is told into an inbox and goes on; a thread of its own makes of it what
//! pages are told, no more often than takes a hundredth of its time, and only while someone looks. `gan-mnist live` makes the
//! same of the files of a run.

mod following;
mod inbox;
mod observer;
mod page;
mod site;
mod view;

pub(crate) use following::follow;
pub(crate) use observer::Live;
