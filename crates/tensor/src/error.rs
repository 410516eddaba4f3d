//! The error of this crate: a sentence that names what was wrong and what would be right.

/// What went wrong, in words for the person who gave the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
}

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with the given message.
    pub fn new(message: impl Into<String>) -> Error {
        Error { message: message.into() }
    }

    /// The same error with `context` in front: `context: message`.
    #[must_use]
    pub fn context(self, context: impl std::fmt::Display) -> Error {
        Error { message: format!("{context}: {}", self.message) }
    }
}
