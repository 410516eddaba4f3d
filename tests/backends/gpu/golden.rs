//! The golden files on the GPU, with checked shaders.

use gannet_backend_tests::golden::{check_operations, check_trace, traces};

use super::device::device;

#[test]
fn golden_operations() {
    let Some(gpu) = device(true) else { return };
    check_operations(gpu, 2e-5);
}

#[test]
fn golden_traces() {
    let Some(gpu) = device(true) else { return };
    for path in traces() {
        check_trace(gpu, &path, 2e-3);
    }
}
