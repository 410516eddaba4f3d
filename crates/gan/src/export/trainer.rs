//! Training as data for a runtime that is no framework: the programs of a step, and what each of their inputs is.

use std::collections::BTreeMap;

use gannet_tensor::{Backend, Element, Plan};
use serde::Serialize;

use crate::config::GanConfig;
use crate::description::{Piece, description_pieces};
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::names;
use crate::optimisers::{Adam, AdamW, Optimiser, RmsProp, Sgd};
use crate::passes::{Augmentation, StepKind};
use crate::schedule::Schedule;
use crate::step::{self, LOSS_STRIDE};

/// The most kinds of steps that a recipe may have: each is a program.
const MOST_PROGRAMS: usize = 8;

/// What [`Gan::train_step`](crate::Gan::train_step) runs, and what has to be known to feed it: a run that begins with what
/// the GAN has learnt, as step 0 and with fresh optimisers.
#[derive(Clone, Debug)]
pub struct Trainer {
    /// The plan of each kind of step, by the name that [`Steps::periods`] gives it. They share their variables. The output
    /// `losses` holds the losses on real and on generated images and, where the generator is updated, its own, each
    /// [`Steps::loss_stride`] numbers after the one before.
    pub plans: BTreeMap<String, Plan>,
    /// The first values of the plans' variables at the beginning; the others are zero. The generator is its average where
    /// there is one, so that what is trained is what draws, and optimisers have no moments yet.
    pub variables: BTreeMap<String, Vec<f32>>,
    /// How steps follow one another, and what they are given.
    pub steps: Steps,
}

/// How steps follow one another, and what they are given. Steps are counted from 0.
#[derive(Clone, Debug, Serialize)]
pub struct Steps {
    /// What all random numbers follow from, in decimals.
    pub seed: String,
    /// Images in a batch.
    pub batch_size: usize,
    /// The name of a step's plan has a character for each of these, `1` where the step is a multiple of it and else `0`:
    /// the first is of the generator's updates, the others are of the penalties.
    pub periods: Vec<u64>,
    /// What the plans' inputs are, by name. A plan need not have all of them.
    pub inputs: BTreeMap<String, Input>,
    /// From one loss to the next in the output `losses`.
    pub loss_stride: usize,
    /// What learning rates are multiplied with over the run.
    pub schedule: Schedule,
    /// The length of the run, where it is known; a schedule that is not constant needs one.
    pub length: Option<u64>,
    /// How many labels there are, classes times clusters, where the models are told any.
    pub labels: Option<usize>,
    /// The learning rates of the generator and of the discriminator before any schedule.
    pub learning_rates: [f64; 2],
    /// Where the tensors of a model file lie.
    pub tensors: Vec<TensorPlace>,
    /// What a model file says of itself under the key `gannet`, cut where it depends on how far the run is.
    pub description: Vec<Piece>,
}

/// What an input of a step is. Streams are those of [`Stream`](crate::Stream) for the run's seed and the number of the step.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Input {
    /// Real images [batch_size, H, W, C] in [-1, 1]: those of a [`Shuffle`](https://docs.rs/gannet-data), one batch after
    /// the other.
    Real,
    /// The labels of the real images `[batch_size]`.
    Labels,
    /// Standard normal numbers [batch_size, z]. With clusters, the last of each image is drawn from the stream `clusters`,
    /// over and over until it lies in the cluster of the image's label.
    Latents {
        /// The name of their stream.
        stream: String,
        /// The name of the stream of the last ones.
        clusters: String,
    },
    /// Numbers `[batch_size]`, drawn evenly from 0 to 1.
    Uniform {
        /// The name of their stream.
        stream: String,
    },
    /// The number of the step modulo `below`.
    Counter {
        /// Whole numbers below it are held exactly.
        below: u64,
    },
    /// What is added to each of `images` images; see [`Augmented`].
    Brightness(Augmented),
    /// What the distances of each image's colours from their mean are multiplied by; see [`Augmented`].
    Saturation(Augmented),
    /// What the distances of each image's numbers from their mean are multiplied by; see [`Augmented`].
    Contrast(Augmented),
    /// The number of the pixel that each pixel of `images` images shows; see [`Augmented`].
    Sources(Augmented),
    /// The numbers of an optimiser's update.
    Optimiser {
        /// Which of [`Steps::learning_rates`] is its rate.
        player: usize,
        /// The rule with its options, as a model file has them.
        rule: Optimiser,
        /// The update of step s, counted from 1, is number `first` + `updates` floor(s / `every`).
        first: u64,
        /// See `first`.
        updates: u64,
        /// See `first`.
        every: u64,
    },
    /// How far the average moves in step s: 1 / (1 + `share` floor(s / `every`)).
    Average {
        /// The horizon as a share of the updates so far.
        share: f64,
        /// Steps from one update of the generator to the next.
        every: u64,
    },
}

