//! dx = dy where low <= x <= high, 0 elsewhere: the vjp of clamp.

use crate::ops::clamp::check_range;
use crate::ops::prelude::*;

/// dx = dy where `low` <= x <= `high`, 0 elsewhere. Inputs: x, dy. Linear in dy.
#[derive(Debug)]
pub struct ClampMask {
    /// The lower bound, included.
    pub low: f64,
    /// The upper bound, included.
    pub high: f64,
}

impl Operation for ClampMask {
    fn name(&self) -> &'static str {
        "clamp_mask"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        check_range(self.low, self.high)?;
        elementwise::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![None, cx.want(1, || cx.inputs[0].clamp_mask(cx.cotangent, self.low, self.high))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(1)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::cotangent([shaders::CLAMP_MASK, shaders::CLAMP_MASK_IN_PLACE], [self.low, self.high], output, in_place)
    }

    reference!(kernels::clamp_mask::clamp_mask);
}

impl<'g> Var<'g> {
    /// `dy` where `self` lies in [`low`, `high`], zero elsewhere.
    #[track_caller]
    pub fn clamp_mask(self, dy: Var<'g>, low: f64, high: f64) -> Var<'g> {
        self.with(ClampMask { low, high }, &[dy])
    }
}
