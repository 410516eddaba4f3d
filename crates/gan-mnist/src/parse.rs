//! From the words of a command line to a command, or to one line that says what is wrong with them.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::cli::Cli;

/// What parsing a command line comes to.
#[derive(Debug)]
pub enum Parsed {
    /// Something to do.
    Run(Box<Cli>),
    /// Help or a version, to print.
    Print(String),
    /// One line that says what is wrong.
    Wrong(String),
}

/// Parses a command line, program name first.
pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Parsed {
    let command = Cli::command();
    let result = command.try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m));
    match result {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(e) => match e.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Parsed::Print(e.render().to_string()),
            _ => Parsed::Wrong(one_line(&e.render().to_string())),
        },
    }
}

/// Joins what clap spreads over several lines: what is wrong, and the tips; without usage and the pointer to
/// --help.
fn one_line(rendered: &str) -> String {
    let mut lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut text = lines.next().unwrap_or_default().trim_start_matches("error: ").to_string();
    for line in
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
    {
        let line = line.trim_start_matches('[').trim_end_matches(']');
        // No command takes a value that looks like a flag.
        if line.starts_with("tip: to pass") {
            continue;
        }
        text.push_str(if text.ends_with(':') { " " } else { "; " });
        text.push_str(line.trim_start_matches("tip: "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> String {
        match parse(format!("gan-mnist {line}").split_whitespace()) {
            Parsed::Wrong(message) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_subcommand_means_train() {
        let Parsed::Run(cli) = parse(["gan-mnist", "--steps", "3", "--quiet"]) else { panic!() };
        assert!(cli.command.is_none() && cli.train.steps == Some(3) && cli.train.quiet);
        assert_eq!((cli.train.preset, cli.train.seed), (None, None));
    }

    #[test]
    fn mistakes_are_one_line_that_says_what_would_be_right() {
        for (line, parts) in [
            ("--preset cdgan", &["'cdgan'", "cdcgan", "dcgan"][..]),
            ("--minutes 0", &["--minutes", "number of minutes above 0"]),
            ("--minutes 5 --steps 3", &["--minutes", "--steps"]),
            ("--capacity huge", &["--capacity", "small, medium, large"]),
            ("--steps 0", &["--steps", "whole number from 1 to"]),
            ("--steps -3", &["--steps", "whole number from 1 to"]),
            ("--batch-size 1e9", &["--batch-size", "from 1 to 4096"]),
            ("--batch-size 99999999999999999999", &["--batch-size", "from 1 to 4096"]),
            ("--learning-rate 0", &["--learning-rate", "above 0 and at most 1"]),
            ("--learning-rate NaN", &["--learning-rate", "above 0 and at most 1"]),
            ("--seed -1", &["--seed", "whole number from 0 to 9223372036854775807"]),
            ("--threads 0", &["--threads", "from 1 to 1024"]),
            ("--device cuda", &["'cuda'", "auto, cpu, gpu, reference"]),
            ("--steps 3 --epochs 2", &["--steps", "--epochs"]),
            ("--checkpoint-every 0", &["--checkpoint-every", "30s, 5m or 1h"]),
            ("--checkpoint-every -5", &["--checkpoint-every", "30s, 5m or 1h"]),
            ("--keep-checkpoints 0", &["--keep-checkpoints", "from 1 to"]),
            ("resume", &["RUN"]),
            ("resume r --steps 1 --epochs 1", &["--steps", "--epochs"]),
            ("trian", &["trian", "train"]),
            ("--step 3", &["--step", "--steps"]),
            ("data x --truncate 3", &["--truncate"]),
            ("generate", &["--out", "MODEL"]),
            ("generate m --out x --count 0", &["--count", "from 1 to 100000"]),
            ("evaluate m --count 5", &["--count", "from 10 to 60000"]),
            ("evaluate", &["MODEL"]),
            ("train-classifier", &["--out"]),
            ("bench --steps 0", &["--steps", "from 1 to"]),
        ] {
            let message = wrong(line);
            assert!(!message.contains('\n') && !message.starts_with("error"), "{message}");
            assert!(!message.contains("to pass"), "{message}");
            assert!(parts.iter().all(|part| message.contains(part)), "{line}: {message}");
        }
    }
}
