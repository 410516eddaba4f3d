//! The three maps against plain loops, to the bound that direct sums have, for every instruction set of the
//! machine.

use super::Map;
use super::convolution::Convolution;
use super::transform::{Extent, WINDOW};
use super::weight_grad::WeightGrad;
use crate::gemm::tests::{Exact, Maps, for_each_tap, numbers};
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::kernel::tests::{checked, run, run_with_stats};
use crate::kernels::Taken;
use gannet_tensor::{Conv2dGeometry, ops};
use proptest::prelude::*;

fn forward(g: &Conv2dGeometry) -> Option<Map> {
    super::forward(g, Taken::IfWorthIt)
}

fn transposed(g: &Conv2dGeometry) -> Option<Map> {
    super::transposed(g, Taken::IfWorthIt)
}

fn weight_grad(g: &Conv2dGeometry) -> Option<Map> {
    super::weight_grad(g, Taken::IfWorthIt)
}

/// A kernel of 4x4 with stride 2, or of 3x3 with stride 1.
fn geometry(
    kernel: usize,
    batch: usize,
    size: [usize; 2],
    channels: [usize; 2],
    pad: [usize; 2],
) -> Conv2dGeometry {
    let stride = if kernel == 4 { 2 } else { 1 };
    let out = |i: usize| (size[i] + 2 * pad[i] - kernel) / stride + 1;
    Conv2dGeometry {
        batch,
        in_h: size[0],
        in_w: size[1],
        in_c: channels[0],
        out_h: out(0),
        out_w: out(1),
        out_c: channels[1],
        kernel_h: kernel,
        kernel_w: kernel,
        stride_h: stride,
        stride_w: stride,
        pad_top: pad[0],
        pad_left: pad[1],
    }
}

