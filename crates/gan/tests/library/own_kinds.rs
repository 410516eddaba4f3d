//! A loss and an optimiser of one's own: written here, outside of the crate, as a user would.

use gannet::layers::{Dense, LeakyRelu};
use gannet::losses::{AdversarialLoss, Paired, Pointwise, Terms};
use gannet::optimisers::{SecondMoment, UpdateRule};
use gannet::{Gan, GanConfig, Loss, Optimiser, Reference, Sequential, Stream, Var, losses, optimisers};
use serde::{Deserialize, Serialize};

/// max(0, margin - real) and max(0, margin + fake): the hinge loss, with another margin.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Margin {
    margin: f64,
}

impl AdversarialLoss for Margin {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }
}

impl Pointwise for Margin {
    fn real<'g>(&self, scores: Var<'g>, _target: f64) -> Var<'g> {
        (-scores + self.margin).relu().mean_all()
    }

    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
        (scores + self.margin).relu().mean_all()
    }

    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        -fake.mean_all()
    }
}

/// Squared distances of pairs from 1: a relativistic loss without options.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PairedSquares;

impl AdversarialLoss for PairedSquares {
    fn terms(&self) -> Terms<'_> {
        Terms::Paired(self)
    }
}

impl Paired for PairedSquares {
    fn discriminator<'g>(&self, real: Var<'g>, fake: Var<'g>) -> [Var<'g>; 2] {
        let half = (real - fake - 1.0).square().mean_all() * 0.5;
        [half, half]
    }

    fn generator<'g>(&self, real: Var<'g>, fake: Var<'g>) -> Var<'g> {
        (fake - real - 1.0).square().mean_all()
    }
}

/// Adagrad (Duchi et al. 2011): a += g^2, p -= lr g / (sqrt(a) + eps).
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Adagrad {
    learning_rate: f64,
}

impl UpdateRule for Adagrad {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn with_learning_rate(&self, learning_rate: f64) -> Optimiser {
        Adagrad { learning_rate }.into()
    }

    fn moments(&self) -> &'static [&'static str] {
        &["sum"]
    }

    fn scalars(&self, _t: u64, factor: f64) -> Vec<f64> {
        vec![self.learning_rate * factor]
    }

    fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
        let (p, sum) = (state.slice(0, 0, 1), state.slice(0, 1, 2));
        let g = gradient.reshape(p.shape());
        let sum = sum + g.square();
        Var::concat(&[p - g * scalars * (sum.sqrt() + 1e-7).reciprocal(), sum], 0)
    }

    fn second_moment(&self) -> Option<SecondMoment> {
        None
    }
}

fn config(loss: impl Into<Loss>, optimiser: impl Into<Optimiser>) -> GanConfig {
    let generator =
        Sequential::new("generator", [2]).add(Dense::new(4)).add(LeakyRelu::new(0.2)).add(Dense::new(2));
    let discriminator =
        Sequential::new("discriminator", [2]).add(Dense::new(4)).add(LeakyRelu::new(0.2)).add(Dense::new(1));
    GanConfig::new(generator, discriminator).loss(loss).optimiser(optimiser).batch_size(4)
}

fn train(gan: &mut Gan<Reference<f64>>, steps: usize) -> Vec<gannet::Losses> {
    let step = |gan: &mut Gan<Reference<f64>>| {
        let mut stream = Stream::new(1, "points", gan.step());
        let real: Vec<f64> = (0..8).map(|_| 1.0 + stream.normal()).collect();
        gan.train_on_batch(&real, None).unwrap()
    };
    (0..steps).map(|_| step(gan)).collect()
}

#[test]
fn registered_kinds_are_saved_and_loaded() {
    losses::register::<Margin>("margin").unwrap();
    losses::register::<Margin>("margin").unwrap();
    losses::register::<PairedSquares>("paired_squares").unwrap();
    optimisers::register::<Adagrad>("adagrad").unwrap();
    assert!(losses::names().contains(&"margin") && losses::names().contains(&"hinge"));
    let backend = Reference::<f64>::new();
    let margin = config(Margin { margin: 2.0 }, Adagrad { learning_rate: 0.1 });
    let text = margin.to_toml().unwrap();
    assert!(text.contains("[loss.margin]\nmargin = 2.0"), "{text}");
    for config in [margin, config(PairedSquares, Adagrad { learning_rate: 0.1 })] {
        let mut gan = Gan::new(&backend, config).unwrap();
        train(&mut gan, 3);
        let mut again = Gan::from_file(&backend, &gan.to_file().unwrap()).unwrap();
        assert_eq!(train(&mut again, 3), train(&mut gan, 3));
        assert_eq!(format!("{:?}", again.config()), format!("{:?}", gan.config()));
    }
    // In a model file written by hand.
    let text = text.replace("margin = 2.0", "margin = 1.5");
    assert_eq!(format!("{:?}", GanConfig::from_toml(&text).unwrap().loss), "Margin { margin: 1.5 }");
    let plain = GanConfig::from_toml(&text.replace("[loss.margin]\nmargin = 1.5", "")).unwrap();
    let text = plain.to_toml().unwrap().replace("loss = \"non_saturating\"", "loss = \"paired_squares\"");
    assert!(GanConfig::from_toml(&text).unwrap().loss.is::<PairedSquares>());
    // With its margin 1 it is the hinge loss.
    let losses =
        |loss: Loss| train(&mut Gan::new(&backend, config(loss, Adagrad { learning_rate: 0.1 })).unwrap(), 3);
    assert_eq!(losses(Margin { margin: 1.0 }.into()), losses(losses::Hinge.into()));
}

