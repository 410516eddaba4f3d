//! y = x with zeros before and after it along one axis: the adjoint of slice.

use crate::ops::prelude::*;

/// x with zeros before and after it along `axis`.
#[derive(Debug)]
pub struct Pad {
    /// The axis that grows.
    pub axis: usize,
    /// Zeros in front.
    pub before: usize,
    /// Zeros behind.
    pub after: usize,
}

impl Operation for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        let Some(&size) = x.dims().get(self.axis) else {
            return Err(Error::new(format!("{x} has no axis {}", self.axis)));
        };
        Shape::new(x.with_dim(self.axis, size + self.before + self.after).dims())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let size = cx.inputs[0].shape().dims()[self.axis];
        Ok(vec![Some(cx.cotangent.slice(self.axis, self.before, self.before + size))])
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let (x, strides) = (inputs[0], inputs[0].strides());
        let mut axes = [[1, 1, 0, 0]; 6];
        for (axis, sizes) in axes.iter_mut().enumerate().take(x.rank()) {
            let before = if axis == self.axis { self.before } else { 0 };
            *sizes = [output.dims()[axis], x.dims()[axis], before, strides[axis]].map(size);
        }
        let params = shaders::PadParams { count: size(output.len()), rank: size(x.rank()), axes };
        let grid = shaders::grid_1d(shaders::PAD, output.len());
        Some(Dispatch::new(shaders::PAD, &params, grid, &[Input(0), Output]).into())
    }

    reference!(kernels::pad::pad);
}

impl<'g> Var<'g> {
    /// This tensor with zeros before and after it along `axis`.
    ///
    /// # Panics
    /// When the axis does not exist.
    #[track_caller]
    pub fn pad(self, axis: usize, before: usize, after: usize) -> Var<'g> {
        self.with(Pad { axis, before, after }, &[])
    }
}
