//! What opening a set says, on the terminal.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use gannet_data::{Listener, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use super::output::note;

/// Prints notes, and draws a bar in bytes on a terminal, nothing elsewhere.
#[derive(Debug, Default)]
pub struct Listening(Mutex<Option<ProgressBar>>);

impl Listener for Listening {
    fn note(&self, line: &str) {
        note(line);
    }

    fn progress(&self, progress: Progress) {
        let mut bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Bytes { done, total } => bar.get_or_insert_with(|| begin(total)).set_position(done),
            Progress::Ended => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn begin(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
