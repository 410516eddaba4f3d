//! Steps that ranks share.

use std::thread;
use std::time::{Duration, Instant};

use gannet::collective::{Alone, Collective, Threads};
use gannet::layers::{BatchNorm, Dense, Dropout, Flatten, Reshape, SpectralNorm};
use gannet::losses::Relativistic;
use gannet::{
    Augment, Backend, BatchRef, Element, Ema, Error, Gan, GanConfig, MicroBatches, Reference, Schedule,
    Sequential, Stream, presets,
};

/// Long enough for any test, short enough that one that fails ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// Made-up images and classes, by their numbers.
struct Made {
    batch: usize,
    /// Numbers of an image.
    size: usize,
    classes: Option<usize>,
    images: Vec<f32>,
    labels: Vec<u32>,
    asked: Vec<u64>,
}

impl Made {
    fn of<B: Backend>(gan: &Gan<B>) -> Made {
        let (batch, size, classes) =
            (gan.config().batch_size, gan.image_shape().len(), gan.training_labels());
        Made { batch, size, classes, images: Vec::new(), labels: Vec::new(), asked: Vec::new() }
    }
}

impl MicroBatches<f32> for Made {
    type Error = Error;

    fn micro_batch(&mut self, number: u64) -> Result<BatchRef<'_, f32>, Error> {
        self.asked.push(number);
        let mut stream = Stream::new(3, "made", number);
        self.images = (0..self.batch * self.size).map(|_| f32::of(stream.uniform(-1.0, 1.0))).collect();
        let classes = self.classes.unwrap_or(1) as u32;
        self.labels = (0..self.batch).map(|_| stream.below(classes)).collect();
        Ok((&self.images, self.classes.map(|_| &self.labels[..])))
    }
}

/// What a run came to: all that is saved, losses and gauges of each step in words, the micro-batches that were asked for.
#[derive(Debug, PartialEq)]
struct Came {
    model: Vec<u8>,
    told: Vec<String>,
}

fn train<B: Backend<Element = f32>>(
    gan: &mut Gan<B>,
    ranks: &mut dyn Collective<f32>,
    steps: u64,
) -> (Came, Vec<u64>) {
    let mut data = Made::of(gan);
    let told = (0..steps).map(|_| {
        gan.train_step_among(ranks, &mut data).unwrap();
        let losses = gan.losses().unwrap();
        while gan.next_losses().unwrap().is_some() {}
        format!("{losses:?} {:?}", gan.gauges().unwrap())
    });
    let told = told.collect();
    (Came { model: gan.to_file().unwrap().to_bytes().unwrap(), told }, data.asked)
}

