//! y = 1 where a > b, 0 elsewhere, with broadcasting.

use crate::ops::prelude::*;

/// y = 1 where a > b, 0 elsewhere, element by element, with NumPy broadcasting.
#[derive(Debug)]
pub struct Greater;

impl Operation for Greater {
    fn name(&self) -> &'static str {
        "greater"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(inputs)?;
        Shape::broadcast(a, b)
    }

    fn vjp<'g>(&self, _cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![None, None])
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::binary([shaders::GREATER, shaders::GREATER_BROADCAST], inputs, output)
    }

    reference!(kernels::greater::greater);
}

impl<'g> Var<'g> {
    /// 1 where this is greater than `other`, 0 elsewhere, with broadcasting. Its derivative is zero.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn greater(self, other: Var<'g>) -> Var<'g> {
        self.with(Greater, &[other])
    }
}
