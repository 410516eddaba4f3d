//! Two or three steps of a moving average at once.

use crate::ops::prelude::*;

/// The most steps in one operation.
pub(crate) const MOST_STEPS: usize = 3;

/// Two or three steps of [`Lerp`](super::Lerp) with the same t: y = a, then y = y + t (b - y) for each b. Inputs: a,
/// the b in order, t of one element.
#[derive(Debug)]
pub struct FusedLerp;

impl Operation for FusedLerp {
    fn name(&self) -> &'static str {
        "fused_lerp"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b @ .., t] = inputs else { return Err(Error::new("expected a, two or three b, and t")) };
        if !(2..=MOST_STEPS).contains(&b.len()) || b.iter().any(|b| b != a) || t.len() != 1 {
            return Err(Error::new(format!(
                "expected a, two or three b of its shape, and t of one element, got {inputs:?}"
            )));
        }
        Ok(*a)
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let [a, b @ .., t] = inputs else { return None };
        Some(b.iter().fold(*a, |y, b| y.lerp(*b, *t)))
    }

    fn flops(&self, inputs: &[Shape], output: Shape) -> u64 {
        3 * (inputs.len() - 2) as u64 * output.len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let steps = inputs.len() - 2;
        let kernel = match (steps, in_place) {
            (2, false) => shaders::FUSED_LERP_2,
            (2, true) => shaders::FUSED_LERP_2_IN_PLACE,
            (_, false) => shaders::FUSED_LERP_3,
            (_, true) => shaders::FUSED_LERP_3_IN_PLACE,
        };
        let params = shaders::FusedLerpParams { count: size(output.len()) };
        let targets = (1..=steps).map(Input);
        let start = (!in_place).then_some(Input(0));
        let arguments: Vec<_> = [Output, Input(steps + 1)].into_iter().chain(targets).chain(start).collect();
        Some(Dispatch::new(kernel, &params, shaders::grid_1d(kernel, output.len()), &arguments).into())
    }

    reference!(kernels::fused_lerp::fused_lerp);
}
