//! Every pair of training options on a tiny network: it trains on the reference and on the CPU with the same losses, or
//! is refused when the GAN is made.
//!
//! Each pair also trains on micro-batches, which come to the same as one batch of all of them where no layer looks at more than
//! one sample.
//!
//! The options stand in one list. A key of model files that no option of the list sets fails a test of its own, so that
//! nobody can forget to add what is new.

use std::collections::BTreeSet;

use gannet::layers::{
    Add, BatchNorm, Concat, ConcatInput, Dense, Dropout, Flatten, Keep, Label, LeakyRelu, MinibatchStd,
    Reshape, Sigmoid, SkipExcite, SpectralNorm,
};
use gannet::{
    Activation, Adam, AdamW, Augment, Backend, Cpu, Element, Ema, EpsForm, Gan, GanConfig, Initialiser, Loss,
    Optimiser, Penalty, Reference, RmsProp, Samples, Schedule, Sequential, Sgd, Shape, Stream, losses,
    optimisers,
};

const SIDE: usize = 4;
const STEPS: u64 = 3;

/// A configuration whose networks are made when all options are set.
struct Tiny {
    config: GanConfig,
    /// Classes of the data, or 0.
    classes: usize,
    latents: usize,
    generator_initialiser: Initialiser,
    discriminator_initialiser: Initialiser,
    batch_norm: bool,
    spectral_norm: bool,
    minibatch_std: bool,
    dropout: bool,
    frozen: bool,
    conditional_discriminator: bool,
    further_inputs: bool,
    named_outputs: bool,
}

impl Tiny {
    fn new() -> Tiny {
        let nothing = || Sequential::new("nothing", [1]);
        Tiny {
            config: GanConfig::new(nothing(), nothing()).batch_size(4).seed(3),
            classes: 0,
            latents: 3,
            generator_initialiser: Initialiser::GlorotUniform,
            discriminator_initialiser: Initialiser::GlorotUniform,
            batch_norm: false,
            spectral_norm: false,
            minibatch_std: false,
            dropout: false,
            frozen: false,
            conditional_discriminator: false,
            further_inputs: false,
            named_outputs: false,
        }
    }

    fn build(self) -> GanConfig {
        let mut config = self.config;
        let told = self.classes * config.clusters;
        let mut g = Sequential::new("generator", [self.latents]).initialiser(self.generator_initialiser);
        if told > 0 {
            g = g.add(Label::new(told));
        }
        if self.further_inputs {
            g = g.add(ConcatInput::new("further", [2]));
        }
        if self.frozen {
            g = freeze_next(g);
        }
        g = g.add(Dense::new(6));
        if self.named_outputs {
            g = g.add(Keep::new("linear"));
        }
        if self.batch_norm {
            g = g.add(BatchNorm::new());
        }
        g = g.add(LeakyRelu::new(0.2));
        if self.named_outputs {
            g = g.add(Concat::new("linear"));
        }
        g = g.add(Dense::new(SIDE * SIDE).activation(Activation::Tanh)).add(Reshape::new([SIDE, SIDE, 1]));
        if self.named_outputs {
            g = g.add(Keep::new("map")).add(SkipExcite::new("map"));
        }
        config.generator = g;

        let mut d =
            Sequential::new("discriminator", [SIDE, SIDE, 1]).initialiser(self.discriminator_initialiser);
        if self.minibatch_std {
            d = d.add(MinibatchStd::new());
        }
        d = d.add(Flatten::new());
        if self.further_inputs {
            d = d.add(ConcatInput::new("further", [2]));
        }
        if self.conditional_discriminator {
            d = d.add(Label::new(told));
        }
        d = if self.spectral_norm { d.add(SpectralNorm::new(Dense::new(6))) } else { d.add(Dense::new(6)) };
        if self.named_outputs {
            d = d.add(Keep::new("linear"));
        }
        if self.batch_norm {
            d = d.add(BatchNorm::new());
        }
        d = d.add(LeakyRelu::new(0.2));
        if self.named_outputs {
            d = d.add(Add::new("linear"));
        }
        if self.dropout {
            d = d.add(Dropout::new(0.25));
        }
        if self.frozen {
            d = freeze_next(d);
        }
        d = d.add(Dense::new(if config.auxiliary > 0.0 { 1 + told } else { 1 }));
        if config.loss.is::<losses::BceProbabilities>() && config.auxiliary == 0.0 {
            d = d.add(Sigmoid::new());
        }
        config.discriminator = d;
        config
    }
}

