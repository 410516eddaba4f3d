//! x for x > 0, `negative_slope` x otherwise.

use crate::activation::check_slope;
use crate::layers::prelude::*;

/// x for x > 0, `negative_slope` x otherwise (Maas et al. 2013), element by element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LeakyRelu {
    /// The slope for negative x.
    #[serde(default = "slope")]
    pub negative_slope: f64,
}

/// Keras' default.
fn slope() -> f64 {
    0.3
}

impl LeakyRelu {
    /// The layer with the given slope for negative x. GANs use 0.2; Keras' default is 0.3.
    pub fn new(negative_slope: f64) -> LeakyRelu {
        LeakyRelu { negative_slope }
    }
}

impl Layer for LeakyRelu {
    kind!("leaky_relu");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        check_slope(self.negative_slope)?;
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x.leaky_relu(self.negative_slope))
    }
}
