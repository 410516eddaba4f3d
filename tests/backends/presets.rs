//! Every preset trains, on every backend, with losses that agree as far as single precision can; so do networks with layers that
//! no preset has.

#[path = "gpu/device.rs"]
#[allow(dead_code, reason = "devices of their own are for the tests of the GPU alone")]
mod device;

use gannet::layers::{Conv2d, Dense, Flatten, LeakyRelu};
use gannet::{
    AdamW, Backend, Element, EpsForm, Gan, GanConfig, Graph, Losses, Optimiser, Padding, Penalty, Program,
    Reference, RmsProp, Sequential, Sgd, Stream, Variables, optimisers, presets,
};
use gannet_cpu::Cpu;

/// Steps of each preset.
const STEPS: u64 = 50;
/// Training amplifies differences, the more the higher the learning rate, so every so many steps all runs go on from the state
/// of the one in double precision.
const TOGETHER: u64 = 5;
/// Half the distance between 1 and the next number in single precision: how far one rounding goes.
const UNIT: f64 = 1.0 / (1 << 24) as f64;
/// How many roundings' worth the twin of a run in double precision is moved by, each number by itself, in every step:
/// the longest sum of products at narrow width has 784 of them (a dense layer of 784 inputs, a weight gradient over four
/// images of 14 x 14), and the error of a sum of n terms is at most n roundings of the sum of their absolute values (Higham,
/// *Accuracy and Stability of Numerical Algorithms*, section 3.1).
const ROUNDINGS: f64 = 784.0;
/// How far beyond its twin a run may be: both are single draws of what rounding may do.
const SPREAD: f64 = 8.0;

/// A preset with layers of a few channels: numbers of units, filters and channels in its model file are divided.
fn narrow(name: &str) -> GanConfig {
    let mut text = String::new();
    for line in presets::text(name).unwrap().lines() {
        let mut line = line.to_owned();
        // Dense layers in front of a Reshape, and the Reshape's channels, by the same factor.
        for (from, to) in [
            ("units = 6272", "units = 196"),
            ("units = 12544", "units = 196"),
            ("units = 4096", "units = 64"),
            ("units = 3136", "units = 196"),
            ("[7, 7, 128]", "[7, 7, 4]"),
            ("[7, 7, 256]", "[7, 7, 4]"),
            ("[7, 7, 64]", "[7, 7, 4]"),
            ("[4, 4, 256]", "[4, 4, 4]"),
            ("filters = 256", "filters = 4"),
            ("filters = 128", "filters = 4"),
            ("filters = 96", "filters = 4"),
            ("filters = 64", "filters = 4"),
            ("filters = 48", "filters = 4"),
            ("filters = 32,", "filters = 3,"),
            ("filters = 16,", "filters = 3,"),
        ] {
            line = line.replace(from, to);
        }
        text.push_str(&line);
        text.push('\n');
    }
    let mut config = GanConfig::from_toml(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    config.batch_size = 4;
    config.steps = Some(STEPS);
    config
}

/// Networks with layers that no preset has.
const NETWORKS: [&str; 2] = [include_str!("networks/fastgan.toml"), include_str!("networks/stylegan.toml")];

fn networks() -> impl Iterator<Item = GanConfig> {
    NETWORKS.into_iter().map(|text| GanConfig::from_toml(text).unwrap())
}

/// Moves every number of the state by `size` of itself, up or down.
fn disturb<B: Backend>(gan: &mut Gan<B>, size: f64, stream: &mut Stream) {
    let names: Vec<String> = gan.tensors().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let values = gan.read_tensor(&name).unwrap();
        let moved: Vec<B::Element> =
            values.iter().map(|x| B::Element::of(x.to_f64() * (1.0 + size * sign(stream)))).collect();
        gan.write_tensor(&name, &moved).unwrap();
    }
}

fn sign(stream: &mut Stream) -> f64 {
    if stream.below(2) == 0 { -1.0 } else { 1.0 }
}

/// The state of a run at the start of every [`TOGETHER`] steps: tensors in their order.
type States = Vec<Vec<Vec<f64>>>;

fn state<B: Backend>(gan: &Gan<B>) -> Vec<Vec<f64>> {
    gan.tensors()
        .map(|(name, _)| gan.read_tensor(name).unwrap().into_iter().map(B::Element::to_f64).collect())
        .collect()
}

fn set_state<B: Backend>(gan: &mut Gan<B>, state: &[Vec<f64>]) {
    let names: Vec<String> = gan.tensors().map(|(name, _)| name.to_owned()).collect();
    for (name, values) in names.iter().zip(state) {
        let values: Vec<B::Element> = values.iter().copied().map(B::Element::of).collect();
        gan.write_tensor(name, &values).unwrap();
    }
}

