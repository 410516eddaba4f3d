//! y = x sigmoid(x)

use crate::ops::prelude::*;

/// y = x sigmoid(x), element by element: SiLU, also called Swish (Hendrycks and Gimpel 2016; Ramachandran et al. 2017).
#[derive(Debug)]
pub struct Silu;

impl Operation for Silu {
    fn name(&self) -> &'static str {
        "silu"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        // y' = s + x s (1 - s) = s (1 + x (1 - s))
        let x = cx.inputs[0];
        let s = x.sigmoid();
        Ok(vec![Some(cx.cotangent * s * (x * s.affine(-1.0, 1.0)).affine(1.0, 1.0))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::SILU, shaders::SILU_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::silu::silu);
}

impl<'g> Var<'g> {
    /// SiLU, also called Swish: x sigmoid(x).
    pub fn silu(self) -> Var<'g> {
        self.with(Silu, &[])
    }
}
