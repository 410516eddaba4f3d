//! Copies and sums that wait until something asks for them, and dispatches that do the work of two operations.

use gannet_gpu::Wgpu;
use gannet_tensor::{Backend, Graph, Plan, Program, Reference, Shape, Var, Variables};
use gannet_tests::Random;

use super::device::device;

/// The shaders that find statistics and move the running ones.
pub(crate) const RUNNING: [&str; 6] = [
    "batch_stats_running_1",
    "batch_stats_running_2",
    "batch_stats_running_3",
    "batch_stats_merge_running_1",
    "batch_stats_merge_running_2",
    "batch_stats_merge_running_3",
];

/// Numbers of which sums of a few are exact.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + 11) % 101) as f32 - 50.0).collect()
}

/// A program whose inputs are given, after one run.
fn run_once(gpu: &Wgpu, plan: Plan) -> Program<Wgpu> {
    let inputs: Vec<(String, usize)> =
        plan.inputs().map(|(name, shape)| (name.into(), shape.len())).collect();
    let mut program = Program::new(gpu, plan, &Variables::new()).expect("a program");
    for (name, len) in inputs {
        program.write(&name, &numbers(len)).expect("written");
    }
    program.run().expect("run");
    program
}

/// The sum of `parts` runs of `numbers`, for each of `count` positions.
fn summed(parts: usize, count: usize) -> Vec<f32> {
    let x = numbers(parts * count);
    (0..count).map(|i| (0..parts).map(|part| x[part * count + i]).sum()).collect()
}

#[test]
fn copies_to_one_buffer_are_one_dispatch() {
    let Some(gpu) = device(false) else { return };
    // Of (parts, elements of the first): small inputs share a buffer, so 14 are over the limit of runs; of large ones
    // 9 are over the limit of buffers.
    for (count, size, dispatches) in [(8, 3, 1), (14, 3, 2), (7, 70, 1), (9, 70, 2)] {
        let graph = Graph::new();
        let part = |n: usize| graph.input(&format!("part {n}"), [size + n]);
        let parts: Vec<Var<'_>> = (0..count).map(part).collect();
        let plan = graph.plan().output("y", Var::concat(&parts, 0)).build().expect("a plan");
        let mut program = run_once(gpu, plan);
        assert_eq!(program.executable().dispatches(), dispatches, "{}", program.executable().explain());
        let expected: Vec<f32> = (0..count).flat_map(|n| numbers(size + n)).collect();
        assert_eq!(program.read("y").expect("read"), expected);
    }
}

#[test]
fn a_copy_keeps_every_bit() {
    let Some(gpu) = device(false) else { return };
    let graph = Graph::new();
    let (a, b) = (graph.input("a", [3]), graph.input("b", [3]));
    let plan = graph.plan().output("y", Var::concat(&[a, b], 0)).build().expect("a plan");
    let mut program = Program::new(gpu, plan, &Variables::new()).expect("a program");
    let values = [-0.0, f32::MIN_POSITIVE, -1.5e-37, f32::MAX, 0.0, 1.0 + f32::EPSILON];
    program.write("a", &values[..3]).expect("written");
    program.write("b", &values[3..]).expect("written");
    program.run().expect("run");
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&program.read("y").expect("read")), bits(&values));
}

#[test]
fn sums_of_parts_enter_one_vector_in_one_dispatch() {
    let Some(gpu) = device(false) else { return };
    let graph = Graph::new();
    let sum =
        |name: &str, parts: usize, count: usize| graph.input(name, [parts, count]).sum(&[0]).reshape([count]);
    let sums = [sum("a", 3, 70), sum("b", 64, 65), sum("c", 2, 129)];
    let plan = graph.plan().output("y", Var::pack(&sums, &[0, 73, 140], 300)).build().expect("a plan");
    let mut program = run_once(gpu, plan);
    assert_eq!(program.executable().dispatches(), 1, "{}", program.executable().explain());
    let mut expected = vec![0.0; 300];
    for (start, parts, count) in [(0, 3, 70), (73, 64, 65), (140, 2, 129)] {
        expected[start..start + count].copy_from_slice(&summed(parts, count));
    }
    assert_eq!(program.read("y").expect("read"), expected);
}

