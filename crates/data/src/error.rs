//! What can go wrong with images, in one line.

use std::fmt;
use std::io;
use std::path::Path;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One line that names the file and says what was wrong with it and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error with this message.
    pub fn failure(message: impl fmt::Display) -> Self {
        Error(message.to_string())
    }

    /// `path` could not be written.
    pub fn cannot_write(path: &Path, error: &io::Error) -> Self {
        Error(format!("cannot write {}: {error}", path.display()))
    }

    /// `path` could not be read.
    pub fn cannot_read(path: &Path, error: &io::Error) -> Self {
        Error(format!("cannot read {}: {error}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
