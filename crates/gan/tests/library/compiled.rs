//! Single models over data: fitted, evaluated, saved and loaded, with several inputs, layer by layer.

use std::cell::RefCell;
use std::ops::ControlFlow;

use gannet::layers::{BatchNorm, ConcatInput, Dense, Dropout};
use gannet::tensor_file::TensorFile;
use gannet::{
    Activation, Adam, Backend, BatchEnd, Compiled, Cpu, EarlyStopping, Epoch, Fit, FitCallback, Gan,
    Objective, Reference, Result, Samples, Schedule, Sequential, Sgd, Stream,
};

const CLASSES: Objective = Objective::SparseCategoricalCrossentropy;

/// Points of three blots in the plane, in turn, and the number of the blot of each.
fn blots(n: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut stream = Stream::new(seed, "blots", 0);
    let classes: Vec<f32> = (0..n).map(|i| (i % 3) as f32).collect();
    let points = classes.iter().flat_map(|class| {
        let (sin, cos) = (f64::from(*class) * 2.1).sin_cos();
        [cos + 0.2 * stream.normal(), sin + 0.2 * stream.normal()].map(|x| x as f32)
    });
    (points.collect(), classes)
}

fn model() -> Sequential {
    Sequential::new("classifier", [2])
        .add(Dense::new(16).activation(Activation::Tanh))
        .add(BatchNorm::new().momentum(0.9))
        .add(Dropout::new(0.1))
        .add(Dense::new(3))
}

fn compiled<B: Backend>(backend: &B) -> Compiled<B> {
    model().compile(backend, CLASSES, Adam::new(0.02)).unwrap()
}

