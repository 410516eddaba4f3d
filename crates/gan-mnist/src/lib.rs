//! The program `gan-mnist` as a library: command line, data, runs.
//!
//! [`run()`] is the whole program; the modules are public for its tests and for those who read it.

#![forbid(unsafe_code)]

pub mod animation;
pub mod arguments;
pub mod cli;
pub mod commands;
#[cfg(test)]
mod damaged_files;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluation;
mod live;
pub mod memory;
pub mod parse;
pub mod picture;
pub mod ranks;
pub mod recipe;
pub mod report;
pub mod run;
mod server;
pub mod terminal;
pub mod tiles_file;
pub mod training;
mod web;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::cli::Command;
use crate::parse::Parsed;

/// Runs the program with these arguments, its name first. Results go to stdout, progress and errors to stderr,
/// an error as one line; the exit code is 0, 1 for a failure, 2 for a wrong command line, 3 for a
/// run that was stopped because it went wrong, or 130 for an interruption.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match parse::parse(arguments) {
        Parsed::Run(cli) => cli,
        Parsed::Print(text) => {
            // Whoever closed the pipe does not want the rest.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Parsed::Wrong(message) => return complain(&error::Error::Usage(message)),
    };
    let result = match cli.command {
        None => commands::train::run(&cli.train),
        Some(Command::Train(args)) => commands::train::run(&args),
        Some(Command::Resume(args)) => commands::resume::run(&args),
        Some(Command::Data(args)) => commands::data::run(&args),
        Some(Command::Live(args)) => commands::live::run(&args),
        Some(Command::Generate(args)) => commands::generate::run(&args),
        Some(Command::Explore(args)) => commands::explore::run(&args),
        Some(Command::Interpolate(args)) => commands::interpolate::run(&args),
        Some(Command::Project(args)) => commands::project::run(&args),
        Some(Command::Neighbours(args)) => commands::neighbours::run(&args),
        Some(Command::Export(args)) => commands::export::run(&args),
        Some(Command::Import(args)) => commands::import::run(&args),
        Some(Command::Evaluate(args)) => commands::evaluate::run(&args),
        Some(Command::Report(args)) => commands::report::run(&args),
        Some(Command::Compare(args)) => commands::report::compare(&args),
        Some(Command::TrainClassifier(args)) => commands::train_classifier::run(&args),
        Some(Command::Bench(args)) => commands::bench::run(&args),
        Some(Command::Presets(args)) => commands::presets::run(&args),
        Some(Command::Devices) => commands::devices::run(),
        Some(Command::Tune(args)) => commands::tune::run(&args),
        Some(Command::Verify(args)) => commands::verify::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

fn complain(error: &error::Error) -> ExitCode {
    let line = error.line();
    match error {
        error::Error::Interrupted(_) | error::Error::Stopped(_) if line.is_empty() => {}
        error::Error::Interrupted(_) | error::Error::Stopped(_) => terminal::note(&line),
        _ => terminal::note(&format!("error: {line}")),
    }
    ExitCode::from(error.exit_code())
}
