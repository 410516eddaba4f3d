//! Products and convolutions against plain loops, for every instruction set of the machine, at sizes that
//! straddle tiles, vectors and blocks.

use super::microkernel::{Activation, Epilogue};
use super::pack::{Left, Right};
use super::{Gemm, Operands, Product, Target};
use crate::context::{Context, Scratch};
use crate::conv;
use crate::isa::Isa;
use crate::threads::Threads;
use gannet_tensor::Conv2dGeometry;
use proptest::prelude::*;

/// Numbers in [-1, 1) that depend on a seed and a position.
pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A result and the same sums over absolute values, which bound its rounding errors.
pub(crate) struct Exact {
    pub(crate) value: Vec<f64>,
    magnitude: Vec<f64>,
    terms: usize,
}

impl Exact {
    pub(crate) fn new(len: usize, terms: usize) -> Exact {
        Exact { value: vec![0.0; len], magnitude: vec![0.0; len], terms }
    }

    pub(crate) fn add(&mut self, i: usize, a: f32, b: f32) {
        let term = f64::from(a) * f64::from(b);
        self.value[i] += term;
        self.magnitude[i] += term.abs();
    }

    /// |error| <= 4 eps sqrt(K) times the magnitude (plus one rounding of the result).
    pub(crate) fn check(&self, got: &[f32]) {
        let eps = f64::from(f32::EPSILON);
        for (i, &got) in got.iter().enumerate() {
            let bound = eps * (4.0 * (self.terms as f64).sqrt() * self.magnitude[i] + self.value[i].abs());
            let error = (f64::from(got) - self.value[i]).abs();
            assert!(error <= bound, "element {i}: {got} instead of {}, bound {bound:e}", self.value[i]);
        }
    }
}

struct Call<'a> {
    isa: Isa,
    threads: usize,
    a: &'a [f32],
    b: &'a [f32],
    len: usize,
    bias: &'a [f32],
    activation: Activation,
    mask: Option<(&'a [f32], f32)>,
    groups: usize,
}

/// The result and its statistics.
fn compute(products: Vec<Product>, columns: usize, call: &Call<'_>) -> (Vec<f32>, Vec<f32>) {
    let threads = Threads::new(call.threads).unwrap();
    let gemm = Gemm::new(call.isa, products, columns, call.groups);
    let mut scratch = Scratch::new(gemm.workspace(call.isa), call.threads).unwrap();
    let context = Context::new(call.isa, &threads, &mut scratch);
    // NaN shows what is not written.
    let mut c = vec![f32::NAN; call.len];
    let mut stats = vec![f32::NAN; 2 * call.groups * columns];
    let distance = |mask: &[f32]| (mask.as_ptr() as isize - c.as_ptr() as isize) / size_of::<f32>() as isize;
    let epilogue = Epilogue {
        bias: if call.bias.is_empty() { std::ptr::null() } else { call.bias.as_ptr() },
        activation: call.activation,
        grad: call.mask.map(|(mask, slope)| (distance(mask), Activation::LeakyRelu { slope })),
    };
    let operands = Operands {
        a: call.a.as_ptr(),
        b: call.b.as_ptr(),
        c: c.as_mut_ptr(),
        epilogue,
        stats: stats.as_mut_ptr(),
    };
    // SAFETY: the vectors have the sizes that the product describes.
    unsafe { gemm.run(&context, operands) };
    (c, stats)
}

fn plain<'a>(isa: Isa, a: &'a [f32], b: &'a [f32], len: usize) -> Call<'a> {
    Call { isa, threads: 2, a, b, len, bias: &[], activation: Activation::Identity, mask: None, groups: 0 }
}

fn matmul(m: usize, n: usize, k: usize, trans_a: bool, trans_b: bool) -> Product {
    Product {
        rows: m,
        k,
        left: if trans_a { Left::ColumnMajor { stride: m } } else { Left::RowMajor { stride: k } },
        right: if trans_b { Right::transposed(k) } else { Right::RowMajor { stride: n } },
        target: Target::Rows { stride: n },
    }
}

