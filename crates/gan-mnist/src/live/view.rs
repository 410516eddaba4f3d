//! What pages are told of a run.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::json;

use crate::animation::spread;
use crate::report::html::{PictureKind, picture_address};
use crate::report::{MovingReport, Run};
use crate::server::Broadcast;

/// The least time from one telling to the next, and how many times as long as the last one took it is at least: so it takes at
/// most a hundredth of a core, however long the run is.
const PAUSE: Duration = Duration::from_millis(500);
const TIMES: u32 = 100;

/// Grids that are kept for pages, and the bytes that they may have together.
const MOST_GRIDS: usize = 24;
const MOST_GRID_BYTES: usize = 24 << 20;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// This process trains it.
    Training,
    /// Its files are looked at.
    Following,
    /// Nothing more is told.
    Ended,
}

/// A run as pages are told of it.
pub(super) struct View {
    run: Run,
    broadcast: Arc<Broadcast>,
    phase: Phase,
    status: String,
    speed: Option<String>,
    left: Option<String>,
    saved: Option<u64>,
    grids: Vec<KeptGrid>,
    /// Whether there is something that was not told.
    changed: bool,
    told: Instant,
    pause: Duration,
}

/// A grid that whoever comes is told.
struct KeptGrid {
    step: u64,
    bytes: usize,
    modified: Option<SystemTime>,
}

/// What a page is told whenever something has changed.
#[derive(Serialize)]
struct State<'a> {
    phase: Phase,
    status: &'a str,
    step: u64,
    steps: Option<u64>,
    speed: Option<&'a str>,
    left: Option<&'a str>,
    saved: Option<u64>,
    grids: Vec<u64>,
    report: MovingReport,
}

impl View {
    /// A run as it is now; it is told at once to whoever comes.
    pub(super) fn new(run: Run, phase: Phase) -> View {
        let mut view = View {
            run,
            broadcast: Arc::default(),
            phase,
            status: String::new(),
            speed: None,
            left: None,
            saved: None,
            grids: Vec::new(),
            changed: true,
            told: Instant::now(),
            pause: Duration::ZERO,
        };
        if let Some(png) = view.run.real() {
            let image = json!({ "image": picture_address(PictureKind::Png, png) });
            view.broadcast.tell("real", "real", &image.to_string());
        }
        view.tell();
        view
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    pub(super) fn broadcast(&self) -> Arc<Broadcast> {
        self.broadcast.clone()
    }

    /// The run, to be changed.
    pub(super) fn change(&mut self) -> &mut Run {
        self.changed = true;
        &mut self.run
    }

    pub(super) fn set_pace(&mut self, speed: Option<String>, left: Option<String>) {
        (self.speed, self.left, self.changed) = (speed, left, true);
    }

    pub(super) fn set_saved(&mut self, step: u64) {
        (self.saved, self.changed) = (Some(step), true);
    }

    pub(super) fn set_phase(&mut self, phase: Phase, status: String) {
        self.changed |= (self.phase, &self.status) != (phase, &status);
        (self.phase, self.status) = (phase, status);
    }

    /// Whether pages look, and the last telling is long enough ago for another.
    pub(super) fn is_due(&self) -> bool {
        self.broadcast.is_heard() && self.told.elapsed() >= self.pause
    }

    /// Tells what has changed, if it is due.
    pub(super) fn tell_if_due(&mut self) {
        if self.changed && self.is_due() {
            self.tell();
        }
    }

    /// Tells how the run is now.
    pub(super) fn tell(&mut self) {
        let began = Instant::now();
        self.keep_grids();
        self.broadcast.tell("state", "state", &self.state());
        self.changed = false;
        self.told = Instant::now();
        self.pause = PAUSE.max(TIMES * began.elapsed());
    }

    /// How the run is now, as JSON.
    pub(super) fn state(&self) -> String {
        let state = State {
            phase: self.phase,
            status: &self.status,
            step: self.run.last_step(),
            steps: self.run.steps(),
            speed: self.speed.as_deref(),
            left: self.left.as_deref(),
            saved: self.saved,
            grids: self.grids.iter().map(|grid| grid.step).collect(),
            report: MovingReport::of(&self.run),
        };
        // Numbers and texts are always JSON.
        serde_json::to_string(&state).unwrap_or_default()
    }

    /// Brings the grids that pages are told up to those of the run.
    fn keep_grids(&mut self) {
        let View { run, broadcast, grids: kept, .. } = self;
        let all = run.grids();
        kept.retain(|grid| {
            let is_there = all.iter().any(|(step, _)| *step == grid.step);
            if !is_there {
                broadcast.forget(&topic(grid.step));
            }
            is_there
        });
        // Those that were drawn anew.
        for grid in &mut *kept {
            let path = run.grid_path(grid.step);
            if modified(&path) != grid.modified
                && let Some(anew) = tell_grid(broadcast, grid.step, &path)
            {
                *grid = anew;
            }
        }
        let last = kept.last().map(|grid| grid.step);
        let new: Vec<_> = all.iter().filter(|(step, _)| last.is_none_or(|last| *step > last)).collect();
        for (step, path) in spread(&new, MOST_GRIDS) {
            kept.extend(tell_grid(broadcast, *step, path));
            while is_too_much(kept) {
                let gone = kept.remove(closest(kept));
                broadcast.forget(&topic(gone.step));
            }
        }
    }
}

fn topic(step: u64) -> String {
    format!("grid-{step}")
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Tells a grid, unless its file is gone.
fn tell_grid(broadcast: &Broadcast, step: u64, path: &Path) -> Option<KeptGrid> {
    let modified = modified(path);
    let png = std::fs::read(path).ok()?;
    let data = json!({ "step": step, "image": picture_address(PictureKind::Png, &png) }).to_string();
    broadcast.tell(&topic(step), "grid", &data);
    Some(KeptGrid { step, bytes: data.len(), modified })
}

fn is_too_much(kept: &[KeptGrid]) -> bool {
    let bytes: usize = kept.iter().map(|grid| grid.bytes).sum();
    kept.len() > 2 && (kept.len() > MOST_GRIDS || bytes > MOST_GRID_BYTES)
}

/// The grid between the first and the last whose neighbours are closest to one another: it is missed least.
fn closest(kept: &[KeptGrid]) -> usize {
    (1..kept.len() - 1).min_by_key(|&k| kept[k + 1].step - kept[k - 1].step).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_grids_those_are_kept_that_lie_far_apart() {
        let mut kept: Vec<KeptGrid> = Vec::new();
        for step in 1..=200 {
            kept.push(KeptGrid { step, bytes: 1, modified: None });
            while is_too_much(&kept) {
                kept.remove(closest(&kept));
            }
        }
        let steps: Vec<u64> = kept.iter().map(|grid| grid.step).collect();
        assert_eq!((steps.len(), steps[0], steps[23]), (MOST_GRIDS, 1, 200));
        let widest = steps.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 17, "{steps:?}");
        // Large ones are fewer, and two there are always.
        for grid in &mut kept {
            grid.bytes = MOST_GRID_BYTES;
        }
        while is_too_much(&kept) {
            kept.remove(closest(&kept));
        }
        assert_eq!(kept.iter().map(|grid| grid.step).collect::<Vec<_>>(), [1, 200]);
    }
}
