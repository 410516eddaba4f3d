//! A generator's program for a browser.

use gannet::export::Sampler;
use gannet::{Backend, Gan};
use gannet_dispatch::Dispatches;

use super::dispatches::{MOST_BYTES, TooLarge, dispatches};
use crate::error::{Error, Result};

/// Images that are drawn at once; fewer where they are so large that a browser would not take their buffers.
const COUNTS: [usize; 6] = [30, 16, 8, 4, 2, 1];

/// Sliders.
pub(super) const DIRECTIONS: usize = 6;

/// A generator's program, and what has to be known to feed it.
pub(super) struct BrowserSampler {
    /// That of the [`Sampler`].
    pub(super) program: Dispatches,
    pub(super) sampler: Sampler,
    /// Images of one run.
    pub(super) count: usize,
}

impl BrowserSampler {
    /// That of a model. Errors when an image of it takes more than browsers allow.
    pub(super) fn of<B: Backend>(gan: &Gan<B>) -> Result<BrowserSampler> {
        let mut largest = TooLarge { label: String::new(), bytes: 0 };
        for count in COUNTS {
            let sampler = Sampler::of(gan, count, DIRECTIONS)?;
            match dispatches(sampler.plan.clone())? {
                Ok(program) => return Ok(BrowserSampler { program, sampler, count }),
                Err(too_large) => largest = too_large,
            }
        }
        Err(Error::failure(format!(
            "'{}' takes {} MiB for one image: browsers allow {} MiB, so this model is too large for a web page",
            largest.label,
            largest.bytes >> 20,
            MOST_BYTES >> 20
        )))
    }
}
