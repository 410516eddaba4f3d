//! y = x[.., start..end, ..] along one axis.

use crate::ops::prelude::*;

/// The elements `start..end` along `axis`. A view where no earlier axis has more than one element.
#[derive(Debug)]
pub struct Slice {
    /// The axis that is cut.
    pub axis: usize,
    /// The first position that is kept.
    pub start: usize,
    /// The first position after those that are kept.
    pub end: usize,
}

impl Operation for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        let Some(&size) = x.dims().get(self.axis) else {
            return Err(Error::new(format!("{x} has no axis {}", self.axis)));
        };
        if self.start >= self.end || self.end > size {
            let (start, end) = (self.start, self.end);
            return Err(Error::new(format!("{start}..{end} is not a part of axis {} of {x}", self.axis)));
        }
        Ok(x.with_dim(self.axis, self.end - self.start))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let size = cx.inputs[0].shape().dims()[self.axis];
        Ok(vec![Some(cx.cotangent.pad(self.axis, self.start, size - self.end))])
    }

    fn view(&self, inputs: &[Shape]) -> Option<usize> {
        let x = inputs[0];
        let leading = x.dims()[..self.axis].iter().all(|&dim| dim == 1);
        leading.then(|| self.start * x.strides()[self.axis])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let from = inputs[0].strides();
        let start = self.start * from[self.axis];
        Some(launch::copy(Input(0), output.dims(), &from, &output.strides(), [start, 0]).into())
    }

    reference!(kernels::slice::slice);
}

impl<'g> Var<'g> {
    /// The elements `start..end` along `axis`.
    ///
    /// # Panics
    /// When the axis does not exist, or the range is empty or not within it.
    #[track_caller]
    pub fn slice(self, axis: usize, start: usize, end: usize) -> Var<'g> {
        if self.shape().dims().get(axis) == Some(&end) && start == 0 {
            return self;
        }
        self.with(Slice { axis, start, end }, &[])
    }
}
