//! `y[i]` = `table[ids[i]]`

use crate::ops::EmbeddingGrad;
use crate::ops::prelude::*;

/// `y[i]` = `table[ids[i]]`: rows of a table [V, D] by number. ids `[N]` are whole numbers below V, stored as
/// floats (exact up to 2^24 in f32); y [N, D]. An id outside the table gives a row of zeros.
#[derive(Debug)]
pub struct Embedding;

impl Operation for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [table, ids] = arity(inputs)?;
        let (&[_, width], &[count]) = (table.dims(), ids.dims()) else {
            return Err(Error::new(format!("expected a table [V, D] and ids [N], got {table} and {ids}")));
        };
        Ok(Shape::from([count, width]))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let rows = cx.inputs[0].shape().dims()[0];
        let ids = cx.inputs[1];
        Ok(vec![cx.want(0, || ids.with(EmbeddingGrad { rows }, &[cx.cotangent])), None])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let &[rows, width] = inputs[0].dims() else { return None };
        let params = shaders::EmbeddingParams { count: size(output.len()), rows: size(rows), width: size(width) };
        let grid = shaders::grid_1d(shaders::EMBEDDING, output.len());
        Some(Dispatch::new(shaders::EMBEDDING, &params, grid, &[Input(0), Input(1), Output]).into())
    }

    reference!(kernels::embedding::embedding);
}

impl<'g> Var<'g> {
    /// The rows of this table [V, D] with the numbers `ids` `[N]`: [N, D].
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn embedding(self, ids: Var<'g>) -> Var<'g> {
        self.with(Embedding, &[ids])
    }
}
