//! The device of these tests.
//!
//! It is the adapter that `WGPU_ADAPTER_NAME` names, otherwise a GPU, otherwise whatever there is: a software adapter
//! is an oracle too. Without any adapter the tests say so and pass, unless `REQUIRE_GPU=1` is set.

use std::sync::OnceLock;

use gannet_gpu::{Options, Wgpu, adapters, has_gpu};

/// The device that tests share, with or without checked shaders.
pub(crate) fn device(checked: bool) -> Option<&'static Wgpu> {
    static DEVICES: [OnceLock<Option<Wgpu>>; 2] = [OnceLock::new(), OnceLock::new()];
    DEVICES[usize::from(checked)].get_or_init(|| open(checked, true)).as_ref()
}

/// A device of its own, for a test that counts or breaks.
pub(crate) fn own_device() -> Option<Wgpu> {
    open(false, true)
}

/// A device of its own that may use all that the adapter offers, as programs do.
pub(crate) fn device_with_its_limits() -> Option<Wgpu> {
    open(false, false)
}

fn open(checked: bool, default_limits: bool) -> Option<Wgpu> {
    let mut options = Options { checked, default_limits, ..Options::default() };
    if std::env::var_os("WGPU_ADAPTER_NAME").is_none() && !has_gpu() {
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
