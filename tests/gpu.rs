//! The GPU backend against `Reference<f64>`: outputs and gradients of first and second order of every row of the
//! case list, within the bounds of rounding, with unchecked and with checked shaders.
//!
//! The adapter is the one that `WGPU_ADAPTER_NAME` names, otherwise a GPU, otherwise whatever there is: a software
//! adapter is an oracle too. Without any adapter the tests say so and pass, unless `REQUIRE_GPU=1` is set.

use std::sync::OnceLock;

use gannet_gpu::{Options, Wgpu, adapters};
use gannet_tensor::Graph;
use gannet_tests::{
    Evaluation, Random, Rounding, Row, Trial, check, deviation, evaluate, for_each_row, rows,
};

/// The device of these tests, with or without checked shaders.
fn device(checked: bool) -> Option<&'static Wgpu> {
    static DEVICES: [OnceLock<Option<Wgpu>>; 2] = [OnceLock::new(), OnceLock::new()];
    DEVICES[usize::from(checked)].get_or_init(|| open(checked)).as_ref()
}

fn open(checked: bool) -> Option<Wgpu> {
    let mut options = Options { checked, default_limits: true, ..Options::default() };
    if std::env::var_os("WGPU_ADAPTER_NAME").is_none() && !gannet_gpu::has_gpu() {
        options.adapter = adapters().first().map(|adapter| adapter.index.to_string());
    }
    match Wgpu::new(&options) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            let required = std::env::var_os("REQUIRE_GPU").is_some_and(|value| value == "1");
            assert!(!required, "REQUIRE_GPU=1, but: {error}");
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// Outputs and gradients of some cases of a row.
fn agrees(row: &Row, checked: bool, cases: u32) {
    let Some(gpu) = device(checked) else { return };
    check(row, cases, |case, mut random: Random| {
        let graph = Graph::new();
        let trial = Trial::new(&graph, case, row.derivative, &mut random).map_err(|e| e.to_string())?;
        let outputs = trial.outputs();
        let roots: Vec<_> = outputs.iter().map(|(_, var)| *var).collect();
        let evaluation = Evaluation::<f64>::new(&roots, |name| trial.values(name).to_vec());
        let rounding = Rounding::of(&evaluation);
        let values = evaluate(gpu, &outputs, true, |name| trial.values(name).to_vec());
        let values = values.map_err(|e| e.to_string())?;
        for ((name, var), actual) in outputs.iter().zip(values) {
            deviation(&actual, evaluation.value(*var), rounding.units(*var), f64::from(f32::EPSILON))
                .map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    });
}

macro_rules! tests {
    ($($name:ident)*) => {
        mod unchecked {
            $(#[test] fn $name() { super::agrees(&super::rows::$name(), false, 12); })*
        }
        mod checked {
            $(#[test] fn $name() { super::agrees(&super::rows::$name(), true, 2); })*
        }
    };
}
for_each_row!(tests);
