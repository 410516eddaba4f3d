//! Into which tiles a GPU cuts a product, where nobody has measured it.
//!
//! A larger tile loads less for each result, and fills a device only where there are many of them. Every result is the same
//! sum in the same order whatever the tile, so the choice changes no bits.

use std::env;

use gannet_shaders::Tile;

/// The environment variable that names the tile to use wherever it can be: to test and to measure it.
const VARIABLE: &str = "GANNET_TILES";

/// Workgroups that larger tiles leave at least: as many as a large card runs at once.
const ENOUGH: usize = 128;

/// About the time of a result where the device is full: what an invocation reads from workgroup memory for each product, and
/// what waiting for it costs.
fn cost(tile: Tile) -> f64 {
    match tile {
        Tile::Plain => 1.0,
        Tile::Vec4 => 0.9,
        Tile::Tall => 0.7,
        Tile::Large => 0.55,
    }
}

/// The tile of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Which it is.
    pub(crate) tile: Tile,
    /// Whether the environment asks for it.
    pub(crate) asked: bool,
}

impl Tiling {
    /// For an [m, n] result of which there are `parts`: parts of a sum, or phases.
    pub(crate) fn new(m: usize, n: usize, parts: usize) -> Tiling {
        Tiling::chosen(m, n, parts, env::var(VARIABLE).ok().as_deref())
    }

    fn chosen(m: usize, n: usize, parts: usize, asked: Option<&str>) -> Tiling {
        let asked = asked.and_then(Tile::find);
        // The others read whole vectors of columns.
        if !Tile::Vec4.fits(n) {
            return Tiling { tile: Tile::Plain, asked: asked.is_some() };
        }
        if let Some(tile) = asked {
            return Tiling { tile: tile.max(Tile::Vec4), asked: true };
        }
        let time = |tile: Tile| {
            let [rows, columns] = tile.size();
            (tile.count(m, n) * rows * columns) as f64 * cost(tile)
        };
        let enough = |tile: &Tile| *tile == Tile::Vec4 || tile.count(m, n) * parts >= ENOUGH;
        let larger = [Tile::Vec4, Tile::Tall, Tile::Large].into_iter().filter(enough);
        let tile = larger.min_by(|&a, &b| time(a).total_cmp(&time(b))).unwrap_or(Tile::Vec4);
        Tiling { tile, asked: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_products_have_large_tiles_and_small_ones_fill_the_device() {
        let chosen = |m, n, parts| {
            let Tiling { tile, asked } = Tiling::chosen(m, n, parts, None);
            assert!(!asked);
            (tile, tile.count(m, n))
        };
        assert_eq!(chosen(4096, 4096, 1), (Tile::Large, 1024));
        // Few columns leave half of a large tile empty, many in the last one do not.
        assert_eq!(chosen(25_088, 64, 1), (Tile::Tall, 196));
        assert_eq!(chosen(100_352, 192, 1), (Tile::Tall, 2352));
        assert_eq!(chosen(100_352, 256, 1), (Tile::Large, 1568));
        // 49 large tiles would leave most of a card without work.
        assert_eq!(chosen(6272, 128, 1), (Tile::Vec4, 196));
        assert_eq!(chosen(6272, 128, 4), (Tile::Large, 49));
        assert_eq!(chosen(1 << 20, 65, 1), (Tile::Plain, 32_768));
        assert_eq!(chosen(1, 4, 1), (Tile::Vec4, 1));
    }

    #[test]
    fn a_tile_that_is_asked_for_is_used_where_it_can_be() {
        let asked = |n, name| Tiling::chosen(100, n, 1, Some(name));
        let of = |tile| Tiling { tile, asked: true };
        assert_eq!(
            ["plain", "vec4", "tall", "large"].map(|name| asked(100, name)),
            [Tile::Vec4, Tile::Vec4, Tile::Tall, Tile::Large].map(of)
        );
        assert_eq!(asked(101, "large"), of(Tile::Plain));
        assert_eq!(Tiling::chosen(4096, 4096, 1, Some("huge")), Tiling::chosen(4096, 4096, 1, None));
    }
}
