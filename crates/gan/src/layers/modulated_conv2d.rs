//! A convolution whose channels each sample weighs by a style.

use std::sync::Arc;

use super::Conv2d;
use super::padding::PaddingForm;
use super::source::Source;
use crate::layers::prelude::*;

/// Keeps the root away from zero.
const EPS: f64 = 1e-8;

/// A convolution that is modulated by a style (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN"):
/// the kernel's input channels are multiplied by s = w `style/kernel` + `style/bias`, where w is a vector that an earlier
/// layer keeps under a name ([`Keep`](super::Keep)), and, where it is demodulated, each of its output channels is then
/// divided by its norm, which each sample has for itself. Images are multiplied before and behind one convolution, which
/// comes to the same. Input [H, W, C_in], output [h, w, filters]; kernel [Kh, Kw, C_in, filters], style/kernel [n, C_in],
/// style/bias `[C_in]` (it begins at 1), bias `[filters]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModulatedConv2d {
    /// Channels of the output.
    pub filters: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    pub(crate) from: Source,
    /// Whether each output channel of the modulated kernel is divided by its norm.
    #[serde(default = "yes")]
    pub demodulate: bool,
    /// Zeros around the image; as in the paper, the image keeps its size unless this says otherwise.
    #[serde(default = "same", with = "PaddingForm")]
    pub padding: Padding,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// How the kernels start, if not as the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_initialiser: Option<Initialiser>,
}

fn same() -> Padding {
    Padding::Same
}

impl ModulatedConv2d {
    /// A convolution that keeps the size of images, modulated by the vector of that name and demodulated, with bias.
    pub fn new(filters: usize, kernel: [usize; 2], from: impl Into<String>) -> ModulatedConv2d {
        ModulatedConv2d {
            filters,
            kernel,
            from: Source::new(from),
            demodulate: true,
            padding: Padding::Same,
            use_bias: true,
            kernel_initialiser: None,
        }
    }

    /// Whether each output channel of the modulated kernel is divided by its norm.
    #[must_use]
    pub fn demodulate(mut self, demodulate: bool) -> ModulatedConv2d {
        self.demodulate = demodulate;
        self
    }

    /// Zeros around the image.
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> ModulatedConv2d {
        self.padding = padding;
        self
    }

    /// Whether a bias is added.
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> ModulatedConv2d {
        self.use_bias = use_bias;
        self
    }

    /// How the kernels start.
    #[must_use]
    pub fn kernel_initialiser(mut self, initialiser: Initialiser) -> ModulatedConv2d {
        self.kernel_initialiser = Some(initialiser);
        self
    }

    /// The convolution that is modulated.
    pub(crate) fn conv2d(&self) -> Conv2d {
        let mut conv = Conv2d::new(self.filters, self.kernel).padding(self.padding).use_bias(self.use_bias);
        conv.kernel_initialiser = self.kernel_initialiser;
        conv
    }
}

impl Layer for ModulatedConv2d {
    kind!("modulated_conv2d");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.from.shape()?;
        self.conv2d().output_shape(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        // The shape is known.
        let style = self.from.shape().map_or(1, |shape| shape.len());
        let mut parameters = self.conv2d().parameters(input);
        parameters.push(Parameter::new("style/kernel", [style, input.last()], self.kernel_initialiser));
        parameters.push(Parameter::new("style/bias", [input.last()], Initialiser::Ones));
        parameters
    }

    fn bind(&self, _input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        let from = self.from.bound(outputs, |shape| shape.rank() == 1, "that of a vector, [n]")?;
        Ok(Some(Arc::new(ModulatedConv2d { from, ..self.clone() })))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let kernel = cx.parameter("kernel")?;
        let style = self.from.var(cx)?.matmul(cx.parameter("style/kernel")?) + cx.parameter("style/bias")?;
        let (n, channels) = (style.shape().dims()[0], style.shape().last());
        let mut y = (x * style.reshape([n, 1, 1, channels])).conv2d(kernel, [1, 1], self.padding);
        if self.demodulate {
            let energy = kernel.square().sum(&[0, 1]).reshape([channels, self.filters]);
            let norm = (style.square().matmul(energy) + EPS).sqrt();
            y = y * norm.reciprocal().reshape([n, 1, 1, self.filters]);
        }
        if self.use_bias {
            y = y + cx.parameter("bias")?;
        }
        Ok(y)
    }
}
