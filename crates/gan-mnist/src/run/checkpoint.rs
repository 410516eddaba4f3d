//! Checkpoints: everything that a run needs to go on, in one file.
//!
//! `checkpoints/step-000500.safetensors` is a model file, so that `generate` and `evaluate` take it too, with two more
//! tensors of bytes: `run/state`, a [`State`] as JSON, and `run/sha256`, the digest of all the rest. It is written beside
//! its place, brought to the disk and renamed, so that it is whole or not there.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use gannet::tensor_file::{FileTensor, TensorFile, Values};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::config::Config;
use super::disk::{Disk, write_durably};
use crate::error::{Error, Result};
use crate::terminal::note;

/// The version of this format.
const FORMAT: u32 = 1;
const STATE: &str = "run/state";
const DIGEST: &str = "run/sha256";

/// What a run has to know again besides its GAN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version of the format.
    pub format: u32,
    /// The steps that are done.
    pub step: u64,
    /// How long the run has trained, in seconds.
    pub elapsed: f64,
    /// The settings, as config.toml shows them.
    pub settings: String,
    /// The length of each log.
    pub logs: BTreeMap<String, u64>,
    /// What each observer has to know again.
    pub observers: BTreeMap<String, Value>,
}

impl State {
    /// A state in this version's format.
    pub fn new(step: u64, settings: &Config) -> Result<Self> {
        Ok(State {
            format: FORMAT,
            step,
            elapsed: 0.0,
            settings: settings.to_toml()?,
            logs: BTreeMap::new(),
            observers: BTreeMap::new(),
        })
    }

    /// Whether an observer found that a collapse may have begun.
    pub fn is_suspect(&self) -> bool {
        self.observers.values().any(|state| state["suspect"] == Value::Bool(true))
    }
}

/// A checkpoint, read and checked.
#[derive(Debug)]
pub struct Checkpoint {
    /// What the run has to know again.
    pub state: State,
    /// The GAN.
    pub model: TensorFile,
    /// Where it was.
    pub path: PathBuf,
}

/// The folder of a run's checkpoints.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
    /// The step of the newest that is not suspect, which stays whatever its age.
    good: Cell<Option<u64>>,
}

