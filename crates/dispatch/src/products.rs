//! The products of a plan that are computed in tiles, and by which tiles.

use std::collections::BTreeMap;

use gannet_shaders::{Argument, Dispatch, Launch, Tile, Tiled};
use gannet_tensor::{Instruction, Plan, Result};

use crate::launches::launches;

/// The tile of each product, by its [name](Product::name), where it is known better than by a rule: measured on a device for
/// instance. It changes no bits of results. Products that it does not name, and tiles that do not fit, are left to the rule; so
/// is everything where the environment variable `GANNET_TILES` asks for a tile.
pub type Tiles = BTreeMap<String, Tile>;

/// A product of a plan that is computed in tiles, by itself: what it takes to find out which tile is best.
#[derive(Clone, Debug)]
pub struct Product {
    /// The kernel and the sizes, in words: `matmul_nn 128x6272x100` is [128, 100] times [100, 6272].
    pub name: String,
    /// Floating-point operations.
    pub flops: u64,
    /// How many dispatches of the plan are this product.
    pub count: usize,
    /// Elements of each buffer that it binds, in the order of the shaders' bindings.
    pub elements: Vec<usize>,
    /// The tile that the rule chooses.
    pub rule: Tile,
    /// The dispatch by each tile that fits, in the order of the tiles.
    pub dispatches: Vec<(Tile, Dispatch)>,
}

/// The products of `plan` that are computed in tiles, each once, in the order in which they are first computed.
///
/// # Errors
/// As [`launches`].
pub fn products(plan: &Plan) -> Result<Vec<Product>> {
    let mut products: Vec<Product> = Vec::new();
    for (instruction, launch) in plan.instructions().iter().zip(launches(plan)?) {
        for dispatch in &launch.dispatches {
            let Some(Tiled { product: name, tile: rule, .. }) = &dispatch.tiled else { continue };
            if let Some(known) = products.iter_mut().find(|known| known.name == *name) {
                known.count += 1;
                continue;
            }
            products.push(Product {
                name: name.clone(),
                flops: instruction.flops(),
                count: 1,
                elements: elements(instruction, &launch, dispatch),
                rule: *rule,
                dispatches: Tile::ALL
                    .into_iter()
                    .filter_map(|tile| Some((tile, dispatch.by_tile(tile)?)))
                    .collect(),
            });
        }
    }
    Ok(products)
}

fn elements(instruction: &Instruction, launch: &Launch, dispatch: &Dispatch) -> Vec<usize> {
    let elements = |argument: &Argument| match *argument {
        Argument::Input(i) => instruction.inputs[i].shape.len(),
        Argument::Output => instruction.output.shape.len(),
        Argument::Scratch(i) => launch.scratch[i],
    };
    dispatch.arguments.iter().map(elements).collect()
}

/// Computes products by the tiles that `tiles` names, where they fit and nobody asks for others.
pub(crate) fn choose(launches: &mut [Launch], tiles: &Tiles) {
    for dispatch in launches.iter_mut().flat_map(|launch| &mut launch.dispatches) {
        let known = dispatch.tiled.as_ref().filter(|tiled| !tiled.asked);
        let tile = known.and_then(|tiled| tiles.get(&tiled.product));
        if let Some(chosen) = tile.and_then(|&tile| dispatch.by_tile(tile)) {
            *dispatch = chosen;
        }
    }
}

#[cfg(test)]
mod tests {
    use gannet_tensor::Graph;

    use super::*;

    /// Two products of the same sizes, one whose sum is cut into parts, and one of six columns.
    fn plan() -> Plan {
        let graph = Graph::new();
        let [a, b] = ["a", "b"].map(|name| graph.input(name, [100, 40]));
        let [v, w] = [graph.input("v", [40, 64]), graph.input("w", [40, 6])];
        let [c, d] = [graph.input("c", [32, 8192]), graph.input("d", [8192, 64])];
        let plan = graph.plan().output("av", a.matmul(v)).output("bv", b.matmul(v));
        plan.output("cd", c.matmul(d)).output("aw", a.matmul(w)).build().unwrap()
    }

    #[test]
    fn products_are_found_once_with_what_they_bind() {
        let found = products(&plan()).unwrap();
        let of = |product: &Product| (product.name.clone(), product.count, product.elements.clone());
        assert_eq!(
            found.iter().map(of).collect::<Vec<_>>(),
            [
                ("matmul_nn 100x64x40".into(), 2, vec![4000, 2560, 6400]),
                ("matmul_nn 32x64x8192".into(), 1, vec![262_144, 524_288, 16 * 2048]),
                ("matmul_nn 100x6x40".into(), 1, vec![4000, 240, 600]),
            ]
        );
        assert_eq!(found[0].flops, 2 * 100 * 64 * 40);
        let tiles = |product: &Product| product.dispatches.iter().map(|(tile, _)| *tile).collect::<Vec<_>>();
        assert_eq!((tiles(&found[0]), found[0].rule), (Tile::ALL.to_vec(), Tile::Vec4));
        // Whole vectors of columns are not to be had of six.
        assert_eq!((tiles(&found[2]), found[2].rule), (vec![Tile::Plain], Tile::Plain));
        let [.., (_, large)] = &found[1].dispatches[..] else { panic!("no tiles") };
        assert_eq!((large.shader.name, large.workgroups), ("matmul_nn_large", [1, 1, 16]));
    }

    #[test]
    fn a_table_is_followed_where_it_fits() {
        let plan = plan();
        let tiles = |product: &str, tile| Tiles::from([(product.to_string(), tile)]);
        let shaders = |tiles: &Tiles| {
            let mut launches = launches(&plan).unwrap();
            choose(&mut launches, tiles);
            let dispatches = launches.into_iter().flat_map(|launch| launch.dispatches);
            dispatches
                .filter(|dispatch| dispatch.tiled.is_some())
                .map(|d| (d.shader.name, d.workgroups))
                .collect::<Vec<_>>()
        };
        let vec4 = ("matmul_nn_vec4", [2, 1, 1]);
        let rule = [vec4, vec4, ("matmul_nn_vec4", [1, 1, 16]), ("matmul_nn", [2, 1, 1])];
        assert_eq!(shaders(&Tiles::new()), rule);
        let tall = ("matmul_nn_tall", [1, 1, 1]);
        assert_eq!(shaders(&tiles("matmul_nn 100x64x40", Tile::Tall)), [tall, tall, rule[2], rule[3]]);
        assert_eq!(shaders(&tiles("matmul_nn 32x64x8192", Tile::Plain))[2], ("matmul_nn", [1, 1, 16]));
        // A table that asks for what would be wrong, and one for other products.
        assert_eq!(shaders(&tiles("matmul_nn 100x6x40", Tile::Large)), rule);
        assert_eq!(shaders(&tiles("matmul_nn 100x64x41", Tile::Large)), rule);
    }

    #[test]
    fn what_was_asked_for_is_left_alone() {
        let mut launches = launches(&plan()).unwrap();
        let first = &mut launches[0].dispatches[0];
        *first = first.by_tile(Tile::Large).unwrap();
        first.tiled.as_mut().unwrap().asked = true;
        choose(&mut launches, &Tiles::from([("matmul_nn 100x64x40".into(), Tile::Tall)]));
        let names = launches.iter().map(|launch| launch.dispatches[0].shader.name).collect::<Vec<_>>();
        assert_eq!(names[..2], ["matmul_nn_large", "matmul_nn_tall"]);
    }
}
