//! Lines for people. A reader that has gone away, a closed pipe for instance, is no error.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;

/// The bar that stands on the terminal, if there is one.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn bar() -> MutexGuard<'static, Option<ProgressBar>> {
    // What it holds is whole whatever a thread was doing.
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on notes are printed above this bar, until it is taken away by [`end_bar`].
pub(crate) fn begin_bar(new: &ProgressBar) {
    *bar() = Some(new.clone());
}

/// The bar, if there is one, stays where it stands, and what is printed next goes below it.
pub(crate) fn end_bar() {
    if let Some(bar) = bar().take() {
        bar.abandon();
        // It ends at the right edge, not with a line break.
        let _ = writeln!(std::io::stderr());
    }
}

/// Whether a bar stands on the terminal.
pub(crate) fn has_bar() -> bool {
    bar().is_some()
}

/// Prints a line to stdout: results.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line to stderr, above the bar if there is one: progress and errors.
pub fn note(line: &str) {
    let print = || {
        let _ = writeln!(std::io::stderr(), "{line}");
    };
    match &*bar() {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// So many things, in words: `1 step`, `2 steps`, `3 classes`.
pub fn counted(number: u64, thing: &str) -> String {
    let ending = match number {
        1 => "",
        _ if thing.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {thing}{ending}")
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
    use std::io;
    use std::sync::Arc;

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal that remembers what was done to it.
    #[derive(Debug, Clone, Default)]
    struct Recorder(Arc<Mutex<Vec<String>>>);

    impl Recorder {
        fn add(&self, what: &str) -> io::Result<()> {
            self.0.lock().unwrap().push(what.into());
            Ok(())
        }
    }

    impl TermLike for Recorder {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.add(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.add(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.add("CLEAR")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_note_clears_the_bar_and_the_bar_comes_back() {
        let terminal = Recorder::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let new = ProgressBar::with_draw_target(Some(10), target);
        begin_bar(&new);
        new.set_position(3);
        new.tick();
        let drawn = |text: &String| text.contains("3/10");
        assert!(terminal.0.lock().unwrap().iter().any(drawn));
        terminal.0.lock().unwrap().clear();
        note("a note from the test of notes");
        let seen = std::mem::take(&mut *terminal.0.lock().unwrap());
        let (cleared, again) = (seen.iter().position(|t| t == "CLEAR"), seen.iter().rposition(drawn));
        assert!(cleared.is_some() && again > cleared, "{seen:?}");
        end_bar();
        assert!(!has_bar());
        terminal.0.lock().unwrap().clear();
        note("a note without a bar from the test of notes");
        assert!(!terminal.0.lock().unwrap().iter().any(|t| t == "CLEAR"));
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_cut_them() {
        assert_eq!(shell_word(Path::new("runs/cdcgan-1")), "runs/cdcgan-1");
        assert_eq!(shell_word(Path::new("my runs/it's")), r"'my runs/it'\''s'");
    }
}