impl Checkpoints {
    /// Those in `folder`, of which the newest `keep` stay, and the newest from before a collapse.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Checkpoints { folder, keep: keep.max(1), good: Cell::new(None) }
    }

    /// Writes a checkpoint, and then removes those that are older than the last few. After an error the older ones are
    /// all there.
    pub fn save(&self, disk: &dyn Disk, state: &State, mut model: TensorFile) -> Result<PathBuf> {
        let bytes = |name: &str, values: Vec<u8>| FileTensor {
            name: name.into(),
            shape: vec![values.len()],
            values: Values::U8(values),
        };
        model.tensors.push(bytes(STATE, serde_json::to_vec(state).map_err(Error::failure)?));
        model.tensors.push(bytes(DIGEST, digest(&model)));
        let path = self.path(state.step);
        let cannot = |e: io::Error| Error::failure(format!("cannot save {}: {e}", path.display()));
        let file = model.to_bytes().map_err(|e| cannot(io::Error::other(e)))?;
        write_durably(disk, &path, &file).map_err(cannot)?;
        if !state.is_suspect() {
            self.good.set(Some(state.step));
        }
        // From here on the new one is safe. An old one that cannot be removed is removed next time.
        let found = self.list().unwrap_or_default();
        for (step, old) in found.iter().filter(|(step, _)| *step < state.step).skip(self.keep - 1) {
            if self.good.get() != Some(*step) {
                let _ = disk.remove(old);
            }
        }
        Ok(path)
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.list().map_or(true, |found| found.is_empty())
    }

    /// The newest checkpoint that is whole. Those that are damaged are put aside, with a note. Errors when there is
    /// none, or when it was written by a version that has another format.
    pub fn newest(&self) -> Result<Checkpoint> {
        let found = match self.list() {
            Ok(found) => found,
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::cannot_read(&self.folder, &e)),
        };
        let mut damaged = None;
        for (_, path) in found {
            match read(&path)? {
                Ok(checkpoint) => {
                    if damaged.is_some() {
                        note(&format!("goes on from {} instead", path.display()));
                    }
                    return Ok(checkpoint);
                }
                Err(message) => {
                    let message = format!("{} is damaged: {message}", path.display());
                    note(&message);
                    let mut aside = path.clone().into_os_string();
                    aside.push(".damaged");
                    fs::rename(&path, aside).map_err(|e| Error::cannot_write(&path, &e))?;
                    damaged = Some(message);
                }
            }
        }
        let folder = self.folder.display();
        Err(Error::failure(match damaged {
            Some(message) => format!("{message}; and no other checkpoint is in {folder}"),
            None => format!(
                "there is no checkpoint in {folder}, so this run cannot go on; `gan-mnist train` begins a new one"
            ),
        }))
    }

    /// The newest checkpoint that no observer found suspect, or the newest there is.
    pub fn newest_good(&self) -> Result<Checkpoint> {
        let newest = self.newest()?;
        if newest.state.is_suspect() {
            let older = self.list().map_err(|e| Error::cannot_read(&self.folder, &e))?;
            for (_, path) in older {
                if let Ok(checkpoint) = read(&path)?
                    && !checkpoint.state.is_suspect()
                {
                    return Ok(checkpoint);
                }
            }
        }
        Ok(newest)
    }

    /// The newest that is not suspect, of those that were seen so far; nothing where that is the newest of all.
    pub fn before_collapse(&self) -> Option<PathBuf> {
        let (newest, _) = self.list().ok()?.into_iter().next()?;
        let good = self.good.get().filter(|step| *step < newest)?;
        Some(self.path(good))
    }

    /// What a checkpoint that was read counts for: it stays until there is a better one.
    pub fn know(&self, checkpoint: &Checkpoint) {
        if !checkpoint.state.is_suspect() {
            self.good.set(Some(checkpoint.state.step));
        }
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:06}.safetensors"))
    }

    /// The number of steps and the path of each, the newest first.
    fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.strip_prefix("step-").and_then(|name| name.strip_suffix(".safetensors"));
            if let Some(step) = number.and_then(|number| number.parse().ok()) {
                found.push((step, path));
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        Ok(found)
    }
}

/// Reads a checkpoint. The inner error says in what way it is damaged; the outer one is for what no other checkpoint
/// would help with.
fn read(path: &Path) -> Result<std::result::Result<Checkpoint, String>> {
    let bytes = fs::read(path).map_err(|e| Error::cannot_read(path, &e))?;
    let mut model = match TensorFile::parse(&bytes) {
        Ok(model) => model,
        Err(message) => return Ok(Err(message)),
    };
    drop(bytes);
    let mut take = |name: &str| {
        let at = model.tensors.iter().position(|tensor| tensor.name == name)?;
        match model.tensors.remove(at).values {
            Values::U8(bytes) => Some(bytes),
            _ => None,
        }
    };
    let Some(expected) = take(DIGEST) else { return Ok(Err(format!("the tensor '{DIGEST}' is missing"))) };
    if digest(&model) != expected {
        return Ok(Err("its SHA-256 digest is not that of its contents".into()));
    }
    let mut take = |name: &str| {
        let at = model.tensors.iter().position(|tensor| tensor.name == name)?;
        match model.tensors.remove(at).values {
            Values::U8(bytes) => Some(bytes),
            _ => None,
        }
    };
    let Some(state) = take(STATE) else { return Ok(Err(format!("the tensor '{STATE}' is missing"))) };
    /// What every version can read.
    #[derive(Deserialize)]
    struct Any {
        format: u32,
    }
    let path = path.to_path_buf();
    match serde_json::from_slice::<Any>(&state) {
        Ok(any) if any.format == FORMAT => {}
        Ok(any) => {
            return Err(Error::failure(format!(
                "{} has the format {} of another version of this program; version {} reads format {FORMAT}",
                path.display(),
                any.format,
                env!("CARGO_PKG_VERSION")
            )));
        }
        Err(e) => return Ok(Err(e.to_string())),
    }
    Ok(serde_json::from_slice(&state)
        .map(|state| Checkpoint { state, model, path })
        .map_err(|e| e.to_string()))
}

