//! metrics.jsonl, and what is done when it shows that a run goes wrong.

use std::path::PathBuf;
use std::time::Duration;

use gannet::Losses;
use gannet::metrics::{dequantise, quantise};
use gannet_data::{DataSet, Images, LabelledImages};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::diversity::mean_distance;
use super::observer::{Next, Observer, Step, Trained};
use super::sampler::classes_in_turn;
use super::watch::Watch;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::evaluation::{ClassifierFile, Compared, Evaluator};
use crate::run::metrics_file::{Event, EventKind, METRICS, Point};
use crate::run::{BEST, CLASSIFIER, Config, Evaluation, Log, MetricsSettings, OnCollapse, RunDirectory};
use crate::terminal::{Listening, note};

/// Samples whose diversity is measured: as many as are drawn at a time anyway.
const SAMPLES: usize = 64;

/// Real images that they are compared with.
const REAL: usize = 1000;

/// Images that are no farther apart than this are the same: what is left is rounding.
const SAME: f64 = 1e-3;

/// How often a run goes back to a checkpoint before it stops.
const ROLLBACKS: u64 = 3;

/// What the learning rates are multiplied with each time.
const SLOWER: f64 = 0.5;

/// What has been measured since the last line: part of a checkpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Since {
    /// Sums of the losses.
    sums: [f64; 3],
    steps: u64,
    images: u64,
    watch: Watch,
    rollbacks: u64,
    /// The lowest Frechet distance so far, and the step of it.
    best: Option<(f64, u64)>,
}

/// Writes metrics.jsonl and watches over the run.
pub struct Metrics {
    log: Log,
    /// Where the model goes that scores best.
    best: PathBuf,
    data: DataSet,
    settings: MetricsSettings,
    steps: u64,
    seed: u64,
    quiet: bool,
    /// How far real images are apart, and whether of the same class.
    real_distance: Option<f64>,
    since: Since,
    /// When the line before was written, and how long the run has trained by now. Not part of what is compared.
    before: Option<Duration>,
    now: Duration,
    /// Rollbacks so far: not forgotten when the run goes back.
    rollbacks: u64,
    /// Lines about going back: they are written when the log has been cut.
    pending: Vec<Point>,
    /// What evaluations compare the features of.
    classifier: ClassifierFile,
    evaluator: Option<Evaluator<Device>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics in {}", self.log.path().display())
    }
}

impl Metrics {
    /// For this run, which is trained on `data`; `conditional` says whether classes are asked for.
    pub fn new(
        run: &RunDirectory,
        settings: &Config,
        data: &DataSet,
        conditional: bool,
        quiet: bool,
    ) -> Result<Self> {
        Ok(Metrics {
            data: data.clone(),
            log: Log::new(run.path().join(METRICS), ""),
            best: run.path().join(BEST),
            settings: settings.metrics.clone(),
            steps: settings.steps,
            seed: settings.seed,
            quiet,
            real_distance: real_distance(data, conditional, settings.seed)?,
            since: Since::default(),
            before: Some(Duration::ZERO),
            now: Duration::ZERO,
            rollbacks: 0,
            pending: Vec::new(),
            classifier: classifier(run, &settings.metrics)?,
            evaluator: None,
        })
    }

    /// Adds a line.
    fn write(&mut self, point: &Point) -> Result<()> {
        self.log.append(point.line()?.as_bytes());
        Ok(())
    }

    /// The line of an event.
    fn line(&self, step: u64, kind: EventKind, message: String) -> Point {
        let event = Some(Event { kind, message });
        Point { step, images: self.since.images, event, ..Point::default() }
    }

