//! loss = max(x, 0) - x t + ln(1 + e^-|x|): binary cross-entropy on logits, in its stable form.

use crate::ops::prelude::*;

/// Binary cross-entropy of logits x against targets t in [0, 1], element by element:
/// max(x, 0) - x t + ln(1 + e^-|x|), which neither overflows nor loses digits. Inputs: x, t.
#[derive(Debug)]
pub struct BceLogits;

impl Operation for BceLogits {
    fn name(&self) -> &'static str {
        "bce_logits"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (x, t, dy) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
        Ok(vec![cx.want(0, || dy * (x.sigmoid() - t)), cx.want(1, || -(dy * x))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let params = shaders::BceLogitsParams { count: size(output.len()) };
        let grid = shaders::grid_1d(shaders::BCE_LOGITS, output.len());
        Some(match in_place {
            false => Dispatch::new(shaders::BCE_LOGITS, &params, grid, &[Output, Input(1), Input(0)]).into(),
            true => Dispatch::new(shaders::BCE_LOGITS_IN_PLACE, &params, grid, &[Output, Input(1)]).into(),
        })
    }

    reference!(kernels::bce_logits::bce_logits);
}

impl<'g> Var<'g> {
    /// Binary cross-entropy of these logits against targets in [0, 1], element by element.
    ///
    /// # Panics
    /// When the shapes differ.
    #[track_caller]
    pub fn bce_logits(self, targets: Var<'g>) -> Var<'g> {
        self.with(BceLogits, &[targets])
    }

    /// Binary cross-entropy of these probabilities against targets in [0, 1], element by element:
    /// -(t ln p + (1 - t) ln(1 - p)) with p cut to [`clip`, 1 - `clip`], as Keras does (its clip is 1e-7).
    ///
    /// # Panics
    /// When the shapes differ.
    #[track_caller]
    pub fn bce_probabilities(self, targets: Var<'g>, clip: f64) -> Var<'g> {
        let p = self.clamp(clip, 1.0 - clip);
        -(targets * p.log() + targets.affine(-1.0, 1.0) * p.affine(-1.0, 1.0).log())
    }
}
