//! A ring of eight Gaussians, with a layer, a loss and an optimiser that are not of the crate: what a library user writes.
//!
//! Trains halfway, saves, loads, sees that the samples are the same, and goes on; then says how many of the eight modes
//! the generator has found.
//!
//! ```text
//! cargo run --release -p gannet --example ring
//! ```

use std::ops::ControlFlow;

use gannet::layers::{self, Dense, LeakyRelu};
use gannet::losses::{self, AdversarialLoss, Pointwise, Terms};
use gannet::optimisers::{self, UpdateRule};
use gannet::{
    Batch, Checkpoint, Context, Cpu, Error, Gan, GanConfig, Initialiser, Layer, Optimiser, Options,
    Parameter, Penalty, Result, Sequential, Shape, StepLosses, Stream, Var,
};
use serde::{Deserialize, Serialize};

const BATCH: usize = 128;
const STEPS: u64 = 6000;
const MODES: usize = 8;
const RADIUS: f64 = 2.0;
const SPREAD: f64 = 0.1;

/// The largest of `pieces` affine maps of the input, unit by unit (Goodfellow et al. 2013): what the discriminators of
/// the first GANs were made of. Input [in], output [units].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Maxout {
    units: usize,
    pieces: usize,
}

impl Layer for Maxout {
    fn kind(&self) -> &'static str {
        "maxout"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if input.rank() != 1 || self.pieces == 0 {
            return Err(Error::Invalid(format!(
                "maxout: expected an input of shape [in] and a piece or more, got {input} and {}",
                self.pieces
            )));
        }
        Ok(Shape::from([self.units]))
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        let len = self.pieces * self.units;
        vec![
            Parameter::new("kernel", [input.len(), len], None),
            Parameter::new("bias", [len], Initialiser::Zeros),
        ]
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let y = x.matmul(cx.parameter("kernel")?) + cx.parameter("bias")?;
        let n = x.shape().dims()[0];
        Ok(y.reshape([n, self.pieces, self.units]).max(&[1]).reshape([n, self.units]))
    }

    fn options(&self) -> Result<Options> {
        Options::of(self)
    }
}

/// Binary cross-entropy for the discriminator with both targets drawn in by `smoothing`; the generator's is
/// non-saturating.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TwoSided {
    smoothing: f64,
}

impl AdversarialLoss for TwoSided {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }
}

impl Pointwise for TwoSided {
    fn real<'g>(&self, scores: Var<'g>, _target: f64) -> Var<'g> {
        against(scores, 1.0 - self.smoothing)
    }

    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
        against(scores, self.smoothing)
    }

    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        against(fake, 1.0)
    }

    fn boundary(&self, _scores: &[f64], _target: f64) -> Option<f64> {
        Some(0.0)
    }
}

fn against(logits: Var<'_>, target: f64) -> Var<'_> {
    logits.bce_logits(logits.graph().fill(logits.shape(), target)).mean_all()
}

/// AdaBelief (Zhuang et al. 2020): Adam whose second moment is that of the gradient's distance from the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdaBelief {
    learning_rate: f64,
    beta1: f64,
    beta2: f64,
}

const EPS: f64 = 1e-8;

impl UpdateRule for AdaBelief {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn with_learning_rate(&self, learning_rate: f64) -> Optimiser {
        AdaBelief { learning_rate, ..self.clone() }.into()
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m", "s"]
    }

    /// The step size, and what corrects the second moment for its start from zero.
    fn scalars(&self, t: u64, factor: f64) -> Vec<f64> {
        let correction = |beta: f64| 1.0 / (1.0 - beta.powf(t as f64));
        vec![self.learning_rate * factor * correction(self.beta1), correction(self.beta2)]
    }

    fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
        let [p, m, s] = [0, 1, 2].map(|row| state.slice(0, row, row + 1));
        let [step_size, correction] = [0, 1].map(|i| scalars.slice(0, i, i + 1));
        let g = gradient.reshape(p.shape());
        let m = m * self.beta1 + g * (1.0 - self.beta1);
        let s = s * self.beta2 + (g - m).square() * (1.0 - self.beta2) + EPS;
        let p = p - m * step_size * ((s * correction).sqrt() + EPS).reciprocal();
        Var::concat(&[p, m, s], 0)
    }
}

/// The centre of a mode.
fn centre(mode: usize) -> [f64; 2] {
    let angle = mode as f64 / MODES as f64 * std::f64::consts::TAU;
    [RADIUS * angle.cos(), RADIUS * angle.sin()]
}

/// The points of a step.
fn points(step: u64) -> Batch<f32> {
    let mut stream = Stream::new(1, "ring", step);
    let mut real = Vec::with_capacity(2 * BATCH);
    for _ in 0..BATCH {
        let centre = centre(stream.below(MODES as u32) as usize);
        real.extend(centre.map(|x| (x + SPREAD * stream.normal()) as f32));
    }
    real.into()
}

fn main() -> Result<()> {
    // What is registered can be saved, loaded, and named in model files.
    layers::register::<Maxout>("maxout")?;
    losses::register::<TwoSided>("two_sided")?;
    optimisers::register::<AdaBelief>("ada_belief")?;

    let hidden = |model: Sequential| {
        model.add(Dense::new(64)).add(LeakyRelu::new(0.2)).add(Maxout { units: 64, pieces: 2 })
    };
    let model = |name: &str, input: usize| Sequential::new(name, [input]).initialiser(Initialiser::HeNormal);
    let generator = hidden(model("generator", 8)).add(Dense::new(2));
    let discriminator = hidden(model("discriminator", 2)).add(Dense::new(1));
    let config = GanConfig::new(generator, discriminator)
        .name("ring")
        .loss(TwoSided { smoothing: 0.1 })
        .optimiser(AdaBelief { learning_rate: 1e-3, beta1: 0.5, beta2: 0.99 })
        .penalty(Penalty::R1 { gamma: 0.1, every: 1 })
        .batch_size(BATCH);
    println!("{}", config.to_toml()?);

    let backend = Cpu::new()?;
    let path = std::env::temp_dir().join(format!("gannet-ring-{}.safetensors", std::process::id()));
    let mut watch = |of: StepLosses| {
        if of.step.is_multiple_of(1000) {
            println!("step {}: {:?}", of.step, of.losses);
        }
        ControlFlow::Continue(())
    };
    let mut checkpoint = Checkpoint::every(STEPS / 2, &path)?;
    let mut gan = Gan::new(&backend, config)?;
    gan.fit(STEPS / 2, |step| Ok(points(step)), &mut [&mut watch, &mut checkpoint])?;

    let before = gan.generate(&gan.latents(100, 2), None)?;
    let mut gan = Gan::load(&backend, &path)?;
    let after = gan.generate(&gan.latents(100, 2), None)?;
    assert!(before == after, "the model that was loaded gives other samples");
    println!("loaded at step {}: the same samples", gan.step());
    gan.fit(STEPS, |step| Ok(points(step)), &mut [&mut watch])?;
    std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;

    let samples = gan.generate(&gan.latents(2000, 1), None)?;
    let mut found = [0; MODES];
    for sample in samples.chunks_exact(2) {
        let distance = |mode: usize| {
            let [x, y] = centre(mode);
            (f64::from(sample[0]) - x).hypot(f64::from(sample[1]) - y)
        };
        if let Some(mode) = (0..MODES).find(|mode| distance(*mode) < 4.0 * SPREAD) {
            found[mode] += 1;
        }
    }
    let reached = found.iter().filter(|count| **count >= 20).count();
    let near = found.iter().sum::<i32>();
    println!("{reached} of {MODES} modes; {near} of 2000 samples lie near one: {found:?}");
    Ok(())
}