/// The model with the dense layer frozen that is to be added.
fn freeze_next(model: Sequential) -> Sequential {
    let name = format!("{}.dense", model.layers().len());
    model.freeze(name)
}

/// A kind by its name in model files, with its default options.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> T {
    toml::Value::String(name.into()).try_into().unwrap()
}

/// A training option: options of one group take each other's place.
struct Choice {
    group: &'static str,
    name: String,
    set: Box<dyn Fn(&mut Tiny)>,
}

/// Every option of training.
fn choices() -> Vec<Choice> {
    let mut list: Vec<Choice> = Vec::new();
    let mut add = |group: &'static str, name: &str, set: Box<dyn Fn(&mut Tiny)>| {
        list.push(Choice { group, name: format!("{group} {name}"), set });
    };
    for name in losses::names() {
        let loss: Loss = named(name);
        add("loss", name, Box::new(move |t| t.config.loss = loss.clone()));
    }
    add("real_target", "0.9", Box::new(|t| t.config.real_target = 0.9));
    for penalty in [
        Penalty::WganGp { weight: 10.0, every: 1 },
        Penalty::R1 { gamma: 1.0, every: 2 },
        Penalty::R2 { gamma: 1.0, every: 1 },
    ] {
        add("penalties", &format!("{penalty:?}"), Box::new(move |t| t.config.penalties.push(penalty)));
    }
    for (name, augment) in [
        ("all", Augment::paper()),
        ("brightness", Augment::default().brightness(1.0)),
        ("translation", Augment::default().translation(0.25)),
        ("saturation and contrast", Augment::default().saturation(1.0).contrast(0.5)),
    ] {
        add("augment", name, Box::new(move |t| t.config.augment = Some(augment)));
    }
    add("discriminator_steps", "2", Box::new(|t| t.config.discriminator_steps = 2));
    add("separate_updates", "on", Box::new(|t| t.config.separate_updates = true));
    add(
        "clip_norm",
        "both",
        Box::new(|t| {
            (t.config.generator_clip_norm, t.config.discriminator_clip_norm) = (Some(0.05), Some(0.1));
        }),
    );
    add("clip_weights", "0.1", Box::new(|t| t.config.clip_weights = Some(0.1)));
    add("ema", "on", Box::new(|t| t.config.ema = Some(Ema::default())));
    for schedule in [Schedule::Linear { from: 0.3 }, Schedule::Cosine] {
        add(
            "schedule",
            &format!("{schedule:?}"),
            Box::new(move |t| (t.config.schedule, t.config.steps) = (schedule, Some(STEPS))),
        );
    }
    let rules: [Optimiser; 5] = [
        Adam::new(2e-3).betas(0.5, 0.9).into(),
        Sgd::new(0.05).momentum(0.5).into(),
        AdamW::new(2e-3).weight_decay(0.1).into(),
        RmsProp::new(1e-3).into(),
        RmsProp::new(1e-3).momentum(0.5).centred(true).eps(1e-3, EpsForm::Pytorch).into(),
    ];
    for rule in optimisers::names().into_iter().map(named).chain(rules) {
        add(
            "optimiser",
            &format!("{rule:?}"),
            Box::new(move |t| t.config = t.config.clone().optimiser(rule.clone())),
        );
    }
    add("classes", "generator", Box::new(|t| t.classes = 2));
    add("classes", "both", Box::new(|t| (t.classes, t.conditional_discriminator) = (2, true)));
    add("auxiliary", "1", Box::new(|t| (t.classes, t.config.auxiliary) = (2, 1.0)));
    add("clusters", "2", Box::new(|t| (t.classes, t.config.clusters) = (2, 2)));
    add("layers", "batch_norm", Box::new(|t| t.batch_norm = true));
    add("layers", "spectral_norm", Box::new(|t| t.spectral_norm = true));
    add("layers", "minibatch_std", Box::new(|t| t.minibatch_std = true));
    add("layers", "dropout", Box::new(|t| t.dropout = true));
    add("layers", "frozen", Box::new(|t| t.frozen = true));
    add("layers", "further inputs", Box::new(|t| t.further_inputs = true));
    add("layers", "named outputs", Box::new(|t| t.named_outputs = true));
    add(
        "initialiser",
        "he",
        Box::new(|t| {
            t.generator_initialiser = Initialiser::HeNormal;
            t.discriminator_initialiser = Initialiser::HeNormal;
        }),
    );
    add("batch_size", "2", Box::new(|t| t.config.batch_size = 2));
    add("accumulate", "3", Box::new(|t| t.config.accumulate = 3));
    add("seed", "4", Box::new(|t| t.config.seed = 4));
    add("input", "5 latents", Box::new(|t| t.latents = 5));
    list
}

