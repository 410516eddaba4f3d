//! Single models, and a generator through a discriminator.

use gannet::layers::{BatchNorm, Dense, Label, LeakyRelu};
use gannet::{
    Activation, Adam, Gan, GanConfig, Objective, Reference, Sequential, Sgd, Stacked, noise, set_seed,
};

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
    set_seed(42);
    let loss = Objective::BinaryCrossentropy { from_logits: true };
    let mut g = generator.compile(&backend, loss, Adam::new(0.01)).unwrap();
    let d = discriminator.compile(&backend, loss, Sgd::new(1e-12)).unwrap();
    let mut stack = Stacked::new(&g, &d).unwrap();
    let z: Vec<f64> = noise(16);
    let stacked = stack.train_on_batch(&z, &[1.0; 8]).unwrap();

    let mut config = GanConfig::new(generator, discriminator).batch_size(8).seed(42);
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
