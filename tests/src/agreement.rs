//! A backend against the reference in f64.

use gannet_tensor::{Backend, Element, Graph};

use crate::case::Row;
use crate::evaluation::Evaluation;
use crate::rounding::{Rounding, deviation};
use crate::trial::{Trial, check, evaluate};

/// Checks that `backend` gives, for cases of a row, the outputs and the gradients of first and second order
/// that node-by-node evaluation in f64 gives, as near as rounding allows (see `rounding.rs`).
///
/// # Panics
/// With the smallest case that fails.
pub fn agrees_with_reference<B: Backend>(backend: &B, row: &Row, cases: u32) {
    check(row, cases, |case, mut random| {
        let graph = Graph::new();
        let trial = Trial::new(&graph, case, row.derivative, &mut random).map_err(|e| e.to_string())?;
        let outputs = trial.outputs();
        let roots: Vec<_> = outputs.iter().map(|(_, var)| *var).collect();
        let evaluation = Evaluation::<f64>::new(&roots, |name| trial.values(name).to_vec());
        let rounding = Rounding::of(&evaluation);
        let results = evaluate(backend, &outputs, true, |name| trial.values(name).to_vec());
        let results = results.map_err(|e| e.to_string())?;
        for ((name, var), actual) in outputs.iter().zip(results) {
            let (expected, units) = (evaluation.value(*var), rounding.units(*var));
            deviation(&actual, expected, units, B::Element::EPSILON).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    });
}