/// An augmentation. From its stream come, for each image in turn: the brightness, drawn evenly from plus and minus half of
/// `brightness`; and for rows and then for columns, of which an image has n, a shift, floor(u) for u drawn evenly from -m to
/// m + 1 with m = round(n `translation`), and what is cut out, round(n `cutout`) of them from floor(u) - floor(round(n
/// `cutout`) / 2) on, for u drawn evenly from 0 to n; then, where they are not 0, a factor for `saturation` and one for
/// `contrast`, drawn evenly from 1 minus to 1 plus them. A pixel shows the one that its image's shift brings there; the blank
/// one, whose number is that of all pixels, where there is none, or where both its row and its column are cut out.
#[derive(Clone, Debug, Serialize)]
pub struct Augmented {
    /// The name of the stream.
    pub stream: String,
    /// How many images there are.
    pub images: usize,
    /// See above.
    pub brightness: f64,
    /// See above.
    pub saturation: f64,
    /// See above.
    pub contrast: f64,
    /// See above.
    pub translation: f64,
    /// See above.
    pub cutout: f64,
}

/// Where a tensor of a model file lies.
#[derive(Clone, Debug, Serialize)]
pub struct TensorPlace {
    /// Its name in the file.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// The variable that it is part of.
    pub variable: String,
    /// Its first element there.
    pub first: usize,
}

impl Trainer {
    /// That of a GAN. Errors, in a sentence that says what it is, when its steps are not such as a runtime can take by this
    /// description, or when the device fails.
    pub fn of<B: Backend>(gan: &Gan<B>) -> Result<Trainer> {
        let config = gan.config();
        if config.accumulate > 1 {
            return Err(Error::invalid(format!(
                "its steps are made of {} micro-batches (accumulate)",
                config.accumulate
            )));
        }
        if let Some((name, _)) = gan.inputs().first() {
            return Err(Error::invalid(format!("its layers take the input '{name}' beside images")));
        }
        let mut plans = BTreeMap::new();
        for (name, kind) in kinds(config)? {
            plans.insert(name, step::training(config, gan.generator(), gan.discriminator(), &kind)?);
        }
        let steps = Steps {
            seed: config.seed.to_string(),
            batch_size: config.batch_size,
            periods: periods(config),
            inputs: inputs(gan)?,
            loss_stride: LOSS_STRIDE,
            schedule: config.schedule,
            length: config.steps,
            labels: gan.training_labels(),
            learning_rates: [&config.generator_optimiser, &config.discriminator_optimiser]
                .map(|rule| rule.learning_rate()),
            tensors: gan.slots().iter().map(TensorPlace::of).collect(),
            description: description_pieces(config)?,
        };
        let mut variables = BTreeMap::new();
        for plan in plans.values() {
            for (name, _) in plan.inputs() {
                if !steps.inputs.contains_key(name) {
                    return Err(Error::invalid(format!("its steps take the input '{name}'")));
                }
            }
            for (name, _) in plan.variables() {
                if !variables.contains_key(name) {
                    variables.insert(name.to_owned(), beginning(gan, name)?);
                }
            }
        }
        if let Some(tensor) = steps.tensors.iter().find(|tensor| !variables.contains_key(&tensor.variable)) {
            return Err(Error::invalid(format!("none of its steps knows the tensor '{}'", tensor.name)));
        }
        Ok(Trainer { plans, variables, steps })
    }
}

impl TensorPlace {
    fn of(slot: &crate::slots::Slot) -> TensorPlace {
        TensorPlace {
            name: slot.name.clone(),
            shape: slot.shape.dims().to_vec(),
            variable: slot.variable.clone(),
            first: slot.range().start,
        }
    }
}

/// What the kind of a step follows from.
fn periods(config: &GanConfig) -> Vec<u64> {
    let penalties = config.penalties.iter().map(|penalty| penalty.every().max(1));
    std::iter::once(config.discriminator_steps.max(1)).chain(penalties).collect()
}

