//! Convolutions with 4x4 kernels and stride 2 by Winograd's algorithm ([`transform`]): 25 products for each
//! 4x4 outputs, channel by channel, where the sum over taps takes 64.
//!
//! Each of the 2x2 phases of the image meets 2x2 of the taps, with stride 1. So with the phases as channels
//! ([`grid`]) all three maps have taps [2, 2]: `conv2d` from the 4 C_in channels of an image's cells to
//! features, `conv_transpose2d` back from features to cells, as the vjp of the former, and `conv2d_weight_grad`
//! from both to the taps. All three have the same tiles of features, each with a window of cells. Tiles are
//! transformed straight from the tensor, a block at a time; what remains are 25 matrix products, for which there
//! is the microkernel.

mod convolution;
mod grid;
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
use convolution::{Convolution, MOST_TILES};
use gannet_tensor::{Conv2dGeometry, Instruction, ops};
use grid::{Grid, MOST_CHANNELS, Tiles};
use map::{Direction, Map};
use weight_grad::WeightGrad;

/// Channels below which transforms cost more than they save.
const LEAST_CHANNELS: usize = 32;

/// Tiles below which the transformed kernel is not worth its making.
const LEAST_TILES: usize = 32;

pub(super) fn prepare(isa: Isa, instruction: &Instruction, stats_groups: usize) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    if let Some(op) = op.downcast::<ops::Conv2d>() {
        return Some(Box::new(Convolution::new(isa, forward(&op.geometry)?, None, stats_groups)?));
    }
    if let Some(op) = op.downcast::<ops::FusedConv2d>() {
        let convolution = Convolution::new(isa, forward(&op.geometry)?, Some(op.epilogue), stats_groups)?;
        return Some(Box::new(convolution));
    }
    if let Some(op) = op.downcast::<ops::ConvTranspose2d>() {
        return Some(Box::new(Convolution::new(isa, transposed(&op.geometry)?, None, stats_groups)?));
    }
    if let Some(op) = op.downcast::<ops::FusedConvTranspose2d>() {
        let convolution = Convolution::new(isa, transposed(&op.geometry)?, Some(op.epilogue), stats_groups)?;
        return Some(Box::new(convolution));
    }
    let op = op.downcast::<ops::Conv2dWeightGrad>()?;
    Some(Box::new(WeightGrad::new(isa, forward(&op.geometry)?)))
}

/// Whether the kernel splits into 2x2 taps for each of 2x2 phases, and its channels are worth it.
fn suits(g: &Conv2dGeometry) -> bool {
    let channels = |c: usize| (LEAST_CHANNELS..=MOST_CHANNELS).contains(&c) && c.is_multiple_of(16);
    [g.kernel_h, g.kernel_w, g.stride_h, g.stride_w] == [4, 4, 2, 2] && channels(g.in_c) && channels(g.out_c)
}

/// Whether the tiles take at most three quarters of the multiplications of the sum over taps, of which an
/// image has 4 per feature pixel and phase.
fn pays(g: &Conv2dGeometry, tiles: Tiles) -> bool {
    tiles.count() >= LEAST_TILES && tiles.products() <= 3 * g.out_h * g.out_w
}

/// Image cells seen from features: feature (i, j) meets cells (i, j) to (i + 1, j + 1).
fn image(g: &Conv2dGeometry) -> Grid {
    Grid { image: [g.in_h, g.in_w, g.in_c], step: 2, origin: [-(g.pad_top as isize), -(g.pad_left as isize)] }
}

fn map(g: &Conv2dGeometry, direction: Direction) -> Option<Map> {
    let tiles = Tiles::covering(g.batch, [g.out_h, g.out_w]);
    (suits(g) && pays(g, tiles)).then(|| Map {
        direction,
        cells: image(g),
        features: Grid { image: [g.out_h, g.out_w, g.out_c], step: 1, origin: [0, 0] },
        tiles,
    })
}

fn forward(g: &Conv2dGeometry) -> Option<Map> {
    map(g, Direction::Forward)
}

/// The windows of an image overlap, so a task takes whole images; and every pixel must lie in a window.
fn transposed(g: &Conv2dGeometry) -> Option<Map> {
    let reached = g.in_h + g.pad_top <= 2 * g.out_h + 2 && g.in_w + g.pad_left <= 2 * g.out_w + 2;
    map(g, Direction::Transposed).filter(|map| reached && map.tiles.per_image() <= MOST_TILES)
}