/// Images or latents with what layers of the model take beside each of the `n`: numbers from a stream.
struct Beside<E> {
    x: Vec<E>,
    further: Vec<(String, Vec<E>)>,
}

impl<E: Element> Beside<E> {
    fn new(x: Vec<E>, inputs: &[(String, Shape)], n: usize, stream: &mut Stream) -> Beside<E> {
        let mut numbers =
            |len: usize| (0..len).map(|_| E::of(f64::from(stream.uniform(-1.0, 1.0) as f32))).collect();
        let further = inputs.iter().map(|(name, shape)| (name.clone(), numbers(n * shape.len()))).collect();
        Beside { x, further }
    }

    fn samples(&self) -> Samples<'_, E> {
        self.further.iter().fold(Samples::new(&self.x), |samples, (name, values)| samples.with(name, values))
    }
}

/// What a pair is refused for, if it has to be: words of the error.
fn refusal(config: &GanConfig) -> Option<&'static str> {
    if config.real_target != 1.0 && !config.loss.has_target() {
        return Some("real_target");
    }
    if config.separate_updates && (config.loss.is_relativistic() || !config.penalties.is_empty()) {
        return Some("separate_updates");
    }
    None
}

/// Trains for a few steps; losses of each, and images. Halfway through it is written to a file, and goes on from that.
fn run<B: Backend>(backend: &B, config: GanConfig) -> Result<(Vec<[f64; 3]>, Vec<f64>), gannet::Error> {
    let mut gan = Gan::new(backend, config)?;
    let n = gan.config().images_per_step() as usize;
    let labels =
        |count: Option<usize>| count.map(|count| (0..n).map(|i| (i % count) as u32).collect::<Vec<_>>());
    let train = |gan: &mut Gan<B>| {
        let mut stream = Stream::new(9, "images", gan.step());
        let real: Vec<B::Element> = (0..n * SIDE * SIDE)
            .map(|_| B::Element::of(f64::from(stream.uniform(-1.0, 1.0) as f32)))
            .collect();
        let labels = labels(gan.training_labels());
        let real = Beside::new(real, gan.inputs(), n, &mut stream);
        gan.train_on_batch(real.samples(), labels.as_deref()).map(|l| [l.d_real, l.d_fake, l.g])
    };
    let mut losses = Vec::new();
    for step in 0..STEPS {
        losses.push(train(&mut gan)?);
        if step == 0 {
            gan = Gan::from_file(backend, &gan.to_file()?)?;
        }
    }
    gan.gauges()?;
    let labels = labels(gan.classes());
    let latents = Beside::new(gan.latents(n, 1), gan.inputs(), n, &mut Stream::new(9, "latents", 0));
    let images = gan.generate(latents.samples(), labels.as_deref())?;
    Ok((losses, images.into_iter().map(Element::to_f64).collect()))
}

