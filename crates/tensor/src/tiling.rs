//! Into which tiles a GPU cuts a product.
//!
//! A larger tile loads less for each result, and fills a device only where there are many of them. Every result is the same
//! sum in the same order whatever the tile, so the choice changes no bits.

use std::env;

/// The tiles, as the shaders' axis `width` orders them.
const TILES: [Tile; 4] = [
    Tile { name: "plain", rows: 64, columns: 64, cost: 1.0 },
    Tile { name: "vec4", rows: 64, columns: 64, cost: 0.9 },
    Tile { name: "tall", rows: 128, columns: 64, cost: 0.7 },
    Tile { name: "large", rows: 128, columns: 128, cost: 0.55 },
];

/// The environment variable that names the tile to use wherever it can be: to test and to measure it.
const VARIABLE: &str = "GANNET_TILES";

/// Workgroups that larger tiles leave at least: as many as a large card runs at once.
const ENOUGH: usize = 128;

struct Tile {
    name: &'static str,
    rows: usize,
    columns: usize,
    /// About the time of a result where the device is full: what an invocation reads from workgroup memory for each product,
    /// and what waiting for it costs.
    cost: f64,
}

impl Tile {
    fn count(&self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows) * n.div_ceil(self.columns)
    }
}

/// The tiles of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Which of the shaders: plain, vec4, tall, large.
    pub(crate) variant: usize,
    /// How many tiles there are.
    pub(crate) count: usize,
}

impl Tiling {
    /// For an [m, n] result of which there are `parts`: parts of a sum, or phases.
    pub(crate) fn new(m: usize, n: usize, parts: usize) -> Tiling {
        Tiling::chosen(m, n, parts, env::var(VARIABLE).ok().as_deref())
    }

    fn chosen(m: usize, n: usize, parts: usize, asked: Option<&str>) -> Tiling {
        let of = |variant: usize| Tiling { variant, count: TILES[variant].count(m, n) };
        // The others read whole vectors of columns.
        if !n.is_multiple_of(4) {
            return of(0);
        }
        if let Some(variant) = TILES.iter().position(|tile| Some(tile.name) == asked) {
            return of(variant.max(1));
        }
        let time = |variant: usize| {
            let tile = &TILES[variant];
            (tile.count(m, n) * tile.rows * tile.columns) as f64 * tile.cost
        };
        let enough = |&variant: &usize| variant == 1 || TILES[variant].count(m, n) * parts >= ENOUGH;
        of((1..TILES.len()).filter(enough).min_by(|&a, &b| time(a).total_cmp(&time(b))).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_products_have_large_tiles_and_small_ones_fill_the_device() {
        let chosen = |m, n, parts| {
            let tiling = Tiling::chosen(m, n, parts, None);
            (TILES[tiling.variant].name, tiling.count)
        };
        assert_eq!(chosen(4096, 4096, 1), ("large", 1024));
        // Few columns leave half of a large tile empty, many in the last one do not.
        assert_eq!(chosen(25_088, 64, 1), ("tall", 196));
        assert_eq!(chosen(100_352, 192, 1), ("tall", 2352));
        assert_eq!(chosen(100_352, 256, 1), ("large", 1568));
        // 49 large tiles would leave most of a card without work.
        assert_eq!(chosen(6272, 128, 1), ("vec4", 196));
        assert_eq!(chosen(6272, 128, 4), ("large", 49));
        assert_eq!(chosen(1 << 20, 65, 1), ("plain", 32_768));
        assert_eq!(chosen(1, 4, 1), ("vec4", 1));
    }

    #[test]
    fn a_tile_that_is_asked_for_is_used_where_it_can_be() {
        let asked = |n, name| Tiling::chosen(100, n, 1, Some(name)).variant;
        assert_eq!(["plain", "vec4", "tall", "large"].map(|name| asked(100, name)), [1, 1, 2, 3]);
        assert_eq!(asked(101, "large"), 0);
        assert_eq!(Tiling::chosen(4096, 4096, 1, Some("huge")), Tiling::chosen(4096, 4096, 1, None));
    }
}
