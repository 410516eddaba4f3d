//! samples/step-NNNNNN.png and samples.png.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::observer::{Next, Observer, Samples};
use crate::error::{Error, Result};
use crate::run::{RunDirectory, sample_grid_name};

/// Writes the sample grids of a run.
#[derive(Debug)]
pub struct SampleFiles {
    folder: PathBuf,
    last: PathBuf,
}

impl SampleFiles {
    /// For this run.
    pub fn new(run: &RunDirectory) -> Self {
        SampleFiles { folder: run.samples(), last: run.path().join("samples.png") }
    }
}

impl Observer for SampleFiles {
    fn name(&self) -> &'static str {
        "samples"
    }

    fn sampled(&mut self, samples: &Samples<'_>) -> Result<Next> {
        samples.grid.save_png(&self.folder.join(sample_grid_name(samples.step)))?;
        if samples.last {
            samples.grid.save_png(&self.last)?;
        }
        Ok(Next::GoOn)
    }

    /// Grids of steps that are about to be done again go.
    fn restored(&mut self, step: u64, _: &Value) -> Result<()> {
        let cannot = |e| Error::cannot_write(&self.folder, &e);
        fs::create_dir_all(&self.folder).map_err(cannot)?;
        for entry in fs::read_dir(&self.folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.strip_prefix("step-").and_then(|name| name.strip_suffix(".png"));
            if number.and_then(|n| n.parse::<u64>().ok()).is_some_and(|number| number > step) {
                fs::remove_file(&path).map_err(|e| Error::cannot_write(&path, &e))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_of_later_steps_go_when_a_run_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(&folder.path().join("run")).unwrap();
        for name in ["step-000010.png", "step-000020.png", "step-1000000.png", "notes.txt", "step-x.png"] {
            fs::write(run.samples().join(name), "").unwrap();
        }
        SampleFiles::new(&run).restored(10, &Value::Null).unwrap();
        let mut names: Vec<_> = fs::read_dir(run.samples())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["notes.txt", "step-000010.png", "step-x.png"]);
    }
}
