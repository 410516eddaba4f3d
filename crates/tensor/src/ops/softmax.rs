//! y[i, c] = e^x[i, c] / sum over c of e^x[i, c], along the last axis.

use crate::ops::prelude::*;

/// e^x / sum(e^x) along the last axis, computed from x minus its largest element.
#[derive(Debug)]
pub struct Softmax;

impl Operation for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        if x.rank() == 0 {
            return Err(Error::new("expected at least one axis, got a scalar"));
        }
        Ok(x)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (y, dy) = (cx.output, cx.cotangent);
        let last = y.shape().rank() - 1;
        Ok(vec![Some(y * (dy - (dy * y).sum(&[last])))])
    }

    fn flops(&self, _inputs: &[Shape], output: Shape) -> u64 {
        4 * output.len() as u64
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let rows = output.len() / output.last().max(1);
        let params = shaders::SoftmaxParams { rows: size(rows), classes: size(output.last()) };
        let grid = shaders::grid_folded(rows, 1);
        Some(Dispatch::new(shaders::SOFTMAX, &params, grid, &[Input(0), Output]).into())
    }

    reference!(kernels::softmax::softmax);
}

impl<'g> Var<'g> {
    /// Softmax along the last axis.
    ///
    /// # Panics
    /// When this is a scalar.
    #[track_caller]
    pub fn softmax(self) -> Var<'g> {
        self.with(Softmax, &[])
    }
}
