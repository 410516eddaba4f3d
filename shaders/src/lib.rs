//! The WGSL compute shaders of Gannet as plain data.
//!
//! Each `*.wgsl` file of this crate is one kernel, or a family of variants of one kernel. The build script
//! expands it, reads what it declares, and generates a typed constant per variant ([`all`] lists them) and
//! the struct that mirrors the file's parameter uniform. Nothing here knows a GPU, and building it takes no
//! shader compiler: that every variant is valid within WebGPU's default limits, and declares what was read,
//! this crate's tests check with naga.
//!
//! Declarations have fixed forms, each beginning its line: `@group(0) @binding(N) var<SPACE> NAME: TYPE;`
//! with the parameter uniform at 0 and storage buffers of runtime-sized arrays from 1, `struct NAME {` with
//! scalars, vectors and arrays of them, and `@compute @workgroup_size(N)` on the line before the entry point.
//! N is a whole number, a constant, or a sum.
//!
//! Directives, each on a line of its own:
//!
//! | directive | meaning |
//! |---|---|
//! | `#import NAME` | the text of `lib/NAME.wgsl`, once per module |
//! | `#axis AXIS VALUE [= TEXT]` | one more value of a variant axis; the variants are all combinations |
//! | `#name WORD ...` | the words of the name, `{AXIS}` standing for the axis' value; a value `plain` is left out |
//! | `#if AXIS VALUE ...`, `#else`, `#endif` | lines for variants whose axis has one of the values |
//! | `#unroll NAME COUNT`, `#endunroll` | the lines COUNT times, with `${NAME}` = 0, 1, ... |
//!
//! `${AXIS}` in a line of WGSL stands for the text of the axis' value (the value itself if it has no text).

use std::marker::PhantomData;

mod dispatch;
mod tile;

pub use dispatch::{Argument, Dispatch, Launch, grid_1d, grid_folded};
pub use tile::{Tile, Tiled};

/// How a shader uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// One storage buffer of a shader; it is bound at `@group(0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Number of the binding within group 0.
    pub index: u32,
    /// Name of the variable in WGSL.
    pub name: &'static str,
    /// Read-only or read-write.
    pub access: Access,
    /// Size of one array element in bytes: 4 for `f32`, 16 for `vec4<f32>`.
    pub stride: u32,
}

/// A compute shader.
#[derive(Debug)]
pub struct Shader {
    /// Name of the variant, unique among all shaders.
    pub name: &'static str,
    /// The expanded WGSL.
    pub source: &'static str,
    /// Name of the entry point.
    pub entry: &'static str,
    /// Invocations per workgroup in x, y and z.
    pub workgroup_size: [u32; 3],
    /// Storage buffers in the order of a dispatch's arguments.
    pub bindings: &'static [Binding],
    /// Size in bytes of the parameter uniform at `@binding(0)`, 0 if there is none.
    pub params_size: usize,
    /// Position of the shader in [`all`].
    pub id: usize,
}

/// A shader together with the type of its parameters, so that no dispatch passes another shader's.
#[derive(Debug)]
pub struct Kernel<P> {
    /// The shader.
    pub shader: &'static Shader,
    params: PhantomData<fn(P)>,
}

impl<P> Clone for Kernel<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Kernel<P> {}

impl<P> Kernel<P> {
    const fn new(shader: &'static Shader) -> Self {
        Self { shader, params: PhantomData }
    }
}

/// A parameter uniform: a struct that mirrors one in WGSL, byte for byte.
pub trait Params {
    /// The bytes of the uniform, padding included.
    fn to_bytes(&self) -> Vec<u8>;
}

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// Every shader of the engine, ordered by [`Shader::id`].
pub fn all() -> &'static [&'static Shader] {
    ALL
}

/// The shader of that name.
pub fn find(name: &str) -> Option<&'static Shader> {
    all().iter().copied().find(|shader| shader.name == name)
}
