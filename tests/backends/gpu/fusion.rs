//! Fused equals decomposed on the GPU: both within the bound of rounding, so no further apart than twice that.

use gannet_gpu::Wgpu;
use gannet_tensor::{Graph, NodeKind, Var};
use gannet_tests::{
    Case, Derivative, Evaluation, Random, Rounding, Row, Trial, check, definition, deviation, evaluate, rows,
};

use super::device::device;

/// Outputs and gradients of `case` with the rewrites of fusion, and of `other` without them.
fn agree(
    gpu: &Wgpu,
    [case, other]: [&Case; 2],
    derivative: Derivative,
    mut random: Random,
) -> Result<(), String> {
    let (graph, unfused_graph) = (Graph::new(), Graph::new());
    let mut again = random.clone();
    let fused = Trial::new(&graph, case, derivative, &mut random).map_err(|e| e.to_string())?;
    let unfused = Trial::new(&unfused_graph, other, derivative, &mut again).map_err(|e| e.to_string())?;
    let (outputs, unfused_outputs) = (fused.outputs(), unfused.outputs());
    let roots: Vec<Var<'_>> = outputs.iter().map(|(_, var)| *var).collect();
    let rounding = Rounding::of(&Evaluation::<f64>::new(&roots, |name| fused.values(name).to_vec()));
    let run = |outputs: &[(String, Var<'_>)], fusion| {
        evaluate(gpu, outputs, fusion, |name| fused.values(name).to_vec()).map_err(|e| e.to_string())
    };
    let (with, without) = (run(&outputs, true)?, run(&unfused_outputs, false)?);
    for (((name, var), with), without) in outputs.iter().zip(with).zip(without) {
        deviation(&with, &without, rounding.units(*var), 2.0 * f64::from(f32::EPSILON))
            .map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// The case with its operation written as its definition, if it has one.
fn defined(case: &Case) -> Option<Case> {
    let graph = Graph::new();
    let (_, y) = case.trace(&graph);
    let NodeKind::Operation(op, inputs) = y.kind() else { return None };
    let inputs: Vec<Var<'_>> = inputs.iter().map(|id| graph.var(*id)).collect();
    definition(&*op, &inputs)?;
    Some(case.clone().rewritten(|y| {
        let NodeKind::Operation(op, inputs) = y.kind() else { unreachable!("{y:?}") };
        let inputs: Vec<Var<'_>> = inputs.iter().map(|id| y.graph().var(*id)).collect();
        definition(&*op, &inputs).unwrap_or_else(|| unreachable!("{op:?} has a definition"))
    }))
}

fn for_rows(cases: u32, property: impl Fn(&Row, &Case, Random) -> Result<(), String>) {
    for row in rows::all() {
        check(&row, cases, |case, random| property(&row, case, random));
    }
}

#[test]
fn operations_equal_their_definitions() {
    let Some(gpu) = device(true) else { return };
    for_rows(3, |row, case, random| match defined(case) {
        Some(other) => agree(gpu, [case, &other], row.derivative, random),
        None => Ok(()),
    });
}

#[test]
fn programs_with_rewrites_equal_those_without() {
    let Some(gpu) = device(false) else { return };
    for_rows(3, |row, case, random| agree(gpu, [case, case], row.derivative, random));
}
