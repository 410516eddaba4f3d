//! What the dispatches of a program keep to.

use serde::{Deserialize, Serialize};

/// Alignments of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The offset of a storage binding is a multiple of it.
    pub storage_alignment: usize,
    /// The offset of a uniform binding is a multiple of it.
    pub uniform_alignment: usize,
}

impl Default for Limits {
    /// WebGPU's default limits, which every device of a browser allows.
    fn default() -> Limits {
        Limits { storage_alignment: 256, uniform_alignment: 256 }
    }
}
