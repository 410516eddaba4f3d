//! y = x with its axes in another order.

use crate::ops::prelude::*;

/// x with its axes in another order: axis `i` of the output is axis `axes[i]` of x.
#[derive(Debug)]
pub struct Permute {
    /// Each axis of x once.
    pub axes: Vec<usize>,
}

impl Operation for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.rank()) {
            return Err(Error::new(format!("expected each axis of {x} once, got {:?}", self.axes)));
        }
        Ok((0..x.rank()).fold(x, |shape, axis| shape.with_dim(axis, x.dims()[self.axes[axis]])))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let mut inverse = vec![0; self.axes.len()];
        for (to, &from) in self.axes.iter().enumerate() {
            inverse[from] = to;
        }
        Ok(vec![Some(cx.cotangent.permute(&inverse))])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let strides = inputs[0].strides();
        let from: Vec<usize> = self.axes.iter().map(|&axis| strides[axis]).collect();
        Some(launch::copy(Input(0), output.dims(), &from, &output.strides(), [0, 0]).into())
    }

    reference!(kernels::permute::permute);
}

impl<'g> Var<'g> {
    /// This tensor with its axes in another order: axis `i` of the result is axis `axes[i]` of this.
    ///
    /// # Panics
    /// When `axes` does not name each axis once.
    #[track_caller]
    pub fn permute(self, axes: &[usize]) -> Var<'g> {
        self.with(Permute { axes: axes.to_vec() }, &[])
    }

    /// The transpose of a matrix.
    ///
    /// # Panics
    /// When this is not a matrix.
    #[track_caller]
    pub fn transpose(self) -> Var<'g> {
        self.permute(&[1, 0])
    }
}
