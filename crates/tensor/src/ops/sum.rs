//! Sum over axes; the summed axes stay, with one element.

use crate::ops::prelude::*;

/// Sum over some axes, which stay as axes of one element.
#[derive(Debug)]
pub struct Sum {
    /// The axes to sum over, in ascending order.
    pub axes: Vec<usize>,
}

impl Operation for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        if !self.axes.is_sorted_by(|a, b| a < b) || self.axes.iter().any(|&axis| axis >= x.rank()) {
            return Err(Error::new(format!("expected ascending axes of {x}, got {:?}", self.axes)));
        }
        Ok(self.axes.iter().fold(x, |shape, &axis| shape.with_dim(axis, 1)))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent.broadcast_to(cx.inputs[0].shape()))])
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        inputs[0].len() as u64
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, _in_place: bool) -> Option<Launch> {
        let mut launch = Launch::default();
        launch::sum(Input(0), inputs[0].dims(), &|axis| self.axes.contains(&axis), &mut launch);
        Some(launch)
    }

    reference!(kernels::sum::sum);
}

impl<'g> Var<'g> {
    /// Sum over the given axes, in any order; they stay, with one element each.
    ///
    /// # Panics
    /// When an axis is not an axis of this tensor, or named twice.
    #[track_caller]
    pub fn sum(self, axes: &[usize]) -> Var<'g> {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        if axes.is_empty() {
            return self;
        }
        if let Some(value) = self.filled() {
            let count: usize = axes.iter().map(|&axis| self.shape().dims()[axis]).product();
            let shape = axes.iter().fold(self.shape(), |shape, &axis| shape.with_dim(axis, 1));
            return self.graph().fill(shape, value * count as f64);
        }
        self.with(Sum { axes }, &[])
    }

    /// Mean over the given axes; they stay, with one element each.
    ///
    /// # Panics
    /// As [`sum`](Var::sum).
    #[track_caller]
    pub fn mean(self, axes: &[usize]) -> Var<'g> {
        let count: usize = axes.iter().map(|&axis| self.shape().dims()[axis]).product();
        self.sum(axes) / count as f64
    }

    /// Sum of all elements, a scalar.
    pub fn sum_all(self) -> Var<'g> {
        let axes: Vec<usize> = (0..self.shape().rank()).collect();
        self.sum(&axes).reshape(Shape::SCALAR)
    }

    /// Mean of all elements, a scalar.
    pub fn mean_all(self) -> Var<'g> {
        self.sum_all() / self.shape().len() as f64
    }

    /// The adjoint of broadcasting: sums this tensor down to `shape`, which broadcasts to it.
    ///
    /// # Panics
    /// When `shape` does not broadcast to the shape of this tensor.
    #[track_caller]
    pub fn sum_to(self, shape: Shape) -> Var<'g> {
        let from = self.shape();
        if from == shape {
            return self;
        }
        let strides = shape.broadcast_strides(from);
        let lead = from.rank() - shape.rank();
        let stretched = |axis: usize| axis < lead || (shape.dims()[axis - lead] == 1 && from.dims()[axis] != 1);
        let axes: Vec<usize> = (0..from.rank()).filter(|&axis| strides[axis] == 0 && stretched(axis)).collect();
        self.sum(&axes).reshape(shape)
    }
}
