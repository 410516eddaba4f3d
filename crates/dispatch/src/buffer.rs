//! Buffers of a device, as data.

use serde::{Deserialize, Serialize};

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BufferKind {
    /// Keeps its value from run to run; shared by all programs that name it.
    Variable,
    /// One input, written by the host.
    Input,
    /// Inputs of few elements, written by the host together.
    SmallInputs,
    /// Written once, before the first run.
    Constant,
    /// Written and read within a run.
    Temporary,
}

/// A buffer of a device. It is zero at first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// What it holds, for people; of a variable its name.
    pub label: String,
    /// What it is for.
    pub kind: BufferKind,
    /// Its size, a multiple of 16.
    pub bytes: usize,
}

/// A part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The number of the buffer.
    pub buffer: usize,
    /// Its first byte.
    pub offset: usize,
    /// How many bytes.
    pub bytes: usize,
}

/// Numbers that are written once, before the first run.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Where they go.
    pub region: Region,
    /// As many as the region has room for; or one, which then is everywhere in it.
    pub values: Vec<f32>,
}

/// The bytes of a buffer for `elements` numbers of 4 bytes.
pub fn buffer_bytes(elements: usize) -> usize {
    (elements * 4).max(16).next_multiple_of(16)
}
