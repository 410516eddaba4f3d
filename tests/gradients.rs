//! The derivative of every operation, of first and second order, against central differences in f64.

use gannet_tensor::{Graph, Program, Reference, Variables, vjp};
use gannet_tests::{Case, Derivative, Evaluation, Random, Rounding, Row, Trial, check, rows};

const CASES: u32 = 16;

/// The step of the central differences. Its error is a third derivative times its square, and eps / step.
const STEP: f64 = 1e-5;

/// The inputs, all moved along one direction by multiples of the step, and what comes out.
struct Line<'t, 'g> {
    trial: &'t Trial<'g>,
    program: Program<Reference<f64>>,
    inputs: Vec<String>,
    /// The direction, for each input that moves.
    direction: Vec<(String, Vec<f64>)>,
}

impl Line<'_, '_> {
    fn at(&mut self, t: f64) -> Vec<Vec<f64>> {
        for name in &self.inputs {
            let mut values = self.trial.values(name).to_vec();
            if let Some((_, direction)) = self.direction.iter().find(|(moves, _)| moves == name) {
                values.iter_mut().zip(direction).for_each(|(x, v)| *x += t * v);
            }
            self.program.write(name, &values).expect("an input");
        }
        self.program.run().expect("a run");
        let outputs: Vec<String> = self.trial.outputs().into_iter().map(|(name, _)| name).collect();
        outputs.iter().map(|name| self.program.read(name).expect("an output")).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A number computed along with the sum of the magnitudes that it is a sum of.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    magnitude: f64,
}

impl Sum {
    fn add(self, a: &[f64], b: &[f64]) -> Sum {
        let magnitude: f64 = a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum();
        Sum { value: self.value + dot(a, b), magnitude: self.magnitude + magnitude }
    }
}

/// The derivative of sum(outputs * weights) along the direction, by differences, against `expected`.
fn compare(
    what: &str,
    line: &mut Line<'_, '_>,
    outputs: std::ops::Range<usize>,
    weights: &[&[f64]],
    units: f64,
    expected: Sum,
) -> Result<(), String> {
    let mut at =
        |t: f64| -> f64 { line.at(t)[outputs.clone()].iter().zip(weights).map(|(y, c)| dot(y, c)).sum() };
    let mut difference = |step: f64| (at(step) - at(-step)) / (2.0 * step);
    let (near, far) = (difference(STEP), difference(2.0 * STEP));
    // The error of `near` is f''' step^2 / 6, a third of what doubling the step adds; then what rounding of
    // the sums leaves after the division by the step.
    let bound = (far - near).abs() + 8.0 * f64::EPSILON * units / STEP + f64::MIN_POSITIVE;
    // A difference that says nothing must not pass for agreement.
    if bound > 1e-4 * expected.magnitude + 1e-6 {
        return Err(format!(
            "{what}: differences are too rough here: {near:e} and {far:e}; keep away from kinks and poles"
        ));
    }
    if (near - expected.value).abs() > bound {
        return Err(format!(
            "{what}: the derivative along a random direction is {near:e} by differences and {:e} by vjp, \
             {:.2e} times the bound apart",
            expected.value,
            (near - expected.value).abs() / bound
        ));
    }
    Ok(())
}

fn derivatives_exist(case: &Case, mut random: Random) -> Result<(), String> {
    let graph = Graph::new();
    let trial = Trial::new(&graph, case, Derivative::Exists, &mut random).map_err(|e| e.to_string())?;
    let gradients = trial.gradients.as_ref().ok_or("no gradients")?;
    let outputs = trial.outputs();
    let plan = outputs.iter().fold(graph.plan(), |plan, (name, var)| plan.output(name, *var));
    let plan = plan.build().map_err(|e| e.to_string())?;
    let program =
        Program::new(&Reference::<f64>::new(), plan, &Variables::new()).map_err(|e| e.to_string())?;
    let inputs: Vec<String> = program.plan().inputs().map(|(name, _)| name.to_string()).collect();
    let name_of = |var: gannet_tensor::Var<'_>| match var.kind() {
        gannet_tensor::NodeKind::Input(name) => name,
        kind => unreachable!("{kind:?} is an input"),
    };
    let moving: Vec<String> = gradients.x.iter().chain([&gradients.dy]).map(|x| name_of(*x)).collect();
    let direction =
        moving.iter().map(|name| (name.clone(), random.vector(trial.values(name).len()))).collect::<Vec<_>>();
    let mut line = Line { trial: &trial, program, inputs, direction: direction.clone() };

