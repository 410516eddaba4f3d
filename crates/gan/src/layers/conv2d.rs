//! Two-dimensional convolution of images.

use super::padding::{PaddingForm, unit_stride, valid};
use crate::layers::prelude::*;

/// A convolution: y = activation(conv2d(x, `kernel`) + `bias`). Input [H, W, C_in], output [h, w, filters];
/// kernel [Kh, Kw, C_in, filters]. Padding and sizes are TensorFlow's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Conv2d {
    /// Channels of the output.
    pub filters: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Rows and columns between windows.
    #[serde(default = "unit_stride")]
    pub stride: [usize; 2],
    /// Zeros around the image.
    #[serde(default = "valid", with = "PaddingForm")]
    pub padding: Padding,
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

impl Conv2d {
    /// A convolution with stride 1, without padding (Keras' defaults), with bias and without activation.
    pub fn new(filters: usize, kernel: [usize; 2]) -> Conv2d {
        Conv2d {
            filters,
            kernel,
            stride: [1, 1],
            padding: Padding::Valid,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initialiser: None,
        }
    }

    /// Rows and columns between windows.
    #[must_use]
    pub fn stride(mut self, stride: [usize; 2]) -> Conv2d {
        self.stride = stride;
        self
    }

    /// Zeros around the image.
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Conv2d {
        self.padding = padding;
        self
    }

    /// The function behind it.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Conv2d {
        self.activation = activation;
        self
    }

    /// Whether a bias is added.
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Conv2d {
        self.use_bias = use_bias;
        self
    }

    /// How the kernel starts.
    #[must_use]
    pub fn kernel_initialiser(mut self, initialiser: Initialiser) -> Conv2d {
        self.kernel_initialiser = Some(initialiser);
        self
    }

    fn kernel_shape(&self, input: Shape) -> Result<Shape> {
        Ok(Shape::new(&[self.kernel[0], self.kernel[1], input.last(), self.filters])?)
    }
}

impl Layer for Conv2d {
    kind!("conv2d");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.activation.check()?;
        image(input)?;
        if self.filters == 0 {
            return Err(Error::invalid("filters must be at least 1, got 0"));
        }
        let kernel = self.kernel_shape(input)?;
        let g = Conv2dGeometry::forward(batched(input)?, kernel, self.stride, self.padding)?;
        Ok(Shape::new(&[g.out_h, g.out_w, g.out_c])?)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        let shape = Shape::from([self.kernel[0], self.kernel[1], input.last(), self.filters]);
        let mut parameters = vec![Parameter::new("kernel", shape, self.kernel_initialiser)];
        if self.use_bias {
            parameters.push(Parameter::new("bias", [self.filters], Initialiser::Zeros));
        }
        parameters
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let mut y = x.conv2d(cx.parameter("kernel")?, self.stride, self.padding);
        if self.use_bias {
            y = y + cx.parameter("bias")?;
        }
        Ok(self.activation.apply(y))
    }
}
