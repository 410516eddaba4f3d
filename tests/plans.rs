//! Plans: random graphs run with shared memory, updates in place, pieces and views give the bits that
//! evaluation node by node gives, and what a plan promises about its memory holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gannet_tensor::{
    BufferKind, Graph, NodeId, NodeKind, Plan, Program, Reference, Shape, Var, Variables, grad, ops,
};
use gannet_tests::{Derivative, Evaluation, Random, Rounding, deviation, node, rows};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

type Values = BTreeMap<String, Vec<f64>>;

const VARIABLES: [(&str, [usize; 2]); 4] = [("p", [4, 6]), ("q", [4, 6]), ("r", [4, 6]), ("state", [3, 24])];
const INPUTS: [(&str, [usize; 2]); 3] = [("x", [4, 6]), ("y", [4, 6]), ("row", [1, 6])];

/// An operation to append: its kind, two operands and a parameter, all taken modulo what there is.
type Step = (u8, u8, u8, u8);

/// A random computation: operations, outputs, and assignments of nodes to variables.
#[derive(Clone)]
struct Recipe {
    steps: Vec<Step>,
    outputs: Vec<u8>,
    assignments: Vec<(u8, u8)>,
}

/// The failing graph as its plan prints it, rather than the numbers it was drawn from.
impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = Graph::new();
        let traced = trace(&graph, self);
        for id in needed(&traced.roots()) {
            let var = graph.var(id);
            match var.kind() {
                NodeKind::Operation(op, inputs) => {
                    let inputs: Vec<_> = inputs.iter().map(|id| format!("%{}", id.index())).collect();
                    writeln!(f, "%{} = {op:?} of {} {}", id.index(), inputs.join(", "), var.shape())?;
                }
                _ => writeln!(f, "%{} = {var:?}", id.index())?,
            }
        }
        let place = |var: &Var<'_>| format!("%{}", var.id().index());
        let outputs: Vec<_> = traced.outputs.iter().map(|(_, var)| place(var)).collect();
        let assignments: Vec<_> = traced
            .assignments
            .iter()
            .map(|(target, value)| format!("{target:?} <- {}", place(value)))
            .collect();
        write!(
            f,
            "outputs {}; {}\n{}",
            outputs.join(", "),
            assignments.join("; "),
            traced.plan(&graph, false).explain()
        )
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let step = (0..25u8, any::<u8>(), any::<u8>(), any::<u8>());
    let assignment = (0..4u8, any::<u8>());
    (vec(step, 0..24), vec(any::<u8>(), 0..4), vec(assignment, 0..4))
        .prop_map(|(steps, outputs, assignments)| Recipe { steps, outputs, assignments })
}