/// Checks the maps that take this way, and that they have the same bits for any number of threads; says how many.
fn check(g: &Conv2dGeometry) -> usize {
    let Maps { x, y, w, of_y, of_x, of_w } = Maps::of(g);
    let mut count = 0;
    for isa in Isa::available() {
        let mut check = |exact: &Exact, kernel: &dyn Kernel, inputs: &[&[f32]]| {
            checked(isa, kernel, inputs, exact);
            count += 1;
        };
        if let Some(map) = weight_grad(g) {
            check(&of_w, &WeightGrad::new(isa, map), &[&x, &y]);
        }
        if let Some(map) = forward(g) {
            check(&of_y, &Convolution::new(isa, map, None, 0).unwrap(), &[&x, &w]);
        }
        if let Some(map) = transposed(g) {
            check(&of_x, &Convolution::new(isa, map, None, 0).unwrap(), &[&y, &w]);
        }
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_three_maps_are_convolutions(
        batch in 8_usize..14,
        h in prop::sample::select(vec![7_usize, 8, 14, 15, 16]),
        w in prop::sample::select(vec![7_usize, 8, 13, 14, 16]),
        in_c in prop::sample::select(vec![16_usize, 32, 48, 64]),
        out_c in prop::sample::select(vec![32_usize, 80]),
        pad in (0_usize..4, 0_usize..4),
    ) {
        check(&geometry(4, batch, [h, w], [in_c, out_c], [pad.0, pad.1]));
    }

    #[test]
    fn the_three_maps_of_3x3_kernels_are_convolutions(
        batch in 1_usize..5,
        h in 5_usize..20,
        w in 5_usize..20,
        in_c in prop::sample::select(vec![16_usize, 32, 48]),
        out_c in prop::sample::select(vec![16_usize, 32, 80]),
        pad in (0_usize..3, 0_usize..3),
    ) {
        // As many images as make the transformed kernel worth it.
        let images = 8 * 81_usize.div_ceil(h * w);
        check(&geometry(3, batch + images, [h, w], [in_c, out_c], [pad.0, pad.1]));
    }
}

#[test]
fn layers_of_the_reference_step_take_this_way() {
    let sets = Isa::available().len();
    assert_eq!(check(&geometry(4, 8, [14, 14], [64, 128], [1, 1])), 3 * sets);
    // More than one range of terms, and tasks of few tiles.
    assert_eq!(check(&geometry(4, 9, [15, 16], [80, 272], [1, 1])), 3 * sets);
    // More than one block of tiles, tiles without images of their own.
    assert_eq!(check(&geometry(4, 5, [40, 48], [32, 32], [1, 1])), 3 * sets);
}

#[test]
fn layers_of_residual_blocks_take_this_way() {
    let sets = Isa::available().len();
    assert_eq!(check(&geometry(3, 4, [14, 14], [32, 32], [1, 1])), 3 * sets);
    assert_eq!(check(&geometry(3, 6, [7, 7], [64, 64], [1, 1])), 3 * sets);
    // A single image, of a size that no tiles fit.
    assert_eq!(check(&geometry(3, 1, [31, 37], [32, 48], [1, 1])), 3 * sets);
    // More than one range of terms either way, and tasks of few tiles.
    assert_eq!(check(&geometry(3, 3, [13, 9], [272, 80], [1, 1])), 3 * sets);
    assert_eq!(check(&geometry(3, 3, [13, 9], [80, 272], [1, 1])), 3 * sets);
    // Only the gradient of the weights: too few tiles for so many channels.
    assert_eq!(check(&geometry(3, 8, [7, 7], [256, 256], [1, 1])), sets);
    // No padding, and as much as a kernel can see: the image of the gradient has other borders than its features.
    assert_eq!(check(&geometry(3, 4, [11, 12], [32, 32], [0, 0])), 3 * sets);
    assert_eq!(check(&geometry(3, 4, [11, 12], [32, 32], [2, 2])), 3 * sets);
}

#[test]
fn what_gains_nothing_is_left_to_the_direct_way() {
    let layer = geometry(4, 8, [14, 14], [64, 128], [1, 1]);
    let block = geometry(3, 8, [14, 14], [64, 64], [1, 1]);
    assert!(forward(&block).is_some() && transposed(&block).is_some());
    for g in [
        Conv2dGeometry { kernel_w: 3, ..layer },
        Conv2dGeometry { stride_h: 1, ..layer },
        Conv2dGeometry { in_c: 40, ..layer },
        Conv2dGeometry { out_c: 8, ..layer },
        Conv2dGeometry { in_c: 16, out_c: 16, ..layer },
        Conv2dGeometry { batch: 2, ..layer },
        // A tile of 3 x 3 for 2 x 2 features.
        geometry(4, 64, [4, 4], [64, 128], [1, 1]),
        Conv2dGeometry { kernel_h: 2, ..block },
        Conv2dGeometry { stride_h: 2, stride_w: 2, ..block },
        Conv2dGeometry { in_c: 8, ..block },
        Conv2dGeometry { in_c: 16, out_c: 16, ..block },
        Conv2dGeometry { out_c: 3, ..block },
        Conv2dGeometry { batch: 1, ..block },
        // A tile of 2 x 2 for one output.
        geometry(3, 64, [3, 3], [64, 64], [0, 0]),
    ] {
        assert!(forward(&g).is_none() && weight_grad(&g).is_none(), "{g:?}");
    }
    // The last row of pixels meets no feature.
    let unseen = geometry(4, 8, [15, 14], [64, 128], [0, 1]);
    assert!(forward(&unseen).is_some() && transposed(&unseen).is_none());
}

#[test]
fn epilogues_and_statistics_belong_to_the_result() {
    for kernel in [4, 3] {
        check_epilogues(&geometry(kernel, 12, [14, 13], [32, 48], [1, 1]));
    }
}

fn check_epilogues(g: &Conv2dGeometry) {
    let (x, y, w) =
        (numbers(g.image().len(), 3), numbers(g.features().len(), 4), numbers(g.kernel().len(), 5));
    // A large mean is what naive sums of squares do not survive.
    let bias: Vec<f32> = numbers(48, 6).into_iter().map(|b| b + 300.0).collect();
    for isa in Isa::available() {
        for (map, input, len, channels) in
            [(forward(g), &x, y.len(), g.out_c), (transposed(g), &y, x.len(), g.in_c)]
        {
            let map = map.unwrap();
            let kernel = |epilogue, groups| Convolution::new(isa, map.clone(), epilogue, groups).unwrap();
            let raw = run(isa, 1, &kernel(None, 0), &[input, &w], len);
            let mask = numbers(len, 7);
            let activation = ops::Activation::LeakyRelu { negative_slope: 0.25 };
            let masked = kernel(Some(ops::Epilogue::ActivationGrad(activation)), 0);
            let got = run(isa, 2, &masked, &[input, &w, &mask], len);
            for ((&got, &raw), &mask) in got.iter().zip(&raw).zip(&mask) {
                assert_eq!(got, if mask > 0.0 { raw } else { 0.25 * raw }, "{isa}");
            }
            for groups in [1, 2, 3] {
                let with_bias = kernel(Some(ops::Epilogue::Bias), groups);
                let stats = 2 * groups * channels;
                let one = run_with_stats(isa, 1, &with_bias, &[input, &w, &bias], len, stats);
                assert!(one == run_with_stats(isa, 3, &with_bias, &[input, &w, &bias], len, stats), "{isa}");
                let (got, stats) = one;
                for (i, (&got, &raw)) in got.iter().zip(&raw).enumerate() {
                    assert_eq!(got, raw + bias[i % channels], "{isa}");
                }
                let rows = len / channels / groups;
                for (group, pair) in stats.chunks(2 * channels).enumerate() {
                    for c in 0..channels {
                        let rows_of = group * rows..(group + 1) * rows;
                        let values = rows_of.map(|row| f64::from(got[row * channels + c]));
                        let mean = values.clone().sum::<f64>() / rows as f64;
                        let variance = values.map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
                        let (m, v) = (f64::from(pair[c]), f64::from(pair[channels + c]));
                        assert!((m - mean).abs() < 2e-5 * 300.0, "{isa}: mean {m} instead of {mean}");
                        assert!((v - variance).abs() < 1e-4 * variance, "{isa}: {v} instead of {variance}");
                    }
                }
            }
        }
    }
}

/// F(3, 3) and F(2, 3) as matrices: A^T, G and B^T.
struct Matrices {
    outputs: &'static [&'static [f64]],
    taps: &'static [&'static [f64]],
    window: &'static [&'static [f64]],
}

