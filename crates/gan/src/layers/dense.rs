//! y = activation(x W + b)

use crate::layers::prelude::*;

/// A fully connected layer: y = activation(x `kernel` + `bias`). Input `[in]`, output `[units]`; kernel [in, units].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dense {
    /// Numbers in the output.
    pub units: usize,
    /// The function behind it.
    #[serde(default)]
    pub activation: Activation,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// How the kernel starts, if not as the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_initialiser: Option<Initialiser>,
}

impl Dense {
    /// A layer of `units` numbers with bias and without activation.
    pub fn new(units: usize) -> Dense {
        Dense { units, activation: Activation::Linear, use_bias: true, kernel_initialiser: None }
    }

    /// The function behind it.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Dense {
        self.activation = activation;
        self
    }

    /// Whether a bias is added.
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Dense {
        self.use_bias = use_bias;
        self
    }

    /// How the kernel starts.
    #[must_use]
    pub fn kernel_initialiser(mut self, initialiser: Initialiser) -> Dense {
        self.kernel_initialiser = Some(initialiser);
        self
    }
}

impl Layer for Dense {
    kind!("dense");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.activation.check()?;
        if self.units == 0 {
            return Err(Error::invalid("units must be at least 1, got 0"));
        }
        if input.rank() != 1 {
            return Err(Error::invalid(format!(
                "expected an input of shape [in], got {input}; put a flatten layer in front"
            )));
        }
        Ok(Shape::new(&[self.units])?)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        let mut parameters = vec![Parameter::new("kernel", [input.len(), self.units], self.kernel_initialiser)];
        if self.use_bias {
            parameters.push(Parameter::new("bias", [self.units], Initialiser::Zeros));
        }
        parameters
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let mut y = x.matmul(cx.parameter("kernel")?);
        if self.use_bias {
            y = y + cx.parameter("bias")?;
        }
        Ok(self.activation.apply(y))
    }
}
