//! `gan-mnist report` and `gan-mnist compare`: pages that show what happened in runs.

use std::path::PathBuf;

use clap::Args;
use gannet_data::files::PendingFile;

use crate::animation::write_samples_gif;
use crate::arguments::check_ending;
use crate::error::Result;
use crate::report::{self, REPORT, Run};
use crate::terminal::say;

/// The flags of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// A run directory; its report.html and samples.gif are made anew
    pub run: PathBuf,
}

/// The flags of `compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The run directories to put beside one another
    #[arg(required = true, num_args = 2..=16, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The page to write
    #[arg(long, value_name = "FILE.html", default_value = "compare.html")]
    pub out: PathBuf,
}

/// Writes report.html and samples.gif into a run directory.
pub fn run(args: &ReportArgs) -> Result<()> {
    report::write(&args.run)?;
    write_samples_gif(&args.run)?;
    say(&format!("report in {}", args.run.join(REPORT).display()));
    Ok(())
}

/// Writes one page of several runs.
pub fn compare(args: &CompareArgs) -> Result<()> {
    check_ending("--out", &args.out, "html")?;
    let runs = Run::read_all(&args.runs)?;
    let file = PendingFile::create(&args.out)?;
    file.finish_with(report::page(&runs)?.as_bytes())?;
    say(&format!("{} runs in {}", runs.len(), args.out.display()));
    Ok(())
}
