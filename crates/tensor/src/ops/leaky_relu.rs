//! y = x for x > 0, negative_slope * x otherwise; ReLU is the slope 0.

use crate::ops::prelude::*;

/// y = x for x > 0, `negative_slope` x otherwise. ReLU is the slope 0.
#[derive(Debug)]
pub struct LeakyRelu {
    /// The factor for negative inputs; at least 0, so that the output has the sign of the input.
    pub negative_slope: f64,
}

impl Operation for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        check_slope(self.negative_slope)?;
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.output.leaky_relu_grad(cx.cotangent, self.negative_slope))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::LEAKY_RELU, shaders::LEAKY_RELU_IN_PLACE], [self.negative_slope, 0.0], output, in_place)
    }

    reference!(kernels::leaky_relu::leaky_relu);
}

/// The derivative is taken from the sign of the output, which a negative slope would lose.
pub(super) fn check_slope(negative_slope: f64) -> Result<()> {
    if negative_slope >= 0.0 && negative_slope.is_finite() {
        return Ok(());
    }
    Err(Error::new(format!("negative_slope must be a number of at least 0, got {negative_slope}")))
}

impl<'g> Var<'g> {
    /// LeakyReLU: x for x > 0, `negative_slope` x otherwise. The derivative at 0 is `negative_slope`.
    ///
    /// # Panics
    /// When the slope is negative or not finite.
    #[track_caller]
    pub fn leaky_relu(self, negative_slope: f64) -> Var<'g> {
        self.with(LeakyRelu { negative_slope }, &[])
    }

    /// ReLU: max(x, 0). The derivative at 0 is 0.
    pub fn relu(self) -> Var<'g> {
        self.leaky_relu(0.0)
    }
}
