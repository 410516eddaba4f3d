//! Loops over tensors that are broadcast, permuted or cut: axes that lie evenly in all of them are merged,
//! and what remains is an odometer over long inner runs.

use gannet_tensor::{MAX_RANK, Shape};

/// A tensor of `dims` with `N` operands at strides of their own. The last axis is the inner run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strided<const N: usize> {
    dims: Vec<usize>,
    strides: Vec<[usize; N]>,
}

impl<const N: usize> Strided<N> {
    /// Merges the axes of a shape; `strides` are those of each operand.
    pub(crate) fn new(shape: Shape, strides: [[usize; MAX_RANK]; N]) -> Strided<N> {
        let mut merged = Strided { dims: Vec::new(), strides: Vec::new() };
        for (axis, &dim) in shape.dims().iter().enumerate() {
            if dim == 1 {
                continue;
            }
            let stride = strides.map(|s| s[axis]);
            let even = merged
                .strides
                .last()
                .is_some_and(|outer| outer.iter().zip(stride).all(|(&outer, inner)| outer == inner * dim));
            match (even, merged.dims.last_mut(), merged.strides.last_mut()) {
                (true, Some(outer), Some(outer_stride)) => {
                    *outer *= dim;
                    *outer_stride = stride;
                }
                _ => {
                    merged.dims.push(dim);
                    merged.strides.push(stride);
                }
            }
        }
        if merged.dims.is_empty() {
            merged.dims.push(1);
            merged.strides.push([0; N]);
        }
        merged
    }

    /// Elements of the inner run, and the strides of the operands along it.
    pub(crate) fn inner(&self) -> (usize, [usize; N]) {
        (self.dims[self.dims.len() - 1], self.strides[self.dims.len() - 1])
    }

    /// The number of inner runs.
    pub(crate) fn runs(&self) -> usize {
        self.dims[..self.dims.len() - 1].iter().product()
    }

    /// Where the operands of a run start.
    pub(crate) fn start(&self, run: usize) -> [usize; N] {
        let mut rest = run;
        let mut start = [0; N];
        for axis in (0..self.dims.len() - 1).rev() {
            let index = rest % self.dims[axis];
            rest /= self.dims[axis];
            for (start, stride) in start.iter_mut().zip(self.strides[axis]) {
                *start += index * stride;
            }
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_lie_evenly_merge() {
        let shape = Shape::from([2, 3, 4]);
        let dense = shape.strides();
        assert_eq!(Strided::new(shape, [dense, dense]).inner(), (24, [1, 1]));
        let bias = Shape::from([4]).broadcast_strides(shape);
        let s = Strided::new(shape, [dense, bias]);
        assert_eq!((s.inner(), s.runs(), s.start(5)), ((4, [1, 1]), 6, [20, 0]));
        let column = Shape::from([2, 1, 1]).broadcast_strides(shape);
        let s = Strided::new(shape, [dense, column]);
        assert_eq!((s.inner(), s.runs(), s.start(1)), ((12, [1, 0]), 2, [12, 1]));
    }
}