/// Values that stay moderate, whatever is done to them again and again.
fn tame(x: Var<'_>) -> Var<'_> {
    x.affine(0.1, 0.0).tanh()
}

fn append<'g>(nodes: &[Var<'g>], (kind, a, b, p): Step) -> Option<Var<'g>> {
    // Recent nodes more often: chains are where memory is shared.
    let pick = |i: u8| nodes[nodes.len() - 1 - (i as usize * i as usize / 256) % nodes.len()];
    let (a, b, p) = (pick(a), pick(b), p as usize);
    let graph = a.graph();
    let (shape, len) = (a.shape(), a.shape().len());
    let same = if b.shape() == shape { b } else { a.affine(0.5, 0.25) };
    let stretched = if Shape::broadcast(shape, b.shape()).is_ok() { b } else { same };
    Some(match kind {
        0 => a + stretched,
        1 => tame(a * stretched),
        2 => a - stretched,
        3 => a.affine(0.5, 0.125 * p as f64 / 64.0),
        4 => a.tanh(),
        5 => a.leaky_relu(0.2),
        6 => a.reshape([len]),
        7 if len % 2 == 0 => a.reshape([2, len / 2]),
        8 | 9 => {
            // Leading axes give views, others copies.
            let axis = if kind == 8 { 0 } else { shape.rank().checked_sub(1)? };
            let size = *shape.dims().get(axis)?;
            let start = p % size;
            a.slice(axis, start, start + 1 + (p / 7) % (size - start))
        }
        10 => Var::concat(&[a.reshape([len]), b.reshape([b.shape().len()])], 0),
        11 if b.shape() == shape && shape.rank() > 0 => Var::concat(&[a, b, a], p % shape.rank()),
        12 => Var::pack(&[a, b], &[0, len + p % 5], len + b.shape().len() + p % 9 + 5),
        13 if shape.rank() > 0 => tame(a.sum(&[p % shape.rank()])),
        14 => a.permute(&(0..shape.rank()).rev().collect::<Vec<_>>()),
        15 => a.lerp(same, graph.scalar(0.25)),
        16 => same.tanh_grad(a),
        17 => a.stop_gradient(),
        18 if shape.rank() == 2 => tame(node(ops::MatMul { trans_a: false, trans_b: true }, &[a, a])),
        19 if len == 24 => {
            let state = graph.variable("state", [3, 24]);
            let scalars = graph.constant([2], &[0.01, 1e-3]);
            state.square().adam(a.reshape([24]), scalars, 0.5, 0.9)
        }
        20 if shape.rank() == 2 => {
            let channels = [shape.last()];
            let (gamma, beta) = (graph.fill(channels, 0.5), graph.fill(channels, 0.1));
            a.batch_norm_train(gamma, beta, 1e-2, 1).0
        }
        21 => graph.fill(shape, p as f64 / 256.0),
        22 | 23 if len == 24 && b.shape().len() == 24 => {
            // A new value for a variable, computed in pieces.
            let [a, b] = [a, b].map(|x| x.reshape([4, 6]));
            let (upper, lower) = (a.slice(0, p % 3, p % 3 + 2), b.slice(0, p / 3 % 3, p / 3 % 3 + 2));
            let pieces = [upper.affine(0.5, 0.25), if kind == 22 { lower.tanh() } else { lower }];
            Var::concat(&pieces, 0)
        }
        24 => tame(a.accumulate(same)),
        _ => return None,
    })
}

/// A recipe in a graph.
struct Traced<'g> {
    outputs: Vec<(String, Var<'g>)>,
    assignments: Vec<(Var<'g>, Var<'g>)>,
}

fn trace<'g>(graph: &'g Graph, recipe: &Recipe) -> Traced<'g> {
    let mut nodes: Vec<Var<'g>> =
        VARIABLES.iter().map(|(name, shape)| graph.variable(name, *shape)).collect();
    nodes.extend(INPUTS.iter().map(|(name, shape)| graph.input(name, *shape)));
    for step in &recipe.steps {
        nodes.extend(append(&nodes, *step).filter(|y| y.shape().len() <= 2000));
    }
    let pick = |i: u8| nodes[nodes.len() - 1 - i as usize % nodes.len()];
    let outputs = recipe.outputs.iter().enumerate().map(|(i, index)| (format!("output {i}"), pick(*index)));
    let mut assignments: Vec<(Var<'g>, Var<'g>)> = Vec::new();
    for (target, value) in &recipe.assignments {
        let (name, shape) = VARIABLES[*target as usize];
        let target = graph.variable(name, shape);
        let fitting: Vec<Var<'g>> =
            nodes.iter().copied().filter(|y| y.shape().len() == target.shape().len()).collect();
        let value = fitting[fitting.len() - 1 - *value as usize % fitting.len()];
        if !assignments.iter().any(|(taken, _)| *taken == target) {
            assignments.push((target, value.reshape(shape)));
        }
    }
    Traced { outputs: outputs.collect(), assignments }
}

impl<'g> Traced<'g> {
    fn roots(&self) -> Vec<Var<'g>> {
        let outputs = self.outputs.iter().map(|(_, var)| *var);
        outputs.chain(self.assignments.iter().map(|(_, value)| *value)).collect()
    }

    fn plan(&self, graph: &'g Graph, fusion: bool) -> Plan {
        let plan = self.outputs.iter().fold(graph.plan(), |plan, (name, var)| plan.output(name, *var));
        let plan = self.assignments.iter().fold(plan, |plan, (target, value)| plan.assign(*target, *value));
        plan.fusion(fusion).build().expect("a plan")
    }
}

fn draw(random: &mut Random) -> Values {
    let all = VARIABLES.iter().chain(&INPUTS);
    all.map(|(name, [m, n])| (name.to_string(), random.vector(m * n))).collect()
}

