//! The classifier that ships with the program.

use std::path::{Path, PathBuf};

use gannet::Backend;
use gannet::metrics::Classifier;
use gannet::tensor_file::{TensorFile, read_whole};
use gannet_data::files::{hexadecimal, write_whole};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::run::CLASSIFIER;

/// A classifier's file, and what it is called in reports.
#[derive(Debug, Clone)]
pub struct ClassifierFile {
    /// `mnist-classifier`, or the path of another.
    pub name: String,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    bytes: Vec<u8>,
    /// Where it was read, if it is not the embedded one.
    path: Option<PathBuf>,
}

impl ClassifierFile {
    /// The embedded one, for MNIST: trained by `gan-mnist train-classifier` on the training images alone. See
    /// `data/classifier/README.md`.
    pub fn embedded() -> Self {
        let bytes = include_bytes!("../../data/classifier/mnist-classifier.safetensors").to_vec();
        ClassifierFile { name: "mnist-classifier".into(), sha256: sha256(&bytes), bytes, path: None }
    }

    /// Reads another one.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_whole(path).map_err(|e| Error::failure(format!("cannot read {e}")))?;
        let name = path.display().to_string();
        Ok(ClassifierFile { name, sha256: sha256(&bytes), bytes, path: Some(path.into()) })
    }

    /// One that was just trained, which is to be called `name`.
    pub fn of<B: Backend>(name: String, classifier: &Classifier<B>) -> Result<Self> {
        let bytes = classifier.to_file()?.to_bytes().map_err(Error::failure)?;
        Ok(ClassifierFile { sha256: sha256(&bytes), path: Some(PathBuf::from(&name)), name, bytes })
    }

    /// The one in the directory of a run, if it has one of its own.
    pub fn of_run(run: &Path) -> Result<Option<Self>> {
        let path = run.join(CLASSIFIER);
        path.exists().then(|| ClassifierFile::read(&path)).transpose()
    }

    /// What a file holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is the embedded one, which is for MNIST.
    pub fn is_embedded(&self) -> bool {
        self.path.is_none()
    }

    /// Writes the file into the directory of a run.
    pub fn keep_in(&self, run: &Path) -> Result<()> {
        Ok(write_whole(&run.join(CLASSIFIER), &self.bytes)?)
    }

    /// The classifier on a device. Errors when the file holds none.
    pub fn load<B: Backend>(&self, backend: &B) -> Result<Classifier<B>> {
        let place = |message: String| match &self.path {
            Some(path) => Error::failure(format!("{}: {message}", path.display())),
            None => Error::failure(message),
        };
        let file = TensorFile::parse(&self.bytes).map_err(place)?;
        Classifier::from_file(backend, &file).map_err(|e| place(e.to_string()))
    }
}

fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use gannet::Reference;

    use super::*;

    #[test]
    fn the_embedded_classifier_is_the_one_that_its_readme_describes() {
        let file = ClassifierFile::embedded();
        let readme = include_str!("../../data/classifier/README.md");
        assert!(readme.contains(&file.sha256), "{} does not stand in the README", file.sha256);
        let classifier = file.load(&Reference::<f32>::new()).unwrap();
        let record = classifier.record().unwrap();
        assert_eq!((record.training_images, record.test_images), (60_000, 10_000));
        assert!(record.test_correct >= 9_900, "{record:?}");
        let accuracy = format!("{:.2} %", record.test_correct as f64 / 100.0);
        assert!(readme.contains(&accuracy), "{accuracy} does not stand in the README");
    }

    #[test]
    fn files_of_another_kind_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        assert!(ClassifierFile::read(&path).unwrap_err().to_string().contains("x.safetensors"));
        std::fs::write(&path, b"\x89PNG and so on").unwrap();
        let message =
            ClassifierFile::read(&path).unwrap().load(&Reference::<f32>::new()).unwrap_err().to_string();
        assert!(message.contains("x.safetensors") && message.contains("a PNG image"), "{message}");
    }
}
