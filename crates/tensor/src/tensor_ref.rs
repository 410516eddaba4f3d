//! Tensors as kernels get them: numbers and a shape.

use crate::shape::Shape;

/// A tensor to read: contiguous, row-major.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a, T> {
    /// The elements; as many as the shape has.
    pub data: &'a [T],
    /// The dimensions.
    pub shape: Shape,
}

/// A tensor to write: contiguous, row-major. Every element is written.
#[derive(Debug)]
pub struct TensorMut<'a, T> {
    /// The elements; as many as the shape has.
    pub data: &'a mut [T],
    /// The dimensions.
    pub shape: Shape,
}

/// Implements the two `eval` methods by one generic function `f(op, inputs, output)`.
macro_rules! reference {
    ($function:path) => {
        fn eval_f32(
            &self,
            inputs: &[$crate::tensor_ref::TensorRef<'_, f32>],
            output: $crate::tensor_ref::TensorMut<'_, f32>,
        ) {
            $function(self, inputs, output);
        }

        fn eval_f64(
            &self,
            inputs: &[$crate::tensor_ref::TensorRef<'_, f64>],
            output: $crate::tensor_ref::TensorMut<'_, f64>,
        ) {
            $function(self, inputs, output);
        }
    };
}
pub(crate) use reference;