/// What every plan promises about its instructions.
fn is_sound(plan: &Plan) -> Result<(), String> {
    for instruction in plan.instructions() {
        let output = instruction.output;
        for (i, input) in instruction.inputs.iter().enumerate() {
            if input.range().end > plan.buffers()[input.buffer].elements {
                return Err(format!("{input:?} is not in its buffer"));
            }
            let in_place = instruction.op.in_place() == Some(i) && input.range() == output.range();
            if input.buffer == output.buffer && !in_place {
                return Err(format!(
                    "{} writes the buffer that it reads: {instruction:?}",
                    instruction.op.name()
                ));
            }
        }
        if output.range().end > plan.buffers()[output.buffer].elements {
            return Err(format!("{output:?} is not in its buffer"));
        }
        if !matches!(plan.buffers()[output.buffer].kind, BufferKind::Temporary | BufferKind::Variable(_)) {
            return Err(format!("{} writes {:?}", instruction.op.name(), plan.buffers()[output.buffer].kind));
        }
    }
    Ok(())
}

/// A program whose temporaries, many at a time and of many sizes, are all NaN.
fn scribbler(backend: &Reference<f64>, variables: &mut Variables<Reference<f64>>) -> Program<Reference<f64>> {
    let graph = Graph::new();
    let noise = graph.input("noise", [2000]);
    let sizes = [1, 4, 6, 24, 28, 48, 72, 400, 2000].into_iter().flat_map(|len| [len; 4]);
    let values: Vec<Var<'_>> = sizes.map(|len| noise.slice(0, 0, len).tanh()).collect();
    let sum = values.into_iter().map(Var::sum_all).reduce(|a, b| a + b).expect("some values");
    let plan = graph.plan().output("sum", sum).build().expect("a plan");
    let mut program = Program::in_turn(backend, plan, variables).expect("a program");
    program.write("noise", &[f64::NAN; 2000]).expect("as many numbers");
    program
}

/// Runs a plan three times, with other inputs each time, and compares outputs and variables after each run; by itself, and
/// in turn with another program that leaves nothing of its temporaries.
fn runs_as_written(
    traced: &Traced<'_>,
    plan: Plan,
    compare: impl Fn(&Evaluation<'_, f64>, Var<'_>, &[f64]) -> Result<(), String>,
) -> Result<(), String> {
    runs(traced, plan.clone(), &compare, false)?;
    runs(traced, plan, &compare, true).map_err(|e| format!("in turn: {e}"))
}

fn runs(
    traced: &Traced<'_>,
    plan: Plan,
    compare: &impl Fn(&Evaluation<'_, f64>, Var<'_>, &[f64]) -> Result<(), String>,
    in_turn: bool,
) -> Result<(), String> {
    let backend = Reference::<f64>::new();
    let mut random = Random::new(7);
    let mut values = draw(&mut random);
    let mut variables = Variables::new();
    for (name, shape) in VARIABLES {
        variables.insert(&backend, name, shape.into(), &values[name]).map_err(|e| e.to_string())?;
    }
    let mut other = in_turn.then(|| scribbler(&backend, &mut variables));
    let mut program = match in_turn {
        true => Program::in_turn(&backend, plan, &mut variables),
        false => Program::new(&backend, plan, &variables),
    }
    .map_err(|e| e.to_string())?;
    for run in 1..=3 {
        for (name, numbers) in draw(&mut random) {
            if program.has_input(&name) {
                program.write(&name, &numbers).map_err(|e| e.to_string())?;
            }
            if INPUTS.iter().any(|(input, _)| *input == name) {
                values.insert(name, numbers);
            }
        }
        program.run().map_err(|e| e.to_string())?;
        if let Some(other) = &mut other {
            other.run().map_err(|e| e.to_string())?;
        }
        let evaluation = Evaluation::<f64>::new(&traced.roots(), |name| values[name].clone());
        for (name, var) in &traced.outputs {
            let actual = program.read(name).map_err(|e| e.to_string())?;
            compare(&evaluation, *var, &actual).map_err(|e| format!("run {run}, {name}: {e}"))?;
        }
        for (name, _) in VARIABLES {
            let actual = variables.read(&backend, name).map_err(|e| e.to_string())?;
            let assigned = traced.assignments.iter().find(|(target, _)| is_called(*target, name));
            match assigned {
                Some((_, value)) => compare(&evaluation, *value, &actual),
                None if actual == values[name] => Ok(()),
                None => Err("it changed without an assignment".into()),
            }
            .map_err(|e| format!("run {run}, variable {name}: {e}"))?;
            values.insert(name.into(), actual);
        }
    }
    Ok(())
}