/// The SHA-256 digest of everything in a file: the description, and the name, shape and elements of each tensor.
fn digest(file: &TensorFile) -> Vec<u8> {
    let mut tensors: Vec<&FileTensor> = file.tensors.iter().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = Sha256::new();
    let text = |hash: &mut Sha256, text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    text(&mut hash, file.description.as_deref().unwrap_or_default());
    let mut buffer = Vec::new();
    for tensor in tensors {
        text(&mut hash, &tensor.name);
        text(&mut hash, &format!("{:?}", tensor.shape));
        match &tensor.values {
            Values::U8(bytes) => hash.update(bytes),
            Values::F32(values) => {
                for chunk in values.chunks(4096) {
                    buffer.clear();
                    buffer.extend(chunk.iter().flat_map(|x| x.to_le_bytes()));
                    hash.update(&buffer);
                }
            }
            Values::F64(values) => {
                for chunk in values.chunks(4096) {
                    buffer.clear();
                    buffer.extend(chunk.iter().flat_map(|x| x.to_le_bytes()));
                    hash.update(&buffer);
                }
            }
        }
    }
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Os;

    fn state(step: u64) -> State {
        State {
            format: FORMAT,
            step,
            elapsed: 1.5,
            settings: String::new(),
            logs: BTreeMap::from([("losses.csv".into(), 77)]),
            // A number that a sloppy parser rounds.
            observers: BTreeMap::from([("a".into(), serde_json::json!(0.1 + 0.2))]),
        }
    }

    fn model() -> TensorFile {
        let values = Values::F32(vec![1.0, -0.5, f32::MIN_POSITIVE]);
        let tensor = FileTensor { name: "a".into(), shape: vec![3], values };
        TensorFile { description: Some("text".into()), tensors: vec![tensor] }
    }

    #[test]
    fn the_newest_are_kept_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().into(), 2);
        for step in [0, 10, 999_999, 1_000_000] {
            checkpoints.save(&Os, &state(step), model()).unwrap();
        }
        let kept = checkpoints.list().unwrap();
        assert_eq!(kept.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1_000_000, 999_999]);
        let newest = checkpoints.newest().unwrap();
        assert_eq!((newest.state, newest.model), (state(1_000_000), model()));
    }

    #[test]
    fn the_last_from_before_a_collapse_stays() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().into(), 2);
        let suspect = |step| {
            let observers = BTreeMap::from([("metrics".into(), serde_json::json!({ "suspect": true }))]);
            State { observers, ..state(step) }
        };
        let steps = || {
            let mut steps: Vec<u64> = checkpoints.list().unwrap().into_iter().map(|(step, _)| step).collect();
            steps.sort_unstable();
            steps
        };
        for step in [1, 2] {
            checkpoints.save(&Os, &state(step), model()).unwrap();
        }
        assert_eq!(checkpoints.before_collapse(), None);
        for step in [3, 4, 5, 6] {
            checkpoints.save(&Os, &suspect(step), model()).unwrap();
        }
        assert_eq!(steps(), [2, 5, 6]);
        assert_eq!(checkpoints.before_collapse(), Some(folder.path().join("step-000002.safetensors")));
        // Who goes on with the run knows it too.
        let later = Checkpoints::new(folder.path().into(), 2);
        later.know(&later.newest_good().unwrap());
        later.save(&Os, &suspect(7), model()).unwrap();
        assert_eq!(steps(), [2, 6, 7]);
        checkpoints.save(&Os, &state(8), model()).unwrap();
        checkpoints.save(&Os, &state(9), model()).unwrap();
        assert_eq!(steps(), [8, 9]);
    }

    #[test]
    fn every_flipped_byte_and_every_missing_end_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = Checkpoints::new(folder.path().into(), 2).save(&Os, &state(1), model()).unwrap();
        let bytes = fs::read(&path).unwrap();
        read(&path).unwrap().unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(read(&path).unwrap().is_err(), "byte {at}");
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(read(&path).unwrap().is_err(), "{at} bytes");
        }
    }

    #[test]
    fn another_format_is_an_error_and_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().into(), 2);
        checkpoints.save(&Os, &State { format: 99, ..state(3) }, model()).unwrap();
        let message = checkpoints.newest().unwrap_err().to_string();
        assert!(message.contains("step-000003.safetensors has the format 99"), "{message}");
        assert!(folder.path().join("step-000003.safetensors").exists());
    }
}
