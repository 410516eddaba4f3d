//! Convolutions of an image of few channels, and their weight gradients. A row of a window is then shorter than
//! what packing costs: the microkernel reads the windows where they lie, in a copy of the image with its padding.
//!
//! With a stride of 1, features of few channels are such an image ([`conv::reversed`]).

mod convolution;
mod padded;
mod weight_grad;

use crate::conv;
use crate::gemm::pack::Right;
use crate::isa::Isa;
use crate::kernel::Kernel;
use convolution::Convolution;
use gannet_tensor::{Conv2dGeometry, Instruction, ops};
use weight_grad::WeightGrad;

pub(super) fn prepare(isa: Isa, instruction: &Instruction, stats_groups: usize) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    if let Some(op) = op.downcast::<ops::Conv2dWeightGrad>() {
        return Some(Box::new(weight_grad(isa, &op.geometry)?));
    }
    if stats_groups > 0 {
        return None;
    }
    let convolution = if let Some(op) = op.downcast::<ops::Conv2d>() {
        forward(isa, &op.geometry, None)
    } else if let Some(op) = op.downcast::<ops::FusedConv2d>() {
        forward(isa, &op.geometry, Some(op.epilogue))
    } else if let Some(op) = op.downcast::<ops::ConvTranspose2d>() {
        transposed(isa, &op.geometry, None)
    } else {
        let op = op.downcast::<ops::FusedConvTranspose2d>()?;
        transposed(isa, &op.geometry, Some(op.epilogue))
    };
    Some(Box::new(convolution?))
}

fn weight_grad(isa: Isa, g: &Conv2dGeometry) -> Option<WeightGrad> {
    WeightGrad::new(isa, *g, false).or_else(|| WeightGrad::new(isa, conv::reversed(g)?, true))
}

fn forward(isa: Isa, g: &Conv2dGeometry, epilogue: Option<ops::Epilogue>) -> Option<Convolution> {
    Convolution::new(isa, *g, Right::RowMajor { stride: g.out_c }, epilogue)
}

fn transposed(isa: Isa, g: &Conv2dGeometry, epilogue: Option<ops::Epilogue>) -> Option<Convolution> {
    let reversed = conv::reversed(g)?;
    // A stride of 1 makes one phase.
    let [product] = <[_; 1]>::try_from(conv::conv_transpose2d(g)).ok()?;
    Convolution::new(isa, reversed, product.right, epilogue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::{Exact, for_each_tap, numbers};
    use crate::kernel::tests::run;
    use proptest::prelude::*;

    /// Checks the maps that take this way, and that they have the same bits for any number of threads; says how many.
    fn check(g: &Conv2dGeometry) -> usize {
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
        let mut checked = 0;
        for isa in Isa::available() {
            let mut check = |exact: &Exact, kernel: &dyn Kernel, inputs: &[&[f32]], len: usize| {
                let one = run(isa, 1, kernel, inputs, len);
                exact.check(&one);
                for threads in [2, 3] {
                    assert!(one == run(isa, threads, kernel, inputs, len), "{isa}: {threads} threads: {g:?}");
                }
                checked += 1;
            };
            if let Some(kernel) = weight_grad(isa, g) {
                check(&of_w, &kernel, &[&x, &y], lw);
            }
            if let Some(kernel) = forward(isa, g, None) {
                check(&of_y, &kernel, &[&x, &w], ly);
            }
            if let Some(kernel) = transposed(isa, g, None) {
                check(&of_x, &kernel, &[&y, &w], lx);
            }
        }
        checked
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_three_maps_are_convolutions(
            batch in 1_usize..7, h in 4_usize..20, w in 4_usize..20, few in 1_usize..5,
            many in prop::sample::select(vec![8_usize, 12, 16, 17, 32, 33, 40, 64]),
            kernel in (1_usize..6, 1_usize..6), stride in (1_usize..4, 1_usize..4),
            pad in (0_usize..4, 0_usize..4), extra in (0_usize..4, 0_usize..4), features_are_few: bool,
        ) {
            let pad = (pad.0.min(kernel.0 - 1), pad.1.min(kernel.1 - 1));
            let extra = (extra.0.min(kernel.0 - 1), extra.1.min(kernel.1 - 1));
            prop_assume!(h + pad.0 + extra.0 >= kernel.0 && w + pad.1 + extra.1 >= kernel.1);
            let stride = if features_are_few { (1, 1) } else { stride };
            let [in_c, out_c] = if features_are_few { [many, few] } else { [few, many] };
            check(&Conv2dGeometry {
                batch, in_h: h, in_w: w, in_c,
                out_h: (h + pad.0 + extra.0 - kernel.0) / stride.0 + 1,
                out_w: (w + pad.1 + extra.1 - kernel.1) / stride.1 + 1,
                out_c,
                kernel_h: kernel.0, kernel_w: kernel.1,
                stride_h: stride.0, stride_w: stride.1,
                pad_top: pad.0, pad_left: pad.1,
            });
        }
    }

    /// A kernel whose windows are beside one another at a distance of `stride`, padded by 1.
    fn layer(size: usize, channels: [usize; 2], kernel: usize, stride: usize) -> Conv2dGeometry {
        Conv2dGeometry {
            batch: 2,
            in_h: size,
            in_w: size,
            in_c: channels[0],
            out_h: size / stride,
            out_w: size / stride,
            out_c: channels[1],
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            pad_top: 1,
            pad_left: 1,
        }
    }

    #[test]
    fn layers_of_images_take_this_way() {
        let sets = Isa::available().len();
        for channels in [1, 3, 4] {
            // Two maps at the image, and with a stride of 1 two where the features are an image.
            assert_eq!(check(&layer(28, [channels, 64], 4, 2)), 2 * sets);
            assert_eq!(check(&layer(28, [channels, 64], 3, 1)), 2 * sets);
            assert_eq!(check(&layer(28, [64, channels], 3, 1)), 2 * sets);
        }
        // Several strips of features in an image; so many features leave the convolution to packing.
        assert_eq!(check(&layer(30, [256, 3], 3, 1)), sets);
    }
}
