//! What can go wrong in the program, in one line.

use std::fmt;
use std::io;
use std::path::Path;

/// The exit code of a program that was interrupted: 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// The exit code of a run that was stopped because it went wrong.
pub const STOPPED: u8 = 3;

/// The program's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One line that says what was wrong and what would be right, and how the program ends because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The command line asks for something that cannot be: exit code 2.
    Usage(String),
    /// The command line was right, and carrying it out failed: exit code 1.
    Failure(String),
    /// A run was stopped before its end, as it was asked to be where it goes wrong; all is saved: exit code 3.
    Stopped(String),
    /// Someone asked for the end, and what could be saved has been: exit code 130. The message, if there is anything to
    /// say, is no error.
    Interrupted(String),
}

/// The line of a text, from 1, in which reading it as TOML failed.
pub fn toml_line(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start);
    text.bytes().take(start).filter(|&byte| byte == b'\n').count() + 1
}

impl Error {
    /// A failure with this message.
    pub fn failure(message: impl fmt::Display) -> Self {
        Error::Failure(message.to_string())
    }

    /// A usage error with this message.
    pub fn usage(message: impl fmt::Display) -> Self {
        Error::Usage(message.to_string())
    }

    /// `path` could not be written.
    pub fn cannot_write(path: &Path, error: &io::Error) -> Self {
        Error::Failure(format!("cannot write {}: {error}", path.display()))
    }

    /// `path` could not be read.
    pub fn cannot_read(path: &Path, error: &io::Error) -> Self {
        Error::Failure(format!("cannot read {}: {error}", path.display()))
    }

    /// The message in one line, whatever it quotes, without characters that a terminal obeys.
    pub fn line(&self) -> String {
        let text = self.to_string();
        let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if !line.contains(char::is_control) {
            return line;
        }
        line.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
    }

    /// `path` holds `text`, which is not the TOML that it should be.
    pub fn in_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        Error::Failure(format!("{}, line {}: {}", path.display(), toml_line(text, error), error.message()))
    }

    /// The exit code: 2 for usage, 1 for failure, 3 for a run that was stopped, 130 for an interruption.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Failure(_) => 1,
            Error::Stopped(_) => STOPPED,
            Error::Interrupted(_) => INTERRUPTED,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(message)
            | Error::Failure(message)
            | Error::Stopped(message)
            | Error::Interrupted(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

/// What is wrong with images: a failure.
impl From<gannet_data::Error> for Error {
    fn from(error: gannet_data::Error) -> Self {
        Error::failure(error)
    }
}

/// What the engine says: a failure.
impl From<gannet::Error> for Error {
    fn from(error: gannet::Error) -> Self {
        Error::failure(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_tell_how_a_run_ended() {
        let codes = [
            Error::usage(""),
            Error::failure(""),
            Error::Stopped(String::new()),
            Error::Interrupted(String::new()),
        ];
        assert_eq!(codes.map(|error| error.exit_code()), [2, 1, 3, 130]);
    }
}