/// What so many ranks come to, each on a backend of its own, and what each asked for.
fn train_among<B: Backend<Element = f32>>(
    backend: impl Fn(usize) -> B + Sync,
    config: &GanConfig,
    ranks: usize,
    steps: u64,
) -> Vec<(Came, Vec<u64>)> {
    thread::scope(|scope| {
        let rank = |mut rank: Threads<f32>| {
            let backend = &backend;
            scope.spawn(move || {
                let mut gan = Gan::new(&backend(rank.rank()), config.clone()).unwrap();
                train(&mut gan, &mut rank, steps)
            })
        };
        let threads: Vec<_> = Threads::new(ranks, PATIENCE).into_iter().map(rank).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Any number of ranks comes to the bytes of one alone, on every rank.
#[track_caller]
fn assert_the_same<B: Backend<Element = f32>>(
    name: &str,
    backend: impl Fn(usize) -> B + Sync,
    config: &GanConfig,
    steps: u64,
) {
    let mut gan = Gan::new(&backend(0), config.clone()).unwrap();
    let (alone, _) = train(&mut gan, &mut Alone, steps);
    for ranks in
        (2..=config.accumulate as usize).filter(|ranks| (config.accumulate as usize).is_multiple_of(*ranks))
    {
        for (rank, (came, _)) in train_among(&backend, config, ranks, steps).into_iter().enumerate() {
            assert_eq!(came.told, alone.told, "{name}: rank {rank} of {ranks}");
            assert!(came.model == alone.model, "{name}: the model of rank {rank} of {ranks}");
        }
    }
}

/// A preset with layers of a few channels.
fn narrow(name: &str) -> GanConfig {
    let mut text = presets::text(name).unwrap().to_owned();
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
        text = text.replace(from, to);
    }
    GanConfig::from_toml(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// On the backend that runs use; every rank has another number of threads.
#[cfg(feature = "cpu")]
#[test]
fn every_preset_comes_to_the_same_bytes_with_any_number_of_ranks() {
    let threads: Vec<gannet::Cpu> = (1..=2).map(|n| gannet::Cpu::with_threads(n).unwrap()).collect();
    for name in presets::names() {
        // WGAN-GP's generator moves in every fifth step.
        let config = narrow(name).batch_size(2).accumulate(4).steps(3);
        assert_the_same(name, |rank| threads[rank % 2].clone(), &config, 3);
    }
}

/// Everything that keeps state or goes over a step twice.
fn with_everything() -> GanConfig {
    let generator = Sequential::new("generator", [3])
        .add(Dense::new(8).use_bias(false))
        .add(BatchNorm::new().momentum(0.9))
        .add(Dense::new(16))
        .add(Reshape::new([4, 4, 1]));
    let critic = Sequential::new("discriminator", [4, 4, 1])
        .add(Flatten::new())
        .add(Dense::new(7).use_bias(false))
        .add(BatchNorm::new().momentum(0.9))
        .add(Dropout::new(0.2))
        .add(SpectralNorm::new(Dense::new(1)));
    GanConfig::new(generator, critic)
        .augment(Augment::paper())
        .discriminator_steps(2)
        .schedule(Schedule::Cosine, 20)
        .ema(Ema::default())
        .batch_size(3)
        .accumulate(6)
}

#[test]
fn whatever_a_step_has_is_shared() {
    let backend = |_| Reference::<f32>::new();
    assert_the_same("pointwise", backend, &with_everything(), 4);
    assert_the_same("relativistic", backend, &with_everything().loss(Relativistic), 3);
    let mut apart = with_everything();
    apart.separate_updates = true;
    assert_the_same("separate updates", backend, &apart, 3);
    apart.augment = None;
    assert_the_same("separate updates, no augmentation", backend, &apart, 3);
}

#[test]
fn a_rank_asks_for_its_own_micro_batches() {
    let backend = |_| Reference::<f32>::new();
    let asked = |config: &GanConfig| -> Vec<Vec<u64>> {
        train_among(backend, config, 3, 2).into_iter().map(|(_, asked)| asked).collect()
    };
    let config = with_everything().discriminator_steps(1);
    assert_eq!(asked(&config), [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]);
    // The generator's phase reads them again.
    let first: &[u64] = &[0, 3, 0, 3, 6, 9, 6, 9];
    assert_eq!(asked(&config.loss(Relativistic))[0], first);
}

/// A rank that counts the numbers that go from it to others.
struct Counting {
    rank: Threads<f32>,
    sent: usize,
}

impl Collective<f32> for Counting {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn ranks(&self) -> usize {
        self.rank.ranks()
    }

    fn all_to_all(&mut self, parts: &[f32], received: &mut [f32]) -> gannet::Result<()> {
        self.sent += parts.len() / self.ranks() * (self.ranks() - 1);
        self.rank.all_to_all(parts, received)
    }

    fn all_gather(&mut self, own: &[f32], all: &mut [f32]) -> gannet::Result<()> {
        self.sent += own.len() * (self.ranks() - 1);
        self.rank.all_gather(own, all)
    }

    fn share(&mut self, bytes: Vec<u8>) -> gannet::Result<Vec<u8>> {
        self.rank.share(bytes)
    }

    fn gather(&mut self, bytes: &[u8]) -> gannet::Result<Vec<Vec<u8>>> {
        self.rank.gather(bytes)
    }

    fn abort(&mut self, message: &str) {
        self.rank.abort(message);
    }
}

/// What a step sends is what its documentation says: (R - 1) / R of the parameters once for each micro-batch of a rank, and
/// once for the sum.
#[test]
fn a_rank_sends_a_part_of_the_gradient_for_each_of_its_micro_batches_and_one_of_the_sum() {
    let wide = |name: &str, z: usize, units: usize| {
        Sequential::new(name, [z]).add(Dense::new(300)).add(Dense::new(300)).add(Dense::new(units))
    };
    let config =
        GanConfig::new(wide("generator", 2, 16), wide("discriminator", 16, 1)).batch_size(1).accumulate(8);
    let (generator, discriminator) = config.build().unwrap();
    let parameters = (generator.parameter_count() + discriminator.parameter_count()) as f64;
    for (ranks, rounds) in [(2, 4), (4, 2), (8, 1)] {
        let sent = thread::scope(|scope| {
            let threads: Vec<_> = Threads::new(ranks, PATIENCE)
                .into_iter()
                .map(|rank| {
                    let config = &config;
                    scope.spawn(move || {
                        let mut rank = Counting { rank, sent: 0 };
                        let mut gan = Gan::new(&Reference::<f32>::new(), config.clone()).unwrap();
                        train(&mut gan, &mut rank, 1);
                        rank.sent
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let expected = parameters * f64::from(rounds + 1) * (ranks - 1) as f64 / ranks as f64;
        for sent in sent {
            // Besides, losses, padding and scores: some hundred numbers.
            let ratio = sent as f64 / expected;
            assert!((1.0..1.01).contains(&ratio), "{ranks} ranks sent {sent} numbers, expected {expected}");
        }
    }
}

#[test]
fn ranks_that_do_not_fit_are_refused_before_anything_is_sent() {
    let mut ranks = Threads::new(3, PATIENCE);
    let mut gan = Gan::new(&Reference::<f32>::new(), with_everything().accumulate(4)).unwrap();
    let mut data = Made::of(&gan);
    let message = gan.train_step_among(&mut ranks[1], &mut data).unwrap_err().to_string();
    assert!(message.contains("3 ranks cannot share the 4 micro-batches"), "{message}");
    assert!(data.asked.is_empty() && gan.step() == 0);
}

/// What the other ranks end with when one of two does this.
fn others_end_with(timeout: Duration, act: impl FnOnce(Threads<f32>) + Send) -> String {
    let mut ranks = Threads::new(2, timeout).into_iter();
    let (mut rank, other) = (ranks.next().unwrap(), ranks.next().unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let mut gan = Gan::new(&Reference::<f32>::new(), with_everything()).unwrap();
            let mut data = Made::of(&gan);
            gan.train_step_among(&mut rank, &mut data).unwrap_err().to_string()
        });
        // That it panics is the point.
        let _ = scope.spawn(move || act(other)).join();
        waiting.join().unwrap()
    })
}

#[test]
fn a_rank_that_ends_or_is_not_heard_from_is_an_error_of_the_others() {
    let message = others_end_with(PATIENCE, |mut rank| rank.abort("no more images"));
    assert_eq!(message, "rank 1: no more images");
    let message = others_end_with(PATIENCE, |_rank| panic!("a rank that panics, as it should in this test"));
    assert_eq!(message, "rank 1 has panicked");
    let began = Instant::now();
    let message = others_end_with(Duration::from_millis(300), |rank| {
        thread::sleep(Duration::from_secs(1));
        drop(rank);
    });
    assert!(
        message.contains("rank 0 has waited 300ms") && message.contains("nothing came from [1]"),
        "{message}"
    );
    assert!(began.elapsed() < PATIENCE);
    // One that does something else than the others.
    let message = others_end_with(PATIENCE, |mut rank| drop(rank.gather(b"hello")));
    assert!(message.contains("different things"), "{message}");
}

#[test]
fn bytes_reach_all_ranks() {
    let gathered = thread::scope(|scope| {
        let threads: Vec<_> = Threads::<f32>::new(3, PATIENCE)
            .into_iter()
            .map(|mut rank| {
                scope.spawn(move || {
                    let own = vec![b'x'; rank.rank()];
                    let shared = rank.share(format!("of rank {}", rank.rank()).into_bytes()).unwrap();
                    (shared, rank.gather(&own).unwrap())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for (shared, gathered) in gathered {
        assert_eq!(shared, b"of rank 0");
        assert_eq!(gathered, [&b""[..], b"x", b"xx"]);
    }
    let mut alone = Alone;
    let all = Collective::<f32>::gather(&mut alone, b"own").unwrap();
    assert_eq!((all, Collective::<f32>::ranks(&alone)), (vec![b"own".to_vec()], 1));
}
