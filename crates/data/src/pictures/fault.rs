//! Why a file of a set cannot be used.

use std::fmt;

/// Why a file cannot be used, in kinds that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It has no bytes.
    Empty,
    /// It is no picture, or of a format that is not read.
    NotAPicture,
    /// Its end is missing.
    CutOff,
    /// It is a picture by its start, and cannot be decoded.
    Damaged,
    /// It has more bytes or pixels than are read.
    TooLarge,
    /// A link to nothing.
    BrokenLink,
    /// The system does not hand it out.
    Unreadable,
    /// The file of labels has none for it.
    NoLabel,
}

impl Reason {
    /// All of them; the place is what files write down.
    pub(crate) const ALL: [Reason; 8] = [
        Reason::Empty,
        Reason::NotAPicture,
        Reason::CutOff,
        Reason::Damaged,
        Reason::TooLarge,
        Reason::BrokenLink,
        Reason::Unreadable,
        Reason::NoLabel,
    ];

    /// Behind a number: `3 cut off`.
    pub fn counted(self, count: usize) -> String {
        let (one, many) = match self {
            Reason::Empty => ("empty", "empty"),
            Reason::NotAPicture => ("no picture that can be read", "no pictures that can be read"),
            Reason::CutOff => ("cut off", "cut off"),
            Reason::Damaged => ("damaged", "damaged"),
            Reason::TooLarge => ("too large", "too large"),
            Reason::BrokenLink => ("a broken link", "broken links"),
            Reason::Unreadable => ("unreadable", "unreadable"),
            Reason::NoLabel => ("without a label", "without a label"),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}

/// A [`Reason`] with the particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub reason: Reason,
    /// One line that goes on after the name of the file: `is cut off: ...`.
    pub detail: String,
}

impl Fault {
    /// A fault; of several lines one is made.
    pub(crate) fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Fault { reason, detail }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Fault::new(Reason::CutOff, format!("is cut off: {error}")),
            _ => Fault::new(Reason::Unreadable, format!("cannot be read: {error}")),
        }
    }
}
