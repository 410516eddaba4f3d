//! Losses, penalties and the other options of training: each against numbers found another way.

use gannet::layers::{BatchNorm, Dense, Flatten, Label, LeakyRelu, Reshape};
use gannet::losses::{
    BceProbabilities, Hinge, LeastSquares, Minimax, NonSaturating, Relativistic, Wasserstein,
};
use gannet::{
    Adam, Augment, Error, Gan, GanConfig, Loss, Losses, Penalty, Reference, Sequential, Sgd, Stream,
};

/// A linear critic on points in the plane, and a generator that hands its latents on, nearly.
fn linear() -> GanConfig {
    let generator = Sequential::new("generator", [2]).add(Dense::new(2).use_bias(false));
    let discriminator = Sequential::new("discriminator", [2]).add(Dense::new(1).use_bias(false));
    GanConfig::new(generator, discriminator).optimiser(Sgd::new(0.1)).batch_size(2)
}

fn double(config: GanConfig) -> Gan<Reference<f64>> {
    Gan::new(&Reference::<f64>::new(), config).unwrap()
}

const REAL: [f64; 4] = [1.0, 0.5, -0.25, 2.0];
const LATENTS: [f64; 4] = [0.3, -0.6, 1.5, 0.25];
const CRITIC: [f64; 2] = [0.7, -0.4];

/// The losses of the first step of the linear model whose generator hands its latents on.
fn first_losses(config: GanConfig) -> Losses {
    let mut gan = double(config);
    gan.write_tensor("generator/0.dense/kernel", &[1.0, 0.0, 0.0, 1.0]).unwrap();
    gan.write_tensor("discriminator/0.dense/kernel", &CRITIC).unwrap();
    gan.train_on_batch_with(&REAL, &LATENTS, None).unwrap()
}

fn scores(points: &[f64; 4], w: [f64; 2]) -> [f64; 2] {
    [points[0] * w[0] + points[1] * w[1], points[2] * w[0] + points[3] * w[1]]
}

fn mean(x: [f64; 2], f: impl Fn(f64) -> f64) -> f64 {
    (f(x[0]) + f(x[1])) / 2.0
}

fn softplus(x: f64) -> f64 {
    (1.0 + x.exp()).ln()
}

/// Every loss against its formula. With a vanishing learning rate the generator meets the same critic.
#[test]
fn losses_are_those_of_the_papers() {
    let (real, fake) = (scores(&REAL, CRITIC), scores(&LATENTS, CRITIC));
    let pair = |f: &dyn Fn(f64, f64) -> f64| (f(real[0], fake[0]) + f(real[1], fake[1])) / 2.0;
    let relativistic = pair(&|r, f| softplus(f - r)) / 2.0;
    let expected = [
        (
            Loss::from(NonSaturating),
            mean(real, |x| softplus(-x)),
            mean(fake, softplus),
            mean(fake, |x| softplus(-x)),
        ),
        (Loss::from(Minimax), mean(real, |x| softplus(-x)), mean(fake, softplus), -mean(fake, softplus)),
        (
            Loss::from(LeastSquares),
            mean(real, |x| 0.5 * (x - 1.0).powi(2)),
            mean(fake, |x| 0.5 * x * x),
            mean(fake, |x| 0.5 * (x - 1.0).powi(2)),
        ),
        (
            Loss::from(Hinge),
            mean(real, |x| (1.0 - x).max(0.0)),
            mean(fake, |x| (1.0 + x).max(0.0)),
            -mean(fake, |x| x),
        ),
        (Loss::from(Wasserstein), -mean(real, |x| x), mean(fake, |x| x), -mean(fake, |x| x)),
        (Loss::from(Relativistic), relativistic, relativistic, pair(&|r, f| softplus(r - f))),
    ];
    for (loss, d_real, d_fake, g) in expected.clone() {
        let got = first_losses(linear().loss(loss.clone()).optimiser(Sgd::new(1e-12)));
        for (name, got, expected) in
            [("d_real", got.d_real, d_real), ("d_fake", got.d_fake, d_fake), ("g", got.g, g)]
        {
            assert!((got - expected).abs() < 1e-9, "{loss:?} {name}: {got}, expected {expected}");
        }
    }
    // On probabilities the same numbers as on logits.
    let mut config = linear().loss(BceProbabilities).optimiser(Sgd::new(1e-12));
    config.discriminator = config.discriminator.add(gannet::layers::Sigmoid::new());
    let got = first_losses(config);
    assert!((got.d_real - expected[0].1).abs() < 1e-9 && (got.g - expected[0].3).abs() < 1e-9);
    // Smoothed labels: t softplus(-x) + (1 - t) softplus(x).
    let mut config = linear().optimiser(Sgd::new(1e-12));
    config.real_target = 0.9;
    let smoothed = mean(real, |x| 0.9 * softplus(-x) + 0.1 * softplus(x));
    assert!((first_losses(config).d_real - smoothed).abs() < 1e-9);
}

