//! GANs of models that take more than latents and images.

use std::ops::ControlFlow;

use gannet::export::{Part, Sampler, Trainer, onnx, test_vectors};
use gannet::layers::{ConcatInput, Dense, LeakyRelu};
use gannet::{
    Adam, Batch, Error, Gan, GanConfig, Inversion, Penalty, Reference, Samples, Sequential, StepLosses,
    Stream,
};

/// Images in a batch.
const BATCH: usize = 32;

/// Points in the plane; `g` and `d` are what the generator and the discriminator are told.
fn points(g: Option<ConcatInput>, d: Option<ConcatInput>) -> GanConfig {
    let told = |model: Sequential, input: Option<ConcatInput>| match input {
        Some(input) => model.add(input),
        None => model,
    };
    let hidden = |model: Sequential| model.add(Dense::new(16)).add(LeakyRelu::new(0.2));
    let generator = hidden(told(Sequential::new("generator", [2]), g)).add(Dense::new(2));
    let discriminator = hidden(told(Sequential::new("discriminator", [2]), d)).add(Dense::new(1));
    GanConfig::new(generator, discriminator).optimiser(Adam::new(5e-3).betas(0.5, 0.9)).batch_size(BATCH)
}

fn double(config: GanConfig) -> Gan<Reference<f64>> {
    Gan::new(&Reference::<f64>::new(), config).unwrap()
}

fn direction() -> Option<ConcatInput> {
    Some(ConcatInput::new("direction", [2]))
}

/// Points near 1.5 in any direction, with the direction of each.
fn ring(step: u64) -> Batch<f64> {
    let mut stream = Stream::new(1, "ring", step);
    let (mut points, mut directions) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let (y, x) = stream.uniform(0.0, std::f64::consts::TAU).sin_cos();
        directions.extend([x, y]);
        points.extend([1.5 * x + 0.1 * stream.normal(), 1.5 * y + 0.1 * stream.normal()]);
    }
    Batch::from(points).with("direction", directions)
}

/// The mean of the images that a model draws when it is told this direction.
fn mean(gan: &mut Gan<Reference<f64>>, direction: [f64; 2]) -> [f64; 2] {
    let (n, latents) = (100, gan.latents(100, 1));
    let images = gan.generate(Samples::new(&latents).with("direction", &direction.repeat(n)), None).unwrap();
    [0, 1].map(|axis| images.iter().skip(axis).step_by(2).sum::<f64>() / n as f64)
}

/// Both models are told a direction, which is no class: the generator learns to go there. What was learnt is in the file.
#[test]
fn a_gan_learns_what_it_is_told() {
    let mut gan = double(points(direction(), direction()).penalty(Penalty::R1 { gamma: 0.1, every: 1 }));
    assert_eq!(gan.inputs().len(), 1);
    let mut watch = |_: StepLosses| ControlFlow::Continue(());
    gan.fit(600, |step| Ok(ring(step)), &mut [&mut watch]).unwrap();
    for (x, y) in [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.6, -0.8)] {
        let [a, b] = mean(&mut gan, [x, y]);
        let apart = (a - 1.5 * x).hypot(b - 1.5 * y);
        assert!(apart < 0.5, "told ({x}, {y}) it draws around ({a}, {b})");
    }
    let mut again = Gan::from_file(&Reference::<f64>::new(), &gan.to_file().unwrap()).unwrap();
    assert_eq!(mean(&mut again, [0.0, 1.0]), mean(&mut gan, [0.0, 1.0]));
}

/// What only one of the models takes is given in the same way, and what both take by one name is one input.
#[test]
fn each_model_takes_what_it_names() {
    let other = || Some(ConcatInput::new("other", [1]));
    let names = |config: GanConfig| {
        let inputs = double(config).inputs().to_vec();
        inputs.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(points(direction(), other())), ["direction", "other"]);
    assert_eq!(names(points(direction(), direction())), ["direction"]);
    assert!(names(points(None, None)).is_empty());
    // The generator draws without what the discriminator alone is told.
    let mut gan = double(points(None, direction()));
    let Batch { real, inputs, .. } = ring(0);
    gan.train_on_batch(Samples::new(&real).with("direction", &inputs[0].1), None).unwrap();
    gan.generate(&gan.latents(2, 1), None).unwrap();
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut gan = double(points(direction(), direction()));
    let Batch { real, inputs, .. } = ring(0);
    let directions = &inputs[0].1;
    let given =
        |samples: Samples<'_, f64>, gan: &mut Gan<_>| gan.train_step(samples, None).unwrap_err().to_string();
    let message = given(Samples::new(&real), &mut gan);
    assert!(
        message.contains("custom: a layer takes the input 'direction' of shape [2], which was not given"),
        "{message}"
    );
    let message = given(Samples::new(&real).with("direction", &directions[2..]), &mut gan);
    assert!(
        message.contains("32 samples take 64 numbers for the input 'direction' of shape [2], got 62"),
        "{message}"
    );
    let message = given(Samples::new(&real).with("direction", directions).with("way", directions), &mut gan);
    assert!(message.contains("no layer takes an input 'way'"), "{message}");
    let message = gan.generate(&gan.latents(2, 1), None).unwrap_err().to_string();
    assert!(message.contains("generator: a layer takes the input 'direction'"), "{message}");
    // Micro-batches are checked before any is run.
    let mut micro = double(points(direction(), None).accumulate(2));
    let twice = real.repeat(2);
    let message = given(Samples::new(&twice).with("direction", directions), &mut micro);
    assert!(message.contains("64 samples take 128 numbers"), "{message}");
    let Err(Error::Invalid(message)) =
        points(direction(), Some(ConcatInput::new("direction", [1]))).build().map(drop)
    else {
        panic!("one input has two shapes");
    };
    assert!(
        message.contains("the input 'direction' in the shape [1], but one of the generator takes it as [2]"),
        "{message}"
    );
}

/// What draws from latents alone says so, and does not draw something else.
#[test]
fn what_draws_from_latents_alone_is_refused() {
    let mut gan = double(points(direction(), direction()));
    let latents = gan.latents(1, 1);
    let message = gan.interpolate([&latents; 2], None, 3).unwrap_err().to_string();
    assert!(message.contains("the input 'direction', which is given to Gan::generate alone"), "{message}");
    let message = Sampler::of(&gan, 1, 1).unwrap_err().to_string();
    assert!(message.contains("'direction'"), "{message}");
    let message = Trainer::of(&gan).unwrap_err().to_string();
    assert!(message.contains("the input 'direction' beside images"), "{message}");
    for part in [Part::Generator, Part::Discriminator] {
        let message = test_vectors(&gan, part, 2, 1).unwrap_err().to_string();
        assert!(message.contains("'direction'"), "{message}");
    }
    let message = onnx::export(&gan, Part::Generator).unwrap_err().to_string();
    assert!(message.contains("concat_input"), "{message}");
    let mut images = double(points(direction(), None));
    let error = images.invert(&[0.0, 0.0], None, Inversion::default(), |_, _| ()).unwrap_err();
    assert!(error.to_string().contains("'direction'"), "{error}");
}
