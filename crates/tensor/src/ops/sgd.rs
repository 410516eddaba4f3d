//! One step of gradient descent with momentum for all parameters of a model at once.

use crate::ops::prelude::*;

/// One step of gradient descent with momentum for all parameters of a model at once.
///
/// Inputs: state [2, n] with rows p (parameters) and v (velocity); the gradient g `[n]`; the learning rate lr
/// `[1]`. Output, the new state: v = `momentum` v + g, p = p - lr v.
#[derive(Debug)]
pub struct Sgd {
    /// Share of the velocity that stays; 0 is plain gradient descent.
    pub momentum: f64,
}

impl Operation for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [state, g, lr] = arity(inputs)?;
        match (state.dims(), g.dims(), lr.dims()) {
            (&[2, n], &[count], &[1]) if n == count => Ok(state),
            _ => Err(Error::new(format!(
                "expected a state [2, n], a gradient [n] and a learning rate [1], got {state}, {g} and {lr}"
            ))),
        }
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        4 * inputs[1].len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let n = inputs[1].len();
        let params = shaders::SgdParams { n: size(n), momentum: self.momentum as f32 };
        let grid = shaders::grid_1d(shaders::SGD, n);
        let step = Dispatch::new(shaders::SGD, &params, grid, &[Output, Input(1), Input(2)]);
        let copy = (!in_place).then(|| launch::copy_whole(Input(0), output));
        Some(copy.into_iter().chain([step]).collect::<Vec<Dispatch>>().into())
    }

    reference!(kernels::sgd::sgd);
}

impl<'g> Var<'g> {
    /// The state [2, n] (rows parameters and velocity) after a step of gradient descent with the gradient
    /// `g` `[n]` and the learning rate `lr` `[1]`; see [`Sgd`]. It has no derivative.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn sgd(self, g: Var<'g>, lr: Var<'g>, momentum: f64) -> Var<'g> {
        self.with(Sgd { momentum }, &[g, lr])
    }
}
