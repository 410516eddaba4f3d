//! From the products at the points to the result: its epilogue, and its share of the batch statistics.

use super::grid::Tile;
use super::layout::Layout;
use super::map::{Direction, Map};
use super::to_points::Ahead;
use super::transform::{Extent, POINTS, ToOutputs, ToWindow, Transform, WINDOW, by_extents, has};
use crate::gemm::microkernel::Epilogue;
use crate::simd::{Job, Simd};
use std::ops::Range;

/// The results of some tiles, and the moments of their channels if they are wanted.
pub(super) struct Results<'a> {
    pub(super) layout: &'a Layout,
    pub(super) block: Range<usize>,
    pub(super) products: *const f32,
    pub(super) y: *mut f32,
    pub(super) epilogue: &'a Epilogue,
    /// Three rows of channels: a shift, and the sums of deviations from it and of their squares.
    pub(super) sums: Option<*mut f32>,
    pub(super) moments: *mut f32,
    pub(super) edges: *mut f32,
}

/// Stores the results of tiles of N x N outputs.
pub(super) struct TransformOutputs<'a, const N: usize>(pub(super) Results<'a>);

/// Pixels inside the image: which of a tile's results, and where it goes.
#[derive(Clone, Copy)]
struct Inside {
    pixels: [(usize, usize); POINTS],
    len: usize,
}

impl Inside {
    /// The first `height` x `width` of N x N places.
    #[inline(always)]
    fn of<const N: usize>(places: [[Option<usize>; N]; N], height: usize, width: usize) -> Inside {
        let mut inside = Inside { pixels: [(0, 0); POINTS], len: 0 };
        for (i, row) in places.iter().enumerate().take(height) {
            for (j, place) in row.iter().enumerate().take(width) {
                if let Some(place) = *place {
                    inside.pixels[inside.len] = (i * N + j, place);
                    inside.len += 1;
                }
            }
        }
        inside
    }
}

impl<const N: usize> Job for TransformOutputs<'_, N>
where
    ToOutputs: Transform<WINDOW, N>,
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let Map { tiles, .. } = &self.0.layout.map;
        let mut count = 0;
        for tile in tiles.of_block(self.0.block.clone()) {
            count += by_extents!(tile.extents, self.tile::<V>(&tile, count == 0));
        }
        let Some(sums) = self.0.sums else { return };
        let channels = self.0.layout.channels();
        let reciprocal = V::splat(1.0 / count.max(1) as f32);
        for c in (0..channels).step_by(V::LANES) {
            let [shift, sum, squares] = [0, 1, 2].map(|row| sums.wrapping_add(row * channels + c));
            // SAFETY: the sums have three rows of channels, the moments two.
            unsafe {
                let mean = V::load(sum).mul(reciprocal);
                let deviations = V::load(squares).sub(V::load(sum).mul(mean)).max(V::splat(0.0));
                mean.add(V::load(shift)).store(self.0.moments.wrapping_add(c));
                deviations.store(self.0.moments.wrapping_add(channels + c));
            }
        }
    }
}

