//! A convolution with bias and activation, or with the vjp of an activation.

use crate::ops::conv2d::launch_conv2d;
use crate::ops::prelude::*;
use crate::ops::{Conv2d, Epilogue};

/// [`Conv2d`] with an [`Epilogue`]. Inputs: x, w, then the epilogue's.
#[derive(Debug)]
pub struct FusedConv2d {
    /// Sizes of image, kernel and features, stride and padding.
    pub geometry: Conv2dGeometry,
    /// What is done to each element of the product.
    pub epilogue: Epilogue,
}

impl FusedConv2d {
    /// The product without its epilogue.
    pub fn product(&self) -> Conv2d {
        Conv2d { geometry: self.geometry }
    }
}

impl Operation for FusedConv2d {
    fn name(&self) -> &'static str {
        "fused_conv2d"
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

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch_conv2d(&self.geometry, Some(self.epilogue), output)
    }

    reference!(kernels::fused_conv2d::fused_conv2d);
}
