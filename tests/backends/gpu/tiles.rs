//! Tiles of products: that none changes a bit, that tables of them are followed, and that each can be timed.

use std::time::Duration;

use gannet::{Gan, presets};
use gannet_gpu::{Tile, Tiles, Wgpu, products};
use gannet_tensor::ops::MatMul;
use gannet_tensor::{Graph, Padding, Plan, Program, Var, Variables, grad};
use gannet_tests::Random;

use super::device::{device, own_device};

/// Products of every kind, with and without epilogues, one whose sum is cut into parts, and one of columns that are no whole
/// vectors, with all gradients.
fn plan() -> Plan {
    let graph = Graph::new();
    let [x, w] = [graph.input("x", [2, 17, 17, 12]), graph.input("w", [3, 3, 12, 20])];
    let y = x.conv2d(w, [2, 2], Padding::Same);
    let bias = graph.input("bias", [20]);
    let features = (y + bias).leaky_relu(0.2);
    let up = features.conv_transpose2d(graph.input("u", [4, 4, 12, 20]), [2, 2], Padding::Same, None);
    let flat = features.reshape([2 * 9 * 9, 20]);
    let [v, odd] = [graph.input("v", [20, 132]), graph.input("odd", [132, 70])];
    let z = flat.matmul(v).tanh();
    let loss = z.matmul(odd).square().mean_all() + up.square().mean_all();
    let [a, b] = [graph.input("a", [130, 4500]), graph.input("b", [4500, 12])];
    let mut plan = graph.plan().output("loss", loss).output("long", a.matmul(b));
    for (k, gradient) in
        grad(loss, &[x, w, bias, v, odd]).expect("all are differentiable").into_iter().enumerate()
    {
        plan = plan.output(&format!("gradient {k}"), gradient);
    }
    plan.build().expect("a plan")
}

/// The outputs of `plan`, as bits, and its dispatches in words.
fn run(gpu: &Wgpu, plan: &Plan) -> (Vec<Vec<u32>>, String) {
    let mut program = Program::new(gpu, plan.clone(), &Variables::new()).expect("a program");
    let mut random = Random::new(11);
    for (name, shape) in plan.inputs() {
        let values: Vec<f32> = random.vector(shape.len()).iter().map(|v| *v as f32).collect();
        program.write(name, &values).expect("written");
    }
    program.run().expect("run");
    let outputs = plan.outputs().map(|(name, _)| program.read(name).expect("read"));
    let bits = outputs.map(|values| values.iter().map(|value| value.to_bits()).collect()).collect();
    (bits, program.executable().explain())
}

/// All products of a plan by one tile.
fn all_by(plan: &Plan, tile: Tile) -> Tiles {
    products(plan).expect("products").into_iter().map(|product| (product.name, tile)).collect()
}

#[test]
fn no_tile_changes_a_bit() {
    let Some(gpu) = device(false) else { return };
    let plan = plan();
    let (expected, by_rule) = run(gpu, &plan);
    assert!(expected.iter().flatten().any(|bits| *bits != 0));
    for (tile, name) in
        [(Tile::Plain, "plain"), (Tile::Vec4, "vec4"), (Tile::Tall, "tall"), (Tile::Large, "large")]
    {
        let (found, explained) = run(&gpu.clone().with_tiles(all_by(&plan, tile)), &plan);
        let shaders =
            ["matmul_nn", "matmul_tn", "matmul_nt", "conv2d_bias", "conv_transpose2d", "conv2d_weight_grad"];
        for shader in shaders {
            // Plain shaders have no such word in their names, and small products have that tile by rule.
            let whole = if tile == Tile::Plain { format!("{shader} ") } else { format!("{shader}_{name} ") };
            assert!(explained.contains(&whole), "no {whole}in\n{explained}");
        }
        assert_eq!(tile == Tile::Vec4, explained == by_rule, "{explained}");
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let wrong = found.iter().zip(expected).position(|(a, b)| a != b);
            assert_eq!(wrong, None, "output {k} by {name}: first other element");
        }
    }
    // A clone with other tiles changes nothing for those that it was cloned from.
    assert_eq!(run(gpu, &plan).1, by_rule);
}

