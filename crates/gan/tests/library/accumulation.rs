//! Steps that are made of micro-batches.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gannet::layers::{BatchNorm, Dense};
use gannet::losses::{LeastSquares, Relativistic, Wasserstein};
use gannet::tensor::BufferKind;
use gannet::{
    Adam, Augment, Backend, BatchRef, Ema, Error, Gan, GanConfig, MicroBatches, Reference, Schedule,
    Sequential, Sgd, Stream, presets,
};

fn double(config: GanConfig) -> Gan<Reference<f64>> {
    Gan::new(&Reference::new(), config).unwrap()
}

fn noise(n: usize, name: &str, number: u64) -> Vec<f64> {
    let mut stream = Stream::new(11, name, number);
    (0..n).map(|_| stream.uniform(-1.0, 1.0)).collect()
}

/// Rows of two numbers.
type Rows = Vec<[f64; 2]>;

fn rows(values: &[f64]) -> Rows {
    values.chunks_exact(2).map(|row| [row[0], row[1]]).collect()
}

/// A running mean and a running variance.
type Running = ([f64; 2], [f64; 2]);

/// x W, W [2, 2].
fn product(x: &Rows, w: &[f64]) -> Rows {
    x.iter().map(|x| [x[0] * w[0] + x[1] * w[2], x[0] * w[1] + x[1] * w[3]]).collect()
}

/// The gradients of x W for the cotangent `dy`: with respect to x, and to W.
fn product_gradients(x: &Rows, w: &[f64], dy: &Rows) -> (Rows, [f64; 4]) {
    let dx = dy.iter().map(|dy| [dy[0] * w[0] + dy[1] * w[1], dy[0] * w[2] + dy[1] * w[3]]).collect();
    let mut dw = [0.0; 4];
    for (x, dy) in x.iter().zip(dy) {
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            dw[2 * i + j] += x[i] * dy[j];
        }
    }
    (dx, dw)
}

const EPS: f64 = 1e-3;
const MOMENTUM: f64 = 0.5;
const RATE: f64 = 0.1;

/// Batch normalisation of a batch by its own statistics.
struct Normalised {
    hat: Rows,
    y: Rows,
    mean: [f64; 2],
    variance: [f64; 2],
}

fn normalised(x: &Rows, gamma: &[f64], beta: &[f64]) -> Normalised {
    let n = x.len() as f64;
    let mean = [0, 1].map(|c| x.iter().map(|x| x[c]).sum::<f64>() / n);
    let variance = [0, 1].map(|c| x.iter().map(|x| (x[c] - mean[c]).powi(2)).sum::<f64>() / n);
    let hat: Rows = x.iter().map(|x| [0, 1].map(|c| (x[c] - mean[c]) / (variance[c] + EPS).sqrt())).collect();
    let y = hat.iter().map(|h| [0, 1].map(|c| h[c] * gamma[c] + beta[c])).collect();
    Normalised { hat, y, mean, variance }
}

impl Normalised {
    /// The gradients for the cotangent `dy`: with respect to the input, gamma and beta.
    fn gradients(&self, gamma: &[f64], dy: &Rows) -> (Rows, [f64; 2], [f64; 2]) {
        let n = dy.len() as f64;
        let dbeta = [0, 1].map(|c| dy.iter().map(|dy| dy[c]).sum::<f64>());
        let dgamma = [0, 1].map(|c| dy.iter().zip(&self.hat).map(|(dy, h)| dy[c] * h[c]).sum::<f64>());
        let dx = dy.iter().zip(&self.hat).map(|(dy, h)| {
            [0, 1].map(|c| {
                gamma[c] / (self.variance[c] + EPS).sqrt() * (dy[c] - dbeta[c] / n - h[c] * dgamma[c] / n)
            })
        });
        (dx.collect(), dgamma, dbeta)
    }
}

/// A dense layer [2, 2], batch normalisation, and of a critic a dense layer [2, 1]: numbers, and sums of their gradients.
#[derive(Clone, Debug, Default)]
struct Network {
    w: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    last: Vec<f64>,
    mean: [f64; 2],
    variance: [f64; 2],
}

impl Network {
    fn zero() -> Network {
        let zeros = |n: usize| vec![0.0; n];
        Network { w: zeros(4), gamma: zeros(2), beta: zeros(2), last: zeros(2), ..Network::default() }
    }

