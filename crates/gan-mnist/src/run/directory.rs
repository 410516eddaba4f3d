//! What a training run leaves on the disk.
//!
//! ```text
//! runs/cdcgan-1/
//!   config.toml         every setting
//!   pictures.manifest   which pictures it is trained on: names, lengths, hashes, classes
//!   left_out.txt        files that could not be used, if there were any
//!   real.png            training images as the networks see them
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

use gannet_data::pictures::{Manifest, Summary};
use gannet_data::{DataSet, files};

use super::config::{CONFIG, Config};
use super::disk;
use super::losses_file::LOSSES;
use super::metrics_file::METRICS;
use super::sample_grids::SAMPLES;
use crate::error::{Error, Result};

/// The run directory that a model belongs to, which is named by its directory or by a file in it.
pub fn run_of(model: &Path) -> Option<&Path> {
    if model.is_dir() { Some(model) } else { model.parent() }
}

/// The name of the model in a run directory.
pub const MODEL: &str = "model.safetensors";

/// The name of the model that scored best among those that were evaluated in a run.
pub const BEST: &str = "best.safetensors";

/// The name of the classifier that evaluations compare the features of, where a run has one of its own.
pub const CLASSIFIER: &str = "classifier.safetensors";
/// The name of TensorBoard's event file in a run directory.
pub const EVENTS: &str = "events.out.tfevents";

/// The name of the list of pictures in a run directory.
const MANIFEST: &str = "pictures.manifest";
/// The name of the list of files that were left out.
const LEFT_OUT: &str = "left_out.txt";
/// The name of the grid of training images in a run directory.
pub const REAL: &str = "real.png";
/// The name of the folder of checkpoints in a run directory.
const CHECKPOINTS: &str = "checkpoints";

/// A directory that belongs to one run, and to this process as long as this is not dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Holds the lock.
    #[allow(dead_code)] // it is there to be dropped
    lock: File,
}

impl RunDirectory {
    /// Creates `path`, parents included. A directory that exists already must be empty, or that of a run that was stopped
    /// before its first checkpoint, which is made anew.
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
        if taken && is_unbegun(path) {
            let lock = lock(path)?;
            remove_unbegun(path, lock).map_err(|e| Error::cannot_write(path, &e))?;
        } else if taken {
            return Err(Error::failure(format!(
                "{} exists and is not empty: name another --out, or leave it out for a new runs/PRESET-N",
                path.display()
            )));
        }
        let samples = path.join(SAMPLES);
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir_all(&samples).and_then(|()| fs::create_dir_all(&checkpoints)).map_err(|e| {
            Error::failure(format!("cannot create the run directory {}: {e}", path.display()))
        })?;
        Ok(RunDirectory { path: path.to_path_buf(), lock: lock(path)? })
    }

    /// Removes the directory of a run that came to nothing: it has no checkpoint yet, so nothing is lost, and the same
    /// command can be tried again. Any other stays.
    pub fn remove_if_unbegun(self) {
        let RunDirectory { path, lock } = self;
        if is_unbegun(&path) {
            // What cannot be removed is said to be in the way next time.
            let _ = remove_unbegun(&path, lock);
        }
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
        let run = RunDirectory { path: path.to_path_buf(), lock: lock(path)? };
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

    /// Writes down which pictures the run is trained on, and what was left out, where it is trained on pictures.
    pub fn write_manifest(&self, data: &DataSet) -> Result<()> {
        let Some(manifest) = data.manifest() else { return Ok(()) };
        files::write_whole(&self.path.join(MANIFEST), &manifest.to_bytes())?;
        if !manifest.left_out.is_empty() {
            let text = Summary::left_out_lines(manifest);
            files::write_whole(&self.path.join(LEFT_OUT), text.as_bytes())?;
        }
        Ok(())
    }

    /// The pictures that the run is trained on, if it wrote them down. Errors when the list cannot be read.
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let path = self.path.join(MANIFEST);
        match fs::read(&path) {
            Ok(bytes) => Manifest::from_bytes(&bytes).map(Some).ok_or_else(|| {
                Error::failure(format!(
                    "{}: this list of the run's pictures is damaged; without it the run goes on with the pictures that \
                     it began with: delete it",
                    path.display()
                ))
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::cannot_read(&path, &e)),
        }
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
        self.path.join(SAMPLES)
    }
}

/// What stands in the directory of a run before its first checkpoint.
const AT_FIRST: [&str; 10] =
    [CONFIG, MANIFEST, LEFT_OUT, REAL, LOSSES, METRICS, CLASSIFIER, EVENTS, SAMPLES, CHECKPOINTS];

/// Whether this is the directory of a run without a checkpoint, and with nothing else in it that was worth keeping.
fn is_unbegun(path: &Path) -> bool {
    let names = |folder: &Path| -> Option<Vec<String>> {
        let entries = fs::read_dir(folder).ok()?;
        entries.map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    };
    let half = |name: &String| name.starts_with('.') && name.ends_with(".part");
    let (Some(all), Some(checkpoints)) = (names(path), names(&path.join(CHECKPOINTS))) else { return false };
    let at_first = |name: &String| AT_FIRST.contains(&name.as_str()) || half(name);
    all.iter().all(at_first)
        && checkpoints.iter().all(|name| name == "lock" || half(name))
        && names(&path.join(SAMPLES)).is_none_or(|samples| samples.iter().all(half))
}

/// Removes such a directory.
fn remove_unbegun(path: &Path, lock: File) -> std::io::Result<()> {
    // An open file is in the way on some systems.
    drop(lock);
    fs::remove_dir_all(path)
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
        let run = RunDirectory::create(&path).unwrap();
        let message = RunDirectory::create(&path).unwrap_err().to_string();
        assert!(message.contains("in use"), "{message}");
        fs::write(run.checkpoints().join("step-000000.safetensors"), "").unwrap();
        run.remove_if_unbegun();
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
    fn what_came_to_nothing_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let half_made = || {
            let run = RunDirectory::create(&path).unwrap();
            for name in
                [CONFIG, "losses.csv", "metrics.jsonl", "checkpoints/.step-000000.safetensors.77.part"]
            {
                fs::write(path.join(name), "x").unwrap();
            }
            run
        };
        // It was killed: the next takes its place.
        drop(half_made());
        drop(half_made());
        half_made().remove_if_unbegun();
        assert!(!path.exists());
        // What is not of a run is not touched.
        drop(half_made());
        fs::write(path.join("notes.txt"), "mine").unwrap();
        let message = RunDirectory::create(&path).unwrap_err().to_string();
        assert!(message.contains("exists and is not empty"), "{message}");
        RunDirectory::open(&path).unwrap().remove_if_unbegun();
        assert_eq!(fs::read(path.join("notes.txt")).unwrap(), b"mine");
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
