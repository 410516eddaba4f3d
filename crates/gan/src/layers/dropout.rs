//! A random share of the numbers set to zero while training.

use crate::layers::prelude::*;

/// While training every number is zero with probability `rate`, otherwise divided by 1 - `rate` (Srivastava et
/// al. 2014); in inference nothing happens. Each step, layer and pass has a mask of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dropout {
    /// The probability of zero, in [0, 1).
    pub rate: f64,
}

impl Dropout {
    /// Dropout with the given probability.
    pub fn new(rate: f64) -> Dropout {
        Dropout { rate }
    }
}

impl Layer for Dropout {
    kind!("dropout");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::invalid(format!("rate must be at least 0 and less than 1, got {}", self.rate)));
        }
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(match (cx.pass().mode, cx.pass().counter) {
            (crate::Mode::Training { .. }, Some(counter)) if self.rate > 0.0 => {
                x.dropout(counter, self.rate, cx.noise_seed())
            }
            _ => x,
        })
    }
}