#[test]
fn names_that_are_taken_are_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Other;
    impl AdversarialLoss for Other {
        fn terms(&self) -> Terms<'_> {
            Terms::Pointwise(&losses::Hinge)
        }
    }
    let message = |name| losses::register::<Other>(name).unwrap_err().to_string();
    assert!(message("hinge").contains("'hinge' in this crate"), "{}", message("hinge"));
    assert!(message("Other Loss").contains("a to z"));
    losses::register::<Other>("other").unwrap();
    assert!(message("another").contains("'other' is registered as"), "{}", message("another"));
}

/// A loss that nobody registered: saving is refused with what would help, and the state can still go on.
#[test]
fn what_a_file_cannot_name_is_refused_and_its_state_still_travels() {
    #[derive(Debug)]
    struct Unknown;
    impl AdversarialLoss for Unknown {
        fn terms(&self) -> Terms<'_> {
            Terms::Pointwise(&losses::LeastSquares)
        }
    }
    let backend = Reference::<f64>::new();
    let make =
        || Gan::new(&backend, config(Unknown, gannet::Adam::new(0.01)).discriminator_steps(2)).unwrap();
    let mut gan = make();
    train(&mut gan, 3);
    let message = gan.to_file().unwrap_err().to_string();
    assert!(message.contains("Unknown") && message.contains("gannet::losses::register"), "{message}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    gan.state().unwrap().write(&path).unwrap();
    let expected = train(&mut gan, 3);
    let file = gannet::tensor_file::TensorFile::read(&path).unwrap();
    let mut again = make();
    again.restore(&file).unwrap();
    assert_eq!(again.step(), 3);
    assert_eq!(train(&mut again, 3), expected);
    // Tensor by tensor, in memory.
    let mut again = make();
    for tensor in &file.tensors {
        again.write_tensor(&tensor.name, &tensor.values.to::<f64>()).unwrap();
    }
    again.set_step(3).unwrap();
    assert_eq!(train(&mut again, 3)[1..], expected[1..]);
    let message = Gan::load(&backend, &path).unwrap_err().to_string();
    assert!(message.contains("state of a GAN") && message.contains("restore"), "{message}");
    // A name that nobody registered, in a model file.
    let text =
        config(losses::Hinge, gannet::Adam::new(0.01)).to_toml().unwrap().replace("\"hinge\"", "\"hing\"");
    let message = GanConfig::from_toml(&text).unwrap_err().to_string();
    assert!(message.contains("unknown variant `hing`, expected one of `non_saturating`"), "{message}");
}

/// What does not fit is refused when the GAN is made.
#[test]
fn losses_and_states_of_other_shapes_are_refused_at_once() {
    #[derive(Debug)]
    struct NoMean;
    impl AdversarialLoss for NoMean {
        fn terms(&self) -> Terms<'_> {
            Terms::Pointwise(self)
        }
    }
    impl Pointwise for NoMean {
        fn real<'g>(&self, scores: Var<'g>, _target: f64) -> Var<'g> {
            scores
        }

        fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
            scores
        }

        fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
            fake
        }
    }
    let backend = Reference::<f64>::new();
    let message = Gan::new(&backend, config(NoMean, gannet::Adam::new(0.01))).unwrap_err().to_string();
    assert!(
        message.contains("NoMean") && message.contains("[4, 1]") && message.contains("mean"),
        "{message}"
    );

    #[derive(Debug)]
    struct Forgetful;
    impl UpdateRule for Forgetful {
        fn learning_rate(&self) -> f64 {
            0.1
        }

        fn with_learning_rate(&self, _learning_rate: f64) -> Optimiser {
            Forgetful.into()
        }

        fn moments(&self) -> &'static [&'static str] {
            &["m"]
        }

        fn scalars(&self, _t: u64, _factor: f64) -> Vec<f64> {
            vec![0.1]
        }

        fn update<'g>(&self, state: Var<'g>, _gradient: Var<'g>, _scalars: Var<'g>) -> Var<'g> {
            state.slice(0, 0, 1)
        }
    }
    let message = Gan::new(&backend, config(losses::Hinge, Forgetful)).unwrap_err().to_string();
    assert!(message.contains("Forgetful") && message.contains("expected [2, "), "{message}");
}
