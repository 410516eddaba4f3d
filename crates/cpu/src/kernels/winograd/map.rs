//! Which convolution it is: the two tensors as grids, the tiles of both, and where the taps lie.

use super::grid::{Grid, Tile, Tiles};
use std::ops::Range;

/// Which way a kernel w, `[step * taps, step * taps, C_in, C_out]`, is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    /// From cells, the phases of the image times C_in, to features; tap (t, s) of phase (a, b) is
    /// `w[step * t + a, step * s + b]`.
    Forward,
    /// From features to cells: every tile adds to its window.
    Transposed,
    /// From features to an image with steps of 1, where the transposed map is a convolution too: the cells are
    /// the features' tensor, the outputs the image, and the taps come in reverse.
    Reversed,
}

/// A convolution with some taps along each axis between two tensors.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) direction: Direction,
    /// Taps along each axis: 2 or 3.
    pub(super) taps: usize,
    /// A tile's window begins at its first cell, and so do its outputs.
    pub(super) cells: Grid,
    pub(super) features: Grid,
    pub(super) tiles: Tiles,
}

impl Map {
    pub(super) fn source(&self) -> &Grid {
        if self.direction == Direction::Transposed { &self.features } else { &self.cells }
    }

    pub(super) fn target(&self) -> &Grid {
        if self.direction == Direction::Transposed { &self.cells } else { &self.features }
    }

    /// Phases of a cell.
    pub(super) fn phases(&self) -> usize {
        self.cells.step * self.cells.step
    }

    /// C_in and C_out of the kernel.
    pub(super) fn kernel_channels(&self) -> [usize; 2] {
        let [cells, features] = [self.cells.image[2], self.features.image[2]];
        if self.direction == Direction::Reversed { [features, cells] } else { [cells, features] }
    }

    /// Which tap of the kernel, row by row, tap (t, s) of a phase is.
    pub(super) fn tap(&self, phase: usize, t: usize, s: usize) -> usize {
        let (step, last) = (self.cells.step, self.taps - 1);
        let [t, s] = if self.direction == Direction::Reversed { [last - t, last - s] } else { [t, s] };
        (step * t + phase / step) * step * self.taps + step * s + phase % step
    }

    /// Pixels of the result that a block of tiles gives.
    pub(super) fn pixels(&self, block: Range<usize>) -> usize {
        let [height, width, _] = self.target().image;
        match (self.direction, self.taps) {
            (Direction::Transposed, _) => block.len() / self.tiles.per_image() * height * width,
            (_, 2) => self.outputs::<4>(block),
            _ => self.outputs::<3>(block),
        }
    }

    /// Outputs inside the image, where a full tile has N x N.
    fn outputs<const N: usize>(&self, block: Range<usize>) -> usize {
        let inside =
            |tile: Tile| tile.outputs::<N>(&self.features, [0, 0]).as_flattened().iter().flatten().count();
        self.tiles.of_block(block).map(inside).sum()
    }
}