#[test]
fn a_classifier_is_fitted() {
    let ((x, t), (xv, tv)) = (blots(300, 1), blots(99, 2));
    let fit = Fit::new(6).batch_size(32).seed(7).validation(&xv, &tv);
    let (mut on_cpu, mut on_reference) = (compiled(&Cpu::new().unwrap()), compiled(&Reference::<f32>::new()));
    let before = on_cpu.evaluate(&xv, &tv).unwrap();
    let history = on_cpu.fit(&x, &t, &fit, &mut []).unwrap();
    assert_eq!(history.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    // 300 samples are nine batches of 32 and one of 12.
    assert_eq!((on_cpu.updates(), fit.updates(300)), (60, 60));
    let last = history[5].validation.unwrap();
    assert!(before.accuracy.unwrap() < 0.9 && last.accuracy.unwrap() > 0.97, "{before:?} {history:?}");
    assert!(history[5].training.loss < 0.5 * history[0].training.loss);
    // What was said of the validation is what the model does now, and its outputs say the same.
    assert_eq!(on_cpu.evaluate(&xv, &tv).unwrap(), last);
    let y = on_cpu.predict(&xv).unwrap();
    let loss: f64 = y
        .chunks_exact(3)
        .zip(&tv)
        .map(|(y, t)| y.iter().map(|y| f64::from(*y).exp()).sum::<f64>().ln() - f64::from(y[*t as usize]))
        .sum();
    assert!((loss / 99.0 - last.loss).abs() < 1e-5, "{} {last:?}", loss / 99.0);
    // The definition of every operation gives the same training.
    let by_definition = on_reference.fit(&x, &t, &fit, &mut []).unwrap();
    for (a, b) in history.iter().zip(&by_definition) {
        assert!((a.training.loss - b.training.loss).abs() < 1e-3, "{a:?} {b:?}");
    }
}

/// What is saved after some epochs goes on with the same bits, also under a schedule.
#[test]
fn a_loaded_model_goes_on() {
    let (x, t) = blots(60, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let backend = Cpu::new().unwrap();
    let mut whole = compiled(&backend);
    let fit = Fit::new(4).batch_size(25);
    whole.set_schedule(Schedule::Cosine, fit.updates(60)).unwrap();
    let mut save = |model: &mut Compiled<Cpu>, epoch: &Epoch| {
        if epoch.epoch == 2 {
            model.save(&path)?;
        }
        Ok(ControlFlow::Continue(()))
    };
    let history = whole.fit(&x, &t, &fit, &mut [&mut save]).unwrap();
    let mut later = Compiled::load(&backend, &path).unwrap();
    assert_eq!((later.updates(), later.learning_rate()), (6, 0.01));
    let rest = later.fit(&x, &t, &Fit::new(2).batch_size(25).first_epoch(2), &mut []).unwrap();
    assert_eq!(history[2..], rest);
    let bytes = |model: &Compiled<Cpu>| model.to_file().unwrap().to_bytes().unwrap();
    assert!(bytes(&whole) == bytes(&later));
    assert!(whole.learning_rate() < 1e-9, "the schedule is at its end");

    // A model of another kind is told apart, either way.
    let message = Gan::load(&backend, &path).unwrap_err().to_string();
    assert!(message.contains("holds a model, not a GAN"), "{message}");
    let generator = Sequential::new("generator", [2]).add(Dense::new(2));
    let discriminator = Sequential::new("discriminator", [2]).add(Dense::new(1));
    let mut gan = Gan::new(&backend, gannet::GanConfig::new(generator, discriminator)).unwrap();
    let message = Compiled::from_file(&backend, &gan.to_file().unwrap()).unwrap_err().to_string();
    assert!(
        message.contains("no single model: it is a GAN; expected a file that Compiled::save wrote"),
        "{message}"
    );
    let mut file = TensorFile::read(&path).unwrap();
    file.tensors.retain(|tensor| tensor.name != "classifier/0.dense/kernel");
    let message = Compiled::from_file(&backend, &file).unwrap_err().to_string();
    assert!(message.contains("'classifier/0.dense/kernel' is missing"), "{message}");
}

#[test]
fn weights_are_read_and_set() {
    let mut model = compiled(&Reference::<f64>::new());
    let names: Vec<(String, Vec<usize>)> =
        model.tensors().map(|(name, shape)| (name.to_owned(), shape.dims().to_vec())).collect();
    assert!(names.contains(&("classifier/0.dense/kernel".into(), vec![2, 16])), "{names:?}");
    assert!(names.contains(&("classifier/1.batch_norm/moving_mean".into(), vec![16])));
    assert!(names.contains(&("optimiser/classifier/3.dense/bias/v".into(), vec![3])));
    model.write_tensor("classifier/3.dense/kernel", &[0.0; 48]).unwrap();
    model.write_tensor("classifier/3.dense/bias", &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(model.read_tensor("classifier/3.dense/bias").unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(model.predict(&[0.5, -0.5]).unwrap(), [1.0, 2.0, 3.0]);
    let message = model.write_tensor("classifier/3.dense/bias", &[1.0]).unwrap_err().to_string();
    assert!(message.contains("of shape [3] takes 3 numbers, got 1"), "{message}");
    let message = model.read_tensor("3.dense/bias").unwrap_err().to_string();
    assert!(message.contains("no tensor '3.dense/bias'; there are: classifier/0.dense/bias"), "{message}");
}

/// The learning rate falls as the schedule says: plain gradient descent shows it.
#[test]
fn a_schedule_scales_updates() {
    let linear = Sequential::new("m", [1]).add(Dense::new(1).use_bias(false));
    let mut model =
        linear.compile(&Reference::<f64>::new(), Objective::MeanSquaredError, Sgd::new(0.1)).unwrap();
    model.set_schedule(Schedule::Linear { from: 0.0 }, 4).unwrap();
    let mut w = 2.0;
    model.write_tensor("m/0.dense/kernel", &[w]).unwrap();
    for step in 0..6 {
        let rate = 0.1 * (1.0 - f64::from(step) / 4.0).max(0.0);
        assert!((model.learning_rate() - rate).abs() < 1e-12);
        model.train_on_batch(&[1.0], &[0.0]).unwrap();
        w -= rate * 2.0 * w;
        assert!((model.read_tensor("m/0.dense/kernel").unwrap()[0] - w).abs() < 1e-12, "{step}");
    }
    model.set_schedule(Schedule::Constant, 0).unwrap();
    model.set_learning_rate(0.5).unwrap();
    assert_eq!(model.learning_rate(), 0.5);
    assert!(model.set_learning_rate(0.0).is_err() && model.set_schedule(Schedule::Cosine, 0).is_err());
}

/// What does not fit is an error that says what would, and no update.
#[test]
fn targets_and_samples_that_do_not_fit_are_errors() {
    let mut model = compiled(&Reference::<f32>::new());
    let x = [0.5f32; 4];
    for (targets, words) in [
        (&[0.0, 3.0][..], "the target 3 of sample 1 is no class: an output of 3 numbers has classes 0 to 2"),
        (&[9.0, 0.0], "the target 9 of sample 0"),
        (&[-1.0, 0.0], "the target -1 of sample 0"),
        (&[0.5, 0.0], "the target 0.5 of sample 0"),
        (&[f32::NAN, 0.0], "the target NaN of sample 0"),
        (&[0.0], "2 samples take targets of shape [] each, 2 numbers, got 1"),
    ] {
        let fit = Fit::new(1);
        for message in [
            model.train_on_batch(&x, targets).unwrap_err().to_string(),
            model.evaluate(&x, targets).unwrap_err().to_string(),
            model.fit(&x, targets, &fit, &mut []).unwrap_err().to_string(),
            model
                .fit(&x, &[0.0, 1.0], &fit.clone().validation(&x, targets), &mut [])
                .unwrap_err()
                .to_string(),
        ] {
            assert!(message.starts_with("classifier: ") && message.contains(words), "{message}");
        }
    }
    assert!(model.fit(&x, &[0.0, 1.0], &Fit::new(0), &mut []).is_err());
    assert!(model.fit(&x, &[0.0, 1.0], &Fit::new(1).batch_size(0), &mut []).is_err());
    let message = model.predict(Samples::new(&x).with("style", &x)).unwrap_err().to_string();
    assert!(message.contains("no layer takes an input 'style'"), "{message}");
    let message = model.predict_layer(&x, "1.dense").unwrap_err().to_string();
    assert!(
        message.contains("no layer '1.dense'; there are: 0.dense, 1.batch_norm, 2.dropout, 3.dense"),
        "{message}"
    );
    assert!(model.predict_layer(&x, 4).unwrap_err().to_string().contains("no layer 4"));
    assert_eq!(model.updates(), 0);
    // A rate far too large ends with an error that says when.
    let diverging = Sequential::new("m", [1]).add(Dense::new(1));
    let mut model =
        diverging.compile(&Reference::<f32>::new(), Objective::MeanSquaredError, Sgd::new(1e6)).unwrap();
    let message = model.fit(&[1.0f32, 2.0], &[0.0, 1.0], &Fit::new(50), &mut []).unwrap_err().to_string();
    assert!(
        message.contains("diverged: m: in epoch") && message.contains("smaller learning rate"),
        "{message}"
    );
}

/// Callbacks hear of everything in order, may end the training, and an error in one is the error of all.
#[test]
fn callbacks_watch_and_end_a_training() {
    struct Watch<'a>(&'a RefCell<Vec<String>>, usize);

    impl FitCallback<Reference<f32>> for Watch<'_> {
        fn batch(&mut self, model: &mut Compiled<Reference<f32>>, end: &BatchEnd) -> Result<ControlFlow<()>> {
            self.0.borrow_mut().push(format!("{}.{}/{}", end.epoch, end.batch, end.batches));
            let stop = model.updates() as usize == self.1;
            Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }

        fn epoch(&mut self, _: &mut Compiled<Reference<f32>>, epoch: &Epoch) -> Result<ControlFlow<()>> {
            self.0.borrow_mut().push(format!("epoch {}", epoch.epoch));
            Ok(ControlFlow::Continue(()))
        }
    }

    let (x, t) = blots(9, 1);
    let heard = RefCell::new(Vec::new());
    let fit = Fit::new(3).batch_size(5);
    let history = compiled(&Reference::<f32>::new()).fit(&x, &t, &fit, &mut [&mut Watch(&heard, 5)]).unwrap();
    assert_eq!(heard.take(), ["1.1/2", "1.2/2", "epoch 1", "2.1/2", "2.2/2", "epoch 2", "3.1/2"]);
    assert_eq!(history.len(), 2);

    // A model that cannot learn: its loss is the same in each epoch.
    let mut stopping = EarlyStopping::new(2);
    let mut model = model().compile(&Reference::<f32>::new(), CLASSES, Adam::new(1e-30)).unwrap();
    let fit = Fit::new(50).validation(&x, &t);
    for name in ["classifier/1.batch_norm/moving_variance", "classifier/3.dense/kernel"] {
        let len = model.read_tensor(name).unwrap().len();
        model.write_tensor(name, &vec![0.0; len]).unwrap();
    }
    let history = model.fit(&x, &t, &fit, &mut [&mut stopping]).unwrap();
    assert_eq!(history.len(), 3);
    assert!((stopping.best() - 3f64.ln()).abs() < 1e-6);

    let mut failing =
        |_: &mut Compiled<Reference<f32>>, _: &Epoch| Err(gannet::Error::Invalid("the disk is full".into()));
    let message = model.fit(&x, &t, &fit, &mut [&mut failing]).unwrap_err().to_string();
    assert_eq!(message, "the disk is full");
}

/// What comes between layers is what the layers alone make of it.
#[test]
fn outputs_of_inner_layers_are_told() {
    let mut model = compiled(&Reference::<f64>::new());
    let x = [0.5, -1.0, 2.0, 0.25];
    let w = model.read_tensor("classifier/0.dense/kernel").unwrap();
    let expected: Vec<f64> = x
        .chunks_exact(2)
        .flat_map(|x| (0..16).map(|j| (x[0] * w[j] + x[1] * w[16 + j]).tanh()).collect::<Vec<_>>())
        .collect();
    let dense = model.predict_layer(&x, "0.dense").unwrap();
    assert!(dense.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{dense:?} {expected:?}");
    assert_eq!(model.predict_layer(&x, 0).unwrap(), dense);
    // Fresh running statistics: mean 0, variance 1.
    let scale = 1.0 / (1.0f64 + 1e-3).sqrt();
    let normalised = model.predict_layer(&x, 1).unwrap();
    assert!(normalised.iter().zip(&dense).all(|(a, b)| (a - b * scale).abs() < 1e-12));
    assert_eq!(model.predict_layer(&x, "3.dense").unwrap(), model.predict(&x).unwrap());
}

/// A model of two inputs learns what neither of them tells alone, and comes back from a file.
#[test]
fn a_model_takes_several_inputs() {
    let both = Sequential::new("m", [1])
        .add(ConcatInput::new("other", [1]))
        .add(Dense::new(8).activation(Activation::Tanh))
        .add(ConcatInput::new("other", [1]))
        .add(Dense::new(1));
    let objective = Objective::BinaryCrossentropy { from_logits: true };
    let backend = Reference::<f64>::new();
    let mut model = both.compile(&backend, objective, Adam::new(0.05)).unwrap();
    assert_eq!(model.model().inputs().len(), 1);
    let (a, b, t) = ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]);
    let xor = || Samples::new(&a).with("other", &b);
    let history = model.fit(xor(), &t, &Fit::new(200).batch_size(3), &mut []).unwrap();
    assert_eq!(history.last().unwrap().training.accuracy, Some(1.0), "{:?}", history.last());
    assert_eq!(model.evaluate(xor(), &t).unwrap().accuracy, Some(1.0));
    let mut again = Compiled::from_file(&backend, &model.to_file().unwrap()).unwrap();
    assert_eq!(again.predict(xor()).unwrap(), model.predict(xor()).unwrap());
    for (x, words) in [
        (Samples::new(&a), "the input 'other' of shape [1], which was not given"),
        (
            Samples::new(&a).with("other", &b[1..]),
            "4 samples take 4 numbers for the input 'other' of shape [1], got 3",
        ),
    ] {
        let message = model.predict(x).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let unfit =
        Sequential::new("m", [2, 3]).add(ConcatInput::new("other", [3, 1])).build().unwrap_err().to_string();
    assert!(unfit.contains("the input 'other' of shape [3, 1] does not fit beside [2, 3]"), "{unfit}");
    let two =
        Sequential::new("m", [1]).add(ConcatInput::new("other", [1])).add(ConcatInput::new("other", [2]));
    let message = two.build().unwrap_err().to_string();
    assert!(
        message.contains("layer 1 (concat_input): the input 'other' has the shape [2], but a layer before"),
        "{message}"
    );
}
