//! Convolutions with 4x4 kernels and stride 2, and with 3x3 kernels and stride 1, by Winograd's algorithm
//! ([`transform`]): 25 products for each 4x4 or 3x3 outputs, channel by channel, where the sum over taps takes 64 or
//! 81.
//!
//! With stride 2, each of the 2x2 phases of the image meets 2x2 of the taps, with stride 1. So with the phases as
//! channels ([`grid`]) all three maps have taps [2, 2]: `conv2d` from the 4 C_in channels of an image's cells to
//! features, `conv_transpose2d` back from features to cells, as the vjp of the former, and `conv2d_weight_grad`
//! from both to the taps. All three have the same tiles of features, each with a window of cells. With stride 1 the
//! one phase has taps [3, 3], and `conv_transpose2d` is a `conv2d` with its taps in reverse ([`map`]). Tiles are
//! transformed straight from the tensor, a block at a time; what remains are 25 matrix products, for which there
//! is the microkernel.

mod convolution;
mod grid;
mod layout;
mod map;
mod taps;
#[cfg(test)]
mod tests;
mod to_points;
mod to_result;
mod transform;
mod weight_grad;

use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::kernels::Taken;
use crate::kernels::convolution_of::ConvolutionOf;
use convolution::{Convolution, MOST_TILES};
use gannet_tensor::{Conv2dGeometry, Instruction, ops};
use grid::{Grid, MOST_CHANNELS, Tiles};
use map::{Direction, Map};
use weight_grad::WeightGrad;

/// The layers that take this way.
struct Layer {
    /// Side of the kernel, which is `stride * taps`, and taps along an axis for each phase.
    kernel: usize,
    stride: usize,
    taps: usize,
    /// The fewest channels on either side, a multiple of 16.
    least_channels: usize,
    maps: Limits,
    weight_grad: Limits,
    /// The most products, as a share of those of the sum over taps: what tiles cover beyond small images is wasted.
    share: [usize; 2],
}

/// From so many pairs of channels on, C_in times C_out, at least so many tiles: the last row that applies decides.
/// With few channels, transforms cost more than they save; with few tiles, it is the kernel's transform, the more
/// so where the transformed kernel leaves the caches.
type Limits = &'static [(usize, usize)];

/// What was measured to be faster than the sum over taps, with AVX2 on two cores. For 3x3 kernels, times faster than
/// products of packed operands (the weight gradient of 16, 16 is 1.1 to 1.3 times faster in place, `from_image`):
///
/// | channels | tiles | maps | weight_grad |
/// |---|---|---|---|
/// | 16, 16 | 400 to 6400 | 0.8 to 1.1 | 2.1 |
/// | 16, 32 | 400 to 6400 | 0.9 to 1.7 | 1.9 |
/// | 32, 32 | 100 to 6400 | 1.2 to 1.9 | 2.3 |
/// | 64, 64 to 128, 256 | 36 to 1600 | 1.1 to 2.3 | 1.4 to 2.7 |
/// | 256, 256 | 288, 576 | 1.6 to 1.8 | 1.6 |
/// | 256, 256 | 36, 72 | 0.8 to 1.1 | 1.4 |
/// | 256, 256 to 256, 512 | 144 | 1.2 to 1.4 | 1.6 |
/// | 256, 512 | 288, 576 | 1.2 to 1.4 | 1.7 |
/// | 256, 512 | 36, 72 | 0.6 to 0.9 | 1.5 |
const LAYERS: [Layer; 2] = [
    Layer {
        kernel: 4,
        stride: 2,
        taps: 2,
        least_channels: 16,
        maps: &[(16 * 32, 32)],
        weight_grad: &[(16 * 32, 32)],
        share: [3, 4],
    },
    Layer {
        kernel: 3,
        stride: 1,
        taps: 3,
        least_channels: 16,
        maps: &[(16 * 32, 32), (256 * 256, 144)],
        weight_grad: &[(16 * 32, 32)],
        share: [1, 2],
    },
];

pub(super) fn prepare(
    isa: Isa,
    instruction: &Instruction,
    stats_groups: usize,
    taken: Taken,
) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    if let Some(op) = op.downcast::<ops::Conv2dWeightGrad>() {
        return Some(Box::new(WeightGrad::new(isa, weight_grad(&op.geometry, taken)?)));
    }
    let ConvolutionOf { geometry, transposed: turned, epilogue } = ConvolutionOf::operation(op)?;
    let map = if turned { transposed(&geometry, taken) } else { forward(&geometry, taken) }?;
    Some(Box::new(Convolution::new(isa, map, epilogue, stats_groups)?))
}

