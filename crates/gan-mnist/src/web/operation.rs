//! What a page without WebGPU computes itself: the operations that `forward.js` knows, as data.

use gannet::Shape;
use gannet::tensor::Operation;
use gannet::tensor::ops::{
    Affine, AvgPool2d, BatchMatMul, BroadcastTo, Clamp, Concat, Conv2d, ConvTranspose2d, Elu, LeakyRelu,
    MatMul, Max, MaxPool2d, OneHot, Pad, Permute, Slice, Softmax, Sum, UpsampleNearest,
};
use gannet::tensor::{Conv2dGeometry, Pool2dGeometry};
use serde::Serialize;

/// Functions of one number without constants, and of two numbers: under these names in `forward.js`.
const FUNCTIONS: [&str; 14] = [
    "abs",
    "copy_to",
    "exp",
    "gelu",
    "log",
    "normal_cdf",
    "reciprocal",
    "sigmoid",
    "sign",
    "silu",
    "softplus",
    "sqrt",
    "square",
    "tanh",
];
const FUNCTIONS_OF_TWO: [&str; 6] = ["add", "div", "greater", "maximum", "mul", "sub"];

/// An operation. Tensors are row-major; strides are in elements.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Kind {
    /// A function of each number, with two constants.
    Map { function: &'static str, constants: [f64; 2] },
    /// A function of two numbers, over `dims`.
    Pair { function: &'static str, dims: Vec<usize>, strides: [Vec<usize>; 2] },
    /// The numbers of the input, visited by `dims`, to their places in the output, which is zero elsewhere.
    Copy { dims: Vec<usize>, from: Place, to: Place },
    /// The sum or the largest of the numbers of the input, visited by `dims`, that have the same place in the output.
    Reduce { function: &'static str, dims: Vec<usize>, strides: Vec<usize> },
    /// A [m, k] times b [k, n], of which the second may be given transposed, for each of a batch.
    Matmul { batch: usize, m: usize, k: usize, n: usize, transposed: bool },
    /// A convolution, or where `transposed` the transposed one: the sides of the image and of the features, the kernel, the
    /// stride and the padding, down and across, and the channels of image and features.
    Convolution {
        batch: usize,
        image: [usize; 2],
        features: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        channels: [usize; 2],
        transposed: bool,
    },
    /// The mean or the largest number of each window.
    Pool {
        function: &'static str,
        batch: usize,
        image: [usize; 2],
        windows: [usize; 2],
        size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        channels: usize,
    },
    /// Inputs beside one another: `outer` times as many numbers of each as `widths` says.
    Concat { outer: usize, widths: Vec<usize> },
    /// Rows of a table by number.
    Embedding { rows: usize, width: usize },
    /// Rows of `width` numbers, as shares of their exponentials.
    Softmax { width: usize },
    /// Rows with a one at the place of a number.
    OneHot { depth: usize },
}

/// Where elements lie: the first, and the way from one to the next along each axis.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Place {
    start: usize,
    strides: Vec<usize>,
}

impl Kind {
    /// That of an operation on these shapes; nothing where `forward.js` does not know it.
    pub(super) fn of(op: &dyn Operation, inputs: &[Shape], output: Shape) -> Option<Kind> {
        if let Some(function) = FUNCTIONS.iter().find(|name| **name == op.name()) {
            return Some(Kind::Map { function, constants: [0.0; 2] });
        }
        if let Some(function) = FUNCTIONS_OF_TWO.iter().find(|name| **name == op.name()) {
            let strides = [0, 1].map(|i| strides(inputs[i].broadcast_strides(output), output));
            return Some(Kind::Pair { function, dims: output.dims().to_vec(), strides });
        }
        let map = |function, constants| Some(Kind::Map { function, constants });
        let copied =
            |dims: Shape, from: Place, to: Place| Some(Kind::Copy { dims: dims.dims().to_vec(), from, to });
        let whole = |shape: Shape| Place { start: 0, strides: strides(shape.strides(), shape) };
        let reduced = |function| {
            let to = strides(output.broadcast_strides(inputs[0]), inputs[0]);
            Some(Kind::Reduce { function, dims: inputs[0].dims().to_vec(), strides: to })
        };
        if let Some(&Affine { scale, shift }) = op.downcast() {
            map("affine", [scale, shift])
        } else if let Some(&LeakyRelu { negative_slope }) = op.downcast() {
            map("leaky_relu", [negative_slope, 0.0])
        } else if let Some(&Elu { alpha }) = op.downcast() {
            map("elu", [alpha, 0.0])
        } else if let Some(&Clamp { low, high }) = op.downcast() {
            map("clamp", [low, high])
        } else if op.downcast::<BroadcastTo>().is_some() {
            let from = Place { start: 0, strides: strides(inputs[0].broadcast_strides(output), output) };
            copied(output, from, whole(output))
        } else if let Some(Permute { axes }) = op.downcast() {
            let of_input = inputs[0].strides();
            let from = Place { start: 0, strides: axes.iter().map(|&axis| of_input[axis]).collect() };
            copied(output, from, whole(output))
        } else if let Some(&Slice { axis, start, .. }) = op.downcast() {
            let of_input = inputs[0].strides();
            let from = Place { start: start * of_input[axis], strides: strides(of_input, output) };
            copied(output, from, whole(output))
        } else if let Some(&Pad { axis, before, .. }) = op.downcast() {
            let of_output = output.strides();
            let to = Place { start: before * of_output[axis], strides: strides(of_output, inputs[0]) };
            copied(inputs[0], whole(inputs[0]), to)
        } else if let Some(&UpsampleNearest { factor: [down, across] }) = op.downcast() {
            let &[n, h, w, c] = inputs[0].dims() else { return None };
            let dims = vec![n, h, down, w, across, c];
            let from = Place { start: 0, strides: vec![h * w * c, w * c, 0, c, 0, 1] };
            let to = Shape::new(&dims).ok()?;
            copied(to, from, whole(to))
        } else if op.downcast::<Sum>().is_some() {
            reduced("sum")
        } else if op.downcast::<Max>().is_some() {
            reduced("max")
        } else if let Some(&MatMul { trans_a: false, trans_b }) = op.downcast() {
            let (&[m, k], &[_, n]) = (inputs[0].dims(), output.dims()) else { return None };
            Some(Kind::Matmul { batch: 1, m, k, n, transposed: trans_b })
        } else if let Some(&BatchMatMul { trans_a: false, trans_b }) = op.downcast() {
            let (&[batch, m, k], &[_, _, n]) = (inputs[0].dims(), output.dims()) else { return None };
            Some(Kind::Matmul { batch, m, k, n, transposed: trans_b })
        } else if let Some(&Concat { axis }) = op.downcast() {
            let widths = inputs.iter().map(|input| input.dims()[axis..].iter().product()).collect();
            Some(Kind::Concat { outer: output.dims()[..axis].iter().product(), widths })
        } else if op.downcast::<Softmax>().is_some() {
            Some(Kind::Softmax { width: output.last() })
        } else if let Some(Conv2d { geometry }) = op.downcast() {
            Some(convolution(geometry, false))
        } else if let Some(ConvTranspose2d { geometry }) = op.downcast() {
            Some(convolution(geometry, true))
        } else if let Some(AvgPool2d { geometry }) = op.downcast() {
            Some(pool("mean", geometry))
        } else if let Some(MaxPool2d { geometry }) = op.downcast() {
            Some(pool("max", geometry))
        } else if let Some(&OneHot { depth }) = op.downcast() {
            Some(Kind::OneHot { depth })
        } else if op.name() == "embedding" {
            let &[rows, width] = inputs[0].dims() else { return None };
            Some(Kind::Embedding { rows, width })
        } else {
            None
        }
    }
}

/// As many strides as `shape` has axes.
fn strides<const N: usize>(strides: [usize; N], shape: Shape) -> Vec<usize> {
    strides[..shape.rank()].to_vec()
}

fn convolution(g: &Conv2dGeometry, transposed: bool) -> Kind {
    Kind::Convolution {
        batch: g.batch,
        image: [g.in_h, g.in_w],
        features: [g.out_h, g.out_w],
        kernel: [g.kernel_h, g.kernel_w],
        stride: [g.stride_h, g.stride_w],
        padding: [g.pad_top, g.pad_left],
        channels: [g.in_c, g.out_c],
        transposed,
    }
}

fn pool(function: &'static str, g: &Pool2dGeometry) -> Kind {
    Kind::Pool {
        function,
        batch: g.batch,
        image: [g.in_h, g.in_w],
        windows: [g.out_h, g.out_w],
        size: [g.size_h, g.size_w],
        stride: [g.stride_h, g.stride_w],
        padding: [g.pad_top, g.pad_left],
        channels: g.channels,
    }
}
