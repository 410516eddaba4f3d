//! Which convolution it is: the two tensors as grids, and the tiles of both.

use super::grid::{Grid, Tile, Tiles};
use std::ops::Range;

/// Which way a kernel w [4, 4, C_in, C_out] is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    /// From cells, the phases of the image times C_in, to features; tap (t, s) of phase (a, b) is
    /// w[2t + a, 2s + b].
    Forward,
    /// From features to cells: every tile adds to its window.
    Transposed,
}

/// A convolution with taps [2, 2] between two tensors.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) direction: Direction,
    /// A tile's window begins at its first cell, and so do its outputs.
    pub(super) cells: Grid,
    pub(super) features: Grid,
    pub(super) tiles: Tiles,
}

impl Map {
    pub(super) fn source(&self) -> &Grid {
        if self.direction == Direction::Forward { &self.cells } else { &self.features }
    }

    pub(super) fn target(&self) -> &Grid {
        if self.direction == Direction::Forward { &self.features } else { &self.cells }
    }

    /// Pixels of the result that a block of tiles gives.
    pub(super) fn pixels(&self, block: Range<usize>) -> usize {
        let [height, width, _] = self.target().image;
        match self.direction {
            Direction::Transposed => block.len() / self.tiles.per_image() * height * width,
            Direction::Forward => {
                let outputs = |tile: Tile| tile.outputs(&self.features, [0, 0]);
                self.tiles
                    .of_block(block)
                    .map(|tile| outputs(tile).as_flattened().iter().flatten().count())
                    .sum()
            }
        }
    }
}