impl Layer {
    /// The layer of a geometry, if it has the kernel and the channels of one.
    fn of(g: &Conv2dGeometry) -> Option<&'static Layer> {
        let is_one = |layer: &&Layer| {
            let Layer { kernel, stride, .. } = **layer;
            let channels =
                |c: usize| (layer.least_channels..=MOST_CHANNELS).contains(&c) && c.is_multiple_of(16);
            [g.kernel_h, g.kernel_w, g.stride_h, g.stride_w] == [kernel, kernel, stride, stride]
                && channels(g.in_c)
                && channels(g.out_c)
        };
        LAYERS.iter().find(is_one)
    }

    /// The tiles of a batch of images of some outputs, if they are taken.
    fn tiles(&self, g: &Conv2dGeometry, limits: Limits, size: [usize; 2], taken: Taken) -> Option<Tiles> {
        let tiles = Tiles::covering(g.batch, size, transform::outputs(self.taps));
        if taken == Taken::IfPossible {
            return Some(tiles);
        }
        let (_, least_tiles) = limits.iter().rev().find(|(pairs, _)| g.in_c * g.out_c >= *pairs)?;
        let [part, whole] = self.share;
        let sum_over_taps = self.taps * self.taps * size[0] * size[1];
        let pays = tiles.count() >= *least_tiles && whole * tiles.products() <= part * sum_over_taps;
        pays.then_some(tiles)
    }

    /// From the image to features.
    fn forward(&self, g: &Conv2dGeometry, limits: Limits, taken: Taken) -> Option<Map> {
        Some(Map {
            direction: Direction::Forward,
            taps: self.taps,
            cells: image(g),
            features: features(g),
            tiles: self.tiles(g, limits, [g.out_h, g.out_w], taken)?,
        })
    }
}

/// Image cells seen from features: feature (i, j) meets cells (i, j) to (i + taps - 1, j + taps - 1).
fn image(g: &Conv2dGeometry) -> Grid {
    Grid {
        image: [g.in_h, g.in_w, g.in_c],
        step: g.stride_h,
        origin: [-(g.pad_top as isize), -(g.pad_left as isize)],
    }
}

fn features(g: &Conv2dGeometry) -> Grid {
    Grid { image: [g.out_h, g.out_w, g.out_c], step: 1, origin: [0, 0] }
}

fn forward(g: &Conv2dGeometry, taken: Taken) -> Option<Map> {
    let layer = Layer::of(g)?;
    layer.forward(g, layer.maps, taken)
}

fn weight_grad(g: &Conv2dGeometry, taken: Taken) -> Option<Map> {
    let layer = Layer::of(g)?;
    layer.forward(g, layer.weight_grad, taken)
}

fn transposed(g: &Conv2dGeometry, taken: Taken) -> Option<Map> {
    if g.stride_h == 1 {
        return reversed(g, taken);
    }
    // The windows of an image overlap, so a task takes whole images; and every pixel must lie in a window.
    let reached = g.in_h + g.pad_top <= 2 * g.out_h + 2 && g.in_w + g.pad_left <= 2 * g.out_w + 2;
    let map = Map { direction: Direction::Transposed, ..forward(g, taken)? };
    (reached && map.tiles.per_image() <= MOST_TILES).then_some(map)
}

/// With a stride of 1, pixel p receives `y[o] w[u]` wherever p = o + u - pad: with t = taps - 1 - u, it sees feature
/// o = p + t + pad - (taps - 1) through tap t.
fn reversed(g: &Conv2dGeometry, taken: Taken) -> Option<Map> {
    let layer = Layer::of(g)?;
    let origin = [g.pad_top, g.pad_left].map(|pad| pad as isize - (layer.taps - 1) as isize);
    Some(Map {
        direction: Direction::Reversed,
        taps: layer.taps,
        cells: Grid { origin, ..features(g) },
        features: Grid { origin: [0, 0], ..image(g) },
        tiles: layer.tiles(g, layer.maps, [g.in_h, g.in_w], taken)?,
    })
}
