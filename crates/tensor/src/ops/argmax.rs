//! Where the largest element along an axis stands; the axis stays, with one element.

use crate::ops::prelude::*;

/// The index of the first largest element along an axis, which stays as an axis of one element. There is no
/// derivative.
#[derive(Debug)]
pub struct Argmax {
    /// The axis to reduce.
    pub axis: usize,
}

impl Operation for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        if self.axis >= x.rank() || x.dims()[self.axis] == 0 {
            return Err(Error::new(format!("expected an axis of {x} with an element, got {}", self.axis)));
        }
        Ok(x.with_dim(self.axis, 1))
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        inputs[0].len() as u64
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let x = inputs[0];
        let params = shaders::ArgmaxParams {
            count: size(output.len()),
            length: size(x.dims()[self.axis]),
            stride: size(x.strides()[self.axis]),
        };
        let grid = shaders::grid_1d(shaders::ARGMAX, output.len());
        Some(Dispatch::new(shaders::ARGMAX, &params, grid, &[Input(0), Output]).into())
    }

    reference!(kernels::argmax::argmax);
}

impl<'g> Var<'g> {
    /// The index of the first largest element along an axis, which stays, with one element. It has no derivative:
    /// [`grad`](crate::grad()) through it is an error, unless it is stopped first.
    ///
    /// # Panics
    /// When this tensor has no such axis, or no element along it.
    #[track_caller]
    pub fn argmax(self, axis: usize) -> Var<'g> {
        self.with(Argmax { axis }, &[])
    }
}
