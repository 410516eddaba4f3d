//! `gan-mnist devices`.

use gannet::{Backend, Reference};
use gannet_cpu::Cpu;
use gannet_gpu::{Options, Peak, Wgpu};

use crate::error::{Error, Result};
use crate::terminal::say;

/// Lists what `--device` and `--adapter` can name.
pub fn run() -> Result<()> {
    let cpu = Cpu::new().map_err(Error::failure)?;
    let peak = cpu.measure_fma_peak();
    say(&format!("auto       {}", if gannet_gpu::has_gpu() { "gpu" } else { "cpu" }));
    say(&format!("cpu        {}; {peak:.0} GFLOP/s at most, measured", cpu.describe()));
    let adapters = gannet_gpu::adapters();
    if adapters.is_empty() {
        say("gpu        none: no Vulkan, Metal or DirectX 12 driver was found");
    }
    for adapter in adapters {
        let note = if adapter.kind == "software" { "; only used when named by --adapter" } else { "" };
        say(&format!(
            "gpu        --adapter {}: {}, {} through {}, driver {}{note}",
            adapter.index, adapter.name, adapter.kind, adapter.backend, adapter.driver
        ));
        if adapter.kind != "software" {
            let options = Options { adapter: Some(adapter.index.to_string()), ..Options::default() };
            // A device that cannot be measured is listed all the same, with what is wrong with it.
            say(&match Wgpu::new(&options).and_then(|gpu| gpu.measure_peak()) {
                Ok(Peak { fma_gflops, copy_gb_s, .. }) => format!(
                    "           {fma_gflops:.0} GFLOP/s and {copy_gb_s:.0} GB/s of copying at most, measured"
                ),
                Err(error) => format!("           {error}"),
            });
        }
        say(&format!(
            "           tensors of up to {} MB, {} bytes of workgroup memory, subgroups of {} to {}; {}",
            adapter.max_tensor_bytes / 1_000_000,
            adapter.workgroup_memory,
            adapter.subgroup.0,
            adapter.subgroup.1,
            if adapter.features.is_empty() {
                "no optional features".into()
            } else {
                adapter.features.join(", ")
            }
        ));
    }
    say(&format!("reference  {}; slow, to compare with", Reference::<f32>::new().describe()));
    Ok(())
}