/// Trains, moving all that a step starts from by `disturbance` of itself, and going on from `states` where they are given.
/// Returns the losses and the states passed through.
fn train<B: Backend>(
    backend: &B,
    config: GanConfig,
    disturbance: f64,
    states: Option<&States>,
) -> (Vec<Losses>, States) {
    let mut gan = Gan::new(backend, config).unwrap();
    let (pixels, classes) = (gan.image_shape().len(), gan.training_labels());
    let (n, steps) = (gan.config().images_per_step() as usize, gan.config().steps.unwrap());
    let mut noise = Stream::new(4, "noise", 0);
    let mut passed = States::new();
    let losses = (0..steps)
        .map(|step| {
            if step.is_multiple_of(TOGETHER) {
                match states {
                    Some(states) => set_state(&mut gan, &states[(step / TOGETHER) as usize]),
                    None => passed.push(state(&gan)),
                }
            }
            let mut stream = Stream::new(3, "images", step);
            let labels: Vec<u32> = (0..n).map(|_| stream.below(classes.unwrap_or(1) as u32)).collect();
            let mut real: Vec<f64> = (0..n * pixels).map(|_| stream.uniform(-1.0, 1.0)).collect();
            if disturbance > 0.0 {
                real.iter_mut().for_each(|x| *x *= 1.0 + disturbance * sign(&mut noise));
                disturb(&mut gan, disturbance, &mut noise);
            }
            let real: Vec<B::Element> = real.into_iter().map(B::Element::of).collect();
            gan.train_on_batch(&real, classes.map(|_| labels.as_slice())).unwrap()
        })
        .collect();
    let labels = gan.classes().map(|_| vec![3; 2]);
    let images = gan.generate(&gan.latents(2, 1), labels.as_deref()).unwrap();
    // All generators but that of r3gan end in a tanh.
    let largest = if gan.config().name == "r3gan" { f64::MAX } else { 1.0 };
    assert!(images.iter().all(|x| x.to_f64().abs() <= largest));
    (losses, passed)
}

fn each(losses: &Losses) -> [f64; 3] {
    [losses.d_real, losses.d_fake, losses.g]
}

/// A preset in double precision, and how far single precision may be from it at each step.
struct Expected {
    config: GanConfig,
    losses: Vec<Losses>,
    states: States,
    bounds: Vec<f64>,
}

impl Expected {
    /// Training amplifies whatever differs, each network by its own factor, so no fixed bound fits: a twin of the run,
    /// in double precision as well but moved in every step by as much as rounding to single precision may do, shows how
    /// far apart two such runs can be. A run in single precision has to stay within a few times that distance.
    fn new(config: GanConfig) -> Expected {
        let reference = Reference::<f64>::new();
        let (losses, states) = train(&reference, config.clone(), 0.0, None);
        let (twin, _) = train(&reference, config.clone(), ROUNDINGS * UNIT, Some(&states));
        let mut farthest: f64 = 0.0;
        let bounds = losses
            .iter()
            .zip(&twin)
            .enumerate()
            .map(|(step, (a, b))| {
                if (step as u64).is_multiple_of(TOGETHER) {
                    farthest = 0.0;
                }
                let (a, b) = (each(a), each(b));
                let size = a.iter().fold(1.0, |size: f64, x| size.max(x.abs()));
                farthest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(farthest, f64::max);
                SPREAD * (farthest + ROUNDINGS * UNIT * size)
            })
            .collect();
        assert_ne!(losses[0], losses[losses.len() - 1], "{} moves", config.name);
        Expected { config, losses, states, bounds }
    }

    /// Compares, and returns the largest error as a share of its bound.
    fn check<B: Backend>(&self, backend: &B) -> f64 {
        let (found, _) = train(backend, self.config.clone(), 0.0, Some(&self.states));
        let mut worst: f64 = 0.0;
        for (step, ((a, b), bound)) in self.losses.iter().zip(&found).zip(&self.bounds).enumerate() {
            for (a, b) in each(a).into_iter().zip(each(b)) {
                let error = (a - b).abs();
                let device = backend.describe();
                assert!(
                    error <= *bound,
                    "{} on {device}, step {step}: {a} and {b} differ by {error:e}, the bound is {bound:e}",
                    self.config.name
                );
                worst = worst.max(error / bound);
            }
        }
        worst
    }
}

