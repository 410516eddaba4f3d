//! Shapes of contiguous row-major tensors, and NumPy broadcasting.

use std::fmt;

use crate::error::Error;

/// The most dimensions a tensor may have.
pub const MAX_RANK: usize = 6;

/// The dimensions of a contiguous, row-major tensor: the last axis is the fastest. At most
/// [`MAX_RANK`] axes; a scalar has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The shape of a scalar: no axes, one element.
    pub const SCALAR: Shape = Shape { dims: [0; MAX_RANK], rank: 0 };

    /// A shape with the given dimensions. Errors when there are more than [`MAX_RANK`], or when the
    /// number of elements does not fit in 63 bits.
    pub fn new(dims: &[usize]) -> Result<Shape, Error> {
        if dims.len() > MAX_RANK {
            return Err(Error::new(format!("a shape has at most {MAX_RANK} dimensions, got {dims:?}")));
        }
        let fits =
            dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_some_and(|n| n <= isize::MAX as usize);
        if !fits {
            return Err(Error::new(format!("the shape {dims:?} has more elements than can be addressed")));
        }
        let mut shape = Shape { dims: [0; MAX_RANK], rank: dims.len() };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Ok(shape)
    }

    /// The dimensions, slowest axis first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of elements: the product of the dimensions, 1 for a scalar.
    #[allow(clippy::len_without_is_empty)] // a shape is not a collection
    pub fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// Elements between neighbours along each axis.
    pub fn strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in (0..self.rank).rev() {
            strides[axis] = step;
            step *= self.dims[axis];
        }
        strides
    }

    /// The shape with dimension `axis` replaced.
    ///
    /// # Panics
    /// When `axis` is not an axis of the shape.
    pub fn with_dim(mut self, axis: usize, dim: usize) -> Shape {
        assert!(axis < self.rank, "axis {axis} of a shape with {} axes", self.rank);
        self.dims[axis] = dim;
        self
    }

    /// The last dimension; 1 for a scalar.
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// The shape that NumPy's rules give two operands: aligned at the last axis, a dimension of 1
    /// stretches. Errors when two dimensions differ and neither is 1.
    pub fn broadcast(a: Shape, b: Shape) -> Result<Shape, Error> {
        let rank = a.rank.max(b.rank);
        let mut out = Shape { dims: [0; MAX_RANK], rank };
        for axis in 0..rank {
            out.dims[axis] = match (a.aligned(axis, rank), b.aligned(axis, rank)) {
                (x, y) if x == y => x,
                (1, y) => y,
                (x, 1) => x,
                _ => {
                    return Err(Error::new(format!(
                        "shapes {a} and {b} do not broadcast: dimensions must be equal or 1"
                    )));
                }
            };
        }
        Ok(out)
    }

    /// Whether broadcasting `self` against `target` gives exactly `target`.
    pub fn broadcasts_to(self, target: Shape) -> bool {
        Shape::broadcast(self, target) == Ok(target)
    }

    /// Strides for reading a tensor of this shape as if it had the shape `target`: 0 along stretched axes.
    ///
    /// # Panics
    /// When the shape does not broadcast to `target`.
    pub fn broadcast_strides(&self, target: Shape) -> [usize; MAX_RANK] {
        assert!(self.broadcasts_to(target), "{self} does not broadcast to {target}");
        let own = self.strides();
        let shift = target.rank - self.rank;
        let mut strides = [0; MAX_RANK];
        for axis in shift..target.rank {
            if self.dims[axis - shift] != 1 {
                strides[axis] = own[axis - shift];
            }
        }
        strides
    }

    /// The dimension that stands at `axis` once the shape is padded with leading ones to `rank` axes.
    fn aligned(&self, axis: usize, rank: usize) -> usize {
        let shift = rank - self.rank;
        if axis < shift { 1 } else { self.dims[axis - shift] }
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        const { assert!(N <= MAX_RANK) };
        let mut shape = Shape { dims: [0; MAX_RANK], rank: N };
        shape.dims[..N].copy_from_slice(&dims);
        shape
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_row_major() {
        assert_eq!(Shape::from([2, 3, 4]).strides()[..3], [12, 4, 1]);
        assert_eq!(Shape::SCALAR.len(), 1);
    }

    #[test]
    fn broadcasting_follows_numpy() {
        let b = |a: Shape, b: Shape| Shape::broadcast(a, b);
        assert_eq!(b([2, 1, 4].into(), [3, 1].into()).unwrap(), Shape::from([2, 3, 4]));
        assert_eq!(b(Shape::SCALAR, [3].into()).unwrap(), Shape::from([3]));
        let message = b([2, 3].into(), [2, 4].into()).unwrap_err().to_string();
        assert!(message.contains("[2, 3]") && message.contains("[2, 4]"), "{message}");
        assert_eq!(Shape::from([3, 1]).broadcast_strides([2, 3, 4].into())[..3], [0, 1, 0]);
    }

    #[test]
    fn impossible_shapes_are_errors() {
        assert!(Shape::new(&[1; 7]).is_err());
        assert!(Shape::new(&[usize::MAX, 2]).is_err());
    }
}