impl<const N: usize> TransformOutputs<'_, N>
where
    ToOutputs: Transform<WINDOW, N>,
{
    /// One tile; `first` is the first with pixels inside the image. Returns the pixels that it gave.
    #[inline(always)]
    fn tile<V: Simd, const H: usize, const W: usize>(&self, tile: &Tile, first: bool) -> usize {
        let Map { direction, tiles, .. } = self.0.layout.map;
        let grid = self.0.layout.map.target();
        let channels = grid.image[2];
        // What the epilogue reads comes from memory, as a rule.
        let mask = self.0.epilogue.grad.map(|(distance, _)| self.0.y.wrapping_offset(distance));
        let ahead = |tensor: *mut f32| Ahead::new(grid, tiles, tile, grid.channels() / V::LANES, tensor);
        // The places of the results too: to be written, a line that no cache holds is read first.
        let (mut mask, mut place) = (mask.map(ahead), ahead(self.0.y));
        let mut count = 0;
        for (start, phase) in grid.phases() {
            let inside = match direction {
                Direction::Transposed => {
                    let places = grid.pixels::<WINDOW>(tile.image, tile.first, phase);
                    Inside::of(places, H - usize::from(!tile.last[0]), W - usize::from(!tile.last[1]))
                }
                Direction::Forward | Direction::Reversed => {
                    let places = grid.pixels::<N>(tile.image, tile.first, phase);
                    Inside::of(places, N + H - WINDOW, N + W - WINDOW)
                }
            };
            for c in (0..channels).step_by(V::LANES) {
                place.step::<V>();
                if let Some(mask) = &mut mask {
                    mask.step::<V>();
                }
                let products = self.products::<V, H, W>(tile, start + c);
                let first = first && count == 0;
                match direction {
                    Direction::Forward | Direction::Reversed => {
                        let mut outputs = ToOutputs::square::<V, H, W>(products);
                        // SAFETY: the pixels lie in the result, and have channels from c on.
                        unsafe {
                            V::apart(StoreResults {
                                of: &self.0,
                                results: outputs.as_flattened_mut(),
                                inside: &inside,
                                c,
                                first,
                            })
                        };
                    }
                    Direction::Transposed => {
                        let window = ToWindow::square::<V, H, W>(products);
                        let mut window = self.with_neighbours::<V, H, W>(tile, window, start + c);
                        // SAFETY: the pixels lie in the result, and have channels from c on.
                        unsafe {
                            V::apart(StoreResults {
                                of: &self.0,
                                results: window.as_flattened_mut(),
                                inside: &inside,
                                c,
                                first,
                            })
                        };
                    }
                }
            }
            count += inside.len;
        }
        count
    }

    /// The products of a tile at every point, for a vector of columns.
    #[inline(always)]
    fn products<V: Simd, const H: usize, const W: usize>(
        &self,
        tile: &Tile,
        column: usize,
    ) -> [[V; WINDOW]; WINDOW] {
        let row = self.0.products.wrapping_add(tile.row * self.0.layout.row_stride() + column);
        let mut products = [[V::splat(0.0); WINDOW]; WINDOW];
        for (point, product) in products.as_flattened_mut().iter_mut().enumerate() {
            if has::<H, W>(point) {
                // SAFETY: the workspace has products for every tile and point.
                *product = unsafe { V::load(row.wrapping_add(point * self.0.layout.product_stride())) };
            }
        }
        products
    }

    /// Adds what the tiles to the left and above left of their windows, and leaves to those to the right and
    /// below what is theirs: with two taps, neighbours share a cell along each axis. The last row of the image's tiles, and its last column, keep all they have.
    #[inline(always)]
    fn with_neighbours<V: Simd, const H: usize, const W: usize>(
        &self,
        tile: &Tile,
        mut window: [[V; WINDOW]; WINDOW],
        column: usize,
    ) -> [[V; WINDOW]; WINDOW] {
        let stride = self.0.layout.columns;
        let beside = |i: usize| self.0.edges.wrapping_add(i * stride + column);
        let above = |j: usize| self.0.edges.wrapping_add((WINDOW + tile.first[1] + j) * stride + column);
        // SAFETY: the edges have a row of columns for each row of a window, and for each cell of a line.
        unsafe {
            if tile.first[1] > 0 {
                for (i, row) in window.iter_mut().enumerate().take(H) {
                    row[0] = row[0].add(V::load(beside(i)));
                }
            }
            if tile.first[0] > 0 {
                for (j, cell) in window[0].iter_mut().enumerate().take(W - 1) {
                    *cell = cell.add(V::load(above(j)));
                }
                if tile.last[1] {
                    window[0][W - 1] = window[0][W - 1].add(V::load(above(W - 1)));
                }
            }
            if !tile.last[1] {
                for (i, row) in window.iter().enumerate().take(H) {
                    row[W - 1].store(beside(i));
                }
            }
            if !tile.last[0] {
                for (j, cell) in window[H - 1].iter().enumerate().take(W - 1) {
                    cell.store(above(j));
                }
                if tile.last[1] {
                    window[H - 1][W - 1].store(above(W - 1));
                }
            }
        }
        window
    }
}

/// Stores a vector of channels of the pixels inside the image, and adds to the moments.
struct StoreResults<'a, V> {
    of: &'a Results<'a>,
    results: &'a mut [V],
    inside: &'a Inside,
    c: usize,
    /// Whether these are the first pixels of the task.
    first: bool,
}

impl<R: Simd> Job for StoreResults<'_, R> {
    type Output = ();

    // V is R: the results belong to the instruction set that stores them.
    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let StoreResults { of, results, inside, c, first } = self;
        let inside = &inside.pixels[..inside.len];
        for &(i, pixel) in inside {
            let p = of.y.wrapping_add(pixel + c);
            // SAFETY: the pixel has channels from c on, a multiple of vectors, and so have what the epilogue reads.
            unsafe {
                results[i] = of.epilogue.apply(results[i], c, p, R::LANES);
                results[i].store(p);
            }
        }
        let (Some(sums), false) = (of.sums, inside.is_empty()) else { return };
        let channels = of.layout.channels();
        let [shift, sum, squares] = [0, 1, 2].map(|row| sums.wrapping_add(row * channels + c));
        // SAFETY: the sums have three rows of channels.
        unsafe {
            let zero = R::splat(0.0);
            if first {
                results[inside[0].0].store(shift);
                zero.store(sum);
                zero.store(squares);
            }
            // Tile by tile: fewer roundings than one after the other.
            let (by, mut of_tile, mut of_squares) = (R::load(shift), zero, zero);
            for &(i, _) in inside {
                let x = results[i].sub(by);
                of_tile = of_tile.add(x);
                of_squares = x.mul_add(x, of_squares);
            }
            R::load(sum).add(of_tile).store(sum);
            R::load(squares).add(of_squares).store(squares);
        }
    }
}