/// 50 steps of each preset at narrow width on the reference in double precision, on the CPU and on the GPU.
#[test]
fn every_preset_trains_and_all_backends_agree() {
    all_backends_agree(presets::names().map(narrow));
}

/// The same of other networks, fewer steps.
#[test]
fn networks_of_other_layers_train_and_all_backends_agree() {
    all_backends_agree(networks().map(|config| config.steps(2 * TOGETHER)));
}

/// A few steps of each preset made of micro-batches.
#[test]
fn every_preset_trains_on_micro_batches_and_all_backends_agree() {
    all_backends_agree(
        presets::names().map(|name| narrow(name).batch_size(2).accumulate(3).steps(2 * TOGETHER)),
    );
}

fn all_backends_agree(configs: impl Iterator<Item = GanConfig>) {
    let (cpu, gpu) = (Cpu::new().unwrap(), device::device(false));
    for config in configs {
        let expected = Expected::new(config);
        let name = &expected.config.name;
        let on_cpu = expected.check(&cpu);
        let on_gpu = gpu.map(|gpu| expected.check(gpu));
        let largest = expected.bounds.iter().copied().fold(0.0, f64::max);
        eprintln!("{name}: within {on_cpu:.3} and {on_gpu:.3?} of bounds of up to {largest:.1e}");
        // A bound of the size of the losses would say nothing.
        assert!(largest < 0.1, "{name}: {:?}", expected.bounds);
    }
}

/// No instruction of a training step is left to the loops of the reference on the CPU.
#[test]
fn every_preset_runs_by_kernels_alone_on_the_cpu() {
    let cpu = Cpu::new().unwrap();
    for config in presets::names().map(narrow).chain(networks()) {
        let name = config.name.clone();
        let mut gan = Gan::new(&cpu, config).unwrap();
        let slow: Vec<usize> = gan.executable().unwrap().by_reference().collect();
        let plan = gan.prepare().unwrap();
        let slow: Vec<&str> = slow.iter().map(|&i| plan.instructions()[i].op.name()).collect();
        assert!(slow.is_empty(), "{name} runs {slow:?} by reference loops");
    }
}

#[test]
fn the_reference_step_has_the_layers_of_its_description() {
    let mut config = presets::get("dcgan").unwrap();
    config.steps = Some(1);
    let (generator, discriminator) = config.build().unwrap();
    assert_eq!(generator.parameter_count(), 100 * 6272 + 2 * 128 + 16 * 64 * 128 + 2 * 64 + 16 * 64 + 1);
    assert_eq!(discriminator.parameter_count(), 16 * 64 + 64 + 16 * 64 * 128 + 2 * 128 + 6272 + 1);
    assert!(generator.summary().contains("7.conv_transpose2d  (None, 28, 28, 1)"), "{}", generator.summary());
}

/// The step that a penalty alone makes a critic take: real and generated images are the same, so that the loss says
/// nothing. Returns how far each of its parameters moves.
fn moved_by<B: Backend>(backend: &B, penalty: Penalty) -> Vec<f64> {
    let generator = Sequential::new("generator", [5, 6, 2]).add(Conv2d::new(2, [1, 1]).use_bias(false));
    let critic = Sequential::new("discriminator", [5, 6, 2])
        .add(Conv2d::new(4, [3, 3]).stride([2, 2]).padding(Padding::Same))
        .add(LeakyRelu::new(0.2))
        .add(Flatten::new())
        .add(Dense::new(1));
    let mut config =
        GanConfig::new(generator, critic).loss(gannet::losses::Wasserstein).penalty(penalty).batch_size(3);
    config.discriminator_optimiser = Sgd::new(1.0).into();
    config.generator_optimiser = Sgd::new(1e-20).into();
    let mut gan = Gan::new(backend, config).unwrap();
    let of = |values: Vec<f64>| values.into_iter().map(B::Element::of).collect::<Vec<_>>();
    gan.write_tensor("generator/0.conv2d/kernel", &of(vec![1.0, 0.0, 0.0, 1.0])).unwrap();
    let mut stream = Stream::new(8, "penalty", 0);
    let images = of((0..3 * 60).map(|_| f64::from(stream.uniform(-1.0, 1.0) as f32)).collect());
    let names =
        ["discriminator/0.conv2d/kernel", "discriminator/0.conv2d/bias", "discriminator/3.dense/kernel"];
    let read = |gan: &Gan<B>| -> Vec<f64> {
        names.iter().flat_map(|name| gan.read_tensor(name).unwrap()).map(B::Element::to_f64).collect()
    };
    let before = read(&gan);
    gan.train_on_batch_with(&images, &images, None).unwrap();
    read(&gan).iter().zip(before).map(|(after, before)| after - before).collect()
}

