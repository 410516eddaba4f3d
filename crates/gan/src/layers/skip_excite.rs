//! FastGAN's skip-layer excitation.

use std::ops::Range;
use std::sync::Arc;

use super::source::Source;
use crate::activation::check_slope;
use crate::layers::prelude::*;

/// Rows and columns that the map is averaged to.
const SIDE: usize = 4;

/// Skip-layer excitation (Liu et al. 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image
/// Synthesis"): every channel times a gate in 0 to 1 that follows from the map of an earlier layer
/// ([`Keep`](super::Keep)), most often one of fewer pixels. The map [h, w, c] is averaged to 4 x 4 pixels (windows that
/// share pixels where 4 does not divide a side), and goes through a 4x4 convolution, a leaky ReLU, a 1x1 convolution and
/// a sigmoid. Input and output [H, W, C]; `squeeze/kernel` [4, 4, c, C], `excite/kernel` [1, 1, C, C].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SkipExcite {
    pub(crate) from: Source,
    /// The slope of the leaky ReLU for negative numbers.
    #[serde(default = "slope")]
    pub negative_slope: f64,
    /// How the kernels start, if not as the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_initialiser: Option<Initialiser>,
}

/// The paper's.
fn slope() -> f64 {
    0.1
}

impl SkipExcite {
    /// Gates from the map of that name.
    pub fn new(from: impl Into<String>) -> SkipExcite {
        SkipExcite { from: Source::new(from), negative_slope: slope(), kernel_initialiser: None }
    }

    /// The slope of the leaky ReLU for negative numbers.
    #[must_use]
    pub fn negative_slope(mut self, negative_slope: f64) -> SkipExcite {
        self.negative_slope = negative_slope;
        self
    }

    /// How the kernels start.
    #[must_use]
    pub fn kernel_initialiser(mut self, initialiser: Initialiser) -> SkipExcite {
        self.kernel_initialiser = Some(initialiser);
        self
    }

    /// The shapes of `squeeze/kernel` and `excite/kernel`.
    pub(crate) fn kernels(&self, input: Shape) -> Result<[Shape; 2]> {
        let (from, channels) = (self.from.shape()?.last(), input.last());
        Ok([Shape::new(&[SIDE, SIDE, from, channels])?, Shape::new(&[1, 1, channels, channels])?])
    }
}

/// The pixels of a side of `len` that each of [`SIDE`] windows takes the mean of: all of them, in windows of lengths as equal
/// as can be, which share pixels where they must.
pub(crate) fn windows(len: usize) -> [Range<usize>; SIDE] {
    std::array::from_fn(|i| i * len / SIDE..((i + 1) * len).div_ceil(SIDE))
}

/// A batch of maps [N, h, w, c] averaged to [N, SIDE, SIDE, c].
fn averaged(map: Var<'_>) -> Var<'_> {
    let [h, w] = [1, 2].map(|axis| map.shape().dims()[axis]);
    if h.is_multiple_of(SIDE) && w.is_multiple_of(SIDE) {
        let size = [h / SIDE, w / SIDE];
        return map.avg_pool2d(size, size, Padding::Valid);
    }
    [1, 2].into_iter().fold(map, |map, axis| {
        let mean = |window: Range<usize>| map.slice(axis, window.start, window.end).mean(&[axis]);
        Var::concat(&windows(map.shape().dims()[axis]).map(mean), axis)
    })
}

impl Layer for SkipExcite {
    kind!("skip_excite");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        check_slope(self.negative_slope)?;
        image(input)?;
        self.kernels(input)?;
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        // The shapes are known to fit.
        let kernels = self.kernels(input).into_iter().flatten();
        let names = ["squeeze/kernel", "excite/kernel"];
        names.into_iter().zip(kernels).map(|(name, shape)| Parameter::new(name, shape, self.kernel_initialiser)).collect()
    }

    fn bind(&self, _input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        let from =
            self.from.bound(outputs, |shape| shape.rank() == 3, "that of a map, [height, width, channels]")?;
        Ok(Some(Arc::new(SkipExcite { from, ..self.clone() })))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let gate = averaged(self.from.var(cx)?)
            .conv2d(cx.parameter("squeeze/kernel")?, [1, 1], Padding::Valid)
            .leaky_relu(self.negative_slope)
            .conv2d(cx.parameter("excite/kernel")?, [1, 1], Padding::Valid)
            .sigmoid();
        Ok(x * gate)
    }
}
