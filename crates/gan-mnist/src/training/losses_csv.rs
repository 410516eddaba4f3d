//! losses.csv: a row for each step.

use super::observer::{Next, Observer, Step};
use crate::error::Result;
use crate::run::{LOSSES, Log, RunDirectory};

/// Writes losses.csv, which grows by whole rows while the run goes on, so that it can be plotted meanwhile.
#[derive(Debug)]
pub struct LossesCsv {
    log: Log,
}

impl LossesCsv {
    /// For this run.
    pub fn new(run: &RunDirectory) -> Self {
        LossesCsv { log: Log::new(run.path().join(LOSSES), "step,d_real,d_fake,g\n") }
    }
}

impl Observer for LossesCsv {
    fn name(&self) -> &'static str {
        "losses.csv"
    }

    fn stepped(&mut self, step: &Step) -> Result<Next> {
        // The shortest form of an f32 that reads back as the same number is its full precision.
        let [d_real, d_fake, g] = [step.losses.d_real, step.losses.d_fake, step.losses.g].map(|x| x as f32);
        self.log.append(format!("{},{d_real},{d_fake},{g}\n", step.number).as_bytes());
        Ok(Next::GoOn)
    }

    fn logs(&mut self) -> Vec<&mut Log> {
        vec![&mut self.log]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use gannet::Losses;

    use super::*;

    #[test]
    fn losses_keep_full_precision() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(&folder.path().join("run")).unwrap();
        let mut losses = LossesCsv::new(&run);
        losses.log.create().unwrap();
        let rows = [[0.1f32, 1.0 / 3.0, 12.0], [f32::MIN_POSITIVE, 1e-7, 16_777_216.0]];
        for (number, [d_real, d_fake, g]) in (1..).zip(rows.map(|row| row.map(f64::from))) {
            let losses_of_step = Losses { d_real, d_fake, g };
            let step = Step { number, images: 0, losses: losses_of_step, elapsed: Duration::ZERO };
            losses.stepped(&step).unwrap();
        }
        losses.log.flush(&crate::run::Os).unwrap();
        let text = fs::read_to_string(run.path().join("losses.csv")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["step,d_real,d_fake,g", "1,0.1,0.33333334,12"]);
        let last: Vec<f32> = lines[2].split(',').map(|n| n.parse().unwrap()).collect();
        assert_eq!(last, [2.0, f32::MIN_POSITIVE, 1e-7, 16_777_216.0]);
    }
}