    let at = line.at(0.0);
    let roots: Vec<_> = outputs.iter().map(|(_, var)| *var).collect();
    let evaluation = Evaluation::new(&roots, |name| trial.values(name).to_vec());
    let rounding = Rounding::of(&evaluation);
    // The error of sum(y c) in units of eps: that of y, and that of the sum.
    let units = |range: std::ops::Range<usize>, weights: &[&[f64]]| -> f64 {
        let mut total = 0.0;
        for (index, weights) in range.zip(weights) {
            let terms = (weights.len() as f64).sqrt();
            for ((u, y), c) in rounding.units(outputs[index].1).iter().zip(&at[index]).zip(*weights) {
                total += (u + terms * y.abs()) * c.abs();
            }
        }
        total
    };

    // Asked for alone, a gradient is the same as among others.
    for (x, dx) in gradients.x.iter().zip(&gradients.dx) {
        let alone = vjp(trial.y, gradients.dy, &[*x]).map_err(|e| e.to_string())?[0];
        let alone = alone.ok_or_else(|| format!("no gradient by {x:?} alone"))?;
        let evaluation = Evaluation::<f64>::new(&[alone, *dx], |name| trial.values(name).to_vec());
        if evaluation.value(alone) != evaluation.value(*dx) {
            return Err(format!("the gradient by {x:?} alone is another one"));
        }
    }

    // First order: y moves with x. The cotangent moves too, but is held for the weights.
    let count = gradients.x.len();
    let dy = trial.values(&moving[count]);
    let along = |gradients: &[Vec<f64>]| {
        gradients.iter().zip(&direction).fold(Sum::default(), |sum, (g, (_, v))| sum.add(g, v))
    };
    compare("first order", &mut line, 0..1, &[dy], units(0..1, &[dy]), along(&at[1..=count]))?;
    // Second order: every dx moves with x and with the cotangent.
    let weights: Vec<&[f64]> = gradients.ddx.iter().map(|c| trial.values(&name_of(*c))).collect();
    let range = 1..count + 1;
    let expected = along(&at[count + 1..]);
    compare("second order", &mut line, range.clone(), &weights, units(range, &weights), expected)
}

fn derivatives_are_zero(case: &Case, mut random: Random) -> Result<(), String> {
    let graph = Graph::new();
    let trial = Trial::new(&graph, case, Derivative::Zero, &mut random).map_err(|e| e.to_string())?;
    for (name, var) in &trial.outputs()[1..] {
        let evaluation = Evaluation::new(&[*var], |name| trial.values(name).to_vec());
        if evaluation.value(*var).iter().any(|&g| g != 0.0) {
            return Err(format!("the {name} is not zero"));
        }
    }
    Ok(())
}

fn derivatives_are_missing(case: &Case, _: Random) -> Result<(), String> {
    let graph = Graph::new();
    let (inputs, y) = case.trace(&graph);
    for x in inputs {
        let dy = graph.fill(y.shape(), 1.0);
        match vjp(y, dy, &[x]) {
            Ok(_) => return Err(format!("a derivative by {x:?} was given")),
            Err(error) if error.to_string().contains("has no derivative") => {}
            Err(error) => return Err(format!("another error than the one about the derivative: {error}")),
        }
    }
    Ok(())
}

fn gradients(row: &Row) {
    match row.derivative {
        Derivative::Exists => check(row, CASES, derivatives_exist),
        Derivative::Zero => check(row, CASES, derivatives_are_zero),
        Derivative::Missing => check(row, CASES, derivatives_are_missing),
    }
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                gradients(&rows::$name());
            }
        )*
    };
}
gannet_tests::for_each_row!(tests);
