//! `loss[i]` = ln(sum over c of e^x[i, c]) - `x[i, ids[i]]`

use crate::ops::prelude::*;

/// Cross-entropy of logits x [N, C] against classes ids `[N]` (whole numbers as floats): loss `[N]` with
/// `loss[i]` = ln(sum over c of e^x[i, c]) - `x[i, ids[i]]`, computed from x minus its largest element.
#[derive(Debug)]
pub struct SoftmaxCrossEntropy;

impl Operation for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, ids] = arity(inputs)?;
        match (x.dims(), ids.dims()) {
            (&[n, _], &[count]) if n == count => Ok(ids),
            _ => Err(Error::new(format!("expected logits [N, C] and classes [N], got {x} and {ids}"))),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (x, ids, dy) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
        let &[n, classes] = x.shape().dims() else { unreachable!("checked by the shape rule") };
        Ok(vec![cx.want(0, || (x.softmax() - ids.one_hot(classes)) * dy.reshape([n, 1])), None])
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        3 * inputs[0].len() as u64
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let params = shaders::SoftmaxParams { rows: size(output.len()), classes: size(inputs[0].last()) };
        let grid = shaders::grid_folded(output.len(), 1);
        let arguments = [Input(0), Output, Input(1)];
        Some(Dispatch::new(shaders::SOFTMAX_CROSS_ENTROPY, &params, grid, &arguments).into())
    }

    reference!(kernels::softmax_cross_entropy::softmax_cross_entropy);
}

impl<'g> Var<'g> {
    /// Cross-entropy of these logits [N, C] against the classes `ids` `[N]`: `[N]`.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn softmax_cross_entropy(self, ids: Var<'g>) -> Var<'g> {
        self.with(SoftmaxCrossEntropy, &[ids])
    }
}
