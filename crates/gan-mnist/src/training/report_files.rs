//! samples.gif and report.html: made anew now and then from what the run has written.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::observer::{End, Next, Observer, Samples};
use crate::animation::write_samples_gif;
use crate::error::Result;
use crate::report;
use crate::run::RunDirectory;
use crate::terminal::note;

/// The least time between two of them while the run goes on: they are read by people.
const PAUSE: Duration = Duration::from_secs(30);

/// Makes the files of a run that are read by people.
#[derive(Debug)]
pub struct ReportFiles {
    run: PathBuf,
    made: Instant,
}

impl ReportFiles {
    /// For this run.
    pub fn new(run: &RunDirectory) -> Self {
        ReportFiles { run: run.path().into(), made: Instant::now() }
    }

    /// Makes both. What goes wrong is said, and is no reason to end a run: `gan-mnist report` makes them again.
    fn make(&mut self) {
        for result in [write_samples_gif(&self.run), report::write(&self.run)] {
            if let Err(error) = result {
                note(&format!("{error}; the run is not affected"));
            }
        }
        self.made = Instant::now();
    }
}

impl Observer for ReportFiles {
    fn name(&self) -> &'static str {
        "report"
    }

    fn sampled(&mut self, samples: &Samples<'_>) -> Result<Next> {
        // At the end they are made anyway.
        if !samples.last && self.made.elapsed() >= PAUSE {
            self.make();
        }
        Ok(Next::GoOn)
    }

    fn ended(&mut self, _: &End) -> Result<()> {
        self.make();
        Ok(())
    }
}
