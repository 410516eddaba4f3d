//! A dispatch as data: what an operation asks of a GPU, without a GPU.

use crate::{Access, GATHER, GatherParams, Kernel, Params, Shader, Tile, Tiled};

/// WebGPU's default limit of workgroups per dimension of a dispatch.
const MAX_WORKGROUPS: u32 = 65_535;

/// What a dispatch binds to one of its shader's storage buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// Input of the operation, by position.
    Input(usize),
    /// Output of the operation. Where the output takes its place in an input's buffer, that input is bound
    /// only as the output.
    Output,
    /// A temporary of the operation, by position in [`Launch::scratch`].
    Scratch(usize),
}

/// One dispatch: a shader, its parameters, its grid and its buffers.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The shader to run.
    pub shader: &'static Shader,
    /// Bytes of the parameter uniform.
    pub params: Vec<u8>,
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
    /// One argument per storage buffer, in the order of [`Shader::bindings`].
    pub arguments: Vec<Argument>,
    /// Set where all that is done is to add so many equal parts of one input, one after another in memory, to the
    /// output; one part is a copy. A device may join such dispatches.
    pub parts: Option<usize>,
    /// Set where a product is computed in tiles: which others there are.
    pub tiled: Option<Tiled>,
}

impl Dispatch {
    /// A dispatch of `kernel` with `params` over `workgroups`.
    ///
    /// # Panics
    /// If the number of arguments is not that of the shader's storage buffers, or one that the shader only
    /// reads is the output, or one that it writes is an input: an error in the calling operation.
    #[track_caller]
    pub fn new<P: Params>(
        kernel: Kernel<P>,
        params: &P,
        workgroups: [u32; 3],
        arguments: &[Argument],
    ) -> Self {
        let shader = kernel.shader;
        assert_eq!(
            arguments.len(),
            shader.bindings.len(),
            "shader {} has {} storage buffers",
            shader.name,
            shader.bindings.len()
        );
        for (argument, binding) in arguments.iter().zip(shader.bindings) {
            let fits = match argument {
                Argument::Input(_) => binding.access == Access::Read,
                Argument::Output => binding.access == Access::ReadWrite,
                Argument::Scratch(_) => true,
            };
            assert!(
                fits,
                "shader {} binds {} as {:?}: {argument:?}",
                shader.name, binding.name, binding.access
            );
        }
        let (params, arguments) = (params.to_bytes(), arguments.to_vec());
        Self { shader, params, workgroups, arguments, parts: None, tiled: None }
    }

    /// The same results by another tile. `None` where nothing is computed in tiles, or this one does not fit.
    pub fn by_tile(&self, tile: Tile) -> Option<Self> {
        let tiled = self.tiled.as_ref()?;
        let ([m, n], [.., parts]) = (tiled.results, self.workgroups);
        tile.fits(n).then(|| Self {
            shader: tiled.shaders[tile as usize],
            workgroups: grid_folded(tile.count(m, n), parts as usize),
            tiled: Some(Tiled { tile, ..tiled.clone() }),
            ..self.clone()
        })
    }

    /// The output, of `count` elements, as the sum of `parts` neighbouring runs of `from` in their order.
    pub fn sum_of_parts(from: Argument, parts: usize, count: usize) -> Self {
        let mut params = GatherParams::default();
        params.runs[0] = [0, 0, count as u32, 0];
        params.parts[0] = [0, parts as u32, count as u32, 0];
        let mut arguments = vec![from; GATHER.shader.bindings.len()];
        arguments[0] = Argument::Output;
        let dispatch = Dispatch::new(GATHER, &params, grid_1d(GATHER, count), &arguments);
        Dispatch { parts: Some(parts), ..dispatch }
    }
}

/// The dispatches that compute one operation, in order, and the temporaries between them.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// Dispatches in order.
    pub dispatches: Vec<Dispatch>,
    /// Sizes of the temporaries, in elements of 4 bytes.
    pub scratch: Vec<usize>,
}

impl From<Dispatch> for Launch {
    fn from(dispatch: Dispatch) -> Self {
        Self { dispatches: vec![dispatch], scratch: Vec::new() }
    }
}

impl From<Vec<Dispatch>> for Launch {
    fn from(dispatches: Vec<Dispatch>) -> Self {
        Self { dispatches, scratch: Vec::new() }
    }
}

/// The grid of at least `count` workgroups, folded into two dimensions where one is not enough; `depth` is its
/// extent in z. Shaders take the number of a workgroup from `lib/grid.wgsl` and ignore those past the end.
pub fn grid_folded(count: usize, depth: usize) -> [u32; 3] {
    let rows = count.div_ceil(MAX_WORKGROUPS as usize).max(1);
    let columns = count.div_ceil(rows).max(1);
    [columns as u32, rows as u32, depth as u32]
}

/// The folded grid of one invocation for each of `elements`, in workgroups of the size that `kernel` has.
pub fn grid_1d<P>(kernel: Kernel<P>, elements: usize) -> [u32; 3] {
    grid_folded(elements.div_ceil(kernel.shader.workgroup_size[0] as usize), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_covers_every_workgroup() {
        for count in [0, 1, 65_535, 65_536, 131_070, 131_071, 10_000_019] {
            let [x, y, z] = grid_folded(count, 3);
            assert!(x >= 1 && y >= 1 && z == 3);
            assert!(x <= MAX_WORKGROUPS && y <= MAX_WORKGROUPS);
            assert!(x as usize * y as usize >= count);
            assert!(x as usize * y as usize - count < count.div_ceil(MAX_WORKGROUPS as usize).max(2));
        }
    }
}
