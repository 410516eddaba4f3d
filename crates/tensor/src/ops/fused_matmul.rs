//! A matrix product with bias and activation, or with the vjp of an activation.

use crate::ops::matmul::launch_matmul;
use crate::ops::prelude::*;
use crate::ops::{MatMul, Epilogue};

/// [`MatMul`] with an [`Epilogue`]. Inputs: A, B, then the epilogue's.
#[derive(Debug)]
pub struct FusedMatMul {
    /// A is given as [K, M] instead of [M, K].
    pub trans_a: bool,
    /// B is given as [N, K] instead of [K, N].
    pub trans_b: bool,
    /// What is done to each element of the product.
    pub epilogue: Epilogue,
}

impl FusedMatMul {
    /// The product without its epilogue.
    pub fn product(&self) -> MatMul {
        MatMul { trans_a: self.trans_a, trans_b: self.trans_b }
    }
}

impl Operation for FusedMatMul {
    fn name(&self) -> &'static str {
        "fused_matmul"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let (operands, extra) = self.epilogue.split(inputs)?;
        let product = self.product().shape(&operands)?;
        self.epilogue.check(product, extra)?;
        Ok(product)
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let ([a, b], extra) = self.epilogue.split(inputs).ok()?;
        self.epilogue.decompose(a.with(self.product(), &[b]), extra)
    }

    fn flops(&self, inputs: &[Shape], output: Shape) -> u64 {
        self.product().flops(inputs, output) + 2 * output.len() as u64
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch_matmul(&self.product(), Some(self.epilogue), inputs, output)
    }

    reference!(kernels::fused_matmul::fused_matmul);
}
