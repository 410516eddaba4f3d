//! y = x, in other memory: what the planner emits where a value must move.

use crate::ops::prelude::*;

/// y = x. The planner emits it where a value must move to other memory.
#[derive(Debug)]
pub struct CopyTo;

impl Operation for CopyTo {
    fn name(&self) -> &'static str {
        "copy_to"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent)])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        Some(launch::copy_whole(Input(0), output).into())
    }

    reference!(kernels::copy_to::copy_to);
}
