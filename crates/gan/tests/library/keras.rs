//! Single models, and a generator through a discriminator.

use gannet::layers::{BatchNorm, Dense, Label, LeakyRelu};
use gannet::{Activation, Adam, Gan, GanConfig, Objective, Reference, Sequential, Sgd, Stacked, noise};

#[test]
fn a_single_model_learns_its_targets() {
    let model = Sequential::new("xor", [2])
        .add(Dense::new(8).activation(Activation::Tanh))
        .add(Dense::new(1).activation(Activation::Sigmoid));
    let loss = Objective::BinaryCrossentropy { from_logits: false };
    let mut model = model.compile(&Reference::<f64>::new(), loss, Adam::new(0.05)).unwrap();
    let (x, t) = ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]);
    let first = model.train_on_batch(&x, &t).unwrap();
    for _ in 0..300 {
        model.train_on_batch(&x, &t).unwrap();
    }
    let last = model.train_on_batch(&x, &t).unwrap();
    assert!(last < 0.1 && first > 0.3, "{first} to {last}");
    let y = model.predict(&x).unwrap();
    assert!(y.iter().zip(t).all(|(y, t)| (y - t).abs() < 0.2), "{y:?}");
    // Another size of batch is another program on the same weights.
    assert!((model.predict(&x[2..4]).unwrap()[0] - y[1]).abs() < 1e-12);
    assert!(model.predict(&x[..3]).unwrap_err().to_string().contains("2 numbers each, got 3"));
}

#[test]
fn objectives_are_their_formulas() {
    let run = |objective, y: &[f64], t: &[f64]| {
        let mut model = Sequential::new("linear", [3])
            .add(Dense::new(3).use_bias(false))
            .compile(&Reference::<f64>::new(), objective, Sgd::new(1e-12))
            .unwrap();
        // The weights are not the identity: the output is asked for first.
        let output = model.predict(y).unwrap();
        (output, model.train_on_batch(y, t).unwrap())
    };
    let (y, loss) = run(Objective::MeanSquaredError, &[1.0, 2.0, -1.0], &[0.5, 0.0, 1.0]);
    let expected = ((y[0] - 0.5).powi(2) + y[1].powi(2) + (y[2] - 1.0).powi(2)) / 3.0;
    assert!((loss - expected).abs() < 1e-12);
    let (y, loss) = run(Objective::SparseCategoricalCrossentropy, &[1.0, 2.0, -1.0], &[2.0]);
    let expected = y.iter().map(|y| y.exp()).sum::<f64>().ln() - y[2];
    assert!((loss - expected).abs() < 1e-12);
    let (y, loss) =
        run(Objective::BinaryCrossentropy { from_logits: true }, &[1.0, 2.0, -1.0], &[1.0, 0.0, 1.0]);
    let softplus = |x: f64| (1.0 + x.exp()).ln();
    let expected = (softplus(-y[0]) + softplus(y[1]) + softplus(-y[2])) / 3.0;
    assert!((loss - expected).abs() < 1e-12);
}

fn pair() -> (Sequential, Sequential) {
    let generator = Sequential::new("generator", [2])
        .add(Dense::new(8))
        .add(BatchNorm::new().momentum(0.8))
        .add(LeakyRelu::new(0.2))
        .add(Dense::new(2));
    let discriminator = Sequential::new("discriminator", [2])
        .add(Dense::new(8))
        .add(BatchNorm::new().momentum(0.8))
        .add(LeakyRelu::new(0.2))
        .add(Dense::new(1));
    (generator, discriminator)
}

/// A stack's update is the generator's half of a GAN's step.
#[test]
fn a_stack_moves_the_generator_as_a_gan_does() {
    let backend = Reference::<f64>::new();
    let (generator, discriminator) = pair();
    let loss = Objective::BinaryCrossentropy { from_logits: true };
    let mut g = generator.compile(&backend, loss, Adam::new(0.01)).unwrap();
    let d = discriminator.compile(&backend, loss, Sgd::new(1e-12)).unwrap();
    let mut stack = Stacked::new(&g, &d).unwrap();
    let z: Vec<f64> = noise(16);
    let stacked = stack.train_on_batch(&z, &[1.0; 8]).unwrap();

    let mut config = GanConfig::new(generator, discriminator).batch_size(8).seed(gannet::seed());
    config.generator_optimiser = Adam::new(0.01).into();
    config.discriminator_optimiser = Sgd::new(1e-12).into();
    let mut gan = Gan::new(&backend, config).unwrap();
    let losses = gan.train_on_batch_with(&noise::<f64>(16), &z, None).unwrap();
    assert!((losses.g - stacked).abs() < 1e-9, "{} {stacked}", losses.g);
    // The discriminator is frozen, but both see the same generator afterwards.
    let (a, b) = (g.predict(&z).unwrap(), gan.generate(&z, None).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9), "{a:?} {b:?}");
    let before = stacked;
    let mut after = before;
    for _ in 0..20 {
        after = stack.train_on_batch(&z, &[1.0; 8]).unwrap();
    }
    assert!(after < before - 0.1, "{before} to {after}");
}