/// The gradient of a penalty on a gradient, a second derivative, moves a critic on every backend as in double precision.
/// (One whose penalty has no gradient does not move.)
#[test]
fn penalties_move_critics_alike_on_every_backend() {
    let gpu = device::device(false);
    for penalty in [
        Penalty::WganGp { weight: 0.1, every: 1 },
        Penalty::R1 { gamma: 0.1, every: 1 },
        Penalty::R2 { gamma: 0.1, every: 1 },
    ] {
        let expected = moved_by(&Reference::<f64>::new(), penalty);
        let largest = expected.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        assert!(largest > 1e-3, "{penalty:?} moves nothing: {expected:?}");
        // Parameters of size one at most, changed once: roundings of sums of 54 products, three of them in a row.
        let bound = ROUNDINGS * UNIT * (1.0 + largest);
        let check = |device: String, found: Vec<f64>| {
            for (a, b) in expected.iter().zip(found) {
                assert!(
                    (a - b).abs() <= bound,
                    "{penalty:?} on {device}: {a} and {b}, the bound is {bound:e}"
                );
            }
        };
        let cpu = Cpu::new().unwrap();
        check(cpu.describe(), moved_by(&cpu, penalty));
        check("the reference".into(), moved_by(&Reference::<f32>::new(), penalty));
        if let Some(gpu) = gpu {
            check(gpu.describe(), moved_by(gpu, penalty));
        }
    }
}

/// Some updates by a rule from given gradients. Returns the whole state, the parameters and what the rule keeps.
fn updated_by<B: Backend>(backend: &B, rule: &Optimiser) -> Vec<f64> {
    const N: usize = 192;
    let rows = 1 + rule.moments().len();
    let graph = Graph::new();
    let state = graph.variable("state", [rows, N]);
    let next = rule.update(state, graph.input("g", [N]), graph.input("scalars", [rule.scalar_count()]));
    let plan = graph.plan().assign(state, next).build().unwrap();
    let of = |values: Vec<f64>| values.into_iter().map(B::Element::of).collect::<Vec<_>>();
    let mut stream = Stream::new(8, "optimiser", 0);
    let mut draw = |n: usize| of((0..n).map(|_| f64::from(stream.normal() as f32)).collect());
    let mut values = draw(N);
    values.resize(rows * N, B::Element::ZERO);
    let mut variables = Variables::new();
    variables.insert(backend, "state", [rows, N].into(), &values).unwrap();
    let mut program = Program::new(backend, plan, &variables).unwrap();
    for t in 1..=4 {
        program.write("g", &draw(N)).unwrap();
        program.write("scalars", &of(rule.scalars(t, 0.5))).unwrap();
        program.run().unwrap();
    }
    variables.read(backend, "state").unwrap().into_iter().map(B::Element::to_f64).collect()
}

#[test]
fn optimisers_update_alike_on_every_backend() {
    let gpu = device::device(false);
    let by_name = |name: &str| {
        let network = "input = [1]\nlayers = [{ dense = { units = 1 } }]";
        let text = format!(
            "batch_size = 1\n[generator]\noptimiser = \"{name}\"\n{network}\n[discriminator]\n{network}"
        );
        GanConfig::from_toml(&text).unwrap().generator_optimiser
    };
    let others = [
        Optimiser::from(AdamW::new(0.1).weight_decay(0.5).eps(1e-3, EpsForm::Pytorch)),
        RmsProp::new(0.1).momentum(0.5).centred(true).into(),
        RmsProp::new(0.1).centred(true).eps(1e-3, EpsForm::Pytorch).into(),
    ];
    for rule in optimisers::names().into_iter().map(by_name).chain(others) {
        let expected = updated_by(&Reference::<f64>::new(), &rule);
        // Each number comes from a few dozen operations, none of which takes nearly equal numbers from one another.
        let check = |device: String, found: Vec<f64>| {
            for (a, b) in expected.iter().zip(found) {
                let bound = 128.0 * UNIT * (1.0 + a.abs());
                assert!((a - b).abs() <= bound, "{rule:?} on {device}: {a} and {b}, the bound is {bound:e}");
            }
        };
        let cpu = Cpu::new().unwrap();
        check(cpu.describe(), updated_by(&cpu, &rule));
        check("the reference".into(), updated_by(&Reference::<f32>::new(), &rule));
        if let Some(gpu) = gpu {
            check(gpu.describe(), updated_by(gpu, &rule));
        }
    }
}
