//! y = min(max(x, low), high)

use crate::ops::prelude::*;

/// y = x cut to [`low`, `high`], element by element.
#[derive(Debug)]
pub struct Clamp {
    /// The smallest output.
    pub low: f64,
    /// The largest output.
    pub high: f64,
}

impl Operation for Clamp {
    fn name(&self) -> &'static str {
        "clamp"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        check_range(self.low, self.high)?;
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.inputs[0].clamp_mask(cx.cotangent, self.low, self.high))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::CLAMP, shaders::CLAMP_IN_PLACE], [self.low, self.high], output, in_place)
    }

    reference!(kernels::clamp::clamp);
}

pub(super) fn check_range(low: f64, high: f64) -> Result<()> {
    if low <= high {
        return Ok(());
    }
    Err(Error::new(format!("expected low <= high, got {low} and {high}")))
}

impl<'g> Var<'g> {
    /// The value cut to [`low`, `high`]. The derivative is 1 within, bounds included, and 0 outside.
    ///
    /// # Panics
    /// When `low` is not below or equal to `high`.
    #[track_caller]
    pub fn clamp(self, low: f64, high: f64) -> Var<'g> {
        self.with(Clamp { low, high }, &[])
    }
}
