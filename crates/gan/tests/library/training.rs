//! Training on toys: the parts work together, and do so again and again with the same bits.

use std::ops::ControlFlow;

use gannet::layers::{BatchNorm, Dense, Dropout, Label, LeakyRelu, Projection};
use gannet::tensor_file::TensorFile;
use gannet::{
    Adam, Batch, Callback, Checkpoint, Ema, Gan, GanConfig, Initialiser, Losses, Reference, Schedule,
    Sequential, StepLosses, Stream,
};

/// A conditional GAN for points in the plane, with everything that keeps state: BatchNorm, dropout, an average, a
/// schedule.
fn toy(seed: u64) -> GanConfig {
    let generator = Sequential::new("generator", [2])
        .initialiser(Initialiser::HeNormal)
        .add(Label::new(2).scale(2.0))
        .add(Dense::new(16).use_bias(false))
        .add(BatchNorm::new().momentum(0.9))
        .add(LeakyRelu::new(0.2))
        .add(Dense::new(2));
    let discriminator = Sequential::new("discriminator", [2])
        .add(Dense::new(16))
        .add(LeakyRelu::new(0.2))
        .add(Dropout::new(0.1))
        .add(Dense::new(16).use_bias(false))
        .add(BatchNorm::new().momentum(0.9))
        .add(LeakyRelu::new(0.2))
        .add(Projection::new(2));
    GanConfig::new(generator, discriminator)
        .optimiser(Adam::new(2e-3).betas(0.5, 0.999))
        .schedule(Schedule::Linear { from: 0.5 }, 1500)
        .ema(Some(Ema::default()))
        .batch_size(32)
        .seed(seed)
}

/// Points around (-2, 1) and (2, -1), with a spread of 0.3.
fn points(step: u64) -> (Vec<f32>, Vec<u32>) {
    let mut stream = Stream::new(5, "points", step);
    let labels: Vec<u32> = (0..32).map(|_| stream.below(2)).collect();
    let real = labels
        .iter()
        .flat_map(|&label| {
            let side = if label == 0 { -1.0 } else { 1.0 };
            [2.0 * side + 0.3 * stream.normal(), -side + 0.3 * stream.normal()]
        })
        .map(|x| x as f32)
        .collect();
    (real, labels)
}

fn train(gan: &mut Gan<Reference<f32>>, steps: std::ops::Range<u64>) -> Vec<Losses> {
    steps
        .map(|step| {
            let (real, labels) = points(step);
            gan.train_on_batch(&real, Some(&labels)).unwrap()
        })
        .collect()
}

