//! A transposed convolution with bias and activation, or with the vjp of an activation.

use crate::ops::conv_transpose2d::launch_conv_transpose2d;
use crate::ops::prelude::*;
use crate::ops::{ConvTranspose2d, Epilogue};

/// [`ConvTranspose2d`] with an [`Epilogue`]. Inputs: y, w, then the epilogue's.
#[derive(Debug)]
pub struct FusedConvTranspose2d {
    /// Sizes of image, kernel and features, stride and padding.
    pub geometry: Conv2dGeometry,
    /// What is done to each element of the product.
    pub epilogue: Epilogue,
}

impl FusedConvTranspose2d {
    /// The product without its epilogue.
    pub fn product(&self) -> ConvTranspose2d {
        ConvTranspose2d { geometry: self.geometry }
    }
}

impl Operation for FusedConvTranspose2d {
    fn name(&self) -> &'static str {
        "fused_conv_transpose2d"
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
        launch_conv_transpose2d(&self.geometry, Some(self.epilogue), output)
    }

    reference!(kernels::fused_conv_transpose2d::fused_conv_transpose2d);
}
