//! What draws images from latents, as data for a runtime that is no framework.

use std::collections::BTreeMap;

use gannet_tensor::{Backend, Element, Plan};

use super::directions::directions;
use super::network::Network;
use super::{Part, Signature, Weights};
use crate::clusters::Bounds;
use crate::error::Result;
use crate::gan::Gan;
use crate::step;

/// What [`Gan::generate`](crate::Gan::generate) and [`Gan::interpolate`](crate::Gan::interpolate) run, and what has to be
/// known to feed it.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// From `latents` [n, z] to `images` [n, H, W, C]. Where there are labels, also from `labels` `[n]`, for images on the way
    /// to others the labels `other_labels` `[n]` at its end, and how far along it they are, `share` `[n]` from 0 to 1.
    pub plan: Plan,
    /// The values of the plan's variables.
    pub variables: BTreeMap<String, Vec<f32>>,
    /// Classes and clusters. A label is class times clusters plus cluster.
    pub signature: Signature,
    /// The bounds of the clusters in ascending order: the last latent lies in the cluster whose number is that of the
    /// bounds at or below it.
    pub bounds: Vec<f32>,
    /// Unit directions of the latents [k, z] along which images change most, the most important first (Shen and Zhou
    /// 2021, "Closed-Form Factorization of Latent Semantics in GANs"); none for a model whose first weights are not
    /// over its latents, or that has layers that are not of this crate.
    pub directions: Vec<Vec<f32>>,
}

impl Sampler {
    /// That of a generator for `n` images at once, with at most so many directions. Errors when the device fails, or for
    /// a generator whose layers take further inputs.
    pub fn of<B: Backend>(gan: &Gan<B>, n: usize, most_directions: usize) -> Result<Sampler> {
        gan.draws_from_latents_alone()?;
        let plan = match gan.generator().classes() {
            Some(_) => step::between(gan.config(), gan.generator(), n)?,
            None => step::sampling(gan.config(), gan.generator(), n)?,
        };
        let mut variables = BTreeMap::new();
        for (name, _) in plan.variables() {
            let values = gan.variables().read(gan.backend(), name)?;
            variables.insert(name.to_owned(), values.into_iter().map(|x| x.to_f64() as f32).collect());
        }
        let signature = Signature::of(gan, Part::Generator);
        let directions = match Network::of(gan, Part::Generator) {
            Ok(network) => directions(&network, &Weights::of(gan, Part::Generator)?, most_directions)?,
            Err(_) => Vec::new(),
        };
        let bounds = Bounds::new(signature.clusters).single();
        Ok(Sampler { plan, variables, signature, bounds, directions })
    }
}
