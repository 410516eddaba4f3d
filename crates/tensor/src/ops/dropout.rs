//! y = x with a random share of elements set to zero and the others scaled up; the mask is a hash.

use crate::ops::prelude::*;

/// Dropout (Srivastava et al. 2014): every element is zero with probability `rate`, otherwise divided by
/// 1 - `rate`. Inputs: x, and a counter (one element, a whole number below 2^24) that gives each step its
/// own mask.
///
/// Element `i` is kept where the upper 24 bits of [`Dropout::hash`] are at least `rate` 2^24. The hash is
/// integer arithmetic, so every backend draws the same mask.
#[derive(Debug)]
pub struct Dropout {
    /// The probability of zero, in [0, 1).
    pub rate: f64,
    /// Tells the masks of different layers apart.
    pub seed: u32,
}

impl Dropout {
    /// The bits that decide over element `index` at a step.
    pub fn hash(seed: u32, counter: u32, index: u32) -> u32 {
        pcg(index.wrapping_add(pcg(counter.wrapping_add(pcg(seed)))))
    }

    /// The smallest value of the upper 24 bits that keeps an element.
    pub fn threshold(&self) -> u32 {
        (self.rate * f64::from(1u32 << 24)) as u32
    }
}

/// The PCG hash that Jarzynski and Olano (2020) found best among cheap ones.
fn pcg(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

impl Operation for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, counter] = arity(inputs)?;
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::new(format!("the rate must be at least 0 and less than 1, got {}", self.rate)));
        }
        if counter.len() != 1 {
            return Err(Error::new(format!("expected a counter of one element, got {counter}")));
        }
        Ok(x)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (rate, seed) = (self.rate, self.seed);
        Ok(vec![cx.want(0, || cx.cotangent.with(Dropout { rate, seed }, &[cx.inputs[1]])), None])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let params = shaders::DropoutParams {
            count: size(output.len()),
            seed: self.seed,
            threshold: self.threshold(),
            scale: (1.0 / (1.0 - self.rate)) as f32,
        };
        let grid = shaders::grid_1d(shaders::DROPOUT, output.len());
        Some(match in_place {
            false => Dispatch::new(shaders::DROPOUT, &params, grid, &[Output, Input(1), Input(0)]).into(),
            true => Dispatch::new(shaders::DROPOUT_IN_PLACE, &params, grid, &[Output, Input(1)]).into(),
        })
    }

    reference!(kernels::dropout::dropout);
}

impl<'g> Var<'g> {
    /// Dropout with probability `rate`; `seed` tells layers apart, `counter` (one element) steps.
    ///
    /// # Panics
    /// When the rate is not in [0, 1) or the counter has more than one element.
    #[track_caller]
    pub fn dropout(self, counter: Var<'g>, rate: f64, seed: u32) -> Var<'g> {
        self.with(Dropout { rate, seed }, &[counter])
    }
}
