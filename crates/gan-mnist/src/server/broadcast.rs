//! What is told to all pages that listen.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The latest that there is to say of each of some topics. Who listens gets it when it has time for it: what was overtaken
/// meanwhile is left out, so that a slow client costs nothing but its own view. Telling never waits.
#[derive(Debug, Default)]
pub(crate) struct Broadcast {
    said: Mutex<Said>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    /// How often something was told.
    version: u64,
    /// Events of the stream by topic, each with the version that it came with.
    latest: BTreeMap<String, (u64, Arc<str>)>,
    listeners: usize,
    ended: bool,
}

/// What a listener gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Events in the order in which they were told.
    Events(Vec<Arc<str>>),
    /// Nothing new.
    None,
    /// Nothing new any more.
    End,
}

impl Broadcast {
    fn said(&self) -> MutexGuard<'_, Said> {
        // What it holds is whole whatever a thread was doing.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells an event of a topic, which takes the place of the one before. `data` is a line.
    pub(crate) fn tell(&self, topic: &str, event: &str, data: &str) {
        debug_assert!(!data.contains(['\n', '\r']), "an event is a line");
        let mut said = self.said();
        said.version += 1;
        let entry = (said.version, format!("event: {event}\ndata: {data}\n\n").into());
        said.latest.insert(topic.to_owned(), entry);
        drop(said);
        self.changed.notify_all();
    }

    /// Who comes from now on is told nothing of this topic.
    pub(crate) fn forget(&self, topic: &str) {
        self.said().latest.remove(topic);
    }

    /// Nothing more will be told.
    pub(crate) fn end(&self) {
        self.said().ended = true;
        self.changed.notify_all();
    }

    /// Whether anyone listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.said().listeners > 0
    }

    /// Begins to listen.
    pub(super) fn listen(self: &Arc<Self>) -> Listening {
        self.said().listeners += 1;
        Listening { to: self.clone(), heard: 0 }
    }
}

/// A client that listens, until it is dropped.
pub(super) struct Listening {
    to: Arc<Broadcast>,
    heard: u64,
}

impl Listening {
    /// What was told since the last call, or at all, in at most so long.
    pub(super) fn next(&mut self, wait: Duration) -> News {
        let until = Instant::now() + wait;
        let mut said = self.to.said();
        loop {
            if said.version > self.heard {
                let mut new: Vec<_> =
                    said.latest.values().filter(|(version, _)| *version > self.heard).cloned().collect();
                new.sort_by_key(|(version, _)| *version);
                self.heard = said.version;
                return News::Events(new.into_iter().map(|(_, event)| event).collect());
            }
            if said.ended {
                return News::End;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return News::None;
            }
            said = self.to.changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.to.said().listeners -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_listener_gets_the_latest_of_each_topic_and_then_the_end() {
        let broadcast = Arc::new(Broadcast::default());
        assert!(!broadcast.is_heard());
        let mut listening = broadcast.listen();
        assert!(broadcast.is_heard());
        assert_eq!(listening.next(Duration::ZERO), News::None);
        for step in 1..=3 {
            broadcast.tell("state", "state", &step.to_string());
        }
        broadcast.tell("grid-1", "grid", "a");
        broadcast.tell("grid-2", "grid", "b");
        broadcast.forget("grid-1");
        broadcast.tell("state", "state", "4");
        broadcast.end();
        let events = ["event: grid\ndata: b\n\n", "event: state\ndata: 4\n\n"].map(Arc::from).to_vec();
        assert_eq!(listening.next(Duration::ZERO), News::Events(events.clone()));
        assert_eq!(listening.next(Duration::ZERO), News::End);
        // Who comes late gets what there is.
        assert_eq!(broadcast.listen().next(Duration::ZERO), News::Events(events));
        drop(listening);
        assert!(!broadcast.is_heard());
    }

    #[test]
    fn who_waits_is_woken() {
        let broadcast = Arc::new(Broadcast::default());
        let mut listening = broadcast.listen();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || listening.next(Duration::from_secs(600)));
            broadcast.tell("a", "a", "1");
            assert_eq!(waiting.join().unwrap(), News::Events(vec!["event: a\ndata: 1\n\n".into()]));
        });
    }
}
