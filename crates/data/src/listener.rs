//! What opening a set tells whoever waits for it.

/// Something that takes a while, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bytes that have been received, of all, where the server says how many there are.
    Bytes {
        /// Received so far.
        done: u64,
        /// All.
        total: Option<u64>,
    },
    /// Files of a set that have been looked at, of all.
    Files {
        /// Looked at so far.
        done: usize,
        /// All.
        total: usize,
    },
    /// Nothing is left to be done.
    Ended,
}

/// Hears what goes on while a set is opened. This crate prints nothing by itself.
pub trait Listener: Sync {
    /// A line for people, about something that takes a while: what is fetched from where.
    fn note(&self, line: &str);

    /// How far it has come.
    fn progress(&self, progress: Progress);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {
    fn note(&self, _: &str) {}

    fn progress(&self, _: Progress) {}
}
