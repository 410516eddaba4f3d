//! A shader in a file: all that a runtime needs to make a pipeline of it.

use std::borrow::Cow;

use gannet_shaders::{Access, Shader};
use serde::{Deserialize, Serialize};

/// How a shader uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShaderAccess {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// One storage buffer of a shader, bound at `@group(0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShaderBinding {
    /// Number of the binding within group 0.
    pub index: u32,
    /// Read-only or read-write.
    pub access: ShaderAccess,
    /// Bytes that must be bound at least: one array element.
    pub stride: u32,
}

/// A compute shader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShaderText {
    /// The WGSL.
    pub source: Cow<'static, str>,
    /// Name of the entry point.
    pub entry: Cow<'static, str>,
    /// Size in bytes of the parameter uniform at `@binding(0)`.
    pub params_size: usize,
    /// Storage buffers in the order of a dispatch's bindings.
    pub bindings: Vec<ShaderBinding>,
}

impl From<&'static Shader> for ShaderText {
    fn from(shader: &'static Shader) -> ShaderText {
        let binding = |binding: &gannet_shaders::Binding| ShaderBinding {
            index: binding.index,
            access: match binding.access {
                Access::Read => ShaderAccess::Read,
                Access::ReadWrite => ShaderAccess::ReadWrite,
            },
            stride: binding.stride,
        };
        ShaderText {
            source: Cow::Borrowed(shader.source),
            entry: Cow::Borrowed(shader.entry),
            params_size: shader.params_size,
            bindings: shader.bindings.iter().map(binding).collect(),
        }
    }
}