/// Every kind of step that there is, by the name that follows from the periods.
fn kinds(config: &GanConfig) -> Result<BTreeMap<String, StepKind>> {
    let periods = periods(config);
    // Any kind of step is that of the least common multiple of the periods that it is a multiple of.
    let mut numbers = vec![1u64];
    for &period in &periods {
        for at in 0..numbers.len() {
            let number = (numbers[at] / gcd(numbers[at], period)).saturating_mul(period);
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        if numbers.len() > 1 << MOST_PROGRAMS {
            break;
        }
    }
    let mut kinds = BTreeMap::new();
    for number in numbers {
        let bit = |period: &u64| if number.is_multiple_of(*period) { '1' } else { '0' };
        kinds.insert(periods.iter().map(bit).collect(), StepKind::of(config, number));
    }
    if kinds.len() > MOST_PROGRAMS {
        return Err(Error::invalid(format!("it has more than {MOST_PROGRAMS} kinds of steps")));
    }
    Ok(kinds)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// All inputs that steps may take.
fn inputs<B: Backend>(gan: &Gan<B>) -> Result<BTreeMap<String, Input>> {
    let config = gan.config();
    let (g, d) = (gan.generator().name(), gan.discriminator().name());
    let mut inputs = BTreeMap::from([
        (names::REAL.to_owned(), Input::Real),
        (names::LABELS.into(), Input::Labels),
        (
            names::LATENTS.into(),
            Input::Latents { stream: names::LATENTS.into(), clusters: names::CLUSTER_STREAM.into() },
        ),
        (names::MIX.into(), Input::Uniform { stream: names::MIX.into() }),
        (names::COUNTER.into(), Input::Counter { below: names::COUNTERS }),
    ]);
    if let Some(augment) = config.augment {
        for of in [Augmentation::Discriminator, Augmentation::Generator] {
            let augmented = Augmented {
                stream: of.name().into(),
                images: of.images(config),
                brightness: augment.brightness,
                saturation: augment.saturation,
                contrast: augment.contrast,
                translation: augment.translation,
                cutout: augment.cutout,
            };
            inputs.insert(names::augment(of.name(), names::BRIGHTNESS), Input::Brightness(augmented.clone()));
            inputs.insert(names::augment(of.name(), names::SATURATION), Input::Saturation(augmented.clone()));
            inputs.insert(names::augment(of.name(), names::CONTRAST), Input::Contrast(augmented.clone()));
            inputs.insert(names::augment(of.name(), names::SOURCES), Input::Sources(augmented));
        }
    }
    let every = config.discriminator_steps;
    let updates = if config.separate_updates { 2 } else { 1 };
    for (name, player, first, updates, every) in [
        (names::scalars(g), 0, 1, 1, every),
        (names::scalars(d), 1, 1, updates, 1),
        (names::second_scalars(d), 1, 2, updates, 1),
    ] {
        let rule = [&config.generator_optimiser, &config.discriminator_optimiser][player].clone();
        if !(rule.is::<Adam>() || rule.is::<AdamW>() || rule.is::<RmsProp>() || rule.is::<Sgd>()) {
            return Err(Error::invalid(format!("it is trained with an optimiser of its own ({rule:?})")));
        }
        inputs.insert(name, Input::Optimiser { player, rule, first, updates, every });
    }
    if let Some(ema) = config.ema {
        inputs.insert(names::EMA_RATE.into(), Input::Average { share: ema.share, every });
    }
    Ok(inputs)
}

/// The first values of a variable at the beginning of a run; the others are zero.
fn beginning<B: Backend>(gan: &Gan<B>, name: &str) -> Result<Vec<f32>> {
    let read = |name: &str| -> Result<Vec<f32>> {
        let values = gan.variables().read(gan.backend(), name)?;
        Ok(values.into_iter().map(|x| x.to_f64() as f32).collect())
    };
    let average = names::average(name);
    let source = if gan.variables().iter().any(|(known, _)| known == average) { &average } else { name };
    let mut values = read(source)?;
    for model in [gan.generator(), gan.discriminator()] {
        if name == names::state(model.name()) {
            // The moments are behind the weights.
            values.truncate(model.vector_len());
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use gannet_tensor::Reference;

    use super::*;
    use crate::optimisers::UpdateRule;
    use crate::penalties::Penalty;
    use crate::presets;

    fn gan(preset: &str, change: impl FnOnce(&mut GanConfig)) -> Gan<Reference<f32>> {
        let mut config = presets::get(preset).unwrap().steps(10);
        config.batch_size = 2;
        change(&mut config);
        Gan::new(&Reference::new(), config).unwrap()
    }

    #[test]
    fn every_kind_of_step_has_a_plan_whose_inputs_are_described() {
        for preset in presets::names() {
            let gan = gan(preset, |_| {});
            let Trainer { plans, steps, .. } = Trainer::of(&gan).unwrap();
            for number in 0..24 {
                let bit = |period: &u64| if number % period == 0 { '1' } else { '0' };
                let name: String = steps.periods.iter().map(bit).collect();
                assert!(plans.contains_key(&name), "{preset}: step {number} is {name}");
            }
        }
        let names = |change: fn(&mut GanConfig)| -> Vec<String> {
            kinds(gan("wgan-gp", change).config()).unwrap().into_keys().collect()
        };
        assert_eq!(names(|_| {}), ["01", "11"]);
        let every = |every| vec![Penalty::R1 { gamma: 1.0, every }, Penalty::R2 { gamma: 1.0, every: 6 }];
        // A multiple of six is one of three.
        assert_eq!(
            names(move |config| {
                config.discriminator_steps = 3;
                config.penalties = vec![Penalty::R1 { gamma: 1.0, every: 6 }];
            }),
            ["00", "10", "11"]
        );
        let mut config = gan("wgan-gp", |_| {}).config().clone();
        config.discriminator_steps = 2;
        config.penalties = every(4);
        let found: Vec<String> = kinds(&config).unwrap().into_keys().collect();
        assert_eq!(found, ["000", "100", "101", "110", "111"]);
    }

    #[test]
    fn what_a_description_cannot_say_is_refused_by_name() {
        #[derive(Clone, Copy, Debug)]
        struct Still;
        impl UpdateRule for Still {
            fn learning_rate(&self) -> f64 {
                1.0
            }
            fn with_learning_rate(&self, _: f64) -> Optimiser {
                Still.into()
            }
            fn moments(&self) -> &'static [&'static str] {
                &[]
            }
            fn scalars(&self, _: u64, factor: f64) -> Vec<f64> {
                vec![factor]
            }
            fn update<'g>(
                &self,
                state: gannet_tensor::Var<'g>,
                _: gannet_tensor::Var<'g>,
                scalars: gannet_tensor::Var<'g>,
            ) -> gannet_tensor::Var<'g> {
                state * scalars
            }
        }
        let own = gan("seed-dense", |config| config.generator_optimiser = Still.into());
        assert!(Trainer::of(&own).unwrap_err().to_string().contains("an optimiser of its own (Still)"));
        let parts = gan("seed-dense", |config| {
            config.separate_updates = false;
            config.accumulate = 4;
        });
        assert!(Trainer::of(&parts).unwrap_err().to_string().contains("4 micro-batches"));
        let many = gan("seed-dense", |config| {
            config.separate_updates = false;
            config.penalties = [2, 3, 5, 7].map(|every| Penalty::R1 { gamma: 1.0, every }).to_vec();
        });
        assert!(Trainer::of(&many).unwrap_err().to_string().contains("kinds of steps"));
    }

    /// What is trained begins as what draws, and no moment travels.
    #[test]
    fn a_run_begins_with_the_average_and_without_moments() {
        let mut gan = gan("lsgan", |_| {});
        let batch = vec![0.5; 2 * gan.image_shape().len()];
        for _ in 0..3 {
            gan.train_on_batch(&batch, None).unwrap();
        }
        let Trainer { variables, steps, .. } = Trainer::of(&gan).unwrap();
        let kernel = |name: &str| {
            let place = steps.tensors.iter().find(|place| place.name == name).unwrap();
            let values = &variables[&place.variable];
            (place.first, place.shape.iter().product::<usize>(), values.clone())
        };
        let name = "generator/0.dense/kernel";
        let (first, len, values) = kernel(name);
        let average = gan.read_tensor(&format!("ema/{name}")).unwrap();
        assert_eq!(values[first..first + len], average);
        assert_ne!(gan.read_tensor(name).unwrap(), average);
        let (first, _, values) = kernel(&format!("optimiser/{name}/m"));
        assert!(first >= values.len(), "the moments are zero");
        let name = "discriminator/0.conv2d/kernel";
        let (first, len, values) = kernel(name);
        assert_eq!(values[first..first + len], gan.read_tensor(name).unwrap());
    }

    /// What a runtime writes by the pieces is a file that says the same as one of this crate.
    #[test]
    fn the_pieces_are_a_description() {
        let mut gan = gan("acgan", |config| config.class_names = vec!["a \"b\"".into(); 10]);
        let steps = Trainer::of(&gan).unwrap().steps;
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Step => "7".into(),
            Piece::GeneratorLoss => "generator_loss = 0.25\n".into(),
            Piece::Length => "1234".into(),
            Piece::LearningRate(player) => ["0.125", "1.5e-7"][*player].into(),
        };
        let mut file = gan.to_file().unwrap();
        file.description = Some(steps.description.iter().map(text).collect());
        let again = Gan::from_file(&Reference::<f32>::new(), &file).unwrap();
        assert_eq!(again.step(), 7);
        let mut expected = gan.config().clone();
        expected.steps = Some(1234);
        expected.generator_optimiser = expected.generator_optimiser.with_learning_rate(0.125);
        expected.discriminator_optimiser = expected.discriminator_optimiser.with_learning_rate(1.5e-7);
        assert_eq!(again.config().to_toml().unwrap(), expected.to_toml().unwrap());
        assert!(steps.description.contains(&Piece::Length) && steps.length == Some(10));
        let unknown = Trainer::of(&self::gan("seed-dense", |config| config.steps = None)).unwrap().steps;
        assert!(!unknown.description.contains(&Piece::Length) && unknown.length.is_none());
    }
}