/// Trains with these options on both backends, or is refused as it should be; what went wrong otherwise.
fn check(cpu: &Cpu, set: &[&Choice]) -> Result<(), String> {
    let mut tiny = Tiny::new();
    set.iter().for_each(|choice| (choice.set)(&mut tiny));
    let config = tiny.build();
    if let Some(words) = refusal(&config) {
        return match Gan::new(cpu, config) {
            Err(error) if error.to_string().contains(words) => Ok(()),
            Err(error) => Err(format!("refused without the word {words}: {error}")),
            Ok(_) => Err(format!("not refused for {words}")),
        };
    }
    let (expected, images) =
        run(&Reference::<f64>::new(), config.clone()).map_err(|e| format!("reference: {e}"))?;
    let (found, found_images) = run(cpu, config).map_err(|e| format!("cpu: {e}"))?;
    let near = |a: &f64, b: &f64| (a - b).abs() <= 1e-3 * (1.0 + a.abs());
    let same = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b));
    if !same(expected.as_flattened(), found.as_flattened()) {
        return Err(format!("losses on the reference {expected:?}, on the CPU {found:?}"));
    }
    if !same(&images, &found_images) {
        return Err("images differ".into());
    }
    Ok(())
}

/// The micro-batches of a step that is compared with one of a single batch.
const MICRO_BATCHES: usize = 3;

/// How far numbers may be apart that are the same but for the order of sums. A gradient is a sum of at most some hundred products
/// of numbers below ten, so two orders give gradients within 1e3 eps of one another; the steepest update of the list makes 2e-3 /
/// 1e-8 times as much of that (Adam's rate over its eps, where a gradient is nearly zero), and the next steps go on from there:
/// 1e3 * 2.2e-16 * 2e5 * 10 is less than this.
const ORDER: f64 = 1e-6;

/// Trains on micro-batches, and on batches of all of them with the same random numbers: what went wrong if they differ. Layers
/// that look at more than one sample, and noise, which is drawn for a whole batch, are left out.
fn check_micro_batches(set: &[&Choice]) -> Result<(), String> {
    let mut tiny = Tiny::new();
    set.iter().for_each(|choice| (choice.set)(&mut tiny));
    (tiny.batch_norm, tiny.minibatch_std, tiny.dropout) = (false, false, false);
    let whole = tiny.build().accumulate(1);
    if refusal(&whole).is_some() {
        return Ok(());
    }
    let n = whole.batch_size;
    let micro = whole.clone().accumulate(MICRO_BATCHES as u64);
    let whole = whole.batch_size(MICRO_BATCHES * n);
    let reference = Reference::<f64>::new();
    let (mut whole, mut micro) = (Gan::new(&reference, whole).unwrap(), Gan::new(&reference, micro).unwrap());
    let near = |what: &str, step: u64, a: &[f64], b: &[f64]| {
        let same = |(a, b): (&f64, &f64)| (a - b).abs() <= ORDER * (1.0 + a.abs());
        match a.len() == b.len() && a.iter().zip(b).all(same) {
            true => Ok(()),
            false => Err(format!("step {step}, {what}: a single batch gives {a:?}, micro-batches {b:?}")),
        }
    };
    for step in 0..STEPS {
        let mut stream = Stream::new(9, "images", step);
        let count = MICRO_BATCHES * n;
        let real: Vec<f64> = (0..count * SIDE * SIDE).map(|_| stream.uniform(-1.0, 1.0)).collect();
        let labels: Option<Vec<u32>> =
            whole.training_labels().map(|classes| (0..count).map(|_| stream.below(classes as u32)).collect());
        let real = Beside::new(real, whole.inputs(), count, &mut stream);
        whole.train_step_as_one(MICRO_BATCHES, real.samples(), labels.as_deref()).unwrap();
        micro.train_step(real.samples(), labels.as_deref()).unwrap();
        let losses = |gan: &mut Gan<_>| gan.losses().map(|l| [l.d_real, l.d_fake, l.g]).unwrap();
        near("losses", step, &losses(&mut whole), &losses(&mut micro))?;
        let scores = |gan: &mut Gan<_>| {
            let verdicts = gan.gauges().unwrap().verdicts;
            [verdicts.real, verdicts.fake]
                .into_iter()
                .chain(verdicts.accuracy.into_iter().flatten())
                .collect()
        };
        let (a, b): (Vec<f64>, Vec<f64>) = (scores(&mut whole), scores(&mut micro));
        near("scores", step, &a, &b)?;
        for (name, _) in whole.tensors() {
            near(name, step, &whole.read_tensor(name).unwrap(), &micro.read_tensor(name).unwrap())?;
        }
    }
    Ok(())
}