fn check_matmul(isa: Isa, m: usize, n: usize, k: usize, trans_a: bool, trans_b: bool) {
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let mut exact = Exact::new(m * n, k);
    for i in 0..m {
        for j in 0..n {
            for l in 0..k {
                let x = a[if trans_a { l * m + i } else { i * k + l }];
                let y = b[if trans_b { j * k + l } else { l * n + j }];
                exact.add(i * n + j, x, y);
            }
        }
    }
    let product = matmul(m, n, k, trans_a, trans_b);
    exact.check(&compute(vec![product], n, &plain(isa, &a, &b, m * n)).0);
}

fn size() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn matmul_is_the_sum_of_products(
        m in size(), n in size(), k in size(), trans_a: bool, trans_b: bool,
    ) {
        for isa in Isa::available() {
            check_matmul(isa, m, n, k, trans_a, trans_b);
        }
    }

    #[test]
    fn the_three_maps_are_convolutions(
        batch in 1_usize..4, h in 1_usize..12, w in 1_usize..12,
        in_c in prop::sample::select(vec![1_usize, 2, 3, 7, 8, 17, 33]),
        out_c in prop::sample::select(vec![1_usize, 3, 8, 15, 33]),
        kernel in (1_usize..6, 1_usize..6), stride in (1_usize..4, 1_usize..4),
        pad in (0_usize..3, 0_usize..3),
        extra in (0_usize..3, 0_usize..3),
    ) {
        let g = geometry(batch, (h, w), (in_c, out_c), Window { kernel, stride, pad, extra });
        prop_assume!(g.is_some());
        let g = g.unwrap();
        for isa in Isa::available() {
            check_convolutions(isa, &g);
        }
    }
}

#[test]
fn blocks_of_k_and_large_sizes_are_the_sum_of_products() {
    for isa in Isa::available() {
        check_matmul(isa, 70, 130, 600, false, false);
        check_matmul(isa, 130, 300, 257, true, true);
        // Few results, long k: split.
        check_matmul(isa, 17, 33, 5000, true, false);
        check_matmul(isa, 600, 40, 2100, false, true);
        // Many columns, few rows.
        check_matmul(isa, 20, 1500, 300, false, false);
        check_matmul(isa, 3, 5, 0, false, false);
        // The left operand is read where it lies, unless a tile is of an odd height.
        for rows in [1024, 1023] {
            check_matmul(isa, rows, 32, 300, false, false);
            check_matmul(isa, rows, 10, 300, false, true);
        }
        // The right operand is read where it lies, whole panels and not, unless the left one is transposed.
        for trans_a in [false, true] {
            check_matmul(isa, 20, 1536, 300, trans_a, false);
            check_matmul(isa, 33, 784, 520, trans_a, false);
            check_matmul(isa, 18, 80, 2100, trans_a, false);
        }
        // Either could be read where it lies, not both.
        check_matmul(isa, 32, 32, 8200, false, false);
        check_matmul(isa, 64, 64, 4200, false, false);
    }
}

/// Calls `tap(image element, feature element, kernel element)` for every term of the trilinear form.
pub(crate) fn for_each_tap(g: &Conv2dGeometry, mut tap: impl FnMut(usize, usize, usize)) {
    for n in 0..g.batch {
        for (i, j) in (0..g.out_h).flat_map(|i| (0..g.out_w).map(move |j| (i, j))) {
            for (u, v) in (0..g.kernel_h).flat_map(|u| (0..g.kernel_w).map(move |v| (u, v))) {
                let (row, column) = (i * g.stride_h + u, j * g.stride_w + v);
                if row < g.pad_top || column < g.pad_left {
                    continue;
                }
                let (row, column) = (row - g.pad_top, column - g.pad_left);
                if row >= g.in_h || column >= g.in_w {
                    continue;
                }
                for c in 0..g.in_c {
                    for o in 0..g.out_c {
                        tap(
                            ((n * g.in_h + row) * g.in_w + column) * g.in_c + c,
                            ((n * g.out_h + i) * g.out_w + j) * g.out_c + o,
                            ((u * g.kernel_w + v) * g.in_c + c) * g.out_c + o,
                        );
                    }
                }
            }
        }
    }
}

