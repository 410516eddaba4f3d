//! What is served of a run.

use std::sync::Arc;

use super::page::page;
use crate::report::{CHARTS, Run, STYLE};
use crate::server::{Answer, Broadcast, Method, Reply, Request, Site};
use crate::terminal::note;
use crate::training::Interrupt;

/// The page of a run and what it asks for.
pub(super) struct LiveSite {
    page: String,
    broadcast: Arc<Broadcast>,
    controls: Option<Controls>,
}

/// What a page can ask of the run that this process trains.
pub(super) struct Controls {
    pub(super) interrupt: Interrupt,
    pub(super) quiet: bool,
}

impl Controls {
    fn checkpoint(&self) -> Reply {
        self.interrupt.request_checkpoint();
        Answer::accepted().into()
    }

    fn stop(&self) -> Reply {
        if !self.quiet && !self.interrupt.is_requested() {
            note("the page asks for the end: saving after this step; Ctrl-C, to stop at once without saving");
        }
        self.interrupt.request();
        Answer::accepted().into()
    }
}

impl LiveSite {
    pub(super) fn new(run: &Run, broadcast: Arc<Broadcast>, controls: Option<Controls>) -> LiveSite {
        LiveSite { page: page(run, controls.is_some()), broadcast, controls }
    }
}

impl Site for LiveSite {
    fn answer(&self, request: &Request) -> Reply {
        let answer = match (request.method, request.path.as_str(), &self.controls) {
            (Method::Get, "", _) => Answer::html(&self.page),
            (Method::Get, "page.css", _) => Answer::style(STYLE),
            (Method::Get, "live.css", _) => Answer::style(include_str!("live.css")),
            (Method::Get, "charts.js", _) => Answer::script(CHARTS),
            (Method::Get, "live.js", _) => Answer::script(include_str!("live.js")),
            (Method::Get, "events", _) => return Reply::Events(self.broadcast.clone()),
            (Method::Post, "checkpoint", Some(controls)) => return controls.checkpoint(),
            (Method::Post, "stop", Some(controls)) => return controls.stop(),
            _ => Answer::nothing(),
        };
        answer.into()
    }
}
