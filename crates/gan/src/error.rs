//! The error of this crate.

use std::path::PathBuf;

/// What went wrong, in words for the person who gave the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model, an option or a batch that does not fit.
    #[error("{0}")]
    Invalid(String),
    /// A layer that does not fit where it stands.
    #[error("{model}, layer {index} ({kind}): {message}")]
    Layer {
        /// The name of the model.
        model: String,
        /// The position of the layer, from 0.
        index: usize,
        /// The kind of layer.
        kind: String,
        /// What does not fit, with both shapes.
        message: String,
    },
    /// A loss or a weight that is no longer a finite number.
    #[error("training diverged: {0}")]
    Diverged(String),
    /// A model file (TOML) that cannot be understood.
    #[error("{0}")]
    Config(String),
    /// A file that is not what it should be.
    #[error("{path}: {message}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what was expected.
        message: String,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Ranks that take a step together and do not come together any more.
    #[error("{0}")]
    Ranks(String),
    /// A graph that cannot be built, or a device that failed.
    #[error("{0}")]
    Tensor(#[from] gannet_tensor::Error),
}

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }

    pub(crate) fn file(path: impl Into<PathBuf>, message: impl Into<String>) -> Error {
        Error::File { path: path.into(), message: message.into() }
    }

    /// The same error with `context` in front: `context: message`.
    #[must_use]
    pub(crate) fn context(self, context: impl std::fmt::Display) -> Error {
        match self {
            Error::Io { .. } | Error::File { .. } | Error::Layer { .. } => self,
            other => Error::Invalid(format!("{context}: {other}")),
        }
    }
}
