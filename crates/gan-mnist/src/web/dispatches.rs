//! Plans as programs that any browser with WebGPU takes.

use gannet::Plan;
use gannet_dispatch::{Dispatches, Layout, Limits, supports};

use crate::error::{Error, Result};

/// The most bytes that WebGPU's default limits let a shader see of one buffer.
pub(super) const MOST_BYTES: usize = 128 << 20;

/// A buffer of more bytes.
pub(super) struct TooLarge {
    pub(super) label: String,
    pub(super) bytes: usize,
}

/// The program of a plan, or why browsers do not take it.
pub(super) fn dispatches(plan: Plan) -> Result<std::result::Result<Dispatches, TooLarge>> {
    let plan = plan.lowered(supports).map_err(Error::failure)?;
    let program = Dispatches::new(&plan, &Layout::new(&plan), Limits::default()).map_err(Error::failure)?;
    let largest = program.buffers.iter().max_by_key(|buffer| buffer.bytes);
    if let Some(buffer) = largest.filter(|buffer| buffer.bytes > MOST_BYTES) {
        return Ok(Err(TooLarge { label: buffer.label.clone(), bytes: buffer.bytes }));
    }
    Ok(Ok(program))
}