#[test]
fn models_that_do_not_fit_are_named() {
    let backend = Reference::<f64>::new();
    let loss = Objective::MeanSquaredError;
    let (generator, _) = pair();
    let g = generator.compile(&backend, loss, Adam::default()).unwrap();
    let wide =
        Sequential::new("critic", [3]).add(Dense::new(1)).compile(&backend, loss, Adam::default()).unwrap();
    let message = Stacked::new(&g, &wide).unwrap_err().to_string();
    assert!(message.contains("'generator' makes samples of shape [2], 'critic' takes [3]"), "{message}");
    assert!(Stacked::new(&g, &g).unwrap_err().to_string().contains("already"));
    let conditional = Sequential::new("c", [2]).add(Label::new(3)).add(Dense::new(1));
    assert!(conditional.compile(&backend, loss, Adam::default()).unwrap_err().to_string().contains("class"));
    let image = Sequential::new("i", [2, 2]).add(LeakyRelu::new(0.1));
    let error =
        image.compile(&backend, Objective::SparseCategoricalCrossentropy, Adam::default()).unwrap_err();
    assert!(error.to_string().contains("[2, 2]"), "{error}");
}

/// With `separate_updates` a GAN's step is the loop of the article: the discriminator on real images, then on generated
/// ones, then the generator through it.
#[test]
fn separate_updates_are_those_of_single_models() {
    let backend = Reference::<f64>::new();
    let (generator, discriminator) = pair();
    let loss = Objective::BinaryCrossentropy { from_logits: true };
    let seed = gannet::seed();
    let g = generator.compile(&backend, loss, Sgd::new(1e-12)).unwrap();
    let mut d = discriminator.compile(&backend, loss, Adam::new(0.01)).unwrap();
    let mut config = GanConfig::new(generator, discriminator).batch_size(8).seed(seed);
    config.generator_optimiser = Sgd::new(1e-12).into();
    config.discriminator_optimiser = Adam::new(0.01).into();
    config.separate_updates = true;
    let mut gan = Gan::new(&backend, config).unwrap();

    let mut stream = gannet::Stream::new(3, "test", 0);
    let mut draw = || (0..16).map(|_| stream.normal()).collect::<Vec<f64>>();
    let mut stack = Stacked::new(&g, &d).unwrap();
    for _ in 0..3 {
        let (real, z) = (draw(), draw());
        // In training mode, as the step has it: a generator of BatchNorm only in front of `predict` would not do.
        let fake = training_mode(&mut gan, &z);
        let expected =
            [d.train_on_batch(&real, &[1.0; 8]).unwrap(), d.train_on_batch(&fake, &[0.0; 8]).unwrap()];
        let expected_g = stack.train_on_batch(&z, &[1.0; 8]).unwrap();
        let losses = gan.train_on_batch_with(&real, &z, None).unwrap();
        for (a, b) in [(losses.d_real, expected[0]), (losses.d_fake, expected[1]), (losses.g, expected_g)] {
            assert!((a - b).abs() < 1e-9, "{losses:?} {expected:?} {expected_g}");
        }
    }
}

/// The generator's output for `z` with the statistics of the batch: by the definition of its layers.
fn training_mode(gan: &mut Gan<Reference<f64>>, z: &[f64]) -> Vec<f64> {
    let read = |name: &str| gan.read_tensor(&format!("generator/{name}")).unwrap();
    let affine = |x: &[f64], kernel: &[f64], bias: &[f64]| {
        let (outputs, inputs) = (bias.len(), kernel.len() / bias.len());
        x.chunks(inputs)
            .flat_map(|row| {
                (0..outputs)
                    .map(|j| bias[j] + (0..inputs).map(|i| row[i] * kernel[i * outputs + j]).sum::<f64>())
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<f64>>()
    };
    let h = affine(z, &read("0.dense/kernel"), &read("0.dense/bias"));
    let (gamma, beta) = (read("1.batch_norm/gamma"), read("1.batch_norm/beta"));
    let mut y = h.clone();
    for c in 0..8 {
        let column: Vec<f64> = h.iter().skip(c).step_by(8).copied().collect();
        let mean = column.iter().sum::<f64>() / 8.0;
        let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 8.0;
        for (i, x) in column.iter().enumerate() {
            let normalised = gamma[c] * (x - mean) / (variance + 1e-3).sqrt() + beta[c];
            y[i * 8 + c] = if normalised > 0.0 { normalised } else { 0.2 * normalised };
        }
    }
    affine(&y, &read("3.dense/kernel"), &read("3.dense/bias"))
}

#[test]
fn noise_repeats_after_the_seed_is_set_again() {
    // The only test that sets the seed of the process, and sets it to what it was.
    gannet::set_seed(42);
    let first: Vec<f64> = noise(4);
    assert_ne!(first, noise::<f64>(4));
}

/// A model that is sure of a wrong answer beyond the last digit of a probability still learns, as in Keras.
#[test]
fn a_saturated_sigmoid_still_learns() {
    let model = Sequential::new("m", [1]).add(Dense::new(1).activation(Activation::Sigmoid));
    let loss = Objective::BinaryCrossentropy { from_logits: false };
    let mut model = model.compile(&Reference::<f64>::new(), loss, Sgd::new(1.0)).unwrap();
    let first = model.train_on_batch(&[1000.0], &[0.0]).unwrap();
    let second = model.train_on_batch(&[1000.0], &[1.0]).unwrap();
    assert!(first > 20.0 || second > 20.0, "one of them is far beyond 1e-7: {first}, {second}");
    let after = model.train_on_batch(&[1000.0], &[1.0]).unwrap();
    assert!(after < 20.0, "{first}, {second}, {after}");
}
