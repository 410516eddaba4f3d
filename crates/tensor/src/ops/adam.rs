//! One step of Adam (Kingma and Ba 2015) for all parameters of a model at once.

use crate::ops::prelude::*;

/// One step of Adam for all parameters of a model at once.
///
/// Inputs: state [3, n] with rows p (parameters), m, v (moments); the gradient g `[n]`; two scalars
/// [step_size, eps]. Output, the new state:
/// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p = p - step_size m / (sqrt(v) + eps).
///
/// The bias correction is in the scalars, which the host computes for step t: step_size =
/// lr sqrt(1 - beta2^t) / (1 - beta1^t), with eps as it is (Keras), or times sqrt(1 - beta2^t) (PyTorch).
#[derive(Debug)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
}

impl Operation for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [state, g, scalars] = arity(inputs)?;
        match (state.dims(), g.dims(), scalars.dims()) {
            (&[3, n], &[count], &[2]) if n == count => Ok(state),
            _ => Err(Error::new(format!(
                "expected a state [3, n], a gradient [n] and two scalars, got {state}, {g} and {scalars}"
            ))),
        }
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        12 * inputs[1].len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let n = inputs[1].len();
        let params = shaders::AdamParams {
            n: size(n),
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            rest1: (1.0 - self.beta1) as f32,
            rest2: (1.0 - self.beta2) as f32,
        };
        let grid = shaders::grid_1d(shaders::ADAM, n);
        let step = Dispatch::new(shaders::ADAM, &params, grid, &[Output, Input(1), Input(2)]);
        let copy = (!in_place).then(|| launch::copy_whole(Input(0), output));
        Some(copy.into_iter().chain([step]).collect::<Vec<Dispatch>>().into())
    }

    reference!(kernels::adam::adam);
}

impl<'g> Var<'g> {
    /// The state [3, n] (rows parameters, first and second moments) after a step of Adam with the gradient
    /// `g` `[n]` and `scalars` `[2]` = [step_size, eps]; see [`Adam`]. It has no derivative.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn adam(self, g: Var<'g>, scalars: Var<'g>, beta1: f64, beta2: f64) -> Var<'g> {
        self.with(Adam { beta1, beta2 }, &[g, scalars])
    }
}
