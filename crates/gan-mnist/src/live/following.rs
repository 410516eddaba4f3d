//! The page of a run by its files, whoever trains it.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use super::site::LiveSite;
use super::view::{Phase, View};
use crate::error::Result;
use crate::report::Run;
use crate::run::metrics_file::METRICS;
use crate::run::{CONFIG, EVALUATION, LOSSES, SAMPLES};
use crate::server::{Listener, Server};
use crate::terminal::say;
use crate::training::Interrupt;

/// How often the files are looked at.
const TICK: Duration = Duration::from_millis(250);

/// How long pages have to take the last news.
const GRACE: Duration = Duration::from_millis(500);

/// What of a run directory its page is made from.
const FILES: [&str; 5] = [CONFIG, LOSSES, METRICS, EVALUATION, SAMPLES];

/// Shows a run directory until `interrupt` asks for the end. Nothing in it is written. Errors when it is none.
pub(crate) fn follow(listener: Listener, path: &Path, interrupt: &Interrupt) -> Result<()> {
    let mut seen = traces(path);
    let run = Run::read(path)?;
    let mut view = View::new(run, Phase::Following);
    view.set_phase(Phase::Following, status(view.run()));
    view.tell();
    let address = listener.address();
    let server = Server::start(listener, Arc::new(LiveSite::new(view.run(), view.broadcast(), None)))?;
    say(&format!("live: {address}"));
    while !interrupt.is_requested() {
        thread::sleep(TICK);
        if !view.is_due() {
            continue;
        }
        let now = traces(path);
        if now != seen {
            seen = now;
            match Run::read(path) {
                Ok(run) => {
                    *view.change() = run;
                    view.set_phase(Phase::Following, status(view.run()));
                }
                Err(error) => view.set_phase(Phase::Following, format!("{}.", error.line())),
            }
        }
        view.tell_if_due();
    }
    view.set_phase(
        Phase::Ended,
        "The program that showed this run was stopped. The run is not affected.".into(),
    );
    view.tell();
    view.broadcast().end();
    server.finish(GRACE);
    Ok(())
}

/// What changes when a file of the run does.
fn traces(run: &Path) -> [Option<(u64, SystemTime)>; 5] {
    FILES.map(|name| {
        let metadata = std::fs::metadata(run.join(name)).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

fn status(run: &Run) -> String {
    match run.steps() {
        Some(steps) if run.last_step() >= steps => "The run is finished.".into(),
        _ => "The run is shown as far as its files say. Whoever trains it writes them with every sample grid and checkpoint.".into(),
    }
}
