//! Every backend against the golden files of `golden/`, an oracle that shares nothing with this project.

use gannet_backend_tests::golden::{check_operations, check_trace, traces};
use gannet_cpu::{Cpu, Isa};
use gannet_tensor::Reference;

/// What float64 must agree to: operations, traces.
const DOUBLE: [f64; 2] = [1e-9, 1e-6];
/// What float32 must agree to: operations, traces.
const SINGLE: [f64; 2] = [2e-5, 2e-3];

fn on_every_isa(check: impl Fn(&Cpu)) {
    for isa in Isa::available() {
        check(&Cpu::with(isa, 2).expect("a CPU"));
    }
}

#[test]
fn golden_operations_on_reference_f64() {
    check_operations(&Reference::<f64>::new(), DOUBLE[0]);
}

#[test]
fn golden_operations_on_reference_f32() {
    check_operations(&Reference::<f32>::new(), SINGLE[0]);
}

#[test]
fn golden_operations_on_cpu() {
    on_every_isa(|cpu| check_operations(cpu, SINGLE[0]));
}

#[test]
fn golden_traces_on_reference_f64() {
    for path in traces() {
        check_trace(&Reference::<f64>::new(), &path, DOUBLE[1]);
    }
}

#[test]
fn golden_traces_on_reference_f32() {
    for path in traces() {
        check_trace(&Reference::<f32>::new(), &path, SINGLE[1]);
    }
}

#[test]
fn golden_traces_on_cpu() {
    on_every_isa(|cpu| traces().iter().for_each(|path| check_trace(cpu, path, SINGLE[1])));
}
