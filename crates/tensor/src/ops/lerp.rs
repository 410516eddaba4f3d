//! y = a + t (b - a)

use crate::ops::prelude::*;

/// y = a + t (b - a) with one t for all elements: moving averages. Inputs: a, b of one shape, t of one element.
#[derive(Debug)]
pub struct Lerp;

impl Operation for Lerp {
    fn name(&self) -> &'static str {
        "lerp"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b, t] = arity(inputs)?;
        if t.len() != 1 {
            return Err(Error::new(format!("expected t of one element, got {t}")));
        }
        elementwise::<2>(&[a, b])
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (a, b, t, dy) = (cx.inputs[0], cx.inputs[1], cx.inputs[2], cx.cotangent);
        let scalar = t.reshape(Shape::SCALAR);
        Ok(vec![
            cx.want(0, || dy * scalar.affine(-1.0, 1.0)),
            cx.want(1, || dy * scalar),
            cx.want(2, || (dy * (b - a)).sum_all().reshape(t.shape())),
        ])
    }

    fn flops(&self, _inputs: &[Shape], output: Shape) -> u64 {
        3 * output.len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let params = shaders::LerpParams { count: size(output.len()) };
        let grid = shaders::grid_1d(shaders::LERP, output.len());
        Some(match in_place {
            false => Dispatch::new(shaders::LERP, &params, grid, &[Input(0), Input(1), Input(2), Output]).into(),
            true => Dispatch::new(shaders::LERP_IN_PLACE, &params, grid, &[Output, Input(1), Input(2)]).into(),
        })
    }

    reference!(kernels::lerp::lerp);
}

impl<'g> Var<'g> {
    /// This tensor moved towards `to` by the share `t` (one element): a + t (b - a).
    ///
    /// # Panics
    /// When the shapes differ or `t` has more than one element.
    #[track_caller]
    pub fn lerp(self, to: Var<'g>, t: Var<'g>) -> Var<'g> {
        self.with(Lerp, &[to, t])
    }
}
