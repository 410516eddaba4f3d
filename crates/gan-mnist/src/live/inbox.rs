//! What a run has to tell its page.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::run::metrics_file::Point;
use crate::training::End;

/// Something that happened in a run.
#[derive(Debug)]
pub(super) enum News {
    /// Step, d_real, d_fake, g.
    Losses([f64; 4]),
    Measured(Box<Point>),
    /// A sample grid of this step lies in the run directory.
    Sampled(u64),
    /// The speed and how long it will still take, in words.
    Pace {
        speed: Option<String>,
        left: Option<String>,
    },
    /// A checkpoint of this step was written.
    Saved(u64),
    /// The run went back to where it was after this step.
    WentBack(u64),
    Ended(Box<End>),
}

/// News that nobody has taken yet. Adding to it waits for nothing.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    news: Mutex<(Vec<News>, bool)>,
    closed: Condvar,
}

impl Inbox {
    /// Adds something. It is taken at the next look.
    pub(super) fn add(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).0.push(news);
    }

    /// Nothing more will be added; whoever waits need not.
    pub(super) fn close(&self) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.closed.notify_all();
    }

    /// Everything that has come in so long, and whether nothing more will.
    pub(super) fn take(&self, wait: Duration) -> (Vec<News>, bool) {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.closed.wait_timeout_while(news, wait, |(_, closed)| !*closed);
        let (mut news, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut news.0), news.1)
    }
}
