//! The tiles into which a GPU cuts a product.

use crate::Shader;

/// A tile of results that a workgroup computes, in the order of the shaders' axis `width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tile {
    /// 64 x 64, one column at a time.
    Plain,
    /// 64 x 64, four columns at a time, as all that follow.
    Vec4,
    /// 128 x 64.
    Tall,
    /// 128 x 128.
    Large,
}

impl Tile {
    /// All of them, in the order of the shaders.
    pub const ALL: [Tile; 4] = [Tile::Plain, Tile::Vec4, Tile::Tall, Tile::Large];

    /// Its name, as the shaders have it.
    pub fn name(self) -> &'static str {
        ["plain", "vec4", "tall", "large"][self as usize]
    }

    /// The tile of that name.
    pub fn find(name: &str) -> Option<Tile> {
        Tile::ALL.into_iter().find(|tile| tile.name() == name)
    }

    /// Its rows and its columns.
    pub fn size(self) -> [usize; 2] {
        [[64, 64], [64, 64], [128, 64], [128, 128]][self as usize]
    }

    /// How many of them an [m, n] result takes.
    pub fn count(self, m: usize, n: usize) -> usize {
        let [rows, columns] = self.size();
        m.div_ceil(rows) * n.div_ceil(columns)
    }

    /// Whether it can compute a result of `n` columns: all but `Plain` read and write whole vectors of four.
    pub fn fits(self, n: usize) -> bool {
        self == Tile::Plain || n.is_multiple_of(4)
    }
}

/// What a dispatch may choose among that computes a product in tiles. Every result is the same sum in the same order
/// whatever the tile, so the choice changes no bits.
#[derive(Clone, Debug)]
pub struct Tiled {
    /// The product and its sizes, in words: two of the same name are the same work.
    pub product: String,
    /// The rows and columns of the result.
    pub results: [usize; 2],
    /// The tile that is chosen.
    pub tile: Tile,
    /// Whether someone asked for this tile, so that nothing else is to choose.
    pub asked: bool,
    /// The shader of each tile.
    pub shaders: [&'static Shader; 4],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_their_results_and_are_found_by_name() {
        assert_eq!(Tile::ALL.map(|tile| tile.count(129, 128)), [6, 6, 4, 2]);
        assert_eq!(Tile::ALL.map(|tile| tile as usize), [0, 1, 2, 3]);
        assert!(Tile::ALL.iter().all(|tile| Tile::find(tile.name()) == Some(*tile)));
        assert_eq!(Tile::find("huge"), None);
        assert_eq!(Tile::ALL.map(|tile| tile.fits(6)), [true, false, false, false]);
        assert_eq!(Tile::ALL.map(|tile| tile.fits(8)), [true; 4]);
    }
}