/// Real and generated points are the same, so the Wasserstein loss vanishes: only the penalty moves the critic. Its
/// gradient is w itself everywhere, so WGAN-GP makes the norm 1, and R1 and R2 let it fade.
#[test]
fn penalties_move_the_gradient_norm_where_they_should() {
    let run = |penalty: Penalty, steps: usize| {
        let mut gan = double(linear().loss(Wasserstein).penalty(penalty));
        gan.write_tensor("generator/0.dense/kernel", &[1.0, 0.0, 0.0, 1.0]).unwrap();
        gan.write_tensor("discriminator/0.dense/kernel", &[0.3, -0.4]).unwrap();
        let real = LATENTS;
        let mut norms = vec![];
        for _ in 0..steps {
            // The generator is put back after every step.
            gan.train_on_batch_with(&real, &LATENTS, None).unwrap();
            gan.write_tensor("generator/0.dense/kernel", &[1.0, 0.0, 0.0, 1.0]).unwrap();
            let w = gan.read_tensor("discriminator/0.dense/kernel").unwrap();
            norms.push(w[0].hypot(w[1]));
        }
        norms
    };
    // One step of gradient descent on weight (|w| - 1)^2 from |w| = 0.5 with rate 0.1: 0.5 + 0.1 * 2 weight 0.5.
    let norms = run(Penalty::WganGp { weight: 2.0, every: 1 }, 40);
    assert!((norms[0] - 0.7).abs() < 1e-9, "{norms:?}");
    assert!((norms[39] - 1.0).abs() < 1e-6, "{norms:?}");
    for penalty in [Penalty::R1 { gamma: 2.0, every: 1 }, Penalty::R2 { gamma: 2.0, every: 1 }] {
        // gamma / 2 |w|^2: |w| shrinks by 1 - 0.1 gamma.
        let norms = run(penalty, 2);
        assert!((norms[0] - 0.5 * 0.8).abs() < 1e-9 && (norms[1] - 0.5 * 0.64).abs() < 1e-9, "{norms:?}");
    }
    // Lazily: in steps 0 and 3, three times as strong.
    let norms = run(Penalty::R1 { gamma: 1.0, every: 3 }, 4);
    let expected = [0.5 * 0.7, 0.5 * 0.7, 0.5 * 0.7, 0.5 * 0.49];
    assert!(norms.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{norms:?}");
}

/// The penalty of a critic that is not linear: the change of its weights against differences of the penalty's value,
/// computed from the critic's own scores.
#[test]
fn a_penalty_moves_hidden_weights_along_its_true_gradient() {
    let config = || {
        let generator = Sequential::new("generator", [2]).add(Dense::new(2).use_bias(false));
        let critic = Sequential::new("discriminator", [2])
            .add(Dense::new(3).use_bias(false).activation(gannet::Activation::Tanh))
            .add(Dense::new(1).use_bias(false));
        GanConfig::new(generator, critic)
            .loss(Wasserstein)
            .penalty(Penalty::R1 { gamma: 2.0, every: 1 })
            .optimiser(Sgd::new(1e-3))
            .batch_size(1)
    };
    let hidden = [0.5, -1.0, 0.75, 1.25, 0.25, -0.5];
    let last = [1.0, -0.5, 0.8];
    let point = [0.4, -0.3];
    // |grad_x sum_k last_k tanh(x . w_k)|^2, by hand.
    let penalty = |w: &[f64; 6]| {
        let mut gradient = [0.0; 2];
        for k in 0..3 {
            let t = (point[0] * w[k] + point[1] * w[3 + k]).tanh();
            gradient[0] += last[k] * (1.0 - t * t) * w[k];
            gradient[1] += last[k] * (1.0 - t * t) * w[3 + k];
        }
        gradient[0].powi(2) + gradient[1].powi(2)
    };
    let mut gan = double(config());
    gan.write_tensor("generator/0.dense/kernel", &[1.0, 0.0, 0.0, 1.0]).unwrap();
    gan.write_tensor("discriminator/0.dense/kernel", &hidden).unwrap();
    gan.write_tensor("discriminator/1.dense/kernel", &last).unwrap();
    gan.train_on_batch_with(&point, &point, None).unwrap();
    let moved = gan.read_tensor("discriminator/0.dense/kernel").unwrap();
    for i in 0..6 {
        let h = 1e-6;
        let (mut up, mut down) = (hidden, hidden);
        up[i] += h;
        down[i] -= h;
        let expected = -1e-3 * (penalty(&up) - penalty(&down)) / (2.0 * h);
        assert!((moved[i] - hidden[i] - expected).abs() < 1e-10, "{i}: {} {expected}", moved[i] - hidden[i]);
        assert!(expected.abs() > 1e-6, "the penalty depends on weight {i}");
    }
}

#[test]
fn the_generator_waits_for_the_critic() {
    let mut gan = double(linear().discriminator_steps(3));
    let mut weights = vec![gan.read_tensor("generator/0.dense/kernel").unwrap()];
    let mut losses = vec![];
    for _ in 0..5 {
        losses.push(gan.train_on_batch_with(&REAL, &LATENTS, None).unwrap());
        weights.push(gan.read_tensor("generator/0.dense/kernel").unwrap());
    }
    let moved: Vec<bool> = weights.windows(2).map(|pair| pair[0] != pair[1]).collect();
    assert_eq!(moved, [true, false, false, true, false]);
    assert_eq!(losses[0].g, losses[2].g);
    assert_ne!(losses[2].g, losses[3].g);
    assert_ne!(losses[1].d_real, losses[2].d_real);

    // A run that is saved in between goes on in step, with the generator's last loss.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    gan.save(&path).unwrap();
    let mut again = Gan::load(&Reference::<f64>::new(), &path).unwrap();
    for _ in 0..2 {
        let expected = gan.train_on_batch_with(&REAL, &LATENTS, None).unwrap();
        assert_eq!(again.train_on_batch_with(&REAL, &LATENTS, None).unwrap(), expected);
    }
}

#[test]
fn gradients_and_weights_are_clipped() {
    let step = |change: &dyn Fn(&mut GanConfig)| {
        let mut config = linear().loss(Wasserstein);
        change(&mut config);
        let mut gan = double(config);
        gan.write_tensor("discriminator/0.dense/kernel", &CRITIC).unwrap();
        gan.train_on_batch_with(&REAL, &LATENTS, None).unwrap();
        let w = gan.read_tensor("discriminator/0.dense/kernel").unwrap();
        [w[0] - CRITIC[0], w[1] - CRITIC[1]]
    };
    let free = step(&|_| {});
    let length = free[0].hypot(free[1]);
    let clipped = step(&|config| config.discriminator_clip_norm = Some(5.0 * length));
    // The rate is 0.1, so the gradient is ten times the step.
    for (a, b) in clipped.iter().zip(free) {
        assert!((a - 0.5 * b).abs() < 1e-12, "{clipped:?} {free:?}");
    }
    assert_eq!(step(&|config| config.discriminator_clip_norm = Some(20.0 * length)), free);
    let cut = step(&|config| config.clip_weights = Some(0.05));
    assert!((cut[0] + CRITIC[0] - 0.05).abs() < 1e-12 && (cut[1] + CRITIC[1] + 0.05).abs() < 1e-12);
}

/// An auxiliary classifier learns the classes of what it sees, and the generator learns to make them.
#[test]
fn an_auxiliary_classifier_learns_classes() {
    let generator = Sequential::new("generator", [2])
        .add(Label::new(2))
        .add(Dense::new(16))
        .add(LeakyRelu::new(0.2))
        .add(Dense::new(2));
    let discriminator =
        Sequential::new("discriminator", [2]).add(Dense::new(16)).add(LeakyRelu::new(0.2)).add(Dense::new(3));
    let mut config = GanConfig::new(generator, discriminator).optimiser(Adam::new(5e-3).betas(0.5, 0.9));
    config.auxiliary = 1.0;
    let mut gan = double(config.clone());
    let mut stream = Stream::new(1, "test", 0);
    for _ in 0..500 {
        let labels: Vec<u32> = (0..32).map(|_| stream.below(2)).collect();
        let real: Vec<f64> = labels
            .iter()
            .flat_map(|label| [f64::from(*label) * 3.0 - 1.5 + 0.2 * stream.normal(), 0.2 * stream.normal()])
            .collect();
        gan.train_on_batch(&real, Some(&labels)).unwrap();
    }
    for (label, side) in [(0, -1.0), (1, 1.0)] {
        let samples = gan.generate(&gan.latents(100, 1), Some(&[label; 100])).unwrap();
        let right = samples.iter().step_by(2).filter(|x| **x * side > 0.0).count();
        assert!(right > 90, "class {label}: {right} of 100");
    }
    config.discriminator = config.discriminator.add(Dense::new(1));
    let Err(Error::Invalid(message)) = config.build() else { panic!("it has one output only") };
    assert!(message.contains("shape [3]") && message.contains("[1]"), "{message}");
}

/// With augmentation the discriminator never sees an image as it is; training still converges, and repeats.
#[test]
fn augmented_training_repeats_and_differs() {
    let config = |augment| {
        let generator = Sequential::new("generator", [4])
            .add(Dense::new(36).use_bias(false))
            .add(BatchNorm::new())
            .add(Reshape::new([6, 6, 1]));
        let critic = Sequential::new("discriminator", [6, 6, 1]).add(Flatten::new()).add(Dense::new(1));
        let mut config = GanConfig::new(generator, critic).batch_size(4);
        config.augment = augment;
        config.penalty(Penalty::R1 { gamma: 1.0, every: 2 }).loss(Relativistic)
    };
    let run = |augment| {
        let mut gan = double(config(augment));
        let real: Vec<f64> = (0..4 * 36).map(|i| f64::from(i % 7) / 7.0).collect();
        (0..4).map(|_| gan.train_on_batch(&real, None).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(run(Some(Augment::paper())), run(Some(Augment::paper())));
    assert_ne!(run(Some(Augment::paper())), run(None));
}

#[test]
fn impossible_recipes_are_errors_that_name_the_number() {
    let message = |change: &dyn Fn(&mut GanConfig)| {
        let mut config = linear();
        change(&mut config);
        config.build().unwrap_err().to_string()
    };
    assert!(message(&|c| c.batch_size = 0).contains("batch_size"));
    assert!(message(&|c| c.batch_size = usize::MAX).contains("too large"));
    assert!(message(&|c| c.discriminator_steps = 0).contains("discriminator_steps"));
    assert!(message(&|c| c.penalties = vec![Penalty::R1 { gamma: -1.0, every: 1 }]).contains("-1"));
    assert!(message(&|c| c.penalties = vec![Penalty::R1 { gamma: 1.0, every: 0 }]).contains("at least 1"));
    assert!(message(&|c| c.clip_weights = Some(f64::NAN)).contains("clip_weights"));
    assert!(message(&|c| c.auxiliary = 1.0).contains("needs classes"));
    assert!(message(&|c| c.augment = Some(Augment::paper())).contains("[2]"));
    assert!(message(&|c| c.schedule = gannet::Schedule::Cosine).contains("set steps"));
    assert!(
        message(&|c| {
            c.loss = Hinge.into();
            c.real_target = 0.9;
        })
        .contains("no labels")
    );
    assert!(
        message(&|c| c.generator_optimiser = Adam::new(-1.0).into())
            .contains("generator, optimiser: learning_rate must be a positive number, got -1")
    );
}

/// A generator that says which label it was told.
fn telling(clusters: usize) -> Gan<Reference<f64>> {
    let generator = Sequential::new("generator", [2]).add(Label::new(4)).add(Dense::new(1).use_bias(false));
    let discriminator = Sequential::new("discriminator", [1]).add(Dense::new(1));
    let config =
        GanConfig::new(generator, discriminator).optimiser(Sgd::new(1e-9)).batch_size(4).clusters(clusters);
    let mut gan = double(config);
    gan.write_tensor("generator/1.dense/kernel", &[0.0, 0.0, 0.0, 1.0, 2.0, 3.0]).unwrap();
    gan
}

/// The last number of a latent says which cluster of its class an image is of: below or above the median, for two.
#[test]
fn clusters_are_drawn_by_the_last_number_of_a_latent() {
    let rounded = |images: Vec<f64>| images.iter().map(|x| x.round() as i32).collect::<Vec<_>>();
    let mut gan = telling(2);
    assert_eq!((gan.classes(), gan.training_labels()), (Some(2), Some(4)));
    let latents = [5.0, -0.1, 5.0, 0.1, -5.0, -0.1, -5.0, 0.1];
    assert_eq!(rounded(gan.generate(&latents, Some(&[0, 0, 1, 1])).unwrap()), [0, 1, 2, 3]);
    assert!(gan.generate(&latents, Some(&[0, 0, 1, 2])).unwrap_err().to_string().contains("no class 2"));
    // Training takes the labels of clusters, and both kinds of label are checked.
    gan.train_on_batch(&[0.0; 4], Some(&[0, 1, 2, 3])).unwrap();
    assert!(gan.train_on_batch(&[0.0; 4], Some(&[0, 1, 2, 4])).is_err());
    // Clusters of a whole data set: no classes to ask for, a quarter of the latents for each.
    let mut gan = telling(4);
    assert_eq!((gan.classes(), gan.training_labels()), (None, Some(4)));
    let latents = [0.0, -0.7, 0.0, -0.6, 0.0, 0.6, 0.0, 0.7];
    assert_eq!(rounded(gan.generate(&latents, None).unwrap()), [0, 1, 2, 3]);
    let mut gan = telling(1);
    assert_eq!((gan.classes(), gan.training_labels()), (Some(4), Some(4)));
    assert_eq!(rounded(gan.generate(&latents, Some(&[3, 2, 1, 0])).unwrap()), [3, 2, 1, 0]);
}

/// The generator learns what a cluster is from latents that name it, as they will when it makes images.
#[test]
fn training_latents_name_the_cluster_of_their_label() {
    // The image is the last latent; the critic's gradient tells what it was: sum of (real - fake).
    let generator = Sequential::new("generator", [2]).add(Label::new(8)).add(Dense::new(1).use_bias(false));
    let discriminator = Sequential::new("discriminator", [1]).add(Dense::new(1).use_bias(false));
    let mut config = GanConfig::new(generator, discriminator).loss(Wasserstein).batch_size(1).clusters(4);
    config.discriminator_optimiser = Sgd::new(1.0).into();
    config.generator_optimiser = Sgd::new(1e-12).into();
    let mut gan = double(config);
    let mut kernel = vec![0.0; 10];
    kernel[1] = 1.0;
    gan.write_tensor("generator/1.dense/kernel", &kernel).unwrap();
    let quartiles = [-9.0, -0.674_489_75, 0.0, 0.674_489_75, 9.0];
    let mut last = f64::NAN;
    for step in 0..40u32 {
        gan.write_tensor("discriminator/0.dense/kernel", &[0.0]).unwrap();
        // The caller's number (0.1) lies in the third quarter; the label decides all the same.
        gan.train_on_batch_with(&[0.0], &[0.5, 0.1], Some(&[step % 8])).unwrap();
        let seen = -gan.read_tensor("discriminator/0.dense/kernel").unwrap()[0];
        let cluster = step as usize % 4;
        assert!(quartiles[cluster] <= seen && seen <= quartiles[cluster + 1], "{step}: {seen}");
        assert_ne!(seen, last);
        last = seen;
    }
}

#[test]
fn clusters_that_do_not_fit_are_refused() {
    let generator = |classes: usize| {
        let model = Sequential::new("generator", [2]);
        let model = if classes > 0 { model.add(Label::new(classes)) } else { model };
        model.add(Dense::new(1))
    };
    let discriminator = Sequential::new("discriminator", [1]).add(Dense::new(1));
    for (classes, clusters, expected) in [
        (10, 0, "clusters (parts) must lie in 1 to 256, got 0"),
        (10, 257, "clusters (parts) must lie in 1 to 256"),
        (10, 3, "must be a multiple of them, but it has 10"),
        (0, 2, "must be a multiple of them, but it has 0"),
    ] {
        let config = GanConfig::new(generator(classes), discriminator.clone()).clusters(clusters);
        let message = config.build().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}