#[test]
fn a_conditional_toy_converges_to_its_classes() {
    let mut gan = Gan::new(&Reference::<f32>::new(), toy(1)).unwrap();
    train(&mut gan, 0..1500);
    for (label, target) in [(0, [-2.0, 1.0]), (1, [2.0, -1.0])] {
        let n = 256;
        let samples = gan.generate(&gan.latents(n, 3), Some(&vec![label; n])).unwrap();
        for (axis, target) in target.into_iter().enumerate() {
            let values: Vec<f32> = samples.iter().skip(axis).step_by(2).copied().collect();
            let mean = values.iter().sum::<f32>() / n as f32;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n as f32;
            assert!((mean - target).abs() < 0.3, "class {label}, axis {axis}: mean {mean}");
            assert!(variance.sqrt() > 0.05 && variance.sqrt() < 0.8, "class {label}: spread {variance}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_does_not() {
    let run = |seed| {
        let mut gan = Gan::new(&Reference::<f32>::new(), toy(seed)).unwrap();
        let losses = train(&mut gan, 0..5);
        (losses, gan.generate(&gan.latents(3, 1), Some(&[0, 1, 0])).unwrap())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_loaded_run_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (middle, end) = (folder.path().join("middle.safetensors"), folder.path().join("end.safetensors"));
    let backend = Reference::<f32>::new();
    let mut gan = Gan::new(&backend, toy(1)).unwrap();
    train(&mut gan, 0..7);
    gan.save(&middle).unwrap();
    let straight = train(&mut gan, 7..12);
    gan.save(&end).unwrap();

    let mut again = Gan::load(&backend, &middle).unwrap();
    assert_eq!(again.step(), 7);
    assert_eq!(train(&mut again, 7..12), straight);
    let other = folder.path().join("other.safetensors");
    again.save(&other).unwrap();
    assert_eq!(std::fs::read(&end).unwrap(), std::fs::read(&other).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left beside the files");
}

#[test]
fn precision_can_change_between_saving_and_loading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut gan = Gan::new(&Reference::<f32>::new(), toy(1)).unwrap();
    train(&mut gan, 0..2);
    gan.save(&path).unwrap();
    let mut double = Gan::load(&Reference::<f64>::new(), &path).unwrap();
    let single = gan.generate(&gan.latents(2, 1), Some(&[0, 1])).unwrap();
    let double = double.generate(&double.latents(2, 1), Some(&[0, 1])).unwrap();
    for (a, b) in single.iter().zip(double) {
        assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn adding_a_layer_does_not_change_the_weights_of_others() {
    let model = |extra: bool| {
        let mut model = Sequential::new("m", [4]).add(Dense::new(4)).add(Dense::new(3));
        if extra {
            model = model.add(Dense::new(2));
        }
        model.build().unwrap()
    };
    let (short, long) = (model(false), model(true));
    let vector = short.initial_vector(9);
    assert_eq!(vector, long.initial_vector(9)[..vector.len()]);
    assert_ne!(vector, short.initial_vector(10));
}

/// Running statistics follow the definition: one update for the generator, and for the discriminator one for real,
/// one for generated images, one in the generator's pass.
#[test]
fn running_statistics_move_once_per_pass() {
    let generator = Sequential::new("generator", [2]).add(BatchNorm::new().momentum(0.5));
    let discriminator =
        Sequential::new("discriminator", [2]).add(BatchNorm::new().momentum(0.5)).add(Dense::new(1));
    let config = GanConfig::new(generator, discriminator).batch_size(2);
    let mut gan = Gan::new(&Reference::<f64>::new(), config).unwrap();
    gan.train_on_batch_with(&[1.0, 2.0, 3.0, 6.0], &[0.0, 8.0, 4.0, 0.0], None).unwrap();
    let read = |name: &str| gan.read_tensor(name).unwrap();
    // z: means 2 and 4, variances 4 and 16.
    assert_eq!(read("generator/0.batch_norm/moving_mean"), [1.0, 2.0]);
    assert_eq!(read("generator/0.batch_norm/moving_variance"), [2.5, 8.5]);
    // Real: means 2 and 4, variances 1 and 4. Generated (BatchNorm's output): mean 0, variance v / (v + eps), twice.
    let mean = read("discriminator/0.batch_norm/moving_mean");
    let expected = [0.25 * 0.5 * 2.0, 0.25 * 0.5 * 4.0];
    assert!(mean.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{mean:?}");
    let variance = read("discriminator/0.batch_norm/moving_variance");
    for (c, (real, z)) in [(1.0, 4.0), (4.0, 16.0)].into_iter().enumerate() {
        let fake: f64 = z / (z + 1e-3);
        let expected = 0.25 * (0.5 + 0.5 * real) + 0.25 * fake + 0.5 * fake;
        assert!((variance[c] - expected).abs() < 1e-12, "{variance:?}");
    }
}

#[test]
fn losses_taken_late_are_those_of_every_step() {
    let every_second = || {
        let mut config = toy(1);
        config.discriminator_steps = 2;
        Gan::new(&Reference::<f32>::new(), config).unwrap()
    };
    let expected = train(&mut every_second(), 0..40);
    let mut gan = every_second();
    let mut found = Vec::new();
    for step in 0..40 {
        let (real, labels) = points(step);
        gan.train_step(&real, Some(&labels)).unwrap();
        // A file in mid-training takes nothing away.
        gan.save(tempfile::tempdir().unwrap().path().join("model.safetensors")).unwrap();
        if step % 3 > 0 {
            found.extend(std::iter::from_fn(|| gan.next_losses().unwrap()));
        }
    }
    found.extend(std::iter::from_fn(|| gan.awaited_losses().unwrap()));
    assert_eq!(found.iter().map(|of| of.step).collect::<Vec<_>>(), (1..=40).collect::<Vec<u64>>());
    assert_eq!(found.iter().map(|of| of.losses).collect::<Vec<_>>(), expected);
    assert_eq!(gan.losses().unwrap(), expected[39]);
    assert!(expected.chunks(2).all(|pair| pair[0].g == pair[1].g && pair[0].d_real != pair[1].d_real));
}

#[test]
fn divergence_is_told_late_with_its_step() {
    let mut gan = Gan::new(&Reference::<f32>::new(), toy(1)).unwrap();
    train(&mut gan, 0..3);
    while gan.next_losses().unwrap().is_some() {}
    for _ in 0..2 {
        gan.train_step(&vec![f32::NAN; 64], Some(&[0; 32])).unwrap();
    }
    let error = gan.next_losses().unwrap_err().to_string();
    assert!(error.contains("diverged: after step 4 "), "{error}");
    let error = gan.losses().unwrap_err().to_string();
    assert!(error.contains("diverged: after step 5 "), "{error}");
}

#[test]
fn bad_batches_are_errors_that_say_what_fits() {
    let mut gan = Gan::new(&Reference::<f32>::new(), toy(1)).unwrap();
    let message = |result: gannet::Result<Losses>| result.unwrap_err().to_string();
    let real = vec![0.0; 64];
    assert!(message(gan.losses()).contains("before the first training step"));
    assert!(message(gan.train_on_batch(&real, None)).contains("a number from 0 to 1"));
    assert!(message(gan.train_on_batch(&real, Some(&[0; 3]))).contains("expected 32 labels"));
    assert!(message(gan.train_on_batch(&real, Some(&[2; 32]))).contains("there is no class 2"));
    assert!(message(gan.train_on_batch(&real[1..], Some(&[0; 32]))).contains("takes 64 numbers, got 63"));
    assert!(gan.generate(&[0.0; 3], Some(&[0])).unwrap_err().to_string().contains("2 numbers each"));
    let diverged = gan.train_on_batch(&vec![f32::NAN; 64], Some(&[0; 32]));
    assert!(message(diverged).contains("diverged"));
}

#[test]
fn a_file_says_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    Gan::new(&Reference::<f32>::new(), toy(1)).unwrap().save(&path).unwrap();
    let file = TensorFile::read(&path).unwrap();
    let kernel = file.tensor("generator/1.dense/kernel").unwrap();
    assert_eq!(kernel.shape, [4, 16]);
    for name in [
        "generator/2.batch_norm/moving_variance",
        "ema/generator/2.batch_norm/moving_variance",
        "ema/generator/1.dense/kernel",
        "optimiser/generator/1.dense/kernel/m",
        "optimiser/discriminator/6.projection/embeddings/v",
    ] {
        assert!(file.tensor(name).is_some(), "{name}");
    }
}

/// Losses come in order and all of them, due steps see the model of their step, and a run ends where it is told to.
#[test]
fn fit_tells_losses_saves_and_goes_on_from_a_checkpoint() {
    struct Watch {
        losses: Vec<StepLosses>,
        reached: Vec<u64>,
        end: u64,
    }
    impl Callback<Reference<f32>> for Watch {
        fn losses(&mut self, of: StepLosses) -> gannet::Result<ControlFlow<()>> {
            self.losses.push(of);
            Ok(if of.step == self.end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }

        fn is_due(&self, step: u64) -> bool {
            step.is_multiple_of(4)
        }

        fn reached(&mut self, gan: &mut Gan<Reference<f32>>) -> gannet::Result<()> {
            assert_eq!(self.losses.last().map(|of| of.step), Some(gan.step()));
            self.reached.push(gan.step());
            Ok(())
        }
    }
    let watch = |end| Watch { losses: Vec::new(), reached: Vec::new(), end };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.safetensors");
    let data = |step| Ok(Batch::from(points(step)));
    let backend = Reference::<f32>::new();

    let mut straight = Gan::new(&backend, toy(1)).unwrap();
    let expected = train(&mut straight, 0..10);
    let mut gan = Gan::new(&backend, toy(1)).unwrap();
    let (mut all, mut checkpoint) = (watch(u64::MAX), Checkpoint::every(3, &path).unwrap());
    gan.fit(8, data, &mut [&mut all, &mut checkpoint]).unwrap();
    assert_eq!(all.losses.iter().map(|of| of.losses).collect::<Vec<_>>(), expected[..8]);
    assert_eq!((gan.step(), &all.reached[..]), (8, &[4, 8][..]));

    let mut again = Gan::load(&backend, &path).unwrap();
    assert_eq!(again.step(), 6);
    let mut rest = Vec::new();
    let mut closure = |of: StepLosses| {
        rest.push(of.losses);
        ControlFlow::Continue(())
    };
    again.fit(10, data, &mut [&mut closure]).unwrap();
    assert_eq!(rest, expected[6..10]);

    let mut short = watch(2);
    let mut gan = Gan::new(&backend, toy(1)).unwrap();
    gan.fit(10, data, &mut [&mut short]).unwrap();
    assert!((2..=2 + gannet::LATE_LOSSES as u64).contains(&gan.step()), "{}", gan.step());
    assert_eq!(short.losses.last().map(|of| of.step), Some(gan.step()));
    let failing = |step| match step {
        12 => Err(gannet::Error::Invalid("the disk is gone".into())),
        _ => data(step),
    };
    let error = again.fit(20, failing, &mut []).unwrap_err().to_string();
    assert!(error.contains("the disk is gone") && again.step() == 12, "{error}");
    assert!(Checkpoint::every(0, &path).is_err());
}