const TAPS: [&[f64]; 5] = [
    &[2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0],
    &[-2.0 / 3.0, 2.0 / 3.0, -2.0 / 3.0],
    &[-4.0 / 3.0, -2.0 / 3.0, -1.0 / 3.0],
    &[4.0 / 3.0, -2.0 / 3.0, 1.0 / 3.0],
    &[0.0, 0.0, 1.0],
];

const FULL: Matrices = Matrices {
    outputs: &[&[1.0, 1.0, 1.0, 1.0, 0.0], &[1.0, -1.0, 0.5, -0.5, 0.0], &[1.0, 1.0, 0.25, 0.25, 1.0]],
    taps: &TAPS,
    window: &[
        &[-0.25, -0.25, 1.0, 1.0, 0.0],
        &[0.25, -0.25, -1.0, 1.0, 0.0],
        &[-0.5, -1.0, 0.5, 1.0, 0.0],
        &[0.5, -1.0, -0.5, 1.0, 0.0],
        &[0.25, 0.0, -1.25, 0.0, 1.0],
    ],
};

const SHORT: Matrices = Matrices {
    outputs: &[&[1.0, 1.0, 1.0, 0.0], &[1.0, -1.0, 0.5, 1.0]],
    taps: &[TAPS[0], TAPS[1], TAPS[2], TAPS[4]],
    window: &[
        &[-0.75, 0.75, 1.5, 0.0],
        &[-0.25, 0.75, -0.5, 0.0],
        &[-1.0, 0.0, 1.0, 0.0],
        &[0.5, -1.0, -0.5, 1.0],
    ],
};

/// For matrices [A, B]: A x B^T over absolute values.
fn absolute(m: [&[&[f64]]; 2], x: &dyn Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    let element = |i: usize, j: usize| -> f64 {
        let row = |k: usize| -> f64 { (0..m[1][j].len()).map(|l| (m[1][j][l] * x(k, l)).abs()).sum() };
        (0..m[0][i].len()).map(|k| m[0][i][k].abs() * row(k)).sum()
    };
    (0..m[0].len()).map(|i| (0..m[1].len()).map(|j| element(i, j)).collect()).collect()
}

/// A priori (Higham 2002, section 3.1): an error is at most the unit roundoff times the roundings on the way to a
/// result, times the same algorithm over absolute values, in which pixels count that only the window has. Pixels
/// of very different sizes show what the sums over taps alone would not allow for.
#[test]
fn errors_stay_within_what_the_arithmetic_allows() {
    let g = geometry(3, 1, [17, 19], [32, 32], [1, 1]);
    let map = forward(&g).unwrap();
    let (mut x, w) = (numbers(g.image().len(), 3), numbers(g.kernel().len(), 5));
    x.iter_mut().enumerate().for_each(|(i, x)| *x *= 2.0_f32.powi((i / g.in_c * 7 % 21) as i32 - 10));
    let mut exact = Exact::new(g.features().len(), 1);
    for_each_tap(&g, |i, o, k| exact.add(o, x[i], w[k]));
    let mut allowed = vec![0.0; exact.value.len()];
    for tile in map.tiles.of_block(0..map.tiles.count()) {
        let m = tile.extents.map(|extent| if extent == Extent::Full { &FULL } else { &SHORT });
        let window = map.cells.pixels::<WINDOW>(0, tile.first, [0, 0]);
        let outputs = tile.outputs::<3>(&map.features, [0, 0]);
        for c in 0..g.in_c {
            let d =
                absolute(m.map(|m| m.window), &|k, l| window[k][l].map_or(0.0, |at| f64::from(x[at + c])));
            for o in 0..g.out_c {
                let u = absolute(m.map(|m| m.taps), &|t, s| {
                    f64::from(w[((t * 3 + s) * g.in_c + c) * g.out_c + o])
                });
                let y = absolute(m.map(|m| m.outputs), &|p, q| u[p][q] * d[p][q]);
                for (y, outputs) in y.iter().zip(outputs) {
                    for (y, at) in y.iter().zip(outputs) {
                        if let Some(at) = at {
                            allowed[at + o] += y;
                        }
                    }
                }
            }
        }
    }
    // Along each axis 4 operations for a window, 4 for the taps and the constant 2/3, 4 for the outputs; then a
    // multiply-add for each channel. Each is two roundings where it is not fused.
    let roundings = (2 * (2 * (4 + 5 + 4) + g.in_c)) as f64;
    for isa in Isa::available() {
        let kernel = Convolution::new(isa, map.clone(), None, 0).unwrap();
        let got = run(isa, 1, &kernel, &[&x, &w], allowed.len());
        for (i, &got) in got.iter().enumerate() {
            let bound = roundings * f64::from(f32::EPSILON) / 2.0 * allowed[i];
            let error = (f64::from(got) - exact.value[i]).abs();
            assert!(error <= bound, "{isa}: element {i}: {got} instead of {}", exact.value[i]);
        }
    }
}
