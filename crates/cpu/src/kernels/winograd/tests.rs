//! The three maps against plain loops, to the bound that direct sums have, for every instruction set of the
//! machine.

use super::convolution::Convolution;
use super::weight_grad::WeightGrad;
use super::{forward, transposed};
use crate::context::{Context, Scratch};
use crate::gemm::tests::{Exact, for_each_tap, numbers};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::threads::Threads;
use gannet_tensor::{Conv2dGeometry, ops};
use proptest::prelude::*;

/// Runs a kernel; NaN shows what it does not write.
fn run(
    isa: Isa,
    threads: usize,
    kernel: &dyn Kernel,
    inputs: &[&[f32]],
    len: usize,
    stats: usize,
) -> (Vec<f32>, Vec<f32>) {
    let threads = Threads::new(threads).unwrap();
    let mut scratch = Scratch::new(kernel.workspace(), threads.count()).unwrap();
    let context = Context::new(isa, &threads, &mut scratch);
    let (mut y, mut stats) = (vec![f32::NAN; len], vec![f32::NAN; stats]);
    let inputs: Vec<*const f32> = inputs.iter().map(|x| x.as_ptr()).collect();
    let tensors = Tensors { inputs: &inputs, output: y.as_mut_ptr(), stats: stats.as_mut_ptr() };
    // SAFETY: the vectors have the sizes of the geometry that the kernel was made for.
    unsafe { kernel.run(&context, tensors) };
    (y, stats)
}

fn geometry(batch: usize, size: [usize; 2], channels: [usize; 2], pad: [usize; 2]) -> Conv2dGeometry {
    let out = |i: usize| (size[i] + 2 * pad[i] - 4) / 2 + 1;
    Conv2dGeometry {
        batch,
        in_h: size[0],
        in_w: size[1],
        in_c: channels[0],
        out_h: out(0),
        out_w: out(1),
        out_c: channels[1],
        kernel_h: 4,
        kernel_w: 4,
        stride_h: 2,
        stride_w: 2,
        pad_top: pad[0],
        pad_left: pad[1],
    }
}

/// Checks the maps that take this way; says how many.
fn check(g: &Conv2dGeometry) -> usize {
    let (lx, ly, lw) = (g.image().len(), g.features().len(), g.kernel().len());
    let (x, y, w) = (numbers(lx, 3), numbers(ly, 4), numbers(lw, 5));
    let mut of_y = Exact::new(ly, 16 * g.in_c);
    let mut of_x = Exact::new(lx, 16 * g.out_c);
    let mut of_w = Exact::new(lw, g.batch * g.out_h * g.out_w);
    for_each_tap(g, |i, o, k| {
        of_y.add(o, x[i], w[k]);
        of_x.add(i, y[o], w[k]);
        of_w.add(k, x[i], y[o]);
    });
    let mut checked = 0;
    for isa in Isa::available() {
        if let Some(map) = forward(g) {
            let conv2d = Convolution::new(isa, map.clone(), None, 0).unwrap();
            of_y.check(&run(isa, 2, &conv2d, &[&x, &w], ly, 0).0);
            of_w.check(&run(isa, 2, &WeightGrad::new(isa, map), &[&x, &y], lw, 0).0);
            checked += 2;
        }
        if let Some(map) = transposed(g) {
            let conv_transpose2d = Convolution::new(isa, map, None, 0).unwrap();
            of_x.check(&run(isa, 2, &conv_transpose2d, &[&y, &w], lx, 0).0);
            checked += 1;
        }
    }
    checked
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_three_maps_are_convolutions(
        batch in 8_usize..14,
        h in prop::sample::select(vec![7_usize, 8, 14, 15, 16]),
        w in prop::sample::select(vec![7_usize, 8, 13, 14, 16]),
        in_c in prop::sample::select(vec![32_usize, 48, 64]),
        out_c in prop::sample::select(vec![32_usize, 80]),
        pad in (0_usize..4, 0_usize..4),
    ) {
        check(&geometry(batch, [h, w], [in_c, out_c], [pad.0, pad.1]));
    }
}

#[test]
fn layers_of_the_reference_step_take_this_way() {
    let sets = Isa::available().len();
    assert_eq!(check(&geometry(8, [14, 14], [64, 128], [1, 1])), 3 * sets);
    // More than one range of terms, and tasks of few tiles.
    assert_eq!(check(&geometry(9, [15, 16], [80, 272], [1, 1])), 3 * sets);
    // More than one block of tiles, tiles without images of their own.
    assert_eq!(check(&geometry(5, [40, 48], [32, 32], [1, 1])), 3 * sets);
}

#[test]
fn what_gains_nothing_is_left_to_the_direct_way() {
    let layer = geometry(8, [14, 14], [64, 128], [1, 1]);
    for g in [
        Conv2dGeometry { kernel_w: 3, ..layer },
        Conv2dGeometry { stride_h: 1, ..layer },
        Conv2dGeometry { in_c: 40, ..layer },
        Conv2dGeometry { out_c: 16, ..layer },
        Conv2dGeometry { batch: 2, ..layer },
        // A tile of 3 x 3 for 2 x 2 features.
        geometry(64, [4, 4], [64, 128], [1, 1]),
    ] {
        assert!(forward(&g).is_none(), "{g:?}");
    }
    // The last row of pixels meets no feature.
    let unseen = geometry(8, [15, 14], [64, 128], [0, 1]);
    assert!(forward(&unseen).is_some() && transposed(&unseen).is_none());
}

#[test]
fn epilogues_and_statistics_belong_to_the_result() {
    let g = geometry(12, [14, 13], [32, 48], [1, 1]);
    let (x, y, w) =
        (numbers(g.image().len(), 3), numbers(g.features().len(), 4), numbers(g.kernel().len(), 5));
    // A large mean is what naive sums of squares do not survive.
    let bias: Vec<f32> = numbers(48, 6).into_iter().map(|b| b + 300.0).collect();
    for isa in Isa::available() {
        for (map, input, len, channels) in
            [(forward(&g), &x, y.len(), g.out_c), (transposed(&g), &y, x.len(), g.in_c)]
        {
            let map = map.unwrap();
            let kernel = |epilogue, groups| Convolution::new(isa, map.clone(), epilogue, groups).unwrap();
            let raw = run(isa, 1, &kernel(None, 0), &[input, &w], len, 0).0;
            let mask = numbers(len, 7);
            let activation = ops::Activation::LeakyRelu { negative_slope: 0.25 };
            let masked = kernel(Some(ops::Epilogue::ActivationGrad(activation)), 0);
            let got = run(isa, 2, &masked, &[input, &w, &mask], len, 0).0;
            for ((&got, &raw), &mask) in got.iter().zip(&raw).zip(&mask) {
                assert_eq!(got, if mask > 0.0 { raw } else { 0.25 * raw }, "{isa}");
            }
            for groups in [1, 2, 3] {
                let with_bias = kernel(Some(ops::Epilogue::Bias), groups);
                let stats = 2 * groups * channels;
                let one = run(isa, 1, &with_bias, &[input, &w, &bias], len, stats);
                assert!(one == run(isa, 3, &with_bias, &[input, &w, &bias], len, stats), "{isa}");
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
