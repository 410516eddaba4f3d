//! Runs the program.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// This outcome, if the program succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The message of a failure with this exit code: the last line on stderr.
    #[track_caller]
    pub(crate) fn error_on_stderr(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        let message = self.stderr.lines().last().and_then(|line| line.strip_prefix("error: "));
        message.unwrap_or_else(|| panic!("no message: {self:?}")).to_string()
    }

    /// The message of a failure with this exit code: the only line on stderr, and nothing on stdout.
    #[track_caller]
    pub(crate) fn error(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let message = self.stderr.strip_prefix("error: ").and_then(|m| m.strip_suffix('\n'));
        let message = message.unwrap_or_else(|| panic!("not one line: {self:?}"));
        assert!(!message.contains('\n') && !message.contains("panicked"), "{message}");
        message.to_string()
    }
}

/// Runs the program in `folder`.
pub(crate) fn run_in(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome {
    outcome(Command::new(env!("CARGO_BIN_EXE_gan-mnist")).args(arguments).current_dir(folder))
}

/// Runs the program in `folder` with a line of arguments, cut at spaces, and these variables in its environment; those without
/// a value are taken out of it.
pub(crate) fn run_with(folder: &Path, environment: &[(&str, Option<&OsStr>)], line: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gan-mnist"));
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    outcome(command.args(line.split_whitespace()).current_dir(folder))
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().expect("the program starts");
    Outcome {
        code: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs the program in `folder` with a line of arguments, cut at spaces.
pub(crate) fn run(folder: &Path, line: &str) -> Outcome {
    run_in(folder, line.split_whitespace())
}

/// A new empty folder.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The names in a folder, sorted, hidden ones included.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// A run of two steps of each preset that the tests share and only read: a class-conditional one and one without
/// classes.
pub(crate) fn trained(preset: &str) -> PathBuf {
    static RUNS: OnceLock<TempDir> = OnceLock::new();
    let runs = RUNS.get_or_init(|| {
        let runs = folder();
        for preset in ["cdcgan", "dcgan"] {
            run(runs.path(), &format!("train --preset {preset} --steps 2 --batch-size 4 --out {preset}"))
                .success();
        }
        runs
    });
    runs.path().join(preset)
}
