//! `gan-mnist devices`.

use gannet::{Backend, Reference};
use gannet_cpu::Cpu;

use crate::error::{Error, Result};
use crate::output::say;

/// Lists what `--device` can name.
pub fn run() -> Result<()> {
    let cpu = Cpu::new().map_err(Error::failure)?;
    let peak = cpu.measure_fma_peak();
    say("auto       cpu");
    say(&format!("cpu        {}; {peak:.0} GFLOP/s at most, measured", cpu.describe()));
    say(&format!("reference  {}; slow, to compare with", Reference::<f32>::new().describe()));
    Ok(())
}
