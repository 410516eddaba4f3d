//! The golden files: numbers made with TensorFlow, and how a backend is checked against them.
//!
//! Nothing here knows a number that stands in a file. The directory `golden/` is read when a test runs, so
//! any other set in the same format (`golden/README.md`) can be put in its place.

mod file;
mod models;
mod operations;

use std::path::{Path, PathBuf};

use gannet::{Adam, Gan, GanConfig};
use gannet_tensor::{Backend, Element};

pub use file::{File, Tensor};
pub use operations::check_operations;

/// The directory of the golden files.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden")
}

/// Asserts that a tensor is the golden one, up to `tolerance` times its largest element.
///
/// # Panics
/// Otherwise, naming the worst element. A NaN or an infinity is never right.
pub fn assert_close(what: &str, actual: &[f64], golden: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), golden.len(), "{what}: number of elements");
    let largest = golden.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
    let error = |i: usize| {
        let error = (actual[i] - golden[i]).abs();
        if error.is_finite() { error } else { f64::INFINITY }
    };
    let worst = (0..golden.len()).max_by(|&i, &j| error(i).total_cmp(&error(j)));
    if let Some(i) = worst.filter(|&i| error(i) > tolerance * largest) {
        panic!(
            "{what}: element {i} is {:e}, golden is {:e}; the difference is {:.2e} of the largest element, {tolerance:e} is allowed",
            actual[i],
            golden[i],
            error(i) / largest
        );
    }
}

/// The traces in the directory.
///
/// # Panics
/// When there are none.
pub fn traces() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory()).expect("the golden directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_trace = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("trace-") && name.ends_with(".safetensors")
    };
    let mut traces: Vec<PathBuf> = paths.filter(is_trace).collect();
    traces.sort();
    assert!(!traces.is_empty(), "no traces in {}", directory().display());
    traces
}

/// Trains the model of a trace on its batches and compares losses, weights and samples.
///
/// # Panics
/// When something is further off than `tolerance`, relative to the largest element of each tensor.
pub fn check_trace<B: Backend>(backend: &B, path: &Path, tolerance: f64) {
    let file = File::read(path);
    let (generator, discriminator) = models::build(&file);
    let real = file.tensor("real");
    let batch = real.shape[1];
    let adam = Adam::new(file.number("lr")).betas(file.number("beta1"), file.number("beta2"));
    let adam = adam.eps(file.number("adam_eps"), gannet::EpsForm::Keras);
    let config = GanConfig::new(generator, discriminator).optimiser(adam).batch_size(batch);
    let mut gan = Gan::new(backend, config).unwrap_or_else(|e| panic!("{}: {e}", path.display()));

    let narrow = |values: &[f64]| -> Vec<B::Element> { values.iter().map(|&v| B::Element::of(v)).collect() };
    let widen = |values: Vec<B::Element>| -> Vec<f64> { values.into_iter().map(Element::to_f64).collect() };
    let names: Vec<String> = gan.tensors().map(|(name, _)| name.to_string()).collect();
    let weights = |stage: &str| -> Vec<(String, &Tensor)> {
        let prefix = format!("{stage}/");
        let own =
            file.tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?, tensor)));
        own.map(|(name, tensor)| (models::name_in_gan(name, &names), tensor)).collect()
    };
    let initial = weights("initial");
    let trained = names.iter().filter(|name| !name.starts_with("optimiser/")).count();
    assert_eq!(initial.len(), trained, "the file gives {} of {trained} weights: {names:?}", initial.len());
    for (name, tensor) in initial {
        gan.write_tensor(&name, &narrow(&tensor.values)).expect("a weight");
    }

    let (z, golden_losses) = (file.tensor("z"), file.tensor("losses"));
    let steps = golden_losses.shape[0];
    let mut losses = Vec::new();
    for step in 0..steps {
        let part = |tensor: &Tensor| {
            let len = tensor.values.len() / steps;
            narrow(&tensor.values[step * len..(step + 1) * len])
        };
        let step = gan.train_on_batch_with(&part(real), &part(z), None).expect("a step");
        losses.extend([step.d_real, step.d_fake, step.g]);
    }
    let here = |what: &str| format!("{}, {what}", path.file_stem().unwrap_or_default().display());
    assert_close(&here("losses"), &losses, &golden_losses.values, tolerance);
    let mut compared = 0;
    for (name, tensor) in weights("final") {
        let actual = widen(gan.read_tensor(&name).expect("a weight"));
        assert_close(&here(&name), &actual, &tensor.values, tolerance);
        compared += 1;
    }
    assert_eq!(compared, trained, "final weights");
    let latents = narrow(&z.values[..z.values.len() / steps]);
    let samples = widen(gan.generate(&latents, None).expect("samples"));
    assert_close(&here("samples_eval"), &samples, &file.tensor("samples_eval").values, tolerance);
}