fn is_called(var: Var<'_>, name: &str) -> bool {
    matches!(var.kind(), NodeKind::Variable(own) if own == name)
}

fn same_bits(evaluation: &Evaluation<'_, f64>, var: Var<'_>, actual: &[f64]) -> Result<(), String> {
    let expected = evaluation.value(var);
    let differs = (0..actual.len()).find(|&i| actual[i].to_bits() != expected[i].to_bits());
    differs.map_or(Ok(()), |i| Err(format!("element {i} is {:e}, not {:e}", actual[i], expected[i])))
}

fn nearly(evaluation: &Evaluation<'_, f64>, var: Var<'_>, actual: &[f64]) -> Result<(), String> {
    let rounding = Rounding::of(evaluation);
    deviation(actual, evaluation.value(var), rounding.units(var), f64::EPSILON)
}

fn needed(roots: &[Var<'_>]) -> BTreeSet<NodeId> {
    let mut needed = BTreeSet::new();
    let mut stack = roots.to_vec();
    while let Some(var) = stack.pop() {
        if needed.insert(var.id())
            && let NodeKind::Operation(_, inputs) = var.kind()
        {
            stack.extend(inputs.iter().map(|id| var.graph().var(*id)));
        }
    }
    needed
}

fn config(cases: u32) -> Config {
    let rng_seed = match Config::default().rng_seed {
        RngSeed::Random => RngSeed::Fixed(0x706c_616e),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    Config { cases, failure_persistence: None, rng_seed, max_shrink_iters: 4000, ..Config::default() }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn random_plans_give_the_bits_of_evaluation_node_by_node(recipe in recipe()) {
        let graph = Graph::new();
        let traced = trace(&graph, &recipe);
        let plan = traced.plan(&graph, false);
        is_sound(&plan).map_err(TestCaseError::fail)?;
        runs_as_written(&traced, plan, same_bits).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn random_plans_compute_nothing_that_is_not_needed(recipe in recipe()) {
        let graph = Graph::new();
        let traced = trace(&graph, &recipe);
        let needed = needed(&traced.roots());
        let plan = traced.plan(&graph, false);
        for instruction in plan.instructions() {
            prop_assert!(needed.contains(&instruction.node), "{instruction:?}");
        }
        let computed: Vec<NodeId> =
            plan.instructions().iter().filter(|i| i.op.name() != "copy_to").map(|i| i.node).collect();
        let distinct: BTreeSet<NodeId> = computed.iter().copied().collect();
        prop_assert_eq!(computed.len(), distinct.len(), "something is computed twice");
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn random_plans_with_fusion_agree(recipe in recipe()) {
        let graph = Graph::new();
        let traced = trace(&graph, &recipe);
        let plan = traced.plan(&graph, true);
        is_sound(&plan).map_err(TestCaseError::fail)?;
        runs_as_written(&traced, plan, nearly).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn random_plans_lowered_to_decompositions_agree(recipe in recipe(), fusion in any::<bool>()) {
        let graph = Graph::new();
        let traced = trace(&graph, &recipe);
        let primitive = |name: &str| !name.starts_with("fused_") && !name.starts_with("batch_norm");
        let plan = traced.plan(&graph, fusion).lowered(|op, _, _| primitive(op.name())).expect("decompositions");
        prop_assert!(plan.instructions().iter().all(|i| primitive(i.op.name())));
        is_sound(&plan).map_err(TestCaseError::fail)?;
        runs_as_written(&traced, plan, nearly).map_err(TestCaseError::fail)?;
    }
}

/// Builds a plan with outputs and assignments, checks it, and runs it.
fn check<'g>(graph: &'g Graph, outputs: &[Var<'g>], assignments: &[(Var<'g>, Var<'g>)]) -> Plan {
    let outputs = outputs.iter().enumerate().map(|(i, var)| (format!("output {i}"), *var)).collect();
    let traced = Traced { outputs, assignments: assignments.to_vec() };
    let plan = traced.plan(graph, false);
    is_sound(&plan).unwrap();
    runs_as_written(&traced, plan.clone(), same_bits).unwrap();
    plan
}

#[test]
fn variables_can_be_exchanged() {
    let graph = Graph::new();
    let [p, q, r] = ["p", "q", "r"].map(|name| graph.variable(name, [4, 6]));
    check(&graph, &[], &[(p, q), (q, p)]);
    check(&graph, &[], &[(p, q), (q, r), (r, p)]);
    check(&graph, &[p, q], &[(p, q), (q, p)]);
    check(&graph, &[], &[(p, q.tanh()), (q, p.tanh())]);
}

#[test]
fn outputs_see_the_values_from_before_the_assignments() {
    let graph = Graph::new();
    let p = graph.variable("p", [4, 6]);
    check(&graph, &[p, p.slice(0, 1, 2), p.reshape([24])], &[(p, p + 1.0)]);
    check(&graph, &[p.tanh() * p], &[(p, p.tanh())]);
}

#[test]
fn a_variable_computed_in_pieces_is_not_overwritten_before_its_last_reader() {
    let graph = Graph::new();
    let (p, q) = (graph.variable("p", [4, 6]), graph.variable("q", [4, 6]));
    let (upper, lower) = (p.slice(0, 0, 2), p.slice(0, 2, 4));
    check(&graph, &[], &[(p, Var::concat(&[lower.tanh(), upper.tanh()], 0))]);
    check(&graph, &[], &[(p, Var::concat(&[q.slice(0, 0, 2).tanh(), upper.tanh()], 0))]);
    check(&graph, &[], &[(p, Var::concat(&[lower, upper], 0)), (q, p)]);
}

#[test]
fn pieces_put_down_twice_are_copied_between_buffers() {
    let graph = Graph::new();
    let x = graph.input("x", [4, 6]);
    let (y, z) = (x.tanh(), x.square());
    check(&graph, &[Var::concat(&[y, y, y], 0)], &[]);
    check(&graph, &[Var::concat(&[y.slice(0, 0, 2), y], 0)], &[]);
    let (left, right) = (Var::concat(&[y, z], 0), Var::concat(&[y, x], 0));
    check(&graph, &[Var::concat(&[left, right], 0)], &[]);
    check(&graph, &[Var::concat(&[right, left], 0), Var::concat(&[y, left], 0)], &[]);
}

#[test]
fn one_value_can_be_assigned_twice_and_read() {
    let graph = Graph::new();
    let (p, q, x) = (graph.variable("p", [4, 6]), graph.variable("q", [4, 6]), graph.input("x", [4, 6]));
    let y = (p + x).tanh();
    check(&graph, &[y, y.slice(0, 0, 2)], &[(p, y), (q, y)]);
    check(&graph, &[], &[(p, x), (q, x)]);
    check(&graph, &[q], &[(p, graph.fill([4, 6], 0.5))]);
}

#[test]
fn an_optimiser_works_in_place() {
    let graph = Graph::new();
    let state = graph.variable("state", [3, 24]);
    let x = graph.input("x", [4, 6]);
    let w = state.slice(0, 0, 1).reshape([4, 6]);
    let g = (w * x).tanh().reshape([24]);
    let new = state.adam(g, graph.constant([2], &[0.1, 1e-3]), 0.9, 0.99);
    let plan = check(&graph, &[], &[(state, new)]);
    let names: Vec<&str> = plan.instructions().iter().map(|i| i.op.name()).collect();
    assert_eq!(names, ["mul", "tanh", "adam"]);
    let adam = plan.instructions().last().unwrap();
    assert_eq!(adam.inputs[0].range(), adam.output.range());
    assert_eq!(adam.inputs[0].buffer, adam.output.buffer);
}

#[test]
fn a_variable_updated_twice_stays_where_it_is() {
    let graph = Graph::new();
    let state = graph.variable("state", [3, 24]);
    let x = graph.input("x", [4, 6]);
    fn update<'g>(state: Var<'g>, x: Var<'g>) -> Var<'g> {
        let w = state.slice(0, 0, 1).reshape([4, 6]);
        let g = (w * x).tanh().reshape([24]);
        state.adam(g, state.graph().constant([2], &[0.1, 1e-3]), 0.9, 0.99)
    }
    let once = update(state, x);
    let between = once.slice(0, 0, 1).tanh();
    let twice = update(once, x);
    let in_place = |plan: &Plan| {
        let updates = plan.instructions().iter().filter(|i| i.op.name() == "adam");
        updates.filter(|i| i.inputs[0] == i.output).count()
    };
    assert_eq!(in_place(&check(&graph, &[between], &[(state, twice)])), 2);
    // What is read later, or asked for, is kept.
    for late in [state.tanh() * twice, once * twice, once] {
        assert!(in_place(&check(&graph, &[late], &[(state, twice)])) < 2);
    }
}

/// An operation that may overwrite an input must not read there what it has overwritten: changing one
/// element of that input changes the same element of the output alone. Optimisers read one column of their state and
/// then write it.
#[test]
fn operations_in_place_depend_on_their_own_element_alone() {
    for row in rows::all() {
        gannet_tests::check(&row, 8, |case, mut random| {
            let graph = Graph::new();
            let (inputs, y) = case.trace(&graph);
            let NodeKind::Operation(op, operands) = y.kind() else { return Ok(()) };
            let Some(index) = op.in_place() else { return Ok(()) };
            // Only where the operation stands by itself.
            let leaf = |id: &NodeId| inputs.iter().position(|x| x.id() == *id);
            let Some(leaves) = operands.iter().map(leaf).collect::<Option<Vec<_>>>() else { return Ok(()) };
            let leaf = leaves[index];
            if inputs[leaf].shape() != y.shape() {
                return Err("it may overwrite an input of another shape".into());
            }
            let mut values = case.values(&mut random);
            let run = |values: &[Vec<f64>]| {
                let position = |name: &str| case.leaves.iter().position(|leaf| leaf.name == name);
                let value = |name: &str| values[position(name).expect("a leaf")].clone();
                Evaluation::<f64>::new(&[y], value).value(y).to_vec()
            };
            let before = run(&values);
            let changed = random.below(y.shape().len());
            values[leaf][changed] += 0.0625;
            let columns = if row.derivative == Derivative::Missing { y.shape().last() } else { usize::MAX };
            let own = |i: usize| i % columns == changed % columns;
            let after = run(&values);
            let other = (0..before.len()).find(|&i| !own(i) && before[i].to_bits() != after[i].to_bits());
            other.map_or(Ok(()), |i| Err(format!("element {i} depends on element {changed}")))
        });
    }
}

#[test]
fn batch_norm_in_training_has_a_gradient_of_one_pass() {
    let graph = Graph::new();
    let (x, gamma, beta) = (graph.input("x", [4, 6]), graph.input("row", [6]), graph.fill([6], 0.0));
    let y = x.batch_norm_train(gamma, beta, 1e-3, 2).0;
    let dx = grad(y.square().sum_all(), &[x]).unwrap()[0];
    let plan = graph.plan().output("dx", dx).build().unwrap();
    let names: Vec<&str> = plan.instructions().iter().map(|i| i.op.name()).collect();
    let expected = ["batch_stats", "batch_norm", "batch_norm_sums", "batch_norm_grad"];
    assert!(expected.iter().all(|name| names.contains(name)) && names.len() <= 6, "{}", plan.explain());
}

#[test]
fn gradients_are_computed_where_they_are_packed() {
    let graph = Graph::new();
    let (x, y) = (graph.input("x", [4, 6]), graph.input("y", [4, 6]));
    let packed = Var::pack(&[x.tanh(), y.square()], &[0, 64], 128);
    let plan = check(&graph, &[packed], &[]);
    let names: BTreeSet<&str> = plan.instructions().iter().map(|i| i.op.name()).collect();
    assert_eq!(names, BTreeSet::from(["tanh", "square"]), "{}", plan.explain());
}

#[test]
fn memory_is_shared_along_a_chain() {
    let graph = Graph::new();
    let mut y = graph.input("x", [4, 6]);
    for _ in 0..10 {
        y = y.permute(&[1, 0]);
    }
    let plan = check(&graph, &[y], &[]);
    let temporaries = plan.buffers().iter().filter(|b| b.kind == BufferKind::Temporary).count();
    assert_eq!((plan.instructions().len(), temporaries), (10, 2), "{}", plan.explain());
}

#[test]
fn programs_in_turn_take_the_memory_of_the_largest() {
    let backend = Reference::<f64>::new();
    let mut variables = Variables::new();
    let plan = |len: usize| {
        let graph = Graph::new();
        let x = graph.input("x", [len, 2]).permute(&[1, 0]);
        graph.plan().output("y", x.permute(&[1, 0]).sum_all()).build().unwrap()
    };
    let mut large = Program::in_turn(&backend, plan(50), &mut variables).unwrap();
    assert_eq!(variables.scratch_len(), 200);
    let mut small = Program::in_turn(&backend, plan(20), &mut variables).unwrap();
    assert_eq!(variables.scratch_len(), 200);
    large.write("x", &[1.0; 100]).unwrap();
    small.write("x", &[2.0; 40]).unwrap();
    large.run().unwrap();
    small.run().unwrap();
    assert_eq!((large.read("y").unwrap(), small.read("y").unwrap()), (vec![100.0], vec![80.0]));
    // What needs more brings it.
    Program::in_turn(&backend, plan(70), &mut variables).unwrap();
    assert_eq!(variables.scratch_len(), 200 + 280);
    assert_eq!(variables.iter().count(), 0, "it is nobody's variable");
}

/// A sum that a variable holds takes no memory beside it.
#[test]
fn a_variable_is_added_to_where_it_lies() {
    let graph = Graph::new();
    let (p, x) = (graph.variable("p", [4, 6]), graph.input("x", [4, 6]));
    let plan = check(&graph, &[], &[(p, p.accumulate(x))]);
    let names: Vec<&str> = plan.instructions().iter().map(|i| i.op.name()).collect();
    assert_eq!(names, ["accumulate"], "{}", plan.explain());
    assert!(plan.buffers().iter().all(|b| b.kind != BufferKind::Temporary), "{}", plan.explain());
    let (one, other) = (graph.input("x", [4, 6]), graph.input("y", [4, 6]));
    check(&graph, &[p], &[(p, p.accumulate(one).accumulate(other).accumulate(one))]);
}

#[test]
fn explain_names_operations_shapes_memory_bytes_and_work() {
    let graph = Graph::new();
    let (x, w) = (graph.input("x", [8, 5]), graph.variable("w", [5, 7]));
    let y = graph.scoped("dense_1", || x.matmul(w));
    let loss = y.square().sum_all();
    let plan = graph.plan().output("loss", loss).assign(w, w * 0.5).build().unwrap();
    let text = plan.explain();
    let line = text.lines().find(|line| line.contains("matmul")).unwrap_or_else(|| panic!("{text}"));
    // 2 * 8 * 5 * 7 FLOP; (40 + 35 + 56) * 4 bytes.
    for part in ["0.6", "0.5", "x[8, 5]", "w[5, 7]", "[8, 7]", "dense_1"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let last = text.lines().last().unwrap();
    assert!(last.starts_with(&format!("{} instructions", plan.instructions().len())), "{last}");
    for part in ["GFLOP", "MB of variables", "MB of inputs", "MB of temporaries"] {
        assert!(last.contains(part), "{part} in {last}");
    }
    assert_eq!(plan.instructions().iter().map(|i| i.flops()).sum::<u64>(), plan.flops());
}

#[test]
fn what_cannot_be_planned_is_an_error_that_says_why() {
    let graph = Graph::new();
    let (p, x) = (graph.variable("p", [4, 6]), graph.input("x", [4, 6]));
    let message = |plan: gannet_tensor::Result<Plan>| plan.unwrap_err().to_string();
    assert!(message(graph.plan().assign(x, p).build()).contains("only a variable"));
    assert!(message(graph.plan().assign(p, x.reshape([24])).build()).contains("[24]"));
    assert!(message(graph.plan().assign(p, x).assign(p, x).build()).contains("twice"));
    assert!(message(graph.plan().output("a", x).output("a", p).build()).contains("'a'"));
    let plan = graph.plan().output("y", x.tanh()).build().unwrap();
    assert!(message(plan.lowered(|_, _, _| false)).contains("tanh"));
}