    fn read(gan: &Gan<Reference<f64>>, model: &str) -> Network {
        let read = |name: &str| gan.read_tensor(&format!("{model}/{name}")).unwrap();
        let pair = |name: &str| read(name).try_into().unwrap();
        Network {
            w: read("0.dense/kernel"),
            gamma: read("1.batch_norm/gamma"),
            beta: read("1.batch_norm/beta"),
            last: if model == "discriminator" { read("2.dense/kernel") } else { vec![0.0; 2] },
            mean: pair("1.batch_norm/moving_mean"),
            variance: pair("1.batch_norm/moving_variance"),
        }
    }

    /// Moves all by a number of times another.
    fn add(&mut self, scale: f64, other: &Network) {
        for (to, from) in [
            (&mut self.w, &other.w),
            (&mut self.gamma, &other.gamma),
            (&mut self.beta, &other.beta),
            (&mut self.last, &other.last),
        ] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += scale * from);
        }
    }

    fn all(&self) -> Vec<f64> {
        [&self.w[..], &self.gamma, &self.beta, &self.last, &self.mean, &self.variance].concat()
    }

    /// What the critic says of images, with what its gradient needs.
    fn scores(&self, x: &Rows) -> (Normalised, Vec<f64>) {
        let layer = normalised(&product(x, &self.w), &self.gamma, &self.beta);
        let scores = layer.y.iter().map(|y| y[0] * self.last[0] + y[1] * self.last[1]).collect();
        (layer, scores)
    }

    /// Adds the gradients of the critic for the cotangent of its scores to `sum`, and gives that of the images.
    fn critic_gradients(&self, x: &Rows, layer: &Normalised, dscores: &[f64], sum: &mut Network) -> Rows {
        let dy: Rows = dscores.iter().map(|d| [d * self.last[0], d * self.last[1]]).collect();
        for (y, d) in layer.y.iter().zip(dscores) {
            (sum.last[0], sum.last[1]) = (sum.last[0] + y[0] * d, sum.last[1] + y[1] * d);
        }
        self.gradients(x, layer, &dy, sum)
    }

    fn gradients(&self, x: &Rows, layer: &Normalised, dy: &Rows, sum: &mut Network) -> Rows {
        let (dx, dgamma, dbeta) = layer.gradients(&self.gamma, dy);
        let (dx, dw) = product_gradients(x, &self.w, &dx);
        let own = Network { w: dw.into(), gamma: dgamma.into(), beta: dbeta.into(), ..Network::zero() };
        sum.add(1.0, &own);
        dx
    }

    /// Running statistics after those of batches, in order.
    fn moved(&self, batches: &[&Normalised]) -> Running {
        batches.iter().fold((self.mean, self.variance), |(mean, variance), batch| {
            let towards = |running: [f64; 2], batch: [f64; 2]| {
                [0, 1].map(|c| MOMENTUM * running[c] + (1.0 - MOMENTUM) * batch[c])
            };
            (towards(mean, batch.mean), towards(variance, batch.variance))
        })
    }

    /// Takes the mean of running statistics that each micro-batch has moved by itself.
    fn take_mean(&mut self, moved: &[Running]) {
        let share = 1.0 / moved.len() as f64;
        let mean = |of: fn(&Running) -> [f64; 2]| {
            [0, 1].map(|c| moved.iter().map(|running| of(running)[c] * share).sum::<f64>())
        };
        (self.mean, self.variance) = (mean(|running| running.0), mean(|running| running.1));
    }
}

