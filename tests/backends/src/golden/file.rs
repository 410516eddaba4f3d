//! A golden file.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;

/// A tensor of a golden file.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f64>,
}

/// A golden file.
#[derive(Debug)]
pub struct File {
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// What the file says about itself.
    pub metadata: BTreeMap<String, String>,
}

impl File {
    /// Reads a file.
    ///
    /// # Panics
    /// When it is not there, or is no safetensors file of float64.
    pub fn read(path: &Path) -> File {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let here = |e| -> ! { panic!("{}: {e}", path.display()) };
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap_or_else(|e| here(e));
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let tensors = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| here(e));
        let tensors = tensors.tensors().into_iter().map(|(name, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F64, "{name}");
            let values =
                view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes")));
            (name, Tensor { shape: view.shape().to_vec(), values: values.collect() })
        });
        File { tensors: tensors.collect(), metadata }
    }

    /// A tensor.
    ///
    /// # Panics
    /// When the file has none of that name.
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("the golden file has no tensor '{name}'"))
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        let text = self.metadata.get(name).unwrap_or_else(|| panic!("the metadata lack '{name}'"));
        text.parse().unwrap_or_else(|_| panic!("'{name}' is no number: {text}"))
    }
}
