//! The largest element over axes; the reduced axes stay, with one element.

use crate::ops::prelude::*;

/// The largest element over some axes, which stay as axes of one element.
#[derive(Debug)]
pub struct Max {
    /// The axes to reduce, in ascending order.
    pub axes: Vec<usize>,
}

impl Operation for Max {
    fn name(&self) -> &'static str {
        "max"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        if !self.axes.is_sorted_by(|a, b| a < b) || self.axes.iter().any(|&axis| axis >= x.rank()) {
            return Err(Error::new(format!("expected ascending axes of {x}, got {:?}", self.axes)));
        }
        if self.axes.iter().any(|&axis| x.dims()[axis] == 0) {
            return Err(Error::new(format!(
                "no largest element of {x} over the axes {:?}: there is none",
                self.axes
            )));
        }
        Ok(self.axes.iter().fold(x, |shape, &axis| shape.with_dim(axis, 1)))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        // Equals share the gradient evenly. The mask is a comparison: its own derivative is zero.
        let mask = cx.output.greater(cx.inputs[0]).affine(-1.0, 1.0);
        Ok(vec![Some(mask * (cx.cotangent / mask.sum(&self.axes)))])
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        inputs[0].len() as u64
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, _in_place: bool) -> Option<Launch> {
        let mut launch = Launch::default();
        launch::max(inputs[0].dims(), &|axis| self.axes.contains(&axis), &mut launch);
        Some(launch)
    }

    reference!(kernels::max::max);
}

impl<'g> Var<'g> {
    /// The largest element over the given axes, in any order; they stay, with one element each. Elements that are
    /// equally large share the gradient evenly.
    ///
    /// # Panics
    /// When an axis is not an axis of this tensor, has no element, or is named twice.
    #[track_caller]
    pub fn max(self, axes: &[usize]) -> Var<'g> {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        if axes.is_empty() { self } else { self.with(Max { axes }, &[]) }
    }
}
