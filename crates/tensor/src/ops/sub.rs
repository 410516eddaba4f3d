//! y = a - b, with broadcasting.

use std::ops;

use crate::ops::prelude::*;

/// y = a - b, element by element, with NumPy broadcasting.
#[derive(Debug)]
pub struct Sub;

impl Operation for Sub {
    fn name(&self) -> &'static str {
        "sub"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(inputs)?;
        Shape::broadcast(a, b)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![
            cx.want(0, || cx.cotangent.sum_to(cx.inputs[0].shape())),
            cx.want(1, || (-cx.cotangent).sum_to(cx.inputs[1].shape())),
        ])
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::binary([shaders::SUB, shaders::SUB_BROADCAST], inputs, output)
    }

    reference!(kernels::sub::sub);
}

impl<'g> ops::Sub for Var<'g> {
    type Output = Var<'g>;

    /// Difference with broadcasting.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    fn sub(self, other: Var<'g>) -> Var<'g> {
        if let Some(value) = other.filled().filter(|_| other.shape().broadcasts_to(self.shape())) {
            return self.affine(1.0, -value);
        }
        if let Some(value) = self.filled().filter(|_| self.shape().broadcasts_to(other.shape())) {
            return other.affine(-1.0, value);
        }
        self.with(Sub, &[other])
    }
}
