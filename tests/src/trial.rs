//! A case traced with its gradients, and how to run it.

use std::collections::HashMap;

use gannet_tensor::{Backend, Element, Graph, Program, Result, Var, Variables, grad_or_zeros, vjp};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use crate::case::{Case, Derivative, Row};
use crate::random::Random;

/// Runs `property` on `cases` drawn from a row, shrinks what fails, and panics with the smallest failure.
///
/// The draws are the same at every run; `PROPTEST_RNG_SEED` chooses others and `PROPTEST_CASES` how many.
pub fn check(row: &Row, cases: u32, property: impl Fn(&Case, Random) -> std::result::Result<(), String>) {
    let given = Config::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config {
        cases: if asked { given.cases } else { cases },
        failure_persistence: None,
        rng_seed: match given.rng_seed {
            RngSeed::Random => RngSeed::Fixed(0x6761_6e6e_6574),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        max_shrink_iters: 200,
        ..given
    };
    let strategy = (row.cases.clone(), any::<u64>().no_shrink());
    let outcome = TestRunner::new(config).run(&strategy, |(case, seed)| {
        property(&case, Random::new(seed))
            .map_err(|reason| TestCaseError::fail(format!("{case:?}: {reason}")))
    });
    if let Err(failure) = outcome {
        panic!("{}: {failure}", row.name);
    }
}

/// The gradients of a case.
pub struct Gradients<'g> {
    /// The cotangent of y.
    pub dy: Var<'g>,
    /// The inputs by which is differentiated: those with continuous values.
    pub x: Vec<Var<'g>>,
    /// d sum(y dy) / dx, for each of `x`.
    pub dx: Vec<Var<'g>>,
    /// The cotangents of `dx`.
    pub ddx: Vec<Var<'g>>,
    /// d sum(dx ddx) / dx for each of `x`, then d sum(dx ddx) / d(dy).
    pub second: Vec<Var<'g>>,
}

/// A case in a graph, with its gradients of first and second order.
pub struct Trial<'g> {
    /// The output.
    pub y: Var<'g>,
    /// The gradients, where there are any.
    pub gradients: Option<Gradients<'g>>,
    values: HashMap<String, Vec<f64>>,
}

impl<'g> Trial<'g> {
    /// Traces `case`, and draws values for its inputs and for the cotangents.
    ///
    /// # Errors
    /// When a gradient cannot be built.
    pub fn new(
        graph: &'g Graph,
        case: &Case,
        derivative: Derivative,
        random: &mut Random,
    ) -> Result<Trial<'g>> {
        let (inputs, y) = case.trace(graph);
        let mut values: HashMap<String, Vec<f64>> = HashMap::new();
        for (leaf, numbers) in case.leaves.iter().zip(case.values(random)) {
            values.insert(leaf.name.into(), numbers);
        }
        if derivative == Derivative::Missing {
            return Ok(Trial { y, gradients: None, values });
        }
        let mut cotangent = |name: String, of: Var<'g>| {
            values.insert(name.clone(), random.vector(of.shape().len()));
            graph.input(&name, of.shape())
        };
        let continuous = case.leaves.iter().zip(&inputs).filter(|(leaf, _)| leaf.domain.is_continuous());
        let (names, x): (Vec<&str>, Vec<Var<'g>>) = continuous.map(|(leaf, x)| (leaf.name, *x)).unzip();
        let dy = cotangent("dy of y".into(), y);
        let dx: Vec<Var<'g>> = vjp(y, dy, &x)?
            .into_iter()
            .zip(&x)
            .map(|(dx, x)| dx.unwrap_or_else(|| graph.fill(x.shape(), 0.0)))
            .collect();
        let ddx: Vec<Var<'g>> =
            names.iter().zip(&dx).map(|(name, dx)| cotangent(format!("dy of d{name}"), *dx)).collect();
        let products = dx.iter().zip(&ddx).map(|(dx, ddx)| (*dx * *ddx).sum_all());
        let sum = products.reduce(|a, b| a + b).unwrap_or_else(|| graph.scalar(0.0));
        let second = grad_or_zeros(sum, &[x.as_slice(), &[dy]].concat())?;
        Ok(Trial { y, gradients: Some(Gradients { dy, x, dx, ddx, second }), values })
    }

    /// What is compared: y, and the gradients of first and second order, each with a name.
    pub fn outputs(&self) -> Vec<(String, Var<'g>)> {
        let mut outputs = vec![("y".into(), self.y)];
        if let Some(gradients) = &self.gradients {
            outputs.extend(gradients.dx.iter().enumerate().map(|(i, dx)| (format!("gradient {i}"), *dx)));
            let second = gradients.second.iter().enumerate();
            outputs.extend(second.map(|(i, ddx)| (format!("second gradient {i}"), *ddx)));
        }
        outputs
    }

    /// The values of an input.
    ///
    /// # Panics
    /// When there is no such input.
    pub fn values(&self, name: &str) -> &[f64] {
        &self.values[name]
    }
}

/// Runs a graph once on `backend` and reads its outputs. Variables start with the values of their names.
pub fn evaluate<'g, B: Backend>(
    backend: &B,
    outputs: &[(String, Var<'g>)],
    fusion: bool,
    value: impl Fn(&str) -> Vec<f64>,
) -> Result<Vec<Vec<f64>>> {
    let Some((_, first)) = outputs.first() else { return Ok(Vec::new()) };
    let builder = outputs.iter().fold(first.graph().plan(), |plan, (name, var)| plan.output(name, *var));
    let plan = builder.fusion(fusion).build()?;
    let narrow = |name: &str| -> Vec<B::Element> { value(name).into_iter().map(B::Element::of).collect() };
    let mut variables = Variables::new();
    for (name, shape) in plan.variables() {
        variables.insert(backend, name, shape, &narrow(name))?;
    }
    let mut program = Program::new(backend, plan, &variables)?;
    let inputs: Vec<String> = program.plan().inputs().map(|(name, _)| name.to_string()).collect();
    for name in inputs {
        program.write(&name, &narrow(&name))?;
    }
    program.run()?;
    outputs
        .iter()
        .map(|(name, _)| Ok(program.read(name)?.into_iter().map(Element::to_f64).collect()))
        .collect()
}