/// Two steps of three micro-batches of a GAN with batch normalisation, by formulas written out for it alone.
#[test]
fn batch_normalisation_takes_each_micro_batch_by_itself() {
    const A: usize = 3;
    const N: usize = 4;
    let generator = Sequential::new("generator", [2])
        .add(Dense::new(2).use_bias(false))
        .add(BatchNorm::new().momentum(MOMENTUM).eps(EPS));
    let critic = Sequential::new("discriminator", [2])
        .add(Dense::new(2).use_bias(false))
        .add(BatchNorm::new().momentum(MOMENTUM).eps(EPS))
        .add(Dense::new(1).use_bias(false));
    let config = GanConfig::new(generator, critic)
        .loss(LeastSquares)
        .optimiser(Sgd::new(RATE))
        .batch_size(N)
        .accumulate(A as u64);
    let mut gan = double(config);
    let (mut g, mut d) = (Network::read(&gan, "generator"), Network::read(&gan, "discriminator"));
    for step in 0..2 {
        let (real, latents) = (noise(2 * A * N, "real", step), noise(2 * A * N, "latents", step));
        let found = gan.train_on_batch_with(&real, &latents, None).unwrap();
        let part = |values: &[f64], a: usize| rows(&values[2 * N * a..2 * N * (a + 1)]);
        let n = N as f64;
        let mut losses = [0.0; 3];
        // The discriminator: all gradients at the same weights.
        let (mut sum, mut moved) = (Network::zero(), Vec::new());
        for a in 0..A {
            let (x, z) = (part(&real, a), part(&latents, a));
            let fake = normalised(&product(&z, &g.w), &g.gamma, &g.beta).y;
            let (of_real, real_scores) = d.scores(&x);
            let (of_fake, fake_scores) = d.scores(&fake);
            losses[0] += real_scores.iter().map(|s| 0.5 * (s - 1.0).powi(2)).sum::<f64>() / n / A as f64;
            losses[1] += fake_scores.iter().map(|s| 0.5 * s * s).sum::<f64>() / n / A as f64;
            let cotangent: Vec<f64> = real_scores.iter().map(|s| (s - 1.0) / n).collect();
            d.critic_gradients(&x, &of_real, &cotangent, &mut sum);
            let cotangent: Vec<f64> = fake_scores.iter().map(|s| s / n).collect();
            d.critic_gradients(&fake, &of_fake, &cotangent, &mut sum);
            moved.push(d.moved(&[&of_real, &of_fake]));
        }
        d.add(-RATE / A as f64, &sum);
        d.take_mean(&moved);
        // The generator, against the new discriminator.
        let (mut sum, mut moved, mut judged) = (Network::zero(), Vec::new(), Vec::new());
        for a in 0..A {
            let z = part(&latents, a);
            let layer = normalised(&product(&z, &g.w), &g.gamma, &g.beta);
            let (of_fake, scores) = d.scores(&layer.y);
            losses[2] += scores.iter().map(|s| 0.5 * (s - 1.0).powi(2)).sum::<f64>() / n / A as f64;
            let cotangent: Vec<f64> = scores.iter().map(|s| (s - 1.0) / n).collect();
            let dy = d.critic_gradients(&layer.y, &of_fake, &cotangent, &mut Network::zero());
            g.gradients(&z, &layer, &dy, &mut sum);
            moved.push(g.moved(&[&layer]));
            judged.push(d.moved(&[&of_fake]));
        }
        g.add(-RATE / A as f64, &sum);
        g.take_mean(&moved);
        d.take_mean(&judged);
        // Some hundred operations on numbers of about one, none of which amplifies: divisions are by at least sqrt(EPS).
        let near = |what: &str, found: &[f64], expected: &[f64]| {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-11, "step {step}, {what}: {found:?}, expected {expected:?}");
            }
        };
        near("losses", &[found.d_real, found.d_fake, found.g], &losses);
        near("generator", &Network::read(&gan, "generator").all(), &g.all());
        near("discriminator", &Network::read(&gan, "discriminator").all(), &d.all());
    }
}

/// A generator that hands its latents on, and a critic that adds what it sees, neither of which moves.
fn transparent() -> GanConfig {
    let generator = Sequential::new("generator", [2]).add(Dense::new(2).use_bias(false));
    let critic = Sequential::new("discriminator", [2]).add(Dense::new(1).use_bias(false));
    GanConfig::new(generator, critic).loss(Wasserstein).optimiser(Sgd::new(1e-300)).seed(5).batch_size(3)
}

fn set_transparent(gan: &mut Gan<Reference<f64>>) {
    gan.write_tensor("generator/0.dense/kernel", &[1.0, 0.0, 0.0, 1.0]).unwrap();
    gan.write_tensor("discriminator/0.dense/kernel", &[1.0, 1.0]).unwrap();
}

