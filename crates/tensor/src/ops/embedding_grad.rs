//! `table[v]` = sum of `dy[i]` over all i with `ids[i]` = v: the adjoint of embedding.

use crate::ops::prelude::*;

/// `table[v]` = sum of `dy[i]` over all i with `ids[i]` = v. Inputs: ids `[N]`, dy [N, D]; output [V, D]. Linear in dy.
#[derive(Debug)]
pub struct EmbeddingGrad {
    /// V, the rows of the table.
    pub rows: usize,
}

impl Operation for EmbeddingGrad {
    fn name(&self) -> &'static str {
        "embedding_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [ids, dy] = arity(inputs)?;
        match (ids.dims(), dy.dims()) {
            (&[n], &[rows, width]) if n == rows => Ok(Shape::from([self.rows, width])),
            _ => Err(Error::new(format!("expected ids [N] and a gradient [N, D], got {ids} and {dy}"))),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![None, cx.want(1, || cx.cotangent.embedding(cx.inputs[0]))])
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        inputs[1].len() as u64
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let params = shaders::EmbeddingGradParams { count: size(output.len()), width: size(output.last()), ids: size(inputs[0].len()) };
        let grid = shaders::grid_1d(shaders::EMBEDDING_GRAD, output.len());
        Some(Dispatch::new(shaders::EMBEDDING_GRAD, &params, grid, &[Input(0), Input(1), Output]).into())
    }

    reference!(kernels::embedding_grad::embedding_grad);
}
