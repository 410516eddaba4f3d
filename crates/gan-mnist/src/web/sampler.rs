//! A generator's program for a browser.

use std::collections::BTreeMap;

use gannet::export::Sampler;
use gannet::{Backend, Gan};
use gannet_dispatch::{Dispatches, Layout, Limits, ProgramFile, supports};

use crate::error::{Error, Result};

/// Images that are drawn at once; fewer where they are so large that a browser would not take their buffers.
const COUNTS: [usize; 6] = [30, 16, 8, 4, 2, 1];

/// Sliders.
const DIRECTIONS: usize = 6;

/// The most bytes that WebGPU's default limits let a shader see of one buffer.
const LARGEST_BUFFER: usize = 128 << 20;

/// A generator's program, and what has to be known to feed it.
pub(super) struct BrowserSampler {
    /// With the program `generate`, that of the [`Sampler`].
    pub(super) file: ProgramFile,
    pub(super) sampler: Sampler,
    /// Images of one run.
    pub(super) count: usize,
}

impl BrowserSampler {
    /// That of a model. Errors when an image of it takes more than browsers allow.
    pub(super) fn of<B: Backend>(gan: &Gan<B>) -> Result<BrowserSampler> {
        let mut largest = None;
        for count in COUNTS {
            let mut sampler = Sampler::of(gan, count, DIRECTIONS)?;
            let plan = sampler.plan.clone().lowered(supports).map_err(Error::failure)?;
            let program =
                Dispatches::new(&plan, &Layout::new(&plan), Limits::default()).map_err(Error::failure)?;
            largest = program.buffers.iter().max_by_key(|buffer| buffer.bytes).cloned();
            if largest.as_ref().is_some_and(|buffer| buffer.bytes > LARGEST_BUFFER) {
                continue;
            }
            let programs = BTreeMap::from([("generate".to_owned(), program)]);
            let variables = std::mem::take(&mut sampler.variables);
            let file = ProgramFile::new(programs, variables).map_err(Error::failure)?;
            return Ok(BrowserSampler { file, sampler, count });
        }
        let (label, bytes) = largest.map_or(("".into(), 0), |buffer| (buffer.label, buffer.bytes));
        Err(Error::failure(format!(
            "'{label}' takes {} MiB for one image: browsers allow {} MiB, so this model is too large for a web page",
            bytes >> 20,
            LARGEST_BUFFER >> 20
        )))
    }
}
