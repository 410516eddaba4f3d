//! What a training run leaves on the disk.
//!
//! ```text
//! runs/cdcgan-1/
//!   config.toml         every setting
//!   losses.csv          step,d_real,d_fake,g
//!   samples/step-000188.png
//!   samples.png         the last of them
//!   model.safetensors   generator, its average, discriminator
//!   classifier.safetensors  what --classifier named, if it did
//!   checkpoints/        the last moments that the run can go on from
//! ```
//!
//! Whoever trains holds a lock on `checkpoints/lock`, which ends with the process.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gannet_data::{DataRecord, files};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::{Error, Result};
use crate::training::MetricsSettings;

/// The run directory that a model belongs to, which is named by its directory or by a file in it.
pub fn run_of(model: &Path) -> Option<&Path> {
    if model.is_dir() { Some(model) } else { model.parent() }
}

/// What the run in a folder wrote down of its images, if there is a run that did.
pub fn data_of_run(folder: &Path) -> Result<Option<DataRecord>> {
    let path = folder.join(CONFIG);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(Error::cannot_read(&path, &e)),
    };
    #[derive(Deserialize)]
    struct Settings {
        data: Option<DataRecord>,
    }
    let settings: Settings = toml::from_str(&text).map_err(|e| Error::in_toml(&path, &text, &e))?;
    Ok(settings.data)
}

/// The name of the model in a run directory.
pub const MODEL: &str = "model.safetensors";

/// The name of the settings in a run directory.
const CONFIG: &str = "config.toml";
/// The name of the folder of checkpoints in a run directory.
const CHECKPOINTS: &str = "checkpoints";

/// Every setting of a run, as config.toml shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Time or steps between two checkpoints, as `--checkpoint-every` takes it.
    pub checkpoint_every: String,
    /// How many checkpoints are kept.
    pub keep_checkpoints: usize,
    /// What all random numbers follow from.
    pub seed: u64,
    /// What `--device` came to.
    pub device: String,
    /// What `--adapter` chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The device in words.
    pub device_description: String,
    /// Threads of the device.
    pub threads: usize,
    /// The command that began the run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// What is measured meanwhile.
    #[serde(default)]
    pub metrics: MetricsSettings,
    /// The training images.
    pub data: DataRecord,
    /// The networks, losses and optimisers that all of this came to: a model file.
    pub model: toml::Table,
}

impl Config {
    /// As config.toml has it.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(Error::failure)
    }

    /// What config.toml says that is not so, if someone changed it: a setting, what it is there, and what it is.
    fn changed_in(&self, text: &str) -> std::result::Result<(), String> {
        let found: toml::Table = text.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
        let own: toml::Table = toml::Table::try_from(self).map_err(|e| e.to_string())?;
        // What a run's going on changes may lag behind in the file.
        const LAG: [&str; 10] = [
            "version",
            "steps",
            "images",
            "checkpoint_every",
            "keep_checkpoints",
            "device",
            "adapter",
            "device_description",
            "threads",
            "model.steps",
        ];
        let say = |value: Option<&toml::Value>| match value {
            None => "missing".into(),
            Some(toml::Value::Table(_)) => "a table".into(),
            Some(value) => value.to_string().chars().take(100).collect::<String>(),
        };
        if let Some((path, found, own)) = difference(&found, &own, "", &LAG) {
            return Err(format!("{path} is {}, but in this run it is {}", say(found), say(own)));
        }
        match found.get("steps").and_then(toml::Value::as_integer) {
            Some(steps) if steps > self.steps as i64 => Err(format!(
                "steps is {steps}, but the run takes {}; `resume --steps MORE` makes it longer",
                self.steps
            )),
            _ => Ok(()),
        }
    }
}

type Difference<'a> = (String, Option<&'a toml::Value>, Option<&'a toml::Value>);

