//! y = the inputs one after another along one axis.

use crate::ops::prelude::*;

/// The inputs one after another along `axis`.
#[derive(Debug)]
pub struct Concat {
    /// The axis along which they follow one another.
    pub axis: usize,
}

impl Operation for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let Some(&first) = inputs.first() else {
            return Err(Error::new("expected at least one input"));
        };
        if self.axis >= first.rank() {
            return Err(Error::new(format!("{first} has no axis {}", self.axis)));
        }
        let size = |s: &Shape| s.dims().get(self.axis).copied().unwrap_or(0);
        let fits = |s: &Shape| s.rank() == first.rank() && s.with_dim(self.axis, size(&first)) == first;
        if !inputs.iter().all(fits) {
            let axis = self.axis;
            return Err(Error::new(format!("expected shapes that differ along axis {axis} alone, got {inputs:?}")));
        }
        Shape::new(first.with_dim(self.axis, inputs.iter().map(size).sum()).dims())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let mut start = 0;
        let mut gradients = Vec::new();
        for (i, x) in cx.inputs.iter().enumerate() {
            let end = start + x.shape().dims()[self.axis];
            gradients.push(cx.want(i, || cx.cotangent.slice(self.axis, start, end)));
            start = end;
        }
        Ok(gradients)
    }

    fn pieces(&self, inputs: &[Shape], output: Shape) -> Option<Vec<usize>> {
        if output.dims()[..self.axis].iter().any(|&dim| dim != 1) {
            return None;
        }
        let ends = inputs.iter().scan(0, |end, x| {
            *end += x.len();
            Some(*end)
        });
        Some(ends.zip(inputs).map(|(end, x)| end - x.len()).collect())
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let to = output.strides();
        let mut start = 0;
        let copies = inputs.iter().enumerate().map(|(i, x)| {
            let copy = launch::copy(Input(i), x.dims(), &x.strides(), &to, [0, start]);
            start += x.dims()[self.axis] * to[self.axis];
            copy
        });
        Some(copies.collect::<Vec<Dispatch>>().into())
    }

    reference!(kernels::concat::concat);
}

impl<'g> Var<'g> {
    /// The tensors one after another along `axis`.
    ///
    /// # Panics
    /// When `parts` is empty or the shapes differ along another axis.
    #[track_caller]
    pub fn concat(parts: &[Var<'g>], axis: usize) -> Var<'g> {
        let [first, rest @ ..] = parts else { panic!("concat: expected at least one tensor") };
        // Constant parts (targets of a loss) are put together once, not in each run.
        let filled: Option<Vec<f64>> = parts.iter().map(|part| part.filled()).collect();
        match filled {
            _ if rest.is_empty() => *first,
            Some(values) if axis == 0 => {
                let shapes: Vec<Shape> = parts.iter().map(|part| part.shape()).collect();
                let shape = Concat { axis }.shape(&shapes).unwrap_or_else(|error| panic!("concat: {error}"));
                let runs = values.iter().zip(&shapes);
                let elements: Vec<f64> = runs.flat_map(|(&v, s)| std::iter::repeat_n(v, s.len())).collect();
                first.graph().constant(shape, &elements)
            }
            _ => first.with(Concat { axis }, rest),
        }
    }
}
