//! Convolutions of an image of few channels, and weight gradients of all but the widest layers. A row of a window is
//! then shorter than what packing costs: the microkernel reads the windows where they lie, in a copy of the image with
//! its padding.
//!
//! With a stride of 1, features of few channels are such an image ([`conv::reversed`]).

mod convolution;
mod padded;
mod weight_grad;

use crate::conv;
use crate::gemm::pack::Right;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::kernels::convolution_of::ConvolutionOf;
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
    let ConvolutionOf { geometry, transposed: turned, epilogue } = ConvolutionOf::operation(op)?;
    let convolution = if turned { transposed } else { forward }(isa, &geometry, epilogue);
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
    use crate::gemm::tests::{Exact, Maps, Window, geometry};
    use crate::kernel::tests::checked;
    use proptest::prelude::*;

    /// Checks the maps that take this way, and that they have the same bits for any number of threads; says how many.
    fn check(g: &Conv2dGeometry) -> usize {
        let Maps { x, y, w, of_y, of_x, of_w } = Maps::of(g);
        let mut count = 0;
        for isa in Isa::available() {
            let mut check = |exact: &Exact, kernel: &dyn Kernel, inputs: &[&[f32]]| {
                checked(isa, kernel, inputs, exact);
                count += 1;
            };
            if let Some(kernel) = weight_grad(isa, g) {
                check(&of_w, &kernel, &[&x, &y]);
            }
            if let Some(kernel) = forward(isa, g, None) {
                check(&of_y, &kernel, &[&x, &w]);
            }
            if let Some(kernel) = transposed(isa, g, None) {
                check(&of_x, &kernel, &[&y, &w]);
            }
        }
        count
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_three_maps_are_convolutions(
            batch in 1_usize..7, h in 4_usize..20, w in 4_usize..20,
            few in prop::sample::select(vec![1_usize, 2, 3, 4, 5, 8, 17]),
            many in prop::sample::select(vec![8_usize, 12, 16, 17, 32, 33, 40, 64]),
            kernel in (1_usize..6, 1_usize..6), stride in (1_usize..4, 1_usize..4),
            pad in (0_usize..4, 0_usize..4), extra in (0_usize..4, 0_usize..4), features_are_few: bool,
        ) {
            let stride = if features_are_few { (1, 1) } else { stride };
            let channels = if features_are_few { (many, few) } else { (few, many) };
            let g = geometry(batch, (h, w), channels, Window { kernel, stride, pad, extra });
            prop_assume!(g.is_some());
            check(&g.unwrap());
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
        // Several parts of images, and strips that the image bounds.
        assert_eq!(check(&Conv2dGeometry { batch: 17, ..layer(12, [24, 40], 5, 2) }), sets);
        assert_eq!(check(&layer(40, [160, 16], 3, 2)), sets);
        // Too wide.
        assert_eq!(check(&layer(8, [128, 136], 3, 2)), 0);
        assert_eq!(check(&layer(8, [136, 128], 3, 2)), 0);
    }
}
