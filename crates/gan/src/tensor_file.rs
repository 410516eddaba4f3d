//! Files of named tensors, in the safetensors format.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use gannet_tensor::Element;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};

/// The key under which a file says what it is.
const KEY: &str = "gannet";

/// Files of more bytes are only read if they begin as a file of tensors does.
const LARGEST_UNSEEN: u64 = 1 << 20;

/// A named tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// Its name, `generator/0.dense/kernel`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub values: Values,
}

/// The elements of a tensor in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Bytes: labels.
    U8(Vec<u8>),
}

impl Values {
    /// The values of a tensor in a backend's precision.
    pub fn of<E: Element>(values: &[E]) -> Values {
        if E::EPSILON < f64::from(f32::EPSILON) {
            Values::F64(values.iter().map(|x| x.to_f64()).collect())
        } else {
            Values::F32(values.iter().map(|x| x.to_f64() as f32).collect())
        }
    }

    /// The values in the precision asked for.
    pub fn to<E: Element>(&self) -> Vec<E> {
        match self {
            Values::F32(values) => values.iter().map(|x| E::of(f64::from(*x))).collect(),
            Values::F64(values) => values.iter().map(|x| E::of(*x)).collect(),
            Values::U8(values) => values.iter().map(|x| E::of(f64::from(*x))).collect(),
        }
    }

    fn bytes(&self) -> (Dtype, Vec<u8>) {
        match self {
            Values::F32(values) => (Dtype::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Values::F64(values) => (Dtype::F64, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Values::U8(values) => (Dtype::U8, values.clone()),
        }
    }

    fn read(dtype: Dtype, bytes: &[u8]) -> Result<Values, String> {
        // Chunks have exactly the length of a number: the format is checked before.
        Ok(match dtype {
            Dtype::F32 => Values::F32(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F64 => Values::F64(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            Dtype::U8 => Values::U8(bytes.to_vec()),
            other => return Err(format!("expected numbers of type F32, F64 or U8, got {other:?}")),
        })
    }
}

/// A file of named tensors, with a text that says what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// The text, if the file was written by this crate with one.
    pub description: Option<String>,
    /// The tensors.
    pub tensors: Vec<FileTensor>,
}

impl TensorFile {
    /// Reads a file. Errors say what the file is instead, if it is not of this format.
    pub fn read(path: impl AsRef<Path>) -> Result<TensorFile> {
        let path = path.as_ref();
        let bytes = read_whole(path)?;
        TensorFile::parse(&bytes).map_err(|message| Error::file(path, message))
    }

    /// Reads a file from memory. Errors with a sentence for people; never panics, whatever the bytes.
    pub fn parse(bytes: &[u8]) -> Result<TensorFile, String> {
        let file = deserialize(bytes)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| not_one(&diagnose(bytes, &e)))?;
        let description = header.metadata().as_ref().and_then(|m| m.get(KEY)).cloned();
        let mut tensors = Vec::new();
        for (name, view) in file.iter() {
            let values =
                Values::read(view.dtype(), view.data()).map_err(|e| format!("tensor '{name}': {e}"))?;
            tensors.push(FileTensor { name: name.into(), shape: view.shape().to_vec(), values });
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(TensorFile { description, tensors })
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&FileTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The bytes of the file: the same tensors always give the same bytes. Errors when a tensor does not have as
    /// many elements as its shape.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let data: Vec<(Dtype, Vec<u8>)> = self.tensors.iter().map(|tensor| tensor.values.bytes()).collect();
        let mut views = Vec::new();
        for (tensor, (dtype, bytes)) in self.tensors.iter().zip(&data) {
            let view = TensorView::new(*dtype, tensor.shape.clone(), bytes)
                .map_err(|e| format!("tensor '{}': {e}", tensor.name))?;
            views.push((tensor.name.as_str(), view));
        }
        let description = self.description.as_ref();
        let metadata = description.map(|text| HashMap::from([(KEY.to_owned(), text.clone())]));
        safetensors::serialize(views, metadata).map_err(|e| e.to_string())
    }

    /// Writes the file beside its place and renames it, so that it is never there by half.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let bytes = self.to_bytes().map_err(|message| Error::file(path.as_ref(), message))?;
        write_whole(path.as_ref(), &bytes)
    }
}

/// The tensors of a safetensors file, whatever they are. Errors with a sentence for people.
pub(crate) fn deserialize(bytes: &[u8]) -> Result<SafeTensors<'_>, String> {
    if let Some(kind) = foreign(bytes) {
        return Err(not_one(&format!("this is {kind}")));
    }
    SafeTensors::deserialize(bytes).map_err(|e| not_one(&diagnose(bytes, &e)))
}

fn not_one(reason: &str) -> String {
    format!("{reason}; expected a safetensors file")
}

/// Reads the bytes of a file of tensors. One whose beginning says that it is of another kind is refused before it fills
/// the memory: a film is larger than any model.
pub fn read_whole(path: &Path) -> Result<Vec<u8>> {
    let io = |source| Error::Io { path: path.into(), source };
    let mut file = fs::File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut bytes = Vec::new();
    (&mut file).take(16).read_to_end(&mut bytes).map_err(io)?;
    if length > LARGEST_UNSEEN && bytes.get(8) != Some(&b'{') {
        let kind = foreign(&bytes).unwrap_or("a file of another kind");
        return Err(Error::file(path, not_one(&format!("this is {kind}"))));
    }
    file.read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Writes `bytes` beside `path` and renames the file: at `path` there is the old file or the whole new one.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| Error::Io { path: path.into(), source };
    let name = path.file_name().ok_or_else(|| Error::file(path, "expected the path of a file"))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is left of it is of no use; the first error is the one to report.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(io)
}

/// What a file of another kind is, by its first bytes.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: &[(&[u8], &str)] = &[
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"\x89HDF", "an HDF5 file (Keras .h5)"),
        (b"PK\x03\x04", "a ZIP archive (PyTorch .pt, Keras .keras or NumPy .npz)"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x1f\x8b", "a gzip file"),
        (b"GGUF", "a GGUF file"),
        (b"\x80\x02", "a Python pickle"),
        (b"\x00\x00\x08\x03", "an IDX file of images"),
        (b"\x00\x00\x08\x01", "an IDX file of labels"),
    ];
    if bytes.is_empty() {
        return Some("an empty file");
    }
    // The length of a safetensors header could begin with the shorter ones: it is followed by a brace.
    if bytes.get(8) == Some(&b'{') {
        return None;
    }
    KINDS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

/// What is wrong with a file that does not parse.
fn diagnose(bytes: &[u8], error: &safetensors::SafeTensorError) -> String {
    let header = bytes.first_chunk().map(|b| u64::from_le_bytes(*b));
    match header {
        None => format!("this file is only {} bytes long", bytes.len()),
        Some(n) if bytes.get(8) == Some(&b'{') && n.saturating_add(8) > bytes.len() as u64 => {
            format!("this file is truncated: its header takes {n} bytes, {} are left", bytes.len() - 8)
        }
        Some(_) if bytes.get(8) == Some(&b'{') => {
            format!("this file is truncated or damaged ({error})")
        }
        Some(_) => "this is a file of another kind".to_owned(),
    }
}