/// Random numbers belong to micro-batches counted over the run: steps of one, two and four of them see the same.
#[test]
fn latents_follow_from_the_number_of_the_micro_batch() {
    let seen: Vec<f64> = (0..8)
        .map(|number| {
            let mut stream = Stream::new(5, "latents", number);
            (0..6).map(|_| stream.normal()).sum::<f64>() / 3.0
        })
        .collect();
    for accumulate in [1, 2, 4] {
        let mut gan = double(transparent().accumulate(accumulate));
        set_transparent(&mut gan);
        let real = vec![0.0; 6 * accumulate as usize];
        for of_step in seen.chunks_exact(accumulate as usize) {
            let losses = gan.train_on_batch(&real, None).unwrap();
            let mean = of_step.iter().sum::<f64>() / of_step.len() as f64;
            assert!((losses.d_fake - mean).abs() < 1e-12, "{accumulate}: {losses:?}, not {mean}");
            assert!((losses.g + mean).abs() < 1e-12, "{accumulate}: {losses:?}, not {mean}");
        }
    }
}

/// Micro-batches that are made when they are asked for, and a note of which were; one of them may fail once.
struct Asked {
    images: Vec<f64>,
    numbers: RefCell<Vec<u64>>,
    fails: Option<usize>,
}

impl Asked {
    fn new() -> Asked {
        Asked { images: Vec::new(), numbers: RefCell::default(), fails: None }
    }
}

impl MicroBatches<f64> for Asked {
    type Error = Error;

    fn micro_batch(&mut self, number: u64) -> Result<BatchRef<'_, f64>, Error> {
        self.numbers.borrow_mut().push(number);
        if self.fails.take_if(|left| *left == self.numbers.borrow().len()).is_some() {
            return Err(Error::Invalid("no more images".into()));
        }
        self.images = noise(6, "asked", number);
        Ok(((&self.images).into(), None))
    }
}

