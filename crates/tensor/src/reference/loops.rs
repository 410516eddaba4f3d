//! The loops that reference kernels are written with.

use crate::element::Element;
use crate::geometry::{Conv2dGeometry, Pool2dGeometry};
use crate::ops::Epilogue;
use crate::shape::{MAX_RANK, Shape};
use crate::tensor_ref::{TensorMut, TensorRef};

/// y[i] = f(x[i])
pub(super) fn map<T: Element>(x: TensorRef<'_, T>, y: TensorMut<'_, T>, f: impl Fn(T) -> T) {
    for (y, x) in y.data.iter_mut().zip(x.data) {
        *y = f(*x);
    }
}

/// y[i] = f(a[i], b[i])
pub(super) fn zip<T: Element>(
    a: TensorRef<'_, T>,
    b: TensorRef<'_, T>,
    y: TensorMut<'_, T>,
    f: impl Fn(T, T) -> T,
) {
    for ((y, a), b) in y.data.iter_mut().zip(a.data).zip(b.data) {
        *y = f(*a, *b);
    }
}

/// y[i] = f(a[i], b[i]) with a and b stretched to the shape of y
pub(super) fn zip_broadcast<T: Element>(
    a: TensorRef<'_, T>,
    b: TensorRef<'_, T>,
    y: TensorMut<'_, T>,
    f: impl Fn(T, T) -> T,
) {
    let (a_strides, b_strides) = (a.shape.broadcast_strides(y.shape), b.shape.broadcast_strides(y.shape));
    for (y, index) in y.data.iter_mut().zip(indices(y.shape)) {
        *y = f(a.data[dot(&index, &a_strides)], b.data[dot(&index, &b_strides)]);
    }
}

/// Every index of a shape, in memory order.
pub(super) fn indices(shape: Shape) -> impl Iterator<Item = [usize; MAX_RANK]> {
    let mut index = [0; MAX_RANK];
    (0..shape.len()).map(move |i| {
        if i > 0 {
            for axis in (0..shape.rank()).rev() {
                index[axis] += 1;
                if index[axis] < shape.dims()[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        index
    })
}

/// The offset of an index.
pub(super) fn dot(index: &[usize; MAX_RANK], strides: &[usize; MAX_RANK]) -> usize {
    index.iter().zip(strides).map(|(i, s)| i * s).sum()
}

/// The row that a whole number stored as a float names, if there are that many rows.
pub(super) fn position<T: Element>(id: T, rows: usize) -> Option<usize> {
    let id = id.to_f64();
    (id >= 0.0 && id < rows as f64).then_some(id as usize)
}

/// Every pair of an output pixel of a convolution and an input pixel that it sees, padding left out:
/// f(offset of the input pixel, offset of the kernel's tap, offset of the output pixel); each is the
/// start of a run of channels.
pub(super) fn taps(g: &Conv2dGeometry, mut f: impl FnMut(usize, usize, usize)) {
    for n in 0..g.batch {
        for (i, j) in (0..g.out_h).flat_map(|i| (0..g.out_w).map(move |j| (i, j))) {
            for (u, v) in (0..g.kernel_h).flat_map(|u| (0..g.kernel_w).map(move |v| (u, v))) {
                let row = (i * g.stride_h + u).checked_sub(g.pad_top).filter(|&row| row < g.in_h);
                let column = (j * g.stride_w + v).checked_sub(g.pad_left).filter(|&column| column < g.in_w);
                if let (Some(row), Some(column)) = (row, column) {
                    f(
                        ((n * g.in_h + row) * g.in_w + column) * g.in_c,
                        (u * g.kernel_w + v) * g.in_c * g.out_c,
                        ((n * g.out_h + i) * g.out_w + j) * g.out_c,
                    );
                }
            }
        }
    }
}

/// Every window of a pooling: f(offsets of the elements in the window, offset of its output).
pub(super) fn windows(g: &Pool2dGeometry, mut f: impl FnMut(&[usize], usize)) {
    let mut window = Vec::new();
    for n in 0..g.batch {
        for (i, j) in (0..g.out_h).flat_map(|i| (0..g.out_w).map(move |j| (i, j))) {
            for c in 0..g.channels {
                window.clear();
                for row in g.rows(i) {
                    for column in g.columns(j) {
                        window.push(((n * g.in_h + row) * g.in_w + column) * g.channels + c);
                    }
                }
                f(&window, ((n * g.out_h + i) * g.out_w + j) * g.channels + c);
            }
        }
    }
}

/// The offset of the first largest element among those of a window.
pub(super) fn largest<T: Element>(x: &[T], window: &[usize]) -> usize {
    window.iter().copied().fold(window[0], |best, i| if x[i] > x[best] { i } else { best })
}

/// Per-channel statistics of parts of a batch, ready to normalise by.
pub(super) struct Normaliser<'a, T> {
    stats: &'a [T],
    eps: T,
    /// Elements of one part.
    pub(super) part: usize,
    pub(super) channels: usize,
}

impl<'a, T: Element> Normaliser<'a, T> {
    pub(super) fn new(x: Shape, stats: &'a [T], groups: usize, eps: f64) -> Normaliser<'a, T> {
        Normaliser { stats, eps: T::of(eps), part: x.len() / groups, channels: x.last() }
    }

    /// The channel of element `i`.
    pub(super) fn channel(&self, i: usize) -> usize {
        i % self.channels
    }

    /// Where the first of the two statistics of element `i` stands.
    pub(super) fn row(&self, i: usize) -> usize {
        i / self.part * 2 * self.channels + self.channel(i)
    }

    /// 1 / sqrt(variance + eps)
    pub(super) fn rstd(&self, i: usize) -> T {
        T::ONE / (self.stats[self.row(i) + self.channels] + self.eps).sqrt()
    }

    /// (x - mean) / sqrt(variance + eps)
    pub(super) fn xhat(&self, i: usize, x: T) -> T {
        (x - self.stats[self.row(i)]) * self.rstd(i)
    }
}

/// The epilogue of a product that is in `y`.
pub(super) fn epilogue<T: Element>(
    epilogue: Epilogue,
    extra: Option<&TensorRef<'_, T>>,
    y: TensorMut<'_, T>,
) {
    let channels = y.shape.last();
    for (i, y) in y.data.iter_mut().enumerate() {
        let bias = extra.filter(|_| epilogue.has_bias()).map_or(T::ZERO, |bias| bias.data[i % channels]);
        let sum = *y + bias;
        *y = match (epilogue.activation(), epilogue.activation_grad(), extra) {
            (Some(activation), _, _) => activation.eval(sum),
            (_, Some(activation), Some(output)) => activation.eval_grad(output.data[i], sum),
            _ => sum,
        };
    }
}
