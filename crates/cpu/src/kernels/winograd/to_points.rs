//! From the tensors to the points: the windows of a block of tiles, or its features.

use super::grid::{Grid, Tile, Tiles, ZEROS};
use super::transform::{Extent, FromOutputs, FromWindow, Transform, WINDOW, by_extents, has};
use crate::gemm::microkernel::LINE;
use crate::simd::{Job, Simd};
use std::ops::Range;

/// Where tiles are written at the points: element (row, c) of point p at
/// `p * point + c / width * range + row * self.row + c % width`.
#[derive(Clone, Copy)]
pub(super) struct AtPoints {
    pub(super) start: *mut f32,
    pub(super) point: usize,
    pub(super) width: usize,
    pub(super) range: usize,
    pub(super) row: usize,
}

impl AtPoints {
    /// Stores a vector of elements from c on at every point of a tile with a window of H x W.
    ///
    /// # Safety
    /// There must be room for it.
    #[inline(always)]
    unsafe fn store<V: Simd, const H: usize, const W: usize>(
        &self,
        row: usize,
        c: usize,
        values: [[V; WINDOW]; WINDOW],
    ) {
        let at = self.start.wrapping_add(c / self.width * self.range + row * self.row + c % self.width);
        for (point, value) in values.as_flattened().iter().enumerate() {
            if has::<H, W>(point) {
                // SAFETY: the caller vouches for the room.
                unsafe { value.store(at.wrapping_add(point * self.point)) };
            }
        }
    }
}

/// Prefetches the next image while the tiles of this one are read: a window touches so many rows of so few
/// cache lines that the processor sees no pattern.
pub(super) struct Ahead {
    next: *const f32,
    /// Elements for each step.
    share: usize,
}

impl Ahead {
    /// The share of one tile, which takes `rounds` steps.
    #[inline(always)]
    pub(super) fn new(grid: &Grid, tiles: Tiles, tile: &Tile, rounds: usize, tensor: *const f32) -> Ahead {
        let size: usize = grid.image.iter().product();
        let share = size.div_ceil(tiles.per_image() * rounds);
        Ahead { next: tensor.wrapping_add((tile.image + 1) * size + tile.number * rounds * share), share }
    }

    #[inline(always)]
    pub(super) fn step<V: Simd>(&mut self) {
        for line in (0..self.share).step_by(LINE) {
            V::prefetch(self.next.wrapping_add(line));
        }
        self.next = self.next.wrapping_add(self.share);
    }
}

/// Writes some phases of the windows of a block of tiles at each point.
pub(super) struct TransformWindows<'a> {
    pub(super) grid: &'a Grid,
    pub(super) tiles: Tiles,
    pub(super) block: Range<usize>,
    pub(super) phases: Range<usize>,
    pub(super) x: *const f32,
    pub(super) to: AtPoints,
}

impl Job for TransformWindows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for tile in self.tiles.of_block(self.block.clone()) {
            by_extents!(tile.extents, self.tile::<V>(&tile));
        }
    }
}

impl TransformWindows<'_> {
    #[inline(always)]
    fn tile<V: Simd, const H: usize, const W: usize>(&self, tile: &Tile) {
        let channels = self.grid.image[2];
        let rounds = self.phases.len() * channels / V::LANES;
        let mut ahead = Ahead::new(self.grid, self.tiles, tile, rounds, self.x);
        for (n, (_, phase)) in self.grid.phases().skip(self.phases.start).take(self.phases.len()).enumerate()
        {
            let pixels = self.grid.pixels::<WINDOW>(tile.image, tile.first, phase);
            let pixels =
                pixels.map(|row| row.map(|at| at.map_or(ZEROS.as_ptr(), |at| self.x.wrapping_add(at))));
            for c in (0..channels).step_by(V::LANES) {
                ahead.step::<V>();
                let mut window = [[V::splat(0.0); WINDOW]; WINDOW];
                for (i, pixels) in pixels.iter().enumerate().take(H) {
                    for (j, pixel) in pixels.iter().enumerate().take(W) {
                        // SAFETY: the pixel has `channels` elements, a multiple of vectors; so have the zeros.
                        window[i][j] = unsafe { V::load(pixel.wrapping_add(c)) };
                    }
                }
                let points = FromWindow::square::<V, H, W>(window);
                // SAFETY: whoever runs this gave room for every tile, channel and point.
                unsafe { self.to.store::<V, H, W>(tile.row, n * channels + c, points) };
            }
        }
    }
}

/// Writes features, or their cotangents, of a block of tiles of N x N at each point.
pub(super) struct TransformFeatures<'a, const N: usize> {
    pub(super) grid: &'a Grid,
    pub(super) tiles: Tiles,
    pub(super) block: Range<usize>,
    pub(super) x: *const f32,
    pub(super) to: AtPoints,
}

impl<const N: usize> Job for TransformFeatures<'_, N>
where
    FromOutputs: Transform<N, WINDOW>,
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for tile in self.tiles.of_block(self.block.clone()) {
            by_extents!(tile.extents, self.tile::<V>(&tile));
        }
    }
}

impl<const N: usize> TransformFeatures<'_, N>
where
    FromOutputs: Transform<N, WINDOW>,
{
    #[inline(always)]
    fn tile<V: Simd, const H: usize, const W: usize>(&self, tile: &Tile) {
        let channels = self.grid.image[2];
        let mut ahead = Ahead::new(self.grid, self.tiles, tile, channels / V::LANES, self.x);
        let pixels = tile.outputs::<N>(self.grid, [0, 0]);
        let pixels = pixels.map(|row| row.map(|at| at.map_or(ZEROS.as_ptr(), |at| self.x.wrapping_add(at))));
        for c in (0..channels).step_by(V::LANES) {
            ahead.step::<V>();
            let mut outputs = [[V::splat(0.0); N]; N];
            for (i, pixels) in pixels.iter().enumerate().take(N + H - WINDOW) {
                for (j, pixel) in pixels.iter().enumerate().take(N + W - WINDOW) {
                    // SAFETY: the pixel has a multiple of vectors of channels; so have the zeros.
                    outputs[i][j] = unsafe { V::load(pixel.wrapping_add(c)) };
                }
            }
            let points = FromOutputs::square::<V, H, W>(outputs);
            // SAFETY: whoever runs this gave room for every tile, channel and point.
            unsafe { self.to.store::<V, H, W>(tile.row, c, points) };
        }
    }
}
