//! x for x > 0, alpha (e^x - 1) otherwise.

use crate::layers::prelude::*;

/// The exponential linear unit (Clevert et al. 2015): x for x > 0, `alpha` (e^x - 1) otherwise, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elu {
    /// What the output approaches for negative x, with its sign turned.
    #[serde(default = "alpha")]
    pub alpha: f64,
}

/// Keras' and PyTorch's default.
fn alpha() -> f64 {
    1.0
}

impl Default for Elu {
    fn default() -> Elu {
        Elu { alpha: alpha() }
    }
}

impl Elu {
    /// The layer with an alpha of 1.
    pub fn new() -> Elu {
        Elu::default()
    }

    /// What the output approaches for negative x, with its sign turned.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Elu {
        self.alpha = alpha;
        self
    }
}

impl Layer for Elu {
    kind!("elu");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Activation::Elu { alpha: self.alpha }.check()?;
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(Activation::Elu { alpha: self.alpha }.apply(x))
    }
}