/// Against products of the same numbers and zeros behind them, whose sums are too long to be called short.
#[test]
fn short_sums_are_those_of_tiles() {
    let Some(gpu) = device(false) else { return };
    let mut random = Random::new(5);
    for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
        for (m, n, k) in [(70, 72, 16), (5, 130, 3), (130, 1, 8)] {
            let mut outputs = Vec::new();
            let [a, b] = [m * k, k * n].map(|len| random.vector(len));
            for depth in [k, k + 20] {
                let graph = Graph::new();
                let shape = |rows: usize, columns: usize, transposed: bool| {
                    if transposed { [columns, rows] } else { [rows, columns] }
                };
                // The numbers of a matrix [rows, columns], one row after another, with zeros where there are none.
                let filled = |values: &[f64], [rows, columns]: [usize; 2], [inner, width]: [usize; 2]| {
                    let at = |i: usize| {
                        let (row, column) = (i / columns, i % columns);
                        if row < inner && column < width { values[row * width + column] as f32 } else { 0.0 }
                    };
                    (0..rows * columns).map(at).collect::<Vec<f32>>()
                };
                let [of_a, of_b] = [shape(m, depth, trans_a), shape(depth, n, trans_b)];
                let bias = graph.fill([n], 0.25);
                let [x, y] = [graph.input("a", of_a), graph.input("b", of_b)];
                let product = graph.apply(MatMul { trans_a, trans_b }, &[x, y]).expect("a product");
                let plan = graph.plan().output("plain", product).output("bias", (product + bias).relu());
                let mut program =
                    Program::new(gpu, plan.build().expect("a plan"), &Variables::new()).expect("a program");
                let text = program.executable().explain();
                assert_eq!(text.contains("_short"), depth == k, "{text}");
                program.write("a", &filled(&a, of_a, shape(m, k, trans_a))).expect("written");
                program.write("b", &filled(&b, of_b, shape(k, n, trans_b))).expect("written");
                program.run().expect("run");
                outputs.push(["plain", "bias"].map(|name| program.read(name).expect("read")));
            }
            assert!(outputs[0] == outputs[1], "{m} x {n} x {k}, transposed: {trans_a} and {trans_b}");
        }
    }
}

#[test]
fn a_gan_learns_the_same_in_other_tiles() {
    let Some(gpu) = device(false) else { return };
    let mut config = presets::get("dcgan").expect("the preset");
    config.batch_size = 2;
    let train = |gpu: &Wgpu| {
        let mut gan = Gan::new(gpu, config.clone()).expect("a GAN");
        for step in 0..2 {
            let real: Vec<f32> = Random::new(step).vector(2 * 28 * 28).iter().map(|v| *v as f32).collect();
            gan.train_on_batch(&real, None).expect("finite losses");
        }
        let names: Vec<String> = gan.tensors().map(|(name, _)| name.to_owned()).collect();
        let bits = |name: &String| -> Vec<u32> {
            gan.read_tensor(name).expect("read").iter().map(|value| value.to_bits()).collect()
        };
        let tensors: Vec<Vec<u32>> = names.iter().map(bits).collect();
        let tiles = all_by(gan.prepare().expect("a plan"), Tile::Tall);
        (tensors, tiles, gan.executable().expect("a program").explain())
    };
    let (expected, tiles, by_rule) = train(gpu);
    let (found, _, explained) = train(&gpu.clone().with_tiles(tiles));
    assert!(explained.contains("_tall ") && !by_rule.contains("_tall "), "{explained}");
    assert!(found == expected, "another tile gave other weights");
}

#[test]
fn every_tile_of_a_product_is_timed_and_leaves_nothing_behind() {
    let Some(gpu) = own_device() else { return };
    let graph = Graph::new();
    let x = graph.input("x", [70, 40]);
    let sums = |n: usize| x.matmul(graph.input(&format!("w{n}"), [40, n]));
    let plan = [72, 70].into_iter().fold(graph.plan(), |plan, n| plan.output(&format!("y{n}"), sums(n)));
    let products = products(&plan.build().expect("a plan")).expect("products");
    let before = gpu.counters();
    for (product, fitting) in products.iter().zip([&Tile::ALL[..], &[Tile::Plain]]) {
        let times = gpu.time_tiles(product).expect("times");
        let tiles: Vec<Tile> = times.seconds.iter().map(|(tile, _)| *tile).collect();
        assert_eq!((&tiles[..], times.rule), (fitting, product.rule), "{}", product.name);
        assert!(times.seconds.iter().all(|(_, s)| *s > 0.0 && *s < 60.0), "{times:?}");
        assert!(fitting.contains(&times.best()));
    }
    let after = gpu.counters();
    assert_eq!((after.buffers, after.bytes), (before.buffers, before.bytes));
    gpu.limit_memory(1000);
    let error = gpu.time_tiles(&products[0]).expect_err("no memory").to_string();
    assert!(error.contains("out of memory") && error.contains("matmul_nn 70x72x40"), "{error}");
}

#[test]
fn what_the_host_takes_for_runs_is_counted() {
    let Some(gpu) = own_device() else { return };
    let graph = Graph::new();
    let x: Var<'_> = graph.input("x", [8]);
    let plan = graph.plan().output("y", x.exp()).build().expect("a plan");
    let mut program = Program::new(&gpu, plan, &Variables::new()).expect("a program");
    let times = || {
        let counters = gpu.counters();
        [counters.writing, counters.recording, counters.submitting]
    };
    assert!(times().iter().all(Duration::is_zero), "{:?}", times());
    program.write("x", &[0.5; 8]).expect("written");
    for _ in 0..3 {
        program.run().expect("run");
    }
    gpu.finish().expect("done");
    let after = times();
    assert!(after.iter().all(|time| !time.is_zero()), "{after:?}");
    assert_eq!((gpu.counters().submissions, gpu.counters().queued), (3, 0));
    // Reading is no run.
    program.read("y").expect("read");
    assert_eq!(times(), after);
}