#[test]
fn micro_batches_are_asked_for_in_order_and_again_where_they_are_read_again() {
    let asked = |config: GanConfig| {
        let mut gan = double(config.accumulate(3));
        let mut batches = Asked::new();
        for _ in 0..2 {
            gan.train_step_by(&mut batches).unwrap();
        }
        // What comes in one piece is the same.
        let mut again = double(gan.config().clone());
        for step in 0..2 {
            let real: Vec<f64> = (0..3).flat_map(|a| noise(6, "asked", 3 * step + a)).collect();
            again.train_step(&real, None).unwrap();
        }
        assert_eq!(again.losses().unwrap(), gan.losses().unwrap());
        batches.numbers.into_inner()
    };
    let config = || transparent().optimiser(Adam::new(1e-2));
    assert_eq!(asked(config()), [0, 1, 2, 3, 4, 5]);
    assert_eq!(asked(config().loss(Relativistic)), [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
    let mut apart = config();
    apart.separate_updates = true;
    assert_eq!(asked(apart), [0, 1, 2, 3, 4, 5]);
}

/// A step that a missing image ends leaves nothing of its sums behind.
#[test]
fn a_step_that_failed_can_be_taken_again() {
    let config = || transparent().optimiser(Adam::new(1e-2)).accumulate(3);
    let (mut straight, mut failed) = (double(config()), double(config()));
    let mut batches = Asked::new();
    for _ in 0..2 {
        straight.train_step_by(&mut batches).unwrap();
    }
    let mut batches = Asked { fails: Some(6), ..Asked::new() };
    failed.train_step_by(&mut batches).unwrap();
    let error = failed.train_step_by(&mut batches).unwrap_err().to_string();
    assert!(error.contains("no more images"), "{error}");
    failed.train_step_by(&mut batches).unwrap();
    assert_eq!(batches.numbers.borrow()[..], [0, 1, 2, 3, 4, 5, 3, 4, 5]);
    assert_eq!(failed.losses().unwrap(), straight.losses().unwrap());
    let bytes = |gan: &mut Gan<_>| gan.to_file().unwrap().to_bytes().unwrap();
    assert_eq!(bytes(&mut failed), bytes(&mut straight));
}

/// With everything that keeps state, on the backend that runs use: a file between two steps is all that there is.
fn resumes<B: Backend>(backend: &B) {
    let generator = Sequential::new("generator", [2])
        .add(Dense::new(8).use_bias(false))
        .add(BatchNorm::new().momentum(0.9))
        .add(Dense::new(16))
        .add(gannet::layers::Reshape::new([4, 4, 1]));
    let critic = Sequential::new("discriminator", [4, 4, 1])
        .add(gannet::layers::Flatten::new())
        .add(Dense::new(8).use_bias(false))
        .add(BatchNorm::new().momentum(0.9))
        .add(gannet::layers::Dropout::new(0.2))
        .add(gannet::layers::SpectralNorm::new(Dense::new(1)));
    let config = GanConfig::new(generator, critic)
        .augment(Augment::paper())
        .discriminator_steps(2)
        .schedule(Schedule::Cosine, 20)
        .ema(Ema::default())
        .batch_size(4)
        .accumulate(3);
    let train = |gan: &mut Gan<B>, steps: std::ops::Range<u64>| {
        for step in steps {
            let real = noise(3 * 4 * 16, "real", step).into_iter().map(gannet::Element::of);
            gan.train_step(&real.collect::<Vec<_>>(), None).unwrap();
        }
        gan.to_file().unwrap().to_bytes().unwrap()
    };
    let mut gan = Gan::new(backend, config).unwrap();
    train(&mut gan, 0..3);
    let middle = gan.to_file().unwrap();
    let straight = train(&mut gan, 3..7);
    let mut again = Gan::from_file(backend, &middle).unwrap();
    assert_eq!((again.step(), again.config().accumulate), (3, 3));
    assert!(train(&mut again, 3..7) == straight, "{}", backend.describe());
}

#[test]
fn a_saved_run_goes_on_with_the_same_bits() {
    resumes(&Reference::<f32>::new());
    #[cfg(feature = "cpu")]
    {
        resumes(&gannet::Cpu::with_threads(1).unwrap());
        resumes(&gannet::Cpu::with_threads(3).unwrap());
    }
}

/// The temporaries of a step of micro-batches lie in one memory in turn, which is no larger than that of a step on one batch.
#[test]
fn micro_batches_take_the_memory_of_one_batch() {
    let temporaries = |accumulate: u64| -> usize {
        let config = presets::get("dcgan").unwrap().batch_size(8).accumulate(accumulate).steps(1);
        let mut gan = Gan::new(&Reference::<f32>::new(), config).unwrap();
        let (mut own, mut shared) = (0, BTreeMap::new());
        for (plan, _) in gan.plans().unwrap() {
            for buffer in plan.buffers() {
                match &buffer.kind {
                    BufferKind::Temporary => own += buffer.elements,
                    BufferKind::Variable(name) if name.starts_with("scratch ") => {
                        let elements = shared.entry(name.clone()).or_insert(0);
                        *elements = buffer.elements.max(*elements);
                    }
                    _ => {}
                }
            }
        }
        own + shared.values().sum::<usize>()
    };
    let (one, many) = (temporaries(1), temporaries(64));
    assert!(many <= one, "{many} numbers, for a single batch {one}");
}

#[test]
fn a_step_of_many_micro_batches_is_a_few_programs() {
    let mut config = transparent().accumulate(100);
    let mut gan = double(config.clone());
    let plans: Vec<(usize, u64)> =
        gan.plans().unwrap().iter().map(|(plan, runs)| (plan.instructions().len(), *runs)).collect();
    let runs: Vec<u64> = plans.iter().map(|(_, runs)| *runs).collect();
    assert_eq!(runs, [1, 100, 1, 1, 100, 1]);
    assert!(gan.prepare().unwrap_err().to_string().contains("100 micro-batches"));
    assert!(gan.executable().is_err());
    config.accumulate = 1;
    let mut gan = double(config);
    assert_eq!(gan.plans().unwrap().iter().map(|(_, runs)| *runs).collect::<Vec<_>>(), [1]);
    gan.prepare().unwrap();
}

#[test]
fn what_does_not_fit_says_what_would() {
    let message = |config: GanConfig| config.build().unwrap_err().to_string();
    assert!(message(transparent().accumulate(0)).contains("accumulate"));
    assert!(message(transparent().accumulate(u64::MAX)).contains("at most 4194304 images"));
    let mut gan = double(transparent().accumulate(2));
    let message = |result: gannet::Result<()>| result.unwrap_err().to_string();
    let wrong = message(gan.train_step(&[0.0; 6], None));
    assert!(wrong.contains("2 micro-batches of 3 images of shape [2] takes 12 numbers, got 6"), "{wrong}");
    let wrong = message(gan.train_step_with(&[0.0; 12], &[0.0; 6], None));
    assert!(wrong.contains("6 latents of 2 numbers each, got 6 numbers"), "{wrong}");
    let wrong = message(gan.train_step(&[0.0; 12], Some(&[0; 6])));
    assert!(wrong.contains("no classes"), "{wrong}");
    assert_eq!(gan.step(), 0);
}
