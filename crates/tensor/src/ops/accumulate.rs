//! y = a + b, where a lies

use crate::ops::prelude::*;

/// y = a + b for a and b of one shape, computed in the memory of a where nothing else reads that: one more summand of a sum
/// that a variable holds.
#[derive(Debug)]
pub struct Accumulate;

impl Operation for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![cx.want(0, || cx.cotangent), cx.want(1, || cx.cotangent)])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let params = shaders::AccumulateParams { count: size(output.len()) };
        let grid = shaders::grid_1d(shaders::ACCUMULATE, output.len());
        Some(match in_place {
            false => Dispatch::new(shaders::ACCUMULATE, &params, grid, &[Input(0), Input(1), Output]).into(),
            true => Dispatch::new(shaders::ACCUMULATE_IN_PLACE, &params, grid, &[Output, Input(1)]).into(),
        })
    }

    reference!(kernels::accumulate::accumulate);
}

impl<'g> Var<'g> {
    /// This tensor plus another of its shape: as `+`, but in the memory of this one where nothing else reads it, which a
    /// sum that a variable holds asks for.
    ///
    /// # Panics
    /// When the shapes differ.
    #[track_caller]
    pub fn accumulate(self, summand: Var<'g>) -> Var<'g> {
        self.with(Accumulate, &[summand])
    }
}
