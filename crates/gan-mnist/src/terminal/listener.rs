//! What opening a set says, on the terminal.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gannet_data::{Listener, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use super::output::note;

/// Files are looked at for so long before that is shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// Prints notes, and draws a bar on a terminal, nothing elsewhere.
#[derive(Debug, Default)]
pub struct Listening(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bar: Option<ProgressBar>,
    /// Since when files have been looked at.
    since: Option<Instant>,
}

impl Listener for Listening {
    fn note(&self, line: &str) {
        note(line);
    }

    fn progress(&self, progress: Progress) {
        let State { bar, since } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Bytes { done, total } => {
                let template = "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
                bar.get_or_insert_with(|| begin(total, template)).set_position(done);
            }
            Progress::Files { done, total } => {
                if since.get_or_insert_with(Instant::now).elapsed() >= SHOWN_AFTER {
                    let template = "{wide_bar} {pos}/{len} files looked at  {eta} left";
                    bar.get_or_insert_with(|| begin(Some(total as u64), template)).set_position(done as u64);
                }
            }
            Progress::Ended => {
                *since = None;
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn begin(total: Option<u64>, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
