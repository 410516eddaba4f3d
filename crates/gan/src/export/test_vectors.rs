//! Inputs with what this crate makes of them, to check an exported model by.

use gannet_tensor::{Backend, Element, Graph, Program, Shape};

use super::{Channels, Part, Signature, channels_first};
use crate::clusters::Bounds;
use crate::error::{Error, Result};
use crate::feeding::write_if_read;
use crate::gan::{Gan, normal};
use crate::layer::Pass;
use crate::names;
use crate::random::Stream;
use crate::samples::samples;
use crate::step;
use crate::tensor_file::{FileTensor, Values};
use crate::update::Traced;

/// `n` inputs of a part and its outputs for them, in the layouts of the exported models: `latents` [n, z] and `images`
/// [n, C, H, W], or `images` and `scores` [n, 1]; `labels` `[n]` where the model takes them, all in turn. Latents are standard
/// normal; a discriminator's images are noise in -1 to 1. Errors when the device fails, or for a model whose layers take further
/// inputs.
pub fn test_vectors<B: Backend>(gan: &Gan<B>, part: Part, n: usize, seed: u64) -> Result<Vec<FileTensor>> {
    let model = part.model(gan);
    if let Some((name, _)) = model.inputs().first() {
        return Err(Error::invalid(format!(
            "a layer of the {part} takes the input '{name}', of which there are no test vectors"
        )));
    }
    let (input, output) = (model.input(), model.output());
    let mut stream = Stream::new(seed, "test vectors", 0);
    let x: Vec<B::Element> = match part {
        Part::Generator => normal(n * input.len(), &mut stream),
        Part::Discriminator => {
            (0..n * input.len()).map(|_| B::Element::of(stream.uniform(-1.0, 1.0))).collect()
        }
    };
    let signature = Signature::of(gan, part);
    let labels: Vec<u8> = match signature.labels {
        Some(classes) if classes > 256 => {
            return Err(Error::invalid("labels of a byte cannot tell more than 256 classes apart"));
        }
        Some(classes) => (0..n).map(|index| (index % classes) as u8).collect(),
        None => Vec::new(),
    };
    let plan = match part {
        Part::Generator => step::sampling(gan.config(), model, n)?,
        Part::Discriminator => {
            let graph = Graph::new();
            let mut traced = Traced::new(&graph, model, &gan.config().discriminator_optimiser);
            let images = graph.input(names::LATENTS, samples(n, input)?);
            let labels = model.classes().map(|_| graph.input(names::LABELS, [n]));
            let pass = Pass { labels, ..Pass::inference() };
            let scores = model.trace(images, &traced.parameters, &mut traced.states, pass)?;
            graph.plan().output(names::IMAGES, scores).build()?
        }
    };
    let mut program = Program::new(gan.backend(), plan, gan.variables())?;
    program.write(names::LATENTS, &x)?;
    // What layers are told: the class, and the cluster that the last latent chooses.
    let mut told: Vec<f64> = labels.iter().map(|label| f64::from(*label)).collect();
    if part == Part::Generator && signature.clusters > 1 {
        let bounds = Bounds::new(signature.clusters);
        told.resize(n, 0.0);
        for (label, latents) in told.iter_mut().zip(x.chunks_exact(input.len())) {
            let last = latents.last().map_or(0.0, |last| last.to_f64());
            *label = *label * signature.clusters as f64 + bounds.cluster(last) as f64;
        }
    }
    let numbers: Vec<B::Element> = told.into_iter().map(B::Element::of).collect();
    write_if_read(&mut program, names::LABELS, &numbers)?;
    program.run()?;
    let y = program.read(names::IMAGES)?;
    let mut tensors = vec![tensor(part.input(), n, input, &x), tensor(part.output(), n, output, &y)];
    if !labels.is_empty() {
        tensors.push(FileTensor { name: "labels".into(), shape: vec![n], values: Values::U8(labels) });
    }
    Ok(tensors)
}

/// A batch in the layout of the exported models.
fn tensor<E: Element>(name: &str, n: usize, sample: Shape, values: &[E]) -> FileTensor {
    let mut values: Vec<f32> = values.iter().map(|x| x.to_f64() as f32).collect();
    if let (Channels::First, &[h, w, c]) = (Channels::outside(sample), sample.dims()) {
        let pixels = h * w;
        values = values
            .chunks_exact(pixels * c)
            .flat_map(|image| {
                (0..c).flat_map(move |channel| (0..pixels).map(move |pixel| image[pixel * c + channel]))
            })
            .collect();
    }
    let shape = std::iter::once(n).chain(channels_first(sample)).collect();
    FileTensor { name: name.into(), shape, values: Values::F32(values) }
}