/// The operands of a convolution, and what its three maps make of them.
pub(crate) struct Maps {
    pub(crate) x: Vec<f32>,
    pub(crate) y: Vec<f32>,
    pub(crate) w: Vec<f32>,
    /// y of x and w, x of y and w, w of x and y.
    pub(crate) of_y: Exact,
    pub(crate) of_x: Exact,
    pub(crate) of_w: Exact,
}

impl Maps {
    pub(crate) fn of(g: &Conv2dGeometry) -> Maps {
        let (lx, ly, lw) = (g.image().len(), g.features().len(), g.kernel().len());
        let (x, y, w) = (numbers(lx, 3), numbers(ly, 4), numbers(lw, 5));
        let taps = g.kernel_h * g.kernel_w;
        let mut of_y = Exact::new(ly, taps * g.in_c);
        let mut of_x = Exact::new(lx, taps * g.out_c);
        let mut of_w = Exact::new(lw, g.batch * g.out_h * g.out_w);
        for_each_tap(g, |i, o, k| {
            of_y.add(o, x[i], w[k]);
            of_x.add(i, y[o], w[k]);
            of_w.add(k, x[i], y[o]);
        });
        Maps { x, y, w, of_y, of_x, of_w }
    }
}

/// Heights and widths of a kernel, of its stride, and of the padding before the image and behind it; more padding than the
/// kernel has neighbours is cut.
pub(crate) struct Window {
    pub(crate) kernel: (usize, usize),
    pub(crate) stride: (usize, usize),
    pub(crate) pad: (usize, usize),
    pub(crate) extra: (usize, usize),
}

/// The geometry of an image [batch, size, channels.0] and features of channels.1, if the image has room for a window.
pub(crate) fn geometry(
    batch: usize,
    size: (usize, usize),
    channels: (usize, usize),
    Window { kernel, stride, pad, extra }: Window,
) -> Option<Conv2dGeometry> {
    let pad = (pad.0.min(kernel.0 - 1), pad.1.min(kernel.1 - 1));
    let extra = (extra.0.min(kernel.0 - 1), extra.1.min(kernel.1 - 1));
    Some(Conv2dGeometry {
        batch,
        in_h: size.0,
        in_w: size.1,
        in_c: channels.0,
        out_h: (size.0 + pad.0 + extra.0).checked_sub(kernel.0)? / stride.0 + 1,
        out_w: (size.1 + pad.1 + extra.1).checked_sub(kernel.1)? / stride.1 + 1,
        out_c: channels.1,
        kernel_h: kernel.0,
        kernel_w: kernel.1,
        stride_h: stride.0,
        stride_w: stride.1,
        pad_top: pad.0,
        pad_left: pad.1,
    })
}

fn check_convolutions(isa: Isa, g: &Conv2dGeometry) {
    let Maps { x, y, w, of_y, of_x, of_w } = Maps::of(g);
    of_y.check(&compute(vec![conv::conv2d(g)], g.out_c, &plain(isa, &x, &w, y.len())).0);
    of_x.check(&compute(conv::conv_transpose2d(g), g.in_c, &plain(isa, &y, &w, x.len())).0);
    of_w.check(&compute(vec![conv::conv2d_weight_grad(g)], g.out_c, &plain(isa, &x, &y, w.len())).0);
}

/// The layers of the reference step, narrower.
fn layers() -> Vec<Conv2dGeometry> {
    [(28, 1, 24), (14, 20, 40)]
        .map(|(size, in_c, out_c)| Conv2dGeometry {
            batch: 6,
            in_h: size,
            in_w: size,
            in_c,
            out_h: size / 2,
            out_w: size / 2,
            out_c,
            kernel_h: 4,
            kernel_w: 4,
            stride_h: 2,
            stride_w: 2,
            pad_top: 1,
            pad_left: 1,
        })
        .to_vec()
}

#[test]
fn layers_of_the_reference_step_are_convolutions() {
    for isa in Isa::available() {
        for g in layers() {
            check_convolutions(isa, &g);
        }
    }
}

