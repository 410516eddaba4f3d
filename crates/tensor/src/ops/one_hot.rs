//! y[i, v] = 1 where `ids[i]` = v, 0 elsewhere.

use crate::ops::prelude::*;

/// y[i, v] = 1 where `ids[i]` = v, 0 elsewhere. ids `[N]` (whole numbers as floats), y [N, depth].
#[derive(Debug)]
pub struct OneHot {
    /// The number of classes.
    pub depth: usize,
}

impl Operation for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [ids] = arity(inputs)?;
        let &[n] = ids.dims() else {
            return Err(Error::new(format!("expected ids [N], got {ids}")));
        };
        Shape::new(&[n, self.depth])
    }

    fn vjp<'g>(&self, _cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![None])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let params = shaders::OneHotParams { count: size(output.len()), depth: size(self.depth) };
        let grid = shaders::grid_1d(shaders::ONE_HOT, output.len());
        Some(Dispatch::new(shaders::ONE_HOT, &params, grid, &[Input(0), Output]).into())
    }

    reference!(kernels::one_hot::one_hot);
}

impl<'g> Var<'g> {
    /// One row per id `[N]`: 1 at the id's position, 0 elsewhere; [N, depth]. Its derivative is zero.
    ///
    /// # Panics
    /// When this is not a vector.
    #[track_caller]
    pub fn one_hot(self, depth: usize) -> Var<'g> {
        self.with(OneHot { depth }, &[])
    }
}