#[test]
fn every_pair_of_options_gives_on_micro_batches_what_it_gives_on_one_batch() {
    every_pair(check_micro_batches);
}

#[test]
fn every_pair_of_options_trains_or_is_refused_at_once() {
    let cpu = Cpu::new().unwrap();
    every_pair(|set| check(&cpu, set));
}

/// Checks no option, each by itself, and each pair.
fn every_pair(check: impl Fn(&[&Choice]) -> Result<(), String>) {
    let choices = choices();
    let mut wrong = Vec::new();
    let mut note = |set: &[&Choice]| {
        if let Err(message) = check(set) {
            let names: Vec<&str> = set.iter().map(|choice| choice.name.as_str()).collect();
            wrong.push(format!("{}: {message}", names.join(" + ")));
        }
    };
    note(&[]);
    for (i, a) in choices.iter().enumerate() {
        note(&[a]);
        // Layers and penalties stand beside one another; other options of a group take each other's place.
        let pairs = choices[i + 1..]
            .iter()
            .filter(|b| a.group != b.group || ["layers", "penalties"].contains(&a.group));
        for b in pairs {
            note(&[a, b]);
        }
    }
    assert!(wrong.is_empty(), "{} pairs:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the keys of model files are is asked of the library: its error about an unknown key names those it knows.
#[test]
fn every_key_of_a_model_file_is_an_option_of_the_list() {
    let known = |text: &str| -> BTreeSet<String> {
        let message = GanConfig::from_toml(text).unwrap_err().to_string();
        let (_, list) = message.split_once("expected one of ").unwrap_or_else(|| panic!("{message}"));
        list.lines().next().unwrap().split(',').map(|key| key.trim().trim_matches('`').to_owned()).collect()
    };
    let changed = |inside: Option<&str>| -> BTreeSet<String> {
        let table = |tiny: Tiny| {
            let mut table: toml::Table = tiny.build().to_toml().unwrap().parse().unwrap();
            match inside {
                Some(name) => table.remove(name).unwrap().as_table().unwrap().clone(),
                None => table,
            }
        };
        let base = table(Tiny::new());
        let mut keys = BTreeSet::new();
        for choice in choices() {
            let mut tiny = Tiny::new();
            (choice.set)(&mut tiny);
            keys.extend(
                table(tiny)
                    .into_iter()
                    .filter(|(key, value)| base.get(key) != Some(value))
                    .map(|(key, _)| key),
            );
        }
        keys
    };
    // What things are called is nothing that a step depends on.
    let named = ["name", "description", "class_names"].map(String::from);
    let missing: Vec<String> = known("nonsense = 1").difference(&changed(None)).cloned().collect();
    assert!(missing.iter().all(|key| named.contains(key)), "no option sets {missing:?}");
    let network = known("batch_size = 1\n[discriminator]\nnonsense = 1");
    let missing: Vec<String> = network.difference(&changed(Some("discriminator"))).cloned().collect();
    // Images have one size here.
    assert!(missing.iter().all(|key| key == "input"), "no option sets {missing:?}");
}
