//! y = a / b, with broadcasting.

use std::ops;

use crate::ops::prelude::*;

/// y = a / b, element by element, with NumPy broadcasting.
#[derive(Debug)]
pub struct Div;

impl Operation for Div {
    fn name(&self) -> &'static str {
        "div"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(inputs)?;
        Shape::broadcast(a, b)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![
            cx.want(0, || (cx.cotangent / cx.inputs[1]).sum_to(cx.inputs[0].shape())),
            cx.want(1, || (-(cx.cotangent * cx.output / cx.inputs[1])).sum_to(cx.inputs[1].shape())),
        ])
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::binary([shaders::DIV, shaders::DIV_BROADCAST], inputs, output)
    }

    reference!(kernels::div::div);
}

impl<'g> ops::Div for Var<'g> {
    type Output = Var<'g>;

    /// Quotient with broadcasting.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    fn div(self, other: Var<'g>) -> Var<'g> {
        if let Some(value) = other.filled().filter(|_| other.shape().broadcasts_to(self.shape())) {
            return self.affine(1.0 / value, 0.0);
        }
        self.with(Div, &[other])
    }
}
