//! y = x for x > 0, alpha (e^x - 1) otherwise

use crate::ops::prelude::*;

/// y = x for x > 0, `alpha` (e^x - 1) otherwise: ELU (Clevert et al. 2015).
#[derive(Debug)]
pub struct Elu {
    /// What negative inputs tend to, with the sign changed; at least 0, so that the output has the sign of the input.
    pub alpha: f64,
}

impl Operation for Elu {
    fn name(&self) -> &'static str {
        "elu"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        check_alpha(self.alpha)?;
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.output.elu_grad(cx.cotangent, self.alpha))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::ELU, shaders::ELU_IN_PLACE], [self.alpha, 0.0], output, in_place)
    }

    reference!(kernels::elu::elu);
}

/// The derivative is taken from the sign of the output, which a negative alpha would lose.
pub(super) fn check_alpha(alpha: f64) -> Result<()> {
    if alpha >= 0.0 && alpha.is_finite() {
        return Ok(());
    }
    Err(Error::new(format!("alpha must be a number of at least 0, got {alpha}")))
}

impl<'g> Var<'g> {
    /// ELU: x for x > 0, `alpha` (e^x - 1) otherwise. The derivative at 0 is `alpha`.
    ///
    /// # Panics
    /// When alpha is negative or not finite.
    #[track_caller]
    pub fn elu(self, alpha: f64) -> Var<'g> {
        self.with(Elu { alpha }, &[])
    }
}