    /// What the losses, the model and its samples come to.
    fn point(&mut self, step: u64, model: &mut dyn Trained) -> Result<Point> {
        let gauges = model.gauges()?;
        let labels = model.classes().map(|classes| classes_in_turn(SAMPLES, classes));
        let latents = model.latents(SAMPLES, self.seed);
        let images = model.generate(&latents, labels.as_deref())?;
        let distance = mean_distance(&images, images.len() / SAMPLES, labels.as_deref());
        let finite = |x: f64| x.is_finite().then_some(x);
        let Since { sums, steps, images, .. } = &self.since;
        let mean = |k: usize| (*steps > 0).then(|| sums[k] / *steps as f64).and_then(finite);
        let took = self.before.map_or(0.0, |before| self.now.saturating_sub(before).as_secs_f64());
        Ok(Point {
            step,
            images: *images,
            seconds: Some(self.now.as_secs_f64()),
            steps_per_second: (took > 0.0 && *steps > 0).then(|| *steps as f64 / took),
            d_real: mean(0),
            d_fake: mean(1),
            g: mean(2),
            g_learning_rate: Some(gauges.learning_rates[0]),
            d_learning_rate: Some(gauges.learning_rates[1]),
            d_accuracy_real: gauges.verdicts.accuracy.map(|shares| shares[0]),
            d_accuracy_fake: gauges.verdicts.accuracy.map(|shares| shares[1]),
            d_score_real: finite(gauges.verdicts.real),
            d_score_fake: finite(gauges.verdicts.fake),
            g_gradient_norm: gauges.gradient_norms[0].and_then(finite),
            d_gradient_norm: gauges.gradient_norms[1].and_then(finite),
            diversity: distance.zip(self.real_distance).and_then(|(found, real)| finite(found / real)),
            evaluation: None,
            event: None,
        })
    }

    /// Scores images of the model. The classifier runs on the CPU, whatever trains.
    fn evaluate(&mut self, model: &mut dyn Trained) -> Result<Evaluation> {
        let count = self.settings.evaluate_count as usize;
        if self.evaluator.is_none() {
            let cpu = Device::cpu()?;
            let test = self.data.record().open_test(&Listening::default())?;
            let compared = Compared::of(&self.data, test.as_ref(), self.seed)?;
            self.evaluator = Some(Evaluator::new(&cpu, &self.classifier, compared, count, self.seed)?);
        }
        let Some(evaluator) = &mut self.evaluator else { unreachable!("made above") };
        let labels = model.classes().map(|classes| classes_in_turn(count, classes));
        let images = model.generate(&model.latents(count, self.seed), labels.as_deref())?;
        let images: Vec<u8> = images.into_iter().map(quantise).collect();
        Ok(Evaluation {
            count,
            seed: self.seed,
            dataset: self.data.name(),
            test_images: evaluator.test_images(),
            features: evaluator.features().clone(),
            generated: evaluator.score(&images, labels.as_deref(), self.seed)?,
            floor: evaluator.floor().clone(),
            memorisation: None,
            train_on_synthetic: None,
        })
    }

    /// What is done about a run that goes wrong, for this reason, which the log has as `line`.
    fn answer(&mut self, line: Point, reason: &str) -> Next {
        let step = line.step;
        match self.settings.on_collapse {
            OnCollapse::Warn => Next::GoOn,
            OnCollapse::Stop => Next::Stop(reason.into()),
            OnCollapse::Rollback if self.rollbacks < ROLLBACKS => {
                self.rollbacks += 1;
                let message = format!(
                    "went back from step {step} to the last good checkpoint, with learning rates times {SLOWER} ({} of \
                     {ROLLBACKS} times): {reason}",
                    self.rollbacks
                );
                self.pending.push(line);
                self.pending.push(self.line(step, EventKind::Rollback, message));
                Next::RollBack { reason: reason.into(), learning_rate: SLOWER }
            }
            OnCollapse::Rollback => Next::Stop(format!(
                "{reason}; the run went back to a checkpoint {ROLLBACKS} times, and that did not help"
            )),
        }
    }
}