/// The first entry that is not the same in both tables, with both values, but for the paths in `except`.
fn difference<'a>(
    a: &'a toml::Table,
    b: &'a toml::Table,
    prefix: &str,
    except: &[&str],
) -> Option<Difference<'a>> {
    b.keys().chain(a.keys().filter(|key| !b.contains_key(*key))).find_map(|key| {
        let path = format!("{prefix}{key}");
        match (a.get(key), b.get(key)) {
            _ if except.contains(&path.as_str()) => None,
            (Some(toml::Value::Table(a)), Some(toml::Value::Table(b))) => {
                difference(a, b, &format!("{path}."), except)
            }
            (a, b) if a == b => None,
            (a, b) => Some((path, a, b)),
        }
    })
}

/// A directory that belongs to one run, and to this process as long as this is not dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
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
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir_all(&samples).and_then(|()| fs::create_dir_all(&checkpoints)).map_err(|e| {
            Error::failure(format!("cannot create the run directory {}: {e}", path.display()))
        })?;
        Ok(RunDirectory { path: path.to_path_buf(), _lock: lock(path)? })
    }

    /// Opens the directory of a run that goes on, and removes what a process that was stopped left half-written. Errors
    /// when there is no such run, when another process trains it, or when it cannot be written to.
    pub fn open(path: &Path) -> Result<Self> {
        let wrong = |what: &str| {
            Error::failure(format!("{} {what}; expected the directory of a run", path.display()))
        };
        if path.is_file() {
            return Err(wrong("is a file"));
        }
        if !path.exists() {
            return Err(wrong("does not exist"));
        }
        let checkpoints = path.join(CHECKPOINTS);
        if !checkpoints.is_dir() {
            return Err(wrong("has no folder 'checkpoints'"));
        }
        let run = RunDirectory { path: path.to_path_buf(), _lock: lock(path)? };
        for folder in [run.path.clone(), run.samples(), checkpoints] {
            match disk::sweep(&folder) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::cannot_write(&folder, &e)),
                _ => {}
            }
        }
        Ok(run)
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

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Where the model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Writes config.toml.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        Ok(files::write_whole(&self.path.join(CONFIG), config.to_toml()?.as_bytes())?)
    }

    /// Errors if config.toml says something else than the settings that the run has: a change there would change
    /// nothing. That it is missing is no error.
    pub fn check_config(&self, config: &Config) -> Result<()> {
        let path = self.path.join(CONFIG);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::cannot_read(&path, &e)),
        };
        config.changed_in(&text).map_err(|message| {
            Error::failure(format!(
                "{}: {message}; this file records the settings and does not set them: put it back, or delete it to \
                 have it written anew",
                path.display()
            ))
        })
    }

    /// The folder of the sample grids.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples")
    }
}

/// Takes the lock of a run, which ends with the process.
fn lock(run: &Path) -> Result<File> {
    let path = run.join(CHECKPOINTS).join("lock");
    let cannot = |e| Error::cannot_write(&path, &e);
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::failure(format!(
            "{} is in use: another process trains this run; wait for its end or stop it first",
            run.display()
        ))),
        // A file system without locks: nothing can be done, and training need not fail for it.
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(e)) => Err(cannot(e)),
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

    #[test]
    fn a_run_belongs_to_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDirectory::create(&path).unwrap();
        fs::write(path.join("checkpoints/.step-000001.safetensors.77.part"), "half").unwrap();
        let message = RunDirectory::open(&path).unwrap_err().to_string();
        assert!(message.contains("in use") && message.contains("run"), "{message}");
        assert!(path.join("checkpoints/.step-000001.safetensors.77.part").exists());
        drop(run);
        RunDirectory::open(&path).unwrap();
        assert_eq!(fs::read_dir(path.join("checkpoints")).unwrap().count(), 1, "the lock alone is left");
    }

    #[test]
    fn what_is_no_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for (path, what) in [
            (file.clone(), "is a file"),
            (folder.path().join("none"), "does not exist"),
            (folder.path().into(), "has no folder 'checkpoints'"),
        ] {
            let message = RunDirectory::open(&path).unwrap_err().to_string();
            assert!(message.contains(what) && message.contains("directory of a run"), "{message}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