#[test]
fn epilogues_see_every_element_once() {
    for isa in Isa::available() {
        for g in layers() {
            let (x, y, w) =
                (numbers(g.image().len(), 3), numbers(g.features().len(), 4), numbers(g.kernel().len(), 5));
            let bias = numbers(g.in_c.max(g.out_c), 6);
            let forward = (vec![conv::conv2d(&g)], g.out_c, &x, g.features().len());
            let backward = (conv::conv_transpose2d(&g), g.in_c, &y, g.image().len());
            for (products, columns, image, len) in [forward, backward] {
                let call = plain(isa, image, &w, len);
                let raw = compute(products.clone(), columns, &call).0;
                let leaky = |x: f32| if x > 0.0 { x } else { 0.2 * x };
                let with_bias =
                    Call { bias: &bias, activation: Activation::LeakyRelu { slope: 0.2 }, ..call };
                let got = compute(products.clone(), columns, &with_bias).0;
                for (i, (&got, &raw)) in got.iter().zip(&raw).enumerate() {
                    let want = leaky(raw + bias[i % columns]);
                    assert!((got - want).abs() <= 4e-6 * (1.0 + raw.abs()), "{isa}: {got} instead of {want}");
                }
                let mask = numbers(len, 7);
                let masked = Call { mask: Some((&mask, 0.3)), ..plain(isa, image, &w, len) };
                let got = compute(products, columns, &masked).0;
                for ((&got, &raw), &mask) in got.iter().zip(&raw).zip(&mask) {
                    let want = if mask > 0.0 { raw } else { 0.3 * raw };
                    assert_eq!(got, want, "{isa}");
                }
            }
        }
    }
}

#[test]
fn statistics_of_a_result_are_mean_and_variance() {
    for isa in Isa::available() {
        for g in layers() {
            for groups in [1, 2, 3] {
                let (x, y, w) = (
                    numbers(g.image().len(), 3),
                    numbers(g.features().len(), 4),
                    numbers(g.kernel().len(), 5),
                );
                // A large mean is what naive sums of squares do not survive.
                let bias = vec![300.0; g.in_c.max(g.out_c)];
                let forward = (vec![conv::conv2d(&g)], g.out_c, &x, g.features().len());
                let backward = (conv::conv_transpose2d(&g), g.in_c, &y, g.image().len());
                for (products, columns, image, len) in [forward, backward] {
                    let call = Call { bias: &bias, groups, ..plain(isa, image, &w, len) };
                    let (c, stats) = compute(products, columns, &call);
                    let rows = len / columns / groups;
                    for (i, pair) in stats.chunks(2 * columns).enumerate() {
                        for column in 0..columns {
                            let values =
                                (i * rows..(i + 1) * rows).map(|r| f64::from(c[r * columns + column]));
                            let mean = values.clone().sum::<f64>() / rows as f64;
                            let variance = values.map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
                            let (m, v) = (f64::from(pair[column]), f64::from(pair[columns + column]));
                            assert!((m - mean).abs() < 2e-5 * 300.0, "{isa}: mean {m} instead of {mean}");
                            assert!(
                                (v - variance).abs() < 1e-4 * variance,
                                "{isa}: variance {v}, not {variance}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for isa in Isa::available() {
        let g = Conv2dGeometry { batch: 12, ..layers()[1] };
        let (x, y, w) =
            (numbers(g.image().len(), 3), numbers(g.features().len(), 4), numbers(g.kernel().len(), 5));
        #[allow(clippy::type_complexity)]
        let cases: [(Vec<Product>, usize, &[f32], &[f32], usize, usize); 3] = [
            (vec![conv::conv2d(&g)], g.out_c, &x, &w, y.len(), 2),
            (conv::conv_transpose2d(&g), g.in_c, &y, &w, x.len(), 1),
            (vec![conv::conv2d_weight_grad(&g)], g.out_c, &x, &y, w.len(), 0),
        ];
        for (products, columns, a, b, len, groups) in cases {
            let of = |threads| {
                compute(products.clone(), columns, &Call { threads, groups, ..plain(isa, a, b, len) })
            };
            let one = of(1);
            assert!(one == of(2) && one == of(3), "{isa}");
        }
    }
}
