//! y = scale * x + shift

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::graph::NodeKind;
use crate::ops::prelude::*;

/// y = `scale` x + `shift`, element by element.
#[derive(Debug)]
pub struct Affine {
    /// The factor.
    pub scale: f64,
    /// What is added.
    pub shift: f64,
}

impl Operation for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent.affine(self.scale, 0.0))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::AFFINE, shaders::AFFINE_IN_PLACE], [self.scale, self.shift], output, in_place)
    }

    reference!(kernels::affine::affine);
}

impl<'g> Var<'g> {
    /// `scale` x + `shift`.
    pub fn affine(self, scale: f64, shift: f64) -> Var<'g> {
        if let Some(value) = self.filled() {
            return self.graph().fill(self.shape(), scale * value + shift);
        }
        if scale == 1.0 && shift == 0.0 {
            return self;
        }
        // One after another they are one.
        if let NodeKind::Operation(op, inputs) = self.kind()
            && let Some(&Affine { scale: first, shift: before }) = op.downcast()
        {
            let x = self.graph().var(inputs[0]);
            return x.with(Affine { scale: scale * first, shift: scale * before + shift }, &[]);
        }
        self.with(Affine { scale, shift }, &[])
    }
}

impl<'g> Neg for Var<'g> {
    type Output = Var<'g>;
    fn neg(self) -> Var<'g> {
        self.affine(-1.0, 0.0)
    }
}

impl<'g> Mul<f64> for Var<'g> {
    type Output = Var<'g>;
    fn mul(self, scale: f64) -> Var<'g> {
        self.affine(scale, 0.0)
    }
}

impl<'g> Div<f64> for Var<'g> {
    type Output = Var<'g>;
    fn div(self, by: f64) -> Var<'g> {
        self.affine(1.0 / by, 0.0)
    }
}

impl<'g> Add<f64> for Var<'g> {
    type Output = Var<'g>;
    fn add(self, shift: f64) -> Var<'g> {
        self.affine(1.0, shift)
    }
}

impl<'g> Sub<f64> for Var<'g> {
    type Output = Var<'g>;
    fn sub(self, shift: f64) -> Var<'g> {
        self.affine(1.0, -shift)
    }
}