impl Observer for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn stepped(&mut self, step: &Step) -> Result<Next> {
        let Losses { d_real, d_fake, g } = step.losses;
        self.since.sums.iter_mut().zip([d_real, d_fake, g]).for_each(|(sum, loss)| *sum += loss);
        self.since.steps += 1;
        (self.since.images, self.now) = (step.images, step.elapsed);
        Ok(Next::GoOn)
    }

    fn periods(&self) -> Vec<u64> {
        std::iter::once(self.settings.log_every).chain(self.settings.evaluate_every).collect()
    }

    fn examine(&mut self, step: u64, model: &mut dyn Trained, points: &mut Vec<Point>) -> Result<Next> {
        let due = |every: u64| step.is_multiple_of(every) || step >= self.steps;
        let evaluates = self.settings.evaluate_every.is_some_and(due);
        let mut point = self.point(step, model)?;
        let events = self.since.watch.look(&point);
        if evaluates {
            let evaluation = self.evaluate(model)?;
            let distance = evaluation.generated.frechet_distance;
            let best = self.since.best.is_none_or(|(best, _)| distance < best);
            if best {
                model.save(&self.best)?;
                self.since.best = Some((distance, step));
            }
            if !self.quiet {
                note(&format!(
                    "step {step}: Frechet distance {distance:.2} (floor {:.2}), over {} images, not the final evaluation's \
                     number{}",
                    evaluation.floor.frechet_distance,
                    evaluation.count,
                    if best { "; the best so far, kept as best.safetensors" } else { "" }
                ));
            }
            point.evaluation = Some(evaluation);
        }
        self.write(&point)?;
        points.push(point);
        let Since { sums, steps, .. } = &mut self.since;
        (*sums, *steps, self.before) = ([0.0; 3], 0, Some(self.now));
        let mut next = Next::GoOn;
        for event in events {
            let Event { kind, message } = event;
            let line = self.line(step, kind, message.clone());
            self.write(&line)?;
            points.push(line.clone());
            // Others are only signs: many runs get over them.
            if matches!(kind, EventKind::Collapse | EventKind::Losses) && step < self.steps {
                next = self.answer(line, &message);
            }
            // Whoever goes back or ends says why.
            if !self.quiet && next == Next::GoOn {
                note(&format!("step {step}: {message}"));
            }
        }
        Ok(next)
    }

    fn diverged(&mut self, step: u64, message: &str) -> Result<Next> {
        let line = self.line(step, EventKind::Divergence, message.into());
        self.write(&line)?;
        Ok(self.answer(line, message))
    }

    fn logs(&mut self) -> Vec<&mut Log> {
        vec![&mut self.log]
    }

    fn state(&self) -> Value {
        let since = serde_json::to_value(&self.since).unwrap_or_default();
        json!({ "since": since, "rollbacks": self.rollbacks, "suspect": self.since.watch.is_suspect() })
    }

    fn restored(&mut self, _: u64, state: &Value) -> Result<()> {
        let best = self.since.best;
        self.since = serde_json::from_value(state["since"].clone()).unwrap_or_default();
        // Of a run that goes back, what it did better before is kept.
        self.since.best = [best, self.since.best].into_iter().flatten().min_by(|a, b| a.0.total_cmp(&b.0));
        // A run that goes back must not forget how often it has.
        self.rollbacks = self.rollbacks.max(state["rollbacks"].as_u64().unwrap_or_default());
        // How long the steps since the line before took is not known.
        self.before = None;
        Ok(())
    }

    fn logs_cut(&mut self, points: &mut Vec<Point>) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        pending.iter().try_for_each(|point| self.write(point))?;
        points.extend(pending);
        Ok(())
    }
}

/// The classifier of a run. Errors when the one that it had is gone or another.
fn classifier(run: &RunDirectory, settings: &MetricsSettings) -> Result<ClassifierFile> {
    let (Some(name), Some(sha256)) = (&settings.classifier, &settings.classifier_sha256) else {
        return Ok(ClassifierFile::embedded());
    };
    let path = run.path().join(CLASSIFIER);
    let mut file = ClassifierFile::read(&path)?;
    if file.sha256 != *sha256 {
        return Err(Error::failure(format!(
            "{} has the sha256 {}, the run's classifier had {sha256}: put the file back that was {name}",
            path.display(),
            file.sha256
        )));
    }
    // Its name is part of what is written, and the same wherever the run is gone on with.
    file.name.clone_from(name);
    Ok(file)
}

/// How far real images are apart: a thousand of them, drawn by chance.
fn real_distance(data: &DataSet, conditional: bool, seed: u64) -> Result<Option<f64>> {
    let mut indices = gannet::Stream::new(seed, "diversity", 0).permutation(data.len());
    indices.truncate(REAL);
    let drawn = LabelledImages::copy_of(data.images().as_ref(), indices.into_iter())?;
    let images: Vec<f32> = drawn.pixels().iter().copied().map(dequantise).collect();
    let labels = drawn.labels().filter(|_| conditional);
    Ok(mean_distance(&images, drawn.shape().len(), labels).filter(|real| *real > SAME))
}
