//! Self-attention over the pixels of a map.

use gannet_tensor::ops::BatchMatMul;

use crate::layers::prelude::*;

/// How many channels of the map a query and a key have one of, and a value.
const QUERIES: usize = 8;
const VALUES: usize = 2;

/// Pixels of a map of 128 x 128: the weights of a sample are then the most numbers that one may have.
const MOST_PIXELS: usize = 1 << 14;

/// Self-attention over the pixels of a map (Zhang et al. 2019, "Self-Attention Generative Adversarial Networks"): every
/// pixel looks at all others, y = x + `gamma` output(softmax(query(x) key(x)^T) value(x)), and gamma begins at 0, so that
/// the layer begins as what hands its input on. Queries and keys have an eighth of the channels, values half of them. Input
/// and output [H, W, C]; `query/kernel` and `key/kernel` [C, C/8], `value/kernel` [C, C/2], `output/kernel` [C/2, C],
/// gamma `[1]`. The weights of all pairs of pixels take (H W)^2 numbers for each sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SelfAttention {
    /// How the kernels start, if not as the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_initialiser: Option<Initialiser>,
}

impl SelfAttention {
    /// The layer as the paper has it.
    pub fn new() -> SelfAttention {
        SelfAttention::default()
    }

    /// How the kernels start.
    #[must_use]
    pub fn kernel_initialiser(mut self, initialiser: Initialiser) -> SelfAttention {
        self.kernel_initialiser = Some(initialiser);
        self
    }

    /// Each kernel: its name, and what it maps channels between.
    pub(crate) fn kernels(channels: usize) -> [(&'static str, [usize; 2]); 4] {
        let (queries, values) = ((channels / QUERIES).max(1), (channels / VALUES).max(1));
        [
            ("query/kernel", [channels, queries]),
            ("key/kernel", [channels, queries]),
            ("value/kernel", [channels, values]),
            ("output/kernel", [values, channels]),
        ]
    }
}

impl Layer for SelfAttention {
    kind!("self_attention");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let [h, w, _] = image(input)?;
        // The weights of a sample are the largest tensor.
        let pixels = h.saturating_mul(w);
        if pixels > MOST_PIXELS {
            return Err(Error::invalid(format!(
                "every pixel looks at all others: expected a map of at most {MOST_PIXELS} pixels, got {input}"
            )));
        }
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = SelfAttention::kernels(input.last())
            .into_iter()
            .map(|(name, shape)| Parameter::new(name, shape, self.kernel_initialiser))
            .collect();
        parameters.push(Parameter::new("gamma", [1], Initialiser::Zeros));
        parameters
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let &[n, h, w, channels] = x.shape().dims() else {
            return Err(Error::invalid(format!("expected a batch of maps, got {x:?}")));
        };
        let pixels = h * w;
        let rows = x.reshape([n * pixels, channels]);
        let [query, key, value] = ["query", "key", "value"].map(|name| {
            let y = rows.matmul(cx.parameter(&format!("{name}/kernel"))?);
            Ok::<_, Error>(y.reshape([n, pixels, y.shape().last()]))
        });
        let scores = cx.graph().apply(BatchMatMul { trans_a: false, trans_b: true }, &[query?, key?])?;
        let seen = scores.softmax().batch_matmul(value?);
        let output = seen.reshape([n * pixels, seen.shape().last()]).matmul(cx.parameter("output/kernel")?);
        Ok(x + output.reshape(x.shape()) * cx.parameter("gamma")?)
    }
}
