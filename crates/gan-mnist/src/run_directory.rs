//! What a training run leaves on the disk.
//!
//! ```text
//! runs/cdcgan-1/
//!   config.toml         every setting
//!   losses.csv          step,d_real,d_fake,g
//!   samples/step-000188.png
//!   samples.png         the last of them
//!   model.safetensors   generator, its average, discriminator
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::data::DataRecord;
use crate::error::{Error, Result};
use crate::files;

/// The name of the model in a run directory.
pub const MODEL: &str = "model.safetensors";

/// Every setting of a run, as config.toml shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The version of the program.
    pub version: String,
    /// The name of the networks and the recipe.
    pub preset: String,
    /// How many steps the run takes.
    pub steps: u64,
    /// How many images it sees: steps times batch size.
    pub images: u64,
    /// Images per step.
    pub batch_size: usize,
    /// Adam's learning rate at the start.
    pub learning_rate: f64,
    /// Steps between two sample grids.
    pub sample_every: u64,
    /// What all random numbers follow from.
    pub seed: u64,
    /// What `--device` came to.
    pub device: String,
    /// The device in words.
    pub device_description: String,
    /// Threads of the device.
    pub threads: usize,
    /// The training images.
    pub data: DataRecord,
    /// The networks, losses and optimisers that all of this came to: a model file.
    pub model: toml::Table,
}

/// A directory that belongs to one run.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Creates `path`, parents included. A directory that exists already must be empty.
    pub fn create(path: &Path) -> Result<Self> {
        let taken = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) if e.kind() == ErrorKind::NotFound => false,
            Err(_) if path.is_file() => {
                let path = path.display();
                return Err(Error::failure(format!(
                    "{path} is a file: --out names a new or an empty folder"
                )));
            }
            Err(e) => return Err(Error::failure(format!("cannot use {} for a run: {e}", path.display()))),
        };
        if taken {
            return Err(Error::failure(format!(
                "{} exists and is not empty: name another --out, or leave it out for a new runs/PRESET-N",
                path.display()
            )));
        }
        let samples = path.join("samples");
        fs::create_dir_all(&samples).map_err(|e| {
            Error::failure(format!("cannot create the run directory {}: {e}", path.display()))
        })?;
        Ok(RunDirectory { path: path.to_path_buf() })
    }

    /// Creates the first `PRESET-N` below `runs` that does not exist, N counting from 1.
    pub fn create_next(runs: &Path, preset: &str) -> Result<Self> {
        let cannot = |path: &Path, e| {
            Error::failure(format!("cannot create the run directory {}: {e}", path.display()))
        };
        fs::create_dir_all(runs).map_err(|e| cannot(runs, e))?;
        let mut number = 1u64;
        loop {
            let path = runs.join(format!("{preset}-{number}"));
            // Creating is the test, so that of two runs started together each gets its own.
            match fs::create_dir(&path) {
                Ok(()) => return RunDirectory::create(&path),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(cannot(&path, e)),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Writes config.toml.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let text = toml::to_string(config).map_err(Error::failure)?;
        files::write_whole(&self.path.join("config.toml"), text.as_bytes())
    }

    /// The folder of the sample grids.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_count_up_and_never_share() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        for number in 1..=3 {
            let run = RunDirectory::create_next(&runs, "tiny").unwrap();
            assert_eq!(run.path(), runs.join(format!("tiny-{number}")));
        }
        fs::remove_dir_all(runs.join("tiny-2")).unwrap();
        assert_eq!(RunDirectory::create_next(&runs, "tiny").unwrap().path(), runs.join("tiny-2"));
    }

    #[test]
    fn a_directory_in_use_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/run");
        RunDirectory::create(&path).unwrap();
        let message = RunDirectory::create(&path).unwrap_err().to_string();
        assert!(message.contains("exists and is not empty") && message.contains("deep/run"), "{message}");
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = RunDirectory::create(&path).unwrap_err();
            assert!(error.to_string().contains("file"), "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }
}
