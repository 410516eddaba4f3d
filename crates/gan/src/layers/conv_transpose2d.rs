//! Two-dimensional transposed convolution.

use super::padding::{PaddingForm, unit_stride, valid};
use crate::layers::prelude::*;

/// A transposed convolution: y = activation(conv_transpose2d(x, `kernel`) + `bias`). Input [h, w, C_in], output
/// [H, W, filters]; kernel [Kh, Kw, filters, C_in].
///
/// As in Keras, `same` padding gives size * stride, `valid` (size - 1) * stride + max(kernel, stride).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConvTranspose2d {
    /// Channels of the output.
    pub filters: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Rows and columns of the output for each of the input.
    #[serde(default = "unit_stride")]
    pub stride: [usize; 2],
    /// What is cut from the edges of the output: the padding of the convolution that this one transposes.
    #[serde(default = "valid", with = "PaddingForm")]
    pub padding: Padding,
    /// Rows and columns added at the end of the output, fewer than the stride.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_padding: Option<[usize; 2]>,
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

impl ConvTranspose2d {
    /// A transposed convolution with stride 1, without padding (Keras' defaults), with bias and without activation.
    pub fn new(filters: usize, kernel: [usize; 2]) -> ConvTranspose2d {
        ConvTranspose2d {
            filters,
            kernel,
            stride: [1, 1],
            padding: Padding::Valid,
            output_padding: None,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initialiser: None,
        }
    }

    /// Rows and columns of the output for each of the input.
    #[must_use]
    pub fn stride(mut self, stride: [usize; 2]) -> ConvTranspose2d {
        self.stride = stride;
        self
    }

    /// What is cut from the edges of the output: the padding of the convolution that this one transposes.
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> ConvTranspose2d {
        self.padding = padding;
        self
    }

    /// Rows and columns added at the end of the output.
    #[must_use]
    pub fn output_padding(mut self, output_padding: [usize; 2]) -> ConvTranspose2d {
        self.output_padding = Some(output_padding);
        self
    }

    /// The function behind it.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> ConvTranspose2d {
        self.activation = activation;
        self
    }

    /// Whether a bias is added.
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> ConvTranspose2d {
        self.use_bias = use_bias;
        self
    }

    /// How the kernel starts.
    #[must_use]
    pub fn kernel_initialiser(mut self, initialiser: Initialiser) -> ConvTranspose2d {
        self.kernel_initialiser = Some(initialiser);
        self
    }

    fn kernel_shape(&self, input: Shape) -> Result<Shape> {
        Ok(Shape::new(&[self.kernel[0], self.kernel[1], self.filters, input.last()])?)
    }
}

impl Layer for ConvTranspose2d {
    kind!("conv_transpose2d");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.activation.check()?;
        image(input)?;
        if self.filters == 0 {
            return Err(Error::invalid("filters must be at least 1, got 0"));
        }
        let kernel = self.kernel_shape(input)?;
        let x = batched(input)?;
        let g = Conv2dGeometry::transposed(x, kernel, self.stride, self.padding, self.output_padding)?;
        Ok(Shape::new(&[g.in_h, g.in_w, g.in_c])?)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        let shape = Shape::from([self.kernel[0], self.kernel[1], self.filters, input.last()]);
        let mut parameters = vec![Parameter::new("kernel", shape, self.kernel_initialiser)];
        if self.use_bias {
            parameters.push(Parameter::new("bias", [self.filters], Initialiser::Zeros));
        }
        parameters
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let kernel = cx.parameter("kernel")?;
        let mut y = x.conv_transpose2d(kernel, self.stride, self.padding, self.output_padding);
        if self.use_bias {
            y = y + cx.parameter("bias")?;
        }
        Ok(self.activation.apply(y))
    }
}
