//! Lines for people. A reader that has gone away, a closed pipe for instance, is no error.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Prints a line to stdout: results.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line to stderr: progress and errors.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What starts this program again.
pub fn program() -> String {
    if std::env::var_os("CARGO_MANIFEST_DIR").is_some() {
        return "cargo run -p gan-mnist --".into();
    }
    std::env::args_os().next().map_or_else(|| "gan-mnist".into(), |name| shell_word(&PathBuf::from(name)))
}

/// A path as a shell takes it: in quotes where it needs them.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/\\._-+:~".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// What lets a run go on.
pub fn resume_command(run: &Path) -> String {
    format!("{} resume {}", program(), shell_word(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_cut_them() {
        assert_eq!(shell_word(Path::new("runs/cdcgan-1")), "runs/cdcgan-1");
        assert_eq!(shell_word(Path::new("my runs/it's")), r"'my runs/it'\''s'");
    }
}
