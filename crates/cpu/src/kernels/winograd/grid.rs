//! An image cut into cells, and cells gathered to tiles.

use super::transform::{Extent, LEFT_OUT, WINDOW};
use std::ops::Range;

/// Channels of a vector of zeros that stands for pixels outside an image.
pub(super) const MOST_CHANNELS: usize = 1024;

/// What is read where a window reaches beyond its image.
pub(super) static ZEROS: [f32; MOST_CHANNELS] = [0.0; MOST_CHANNELS];

/// An NHWC tensor as a grid of cells of `step` x `step` pixels, each pixel with its channels one phase of
/// the cell: phase (a, b) of cell (i, j) is pixel `(step * i + a + origin, step * j + b + origin)`. Cells
/// reach beyond the image, where everything is zero.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// Height, width and channels.
    pub(crate) image: [usize; 3],
    pub(crate) step: usize,
    pub(crate) origin: [isize; 2],
}

/// The tiles of a batch of images: along each axis some full ones, then some that have an output less.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    batch: usize,
    /// Outputs of a full tile along an axis.
    outputs: usize,
    /// Along height and width.
    full: [usize; 2],
    short: [usize; 2],
}

/// A tile of a block of tiles.
pub(crate) struct Tile {
    /// Number of the image, and of the tile in it.
    pub(crate) image: usize,
    pub(crate) number: usize,
    /// Row of the block's matrices: see [`Tiles::rows`].
    pub(crate) row: usize,
    /// First cell along height and width.
    pub(crate) first: [usize; 2],
    pub(crate) extents: [Extent; 2],
    /// Whether it is the last of its image along height and width.
    pub(crate) last: [bool; 2],
}

impl Tiles {
    /// The tiles with fewest products that cover so many cells of each image, for a full tile of `outputs`.
    pub(crate) fn covering(batch: usize, cells: [usize; 2], outputs: usize) -> Tiles {
        let full = |cells: usize, short: usize| cells.saturating_sub((outputs - 1) * short).div_ceil(outputs);
        let short = cells.map(|cells| {
            let products = |short: &usize| WINDOW * full(cells, *short) + (WINDOW - 1) * short;
            (0..outputs).min_by_key(products).unwrap_or(0)
        });
        let full = [0, 1].map(|axis| full(cells[axis], short[axis]));
        Tiles { batch, outputs, full, short }
    }

    fn per_axis(&self, axis: usize) -> usize {
        self.full[axis] + self.short[axis]
    }

    pub(crate) fn per_image(&self) -> usize {
        self.per_axis(0) * self.per_axis(1)
    }

    pub(crate) fn count(&self) -> usize {
        self.batch * self.per_image()
    }

    /// Products of all tiles of an image, for each pair of channels.
    pub(crate) fn products(&self) -> usize {
        [0, 1].map(|axis| WINDOW * self.full[axis] + (WINDOW - 1) * self.short[axis]).iter().product()
    }

    fn place(&self, number: usize, axis: usize) -> (usize, Extent) {
        let at = if axis == 0 { number / self.per_axis(1) } else { number % self.per_axis(1) };
        match at.checked_sub(self.full[axis]) {
            None => (self.outputs * at, Extent::Full),
            Some(after) => (self.outputs * self.full[axis] + (self.outputs - 1) * after, Extent::Short),
        }
    }

    /// How many of the tiles in range lie in each group; groups differ in their extents.
    fn counts(&self, range: Range<usize>) -> [usize; 4] {
        let mut counts = [0; 4];
        for tile in range {
            let number = tile % self.per_image();
            counts[group([self.place(number, 0).1, self.place(number, 1).1])] += 1;
        }
        counts
    }

    /// Where each group of a block starts, and where the last ends.
    pub(crate) fn groups(&self, block: Range<usize>) -> [usize; 5] {
        let counts = self.counts(block);
        let mut starts = [0; 5];
        for i in 0..4 {
            starts[i + 1] = starts[i] + counts[i];
        }
        starts
    }

    /// The tiles of a block.
    pub(crate) fn of_block(&self, block: Range<usize>) -> impl Iterator<Item = Tile> {
        let tiles = *self;
        let starts = self.groups(block.clone());
        let mut rows = [starts[0], starts[1], starts[2], starts[3]];
        block.map(move |tile| {
            let (image, number) = (tile / tiles.per_image(), tile % tiles.per_image());
            let places = [tiles.place(number, 0), tiles.place(number, 1)];
            let extents = places.map(|(_, extent)| extent);
            let row = &mut rows[group(extents)];
            *row += 1;
            let columns = tiles.per_axis(1);
            let last = [number / columns + 1 == tiles.per_axis(0), number % columns + 1 == columns];
            Tile { image, number, row: *row - 1, first: places.map(|(first, _)| first), extents, last }
        })
    }

    /// The rows of a block with these groups that have a product at a point: all but those that leave it out.
    pub(crate) fn rows(groups: &[usize; 5], point: usize) -> Range<usize> {
        match [point / WINDOW == LEFT_OUT, point % WINDOW == LEFT_OUT] {
            [false, false] => 0..groups[4],
            [true, false] => groups[1]..groups[3],
            [false, true] => 0..groups[2],
            [true, true] => groups[1]..groups[2],
        }
    }
}