/// Rows of a sum go to a vector in another order, as the gradients of a BatchNorm's scale and shift do.
#[test]
fn what_is_copied_from_a_sum_that_waits_is_summed_where_it_belongs() {
    let Some(gpu) = device(false) else { return };
    for kept in [false, true] {
        let graph = Graph::new();
        let sum = graph.input("x", [5, 2, 70]).sum(&[0]);
        let row = |i: usize| sum.slice(1, i, i + 1).reshape([70]);
        let plan = graph.plan().output("y", Var::concat(&[row(1), row(0)], 0));
        let plan = if kept { plan.output("sum", sum) } else { plan };
        let mut program = run_once(gpu, plan.build().expect("a plan"));
        // The sum itself is made only if it is asked for.
        let dispatches = if kept { 2 } else { 1 };
        assert_eq!(program.executable().dispatches(), dispatches, "{}", program.executable().explain());
        let expected = summed(5, 140);
        assert_eq!(program.read("y").expect("read"), [&expected[70..], &expected[..70]].concat());
        if kept {
            assert_eq!(program.read("sum").expect("read"), expected);
        }
    }
}

#[test]
fn a_sum_that_waits_is_made_before_its_parts_change() {
    let Some(gpu) = device(false) else { return };
    let graph = Graph::new();
    let x = graph.variable("x", [3, 70]);
    let plan = graph.plan().output("y", x.sum(&[0])).assign(x, x * 2.0).build().expect("a plan");
    let mut variables = Variables::new();
    variables.insert(gpu, "x", Shape::from([3, 70]), &numbers(210)).expect("room");
    let mut program = Program::new(gpu, plan, &variables).expect("a program");
    for factor in [1.0, 2.0, 4.0] {
        program.run().expect("run");
        let expected: Vec<f32> = summed(3, 70).iter().map(|v| factor * v).collect();
        assert_eq!(program.read("y").expect("read"), expected);
    }
}

/// The running statistics and the loss after three runs, and the shaders, where there are some.
fn with_running<B: Backend<Element = f32>>(
    backend: &B,
    rows: usize,
    earlier: usize,
) -> (Vec<f32>, Program<B>) {
    let graph = Graph::new();
    let channels = 70;
    let (running, share) = (graph.variable("running", [2, channels]), graph.constant([1], &[0.1]));
    let batch = |name: &str, rows: usize| graph.input(name, [rows, channels]);
    let before: Vec<Var<'_>> =
        (0..earlier).map(|i| batch(&format!("earlier {i}"), 5).batch_stats(1)).collect();
    let x = batch("x", rows);
    let stats = x.batch_stats(1);
    let moved = before.iter().chain([&stats]).fold(running, |y, stats| y.lerp(*stats, share));
    let plan = graph.plan().output("stats", stats).assign(running, moved).build().expect("a plan");
    let mut random = Random::new(9);
    let mut values =
        |count: usize| random.vector(count).iter().map(|v| *v as f32 + 3.0).collect::<Vec<f32>>();
    let mut variables = Variables::new();
    let start = values(2 * channels);
    variables.insert(backend, "running", Shape::from([2, channels]), &start).expect("room");
    let mut program = Program::new(backend, plan, &variables).expect("a program");
    for _ in 0..3 {
        program.write("x", &values(rows * channels)).expect("written");
        for i in 0..earlier {
            program.write(&format!("earlier {i}"), &values(5 * channels)).expect("written");
        }
        program.run().expect("run");
    }
    let found =
        [variables.read(backend, "running"), program.read("stats")].map(|x| x.expect("read")).concat();
    (found, program)
}

#[test]
fn running_statistics_are_moved_where_they_are_found() {
    let Some(gpu) = device(false) else { return };
    let mut names = Vec::new();
    for rows in [37, 2500] {
        for earlier in 0..3 {
            let (found, mut program) = with_running(gpu, rows, earlier);
            let (expected, _) = with_running(&Reference::<f32>::new(), rows, earlier);
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let error = (found - expected).abs();
                assert!(
                    error <= 1e-5 * expected.abs(),
                    "{i} of {rows} rows after {earlier}: {found} for {expected}"
                );
            }
            let explained = program.executable().explain();
            names.extend(
                explained.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string),
            );
        }
    }
    for name in RUNNING {
        assert!(names.iter().any(|used| used == name), "{name} is not among {names:?}");
    }
}
