//! Lines for people. A reader that has gone away, a closed pipe for instance, is no error.

use std::io::Write;

/// Prints a line to stdout: results.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line to stderr: progress and errors.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