/// In this order, the rows at every point are neighbours.
fn group(extents: [Extent; 2]) -> usize {
    match extents {
        [Extent::Short, Extent::Full] => 0,
        [Extent::Full, Extent::Full] => 1,
        [Extent::Full, Extent::Short] => 2,
        [Extent::Short, Extent::Short] => 3,
    }
}

impl Tile {
    /// Where phase `phase` of the tile's N x N outputs lies; None outside the image, and beyond its extents.
    #[inline(always)]
    pub(crate) fn outputs<const N: usize>(&self, grid: &Grid, phase: [usize; 2]) -> [[Option<usize>; N]; N] {
        let mut pixels = grid.pixels::<N>(self.image, self.first, phase);
        if self.extents[0] == Extent::Short {
            pixels[N - 1] = [None; N];
        }
        if self.extents[1] == Extent::Short {
            pixels.iter_mut().for_each(|row| row[N - 1] = None);
        }
        pixels
    }
}

impl Grid {
    /// Channels of a cell.
    pub(crate) fn channels(&self) -> usize {
        self.step * self.step * self.image[2]
    }

    /// Where phase `phase` of each of N x N cells from `first` on lies in image number `image`, as elements
    /// from the start of the tensor; None outside.
    #[inline(always)]
    pub(crate) fn pixels<const N: usize>(
        &self,
        image: usize,
        first: [usize; 2],
        phase: [usize; 2],
    ) -> [[Option<usize>; N]; N] {
        let [height, width, channels] = self.image;
        let inside = |axis: usize, i: usize| {
            let at = (self.step * (first[axis] + i) + phase[axis]) as isize + self.origin[axis];
            (0..self.image[axis] as isize).contains(&at).then_some(at as usize)
        };
        // Once for each axis: where channels are few, finding the pixels takes as long as their transform.
        let columns: [_; N] = std::array::from_fn(|j| inside(1, j).map(|x| x * channels));
        std::array::from_fn(|i| {
            let row = inside(0, i).map(|y| (image * height + y) * width * channels);
            columns.map(|column| Some(row? + column?))
        })
    }

    /// The phases of a cell: number of its first channel, and its place.
    pub(crate) fn phases(&self) -> impl Iterator<Item = (usize, [usize; 2])> {
        let (step, channels) = (self.step, self.image[2]);
        (0..step * step).map(move |s| (s * channels, [s / step, s % step]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::transform::has;
    use super::*;

    #[test]
    fn cells_of_a_padded_image() {
        let grid = Grid { image: [3, 4, 2], step: 2, origin: [-1, -1] };
        assert_eq!(grid.channels(), 8);
        let pixels = grid.pixels::<3>(1, [0, 0], [1, 0]);
        let at = |y: usize, x: usize| Some(((3 + y) * 4 + x) * 2);
        assert_eq!(pixels[0], [None, at(0, 1), at(0, 3)]);
        assert_eq!(pixels[1], [None, at(2, 1), at(2, 3)]);
        assert_eq!(pixels[2], [None; 3]);
    }

    #[test]
    fn tiles_cover_every_cell_once_and_their_groups_are_neighbours() {
        for (cells, products) in [([7, 7], 81), ([8, 14], 180), ([5, 3], 32), ([9, 10], 156)] {
            check::<4>(cells, products);
        }
        for (cells, products) in
            [([7, 7], 169), ([8, 14], 336), ([5, 3], 45), ([1, 10], 72), ([32, 28], 2592)]
        {
            check::<3>(cells, products);
        }
    }

    /// Tiles of N x N outputs.
    fn check<const N: usize>(cells: [usize; 2], products: usize) {
        let tiles = Tiles::covering(3, cells, N);
        assert_eq!(tiles.products(), products, "{cells:?}");
        let grid = Grid { image: [cells[0], cells[1], 1], step: 1, origin: [0, 0] };
        let block = 1..tiles.count();
        let groups = tiles.groups(block.clone());
        let mut seen = vec![0; 3 * cells[0] * cells[1]];
        let mut rows = vec![None; block.len()];
        for tile in tiles.of_block(block.clone()) {
            for pixel in tile.outputs::<N>(&grid, [0, 0]).as_flattened().iter().flatten() {
                seen[*pixel] += 1;
            }
            let ends =
                [0, 1].map(|i| tile.first[i] + if tile.extents[i] == Extent::Full { N } else { N - 1 });
            assert_eq!(tile.last, [ends[0] >= cells[0], ends[1] >= cells[1]]);
            let has: fn(usize) -> bool = match tile.extents {
                [Extent::Full, Extent::Full] => has::<5, 5>,
                [Extent::Full, Extent::Short] => has::<5, 4>,
                [Extent::Short, Extent::Full] => has::<4, 5>,
                [Extent::Short, Extent::Short] => has::<4, 4>,
            };
            for point in 0..WINDOW * WINDOW {
                assert_eq!(Tiles::rows(&groups, point).contains(&tile.row), has(point));
            }
            assert!(rows[tile.row].replace(tile.number).is_none());
        }
        assert!(rows.iter().all(Option::is_some));
        // All but the first tile.
        assert!(seen.iter().all(|&count| count <= 1));
        let first: usize = seen.iter().filter(|&&count| count == 0).count();
        assert!((1..=N * N).contains(&first), "{first}");
    }
}
