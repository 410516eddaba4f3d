//! Runs that end too early, in one process: a tiny GAN with everything that has a state, on 20 images of 6 by 6.

mod ranks;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use gannet::tensor_file::TensorFile;
use gannet::{Backend, Cpu, Gan, GanConfig};
use gannet_data::formats::idx::Idx;
use gannet_data::{Batches, DataSet, LabelledImages};
use gannet_gpu::{Options, Wgpu};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ranks::Ranks;
use crate::run::faulty::{Fault, Faulty};
use crate::run::metrics_file::{self, EventKind, Point};
use crate::run::{Checkpoints, Config, Disk, Log, MetricsSettings, OnCollapse, Os, RunDirectory};
use crate::terminal::Progress;

/// Batch statistics, dropout, moments, an average, a lazy penalty, a generator that waits, a falling rate.
const TINY: &str = r#"
name = "tiny"
batch_size = 4
discriminator_steps = 2
penalties = [{ r1 = { gamma = 0.1, every = 3 } }]
schedule = { linear = { from = 0.25 } }
steps = 1
ema = { share = 0.1 }

[generator]
input = [3]
optimiser = { adam = { learning_rate = 0.01 } }
layers = [
  { label = { classes = 3 } },
  { dense = { units = 8 } },
  "batch_norm",
  { leaky_relu = { negative_slope = 0.2 } },
  { dense = { units = 36, activation = "tanh" } },
  { reshape = { shape = [6, 6, 1] } },
]

[discriminator]
input = [6, 6, 1]
optimiser = { adam = { learning_rate = 0.01 } }
layers = [
  "flatten",
  { dense = { units = 8 } },
  { leaky_relu = { negative_slope = 0.2 } },
  { dropout = { rate = 0.3 } },
  { dense = { units = 1 } },
]
"#;

pub(crate) fn config(steps: u64) -> GanConfig {
    let mut config = GanConfig::from_toml(TINY).unwrap();
    config.steps = Some(steps);
    config
}

static CPU: LazyLock<Device> = LazyLock::new(|| Device::Cpu(Cpu::with_threads(1).unwrap()));

static DATA: LazyLock<DataSet> = LazyLock::new(|| {
    let pixels = (0..20 * 36u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let images = Idx { shape: vec![20, 6, 6], elements: pixels };
    let labels = Idx { shape: vec![20], elements: (0..20).map(|i| i % 3).collect() };
    let images = LabelledImages::from_idx(("images", images), ("labels", labels), 3).unwrap();
    DataSet::of_images("tiny", Arc::new(images))
});

pub(crate) fn settings(config: &GanConfig, every: &str) -> Config {
    let steps = config.steps.unwrap();
    Config {
        version: env!("CARGO_PKG_VERSION").into(),
        preset: config.name.clone(),
        steps,
        images: steps * 4,
        batch_size: 4,
        accumulate: 1,
        learning_rate: 0.01,
        sample_every: 4,
        checkpoint_every: every.into(),
        keep_checkpoints: 2,
        seed: config.seed,
        device: "cpu".into(),
        adapter: None,
        device_description: String::new(),
        tiles: None,
        threads: 1,
        command: String::new(),
        changes: Vec::new(),
        metrics: MetricsSettings { log_every: 3, ..MetricsSettings::default() },
        data: DATA.record().clone(),
        model: config.to_toml().unwrap().parse().unwrap(),
    }
}

/// What the next answer to a step is.
type Script = Box<dyn FnMut(&Step) -> Result<Next>>;

/// Adds up losses, as an observer with a state and a log does, and follows a script.
struct Sum {
    sum: f64,
    log: Log,
    script: Script,
}

impl Observer for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn stepped(&mut self, step: &Step) -> Result<Next> {
        self.sum += step.losses.d_real / 3.0;
        self.log.append(format!("{} {}\n", step.number, self.sum).as_bytes());
        (self.script)(step)
    }

    fn diverged(&mut self, _: u64, message: &str) -> Result<Next> {
        Ok(Next::RollBack { reason: message.into(), learning_rate: 1e-40 })
    }

    fn logs(&mut self) -> Vec<&mut Log> {
        vec![&mut self.log]
    }

    fn state(&self) -> Value {
        json!({ "sum": self.sum })
    }

    fn restored(&mut self, _: u64, state: &Value) -> Result<()> {
        self.sum = state["sum"].as_f64().unwrap();
        Ok(())
    }
}

/// A run in a temporary folder.
struct Run {
    _folder: TempDir,
    path: PathBuf,
    interrupt: Interrupt,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Run { path: folder.path().join("run"), _folder: folder, interrupt: Interrupt::default() }
    }

    fn setup<'a, B: Backend<Element = f32>>(
        &self,
        run: &'a RunDirectory,
        disk: &'a dyn Disk,
        (settings, gan): (Config, Gan<B>),
        script: Script,
    ) -> Setup<'a, B> {
        let mut observers = observers(run, &settings, &DATA, true, true).unwrap();
        let log = Log::new(run.path().join("sum.txt"), "");
        observers.push(Box::new(Sum { sum: 0.0, log, script }));
        let batches = Batches::new(&DATA, 4, settings.seed, 0);
        let interrupt = self.interrupt.clone();
        let ranks = Ranks::default();
        Setup { run, disk, settings, gan, batches, ranks, observers, interrupt, quiet: true }
    }

    fn begin(&self, disk: &dyn Disk, config: GanConfig, every: &str, script: Script) -> Result<End> {
        let run = RunDirectory::create(&self.path)?;
        let settings = settings(&config, every);
        run.write_config(&settings)?;
        let gan = Gan::new(&*CPU, config)?;
        Session::begin(self.setup(&run, disk, (settings, gan), script))?.run()
    }

    fn resume(&self, disk: &dyn Disk, more: u64, script: Script) -> Result<End> {
        let run = RunDirectory::open(&self.path)?;
        let checkpoint = Checkpoints::new(run.checkpoints(), 2).newest()?;
        let mut settings: Config = toml::from_str(&checkpoint.state.settings).unwrap();
        settings.steps += more;
        let mut gan = Gan::from_file(&*CPU, &checkpoint.model)?;
        gan.set_steps(settings.steps);
        Session::resume(self.setup(&run, disk, (settings, gan), script), &checkpoint)?.run()
    }

    /// Every file that has to be the same in two runs, with its bytes.
    fn results(&self) -> BTreeMap<String, Vec<u8>> {
        let mut results = BTreeMap::new();
        for folder in ["", "samples"] {
            for entry in fs::read_dir(self.path.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
                // The page and the event file hold times.
                let apart = ["/config.toml", "/report.html", "/events.out.tfevents"];
                if !path.is_file() || apart.contains(&name.as_str()) {
                    continue;
                }
                let mut bytes = fs::read(&path).unwrap();
                if name == "/metrics.jsonl" {
                    // All but the times.
                    bytes.clear();
                    for mut point in metrics_file::read(&path).unwrap() {
                        (point.seconds, point.steps_per_second) = (None, None);
                        bytes.extend(point.line().unwrap().bytes());
                    }
                }
                results.insert(name, bytes);
            }
        }
        results
    }

    fn checkpoints(&self) -> Vec<String> {
        let names = fs::read_dir(self.path.join("checkpoints")).unwrap();
        let mut names: Vec<_> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn go_on() -> Script {
    Box::new(|_| Ok(Next::GoOn))
}

/// A crash in that step: nothing is saved any more.
fn crash_in(step: u64) -> Script {
    Box::new(move |at| if at.number == step { Err(Error::failure("crashed")) } else { Ok(Next::GoOn) })
}

fn interrupt_in(run: &Run, step: u64) -> Script {
    let interrupt = run.interrupt.clone();
    Box::new(move |at| {
        if at.number == step {
            interrupt.request();
        }
        Ok(Next::GoOn)
    })
}

/// A run of that many steps that nothing disturbed.
fn undisturbed(steps: u64) -> BTreeMap<String, Vec<u8>> {
    let run = Run::new();
    let end = run.begin(&Os, config(steps), "5", go_on()).unwrap();
    assert_eq!((end.step, end.outcome), (steps, Outcome::Finished));
    run.results()
}

#[track_caller]
fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let different: Vec<_> = found.iter().filter(|(name, bytes)| **bytes != expected[*name]).collect();
    assert!(different.is_empty(), "{:?}", different.iter().map(|(name, _)| name).collect::<Vec<_>>());
}

#[test]
fn a_run_that_was_interrupted_ends_with_the_same_bytes() {
    let expected = undisturbed(22);
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        [
            "/losses.csv",
            "/metrics.jsonl",
            "/model.safetensors",
            "/samples.gif",
            "/samples.png",
            "/sum.txt",
            "samples/step-000004.png",
            "samples/step-000008.png",
            "samples/step-000012.png",
            "samples/step-000016.png",
            "samples/step-000020.png",
            "samples/step-000022.png",
        ]
    );
    for steps in [&[1, 2][..], &[3, 13, 21], &[5, 8, 20]] {
        let mut run = Run::new();
        for (part, step) in steps.iter().enumerate() {
            run.interrupt = Interrupt::default();
            let script = interrupt_in(&run, *step);
            let end = match part {
                0 => run.begin(&Os, config(22), "5", script),
                _ => run.resume(&Os, 0, script),
            };
            let end = end.unwrap();
            assert_eq!((end.step, end.outcome), (*step, Outcome::Interrupted));
        }
        run.interrupt = Interrupt::default();
        run.resume(&Os, 0, go_on()).unwrap();
        assert_same(&run.results(), &expected);
    }
}

#[test]
fn a_run_that_crashed_ends_with_the_same_bytes() {
    let expected = undisturbed(22);
    let run = Run::new();
    let message = run.begin(&Os, config(22), "5", crash_in(4)).unwrap_err().to_string();
    assert!(message.starts_with("crashed; what was trained until step 0 is saved"), "{message}");
    assert!(message.contains(" resume ") && message.contains("run"), "{message}");
    for step in [5, 9, 13, 22] {
        run.resume(&Os, 0, crash_in(step)).unwrap_err();
    }
    let end = run.resume(&Os, 0, go_on()).unwrap();
    assert_eq!((end.began_at_step, end.step), (20, 22));
    assert_same(&run.results(), &expected);
    assert_eq!(run.checkpoints(), ["lock", "step-000020.safetensors", "step-000022.safetensors"]);
}

/// Disks on which the n-th operation fails, for every n, and on which nothing works from the n-th operation on.
#[test]
fn a_run_survives_a_fault_at_every_file_operation() {
    let steps = 5;
    let expected = {
        let run = Run::new();
        run.begin(&Os, config(steps), "2", go_on()).unwrap();
        run.results()
    };
    let operations = {
        let disk = Faulty::new(Fault::Once, usize::MAX);
        Run::new().begin(&disk, config(steps), "2", go_on()).unwrap();
        disk.count.get()
    };
    // Four checkpoints of at least a file, a folder and two logs, two models.
    assert!(operations > 4 * 8 + 2 * 4, "{operations}");
    let (mut failed, mut ended) = (0, 0);
    for fault in [Fault::Once, Fault::Forever] {
        for at in 0..operations {
            let run = Run::new();
            let disk = Faulty::new(fault, at);
            let result = run.begin(&disk, config(steps), "2", go_on());
            if fault == Fault::Forever {
                assert!(result.is_err() || at + 2 > operations, "{at}");
            }
            let finished = result.is_ok();
            if finished {
                ended += 1
            } else {
                failed += 1
            }
            let whole = run.checkpoints().iter().any(|name| name.starts_with("step-"));
            if !finished && !whole {
                // The run had not begun.
                let message = run.resume(&Os, 0, go_on()).unwrap_err().to_string();
                assert!(message.contains("no checkpoint"), "{at}: {message}");
                continue;
            }
            // Whatever is there by the name of a checkpoint is whole.
            for name in run.checkpoints().iter().filter(|name| name.starts_with("step-")) {
                TensorFile::read(run.path.join("checkpoints").join(name)).unwrap();
            }
            if !finished {
                run.resume(&Os, 0, go_on()).unwrap();
            }
            assert_same(&run.results(), &expected);
            assert!(
                run.checkpoints().iter().all(|name| !name.contains("damaged")),
                "{:?}",
                run.checkpoints()
            );
        }
    }
    assert!(failed > operations / 2 && ended > operations / 4, "{failed} {ended} {operations}");
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let expected = undisturbed(22);
    for damage in 0..4 {
        let run = Run::new();
        run.begin(&Os, config(22), "5", crash_in(17)).unwrap_err();
        let newest = run.path.join("checkpoints/step-000015.safetensors");
        let mut bytes = fs::read(&newest).unwrap();
        let middle = bytes.len() / 2;
        match damage {
            0 => bytes.truncate(middle),
            1 => bytes.clear(),
            2 => bytes[middle] ^= 1,
            // In the header: another name for a tensor.
            _ => bytes[middle / 20] ^= 1,
        }
        fs::write(&newest, bytes).unwrap();
        let end = run.resume(&Os, 0, go_on()).unwrap();
        assert_eq!((end.began_at_step, end.step), (10, 22), "{damage}");
        assert_same(&run.results(), &expected);
        assert!(run.checkpoints().contains(&"step-000015.safetensors.damaged".into()));
    }
}

#[test]
fn without_a_whole_checkpoint_a_run_says_so() {
    let run = Run::new();
    run.begin(&Os, config(22), "5", crash_in(4)).unwrap_err();
    let only = run.path.join("checkpoints/step-000000.safetensors");
    fs::write(&only, "x").unwrap();
    let message = run.resume(&Os, 0, go_on()).unwrap_err().to_string();
    assert!(message.contains("step-000000.safetensors is damaged: this file is only 1 bytes"), "{message}");
    assert!(message.contains("no other checkpoint"), "{message}");
    let message = run.resume(&Os, 0, go_on()).unwrap_err().to_string();
    assert!(message.contains("there is no checkpoint in"), "{message}");
}

/// With constant rates, a longer run is what it would have been from the start.
#[test]
fn a_run_can_be_made_longer() {
    let constant = |steps| {
        let mut config = config(steps);
        config.schedule = gannet::Schedule::Constant;
        config
    };
    let long = Run::new();
    long.begin(&Os, constant(20), "5", go_on()).unwrap();
    let run = Run::new();
    run.begin(&Os, constant(12), "5", go_on()).unwrap();
    // The new length is kept when the run is interrupted at once.
    run.resume(&Os, 8, crash_in(13)).unwrap_err();
    let end = run.resume(&Os, 0, go_on()).unwrap();
    assert_eq!((end.began_at_step, end.step, end.steps), (12, 20, 20));
    assert_same(&run.results(), &long.results());
}

/// With a schedule, the rates of the steps that come are those of a run of the new length.
#[test]
fn a_longer_run_follows_its_schedule_to_the_new_end() {
    let run = Run::new();
    run.begin(&Os, config(12), "5", go_on()).unwrap();
    let weights = || {
        let file = TensorFile::read(run.path.join("model.safetensors")).unwrap();
        file.tensor("discriminator/1.dense/kernel").unwrap().values.to::<f64>()
    };
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
    let before = weights();
    run.resume(&Os, 12, go_on()).unwrap();
    let after = weights();
    // Half of the rate is left at the join, where the short run had come to almost nothing.
    assert!(distance(&before, &after) > 0.1, "{}", distance(&before, &after));
    let schedule = config(24).schedule;
    assert!(
        schedule.factor(12, 24) > 0.6 && schedule.factor(11, 12) < 0.12 && schedule.factor(23, 24) < 0.06
    );
}

#[test]
fn a_run_can_go_back_with_smaller_steps() {
    let run = Run::new();
    let done = Arc::new(AtomicBool::new(false));
    let script = Box::new(move |step: &Step| {
        let again = step.number == 13 && !done.swap(true, Ordering::SeqCst);
        let back = Next::RollBack { reason: "for the test".into(), learning_rate: 0.5 };
        Ok(if again { back } else { Next::GoOn })
    });
    let end = run.begin(&Os, config(22), "5", script).unwrap();
    assert_eq!((end.step, end.outcome), (22, Outcome::Finished));
    let (results, expected) = (run.results(), undisturbed(22));
    let rows = |results: &BTreeMap<String, Vec<u8>>| {
        let text = String::from_utf8(results["/losses.csv"].clone()).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (rows, expected) = (rows(&results), rows(&expected));
    assert_eq!(rows.len(), 23);
    // Row 0 is the header. The generator's loss is that against the discriminator of the same step.
    assert_eq!(rows[..11], expected[..11]);
    assert_ne!(rows[11..], expected[11..]);
    assert!(rows.iter().skip(1).zip(1..).all(|(row, step)| row.starts_with(&format!("{step},"))));
    let text = TensorFile::read(run.path.join("model.safetensors")).unwrap().description.unwrap();
    let model: toml::Table = text.parse().unwrap();
    assert_eq!(model["model"]["generator"]["optimiser"]["adam"]["learning_rate"].as_float(), Some(0.005));
}

#[test]
fn a_run_that_diverges_can_go_back() {
    let mut config = config(12);
    let rate = config.generator_optimiser.with_learning_rate(1e38);
    (config.generator_optimiser, config.discriminator_optimiser) = (rate.clone(), rate);
    let run = Run::new();
    let end = run.begin(&Os, config, "5", go_on()).unwrap();
    assert_eq!((end.step, end.outcome), (12, Outcome::Finished));
}

#[test]
fn a_run_that_an_observer_stops_is_saved() {
    let run = Run::new();
    let stop =
        Box::new(|step: &Step| Ok(if step.number == 7 { Next::Stop("enough".into()) } else { Next::GoOn }));
    let end = run.begin(&Os, config(22), "5", stop).unwrap();
    assert_eq!((end.step, end.outcome), (7, Outcome::Stopped("enough".into())));
    assert_eq!(run.resume(&Os, 0, go_on()).unwrap().began_at_step, 7);
    assert_same(&run.results(), &undisturbed(22));
}

/// A GPU, software or not, or nothing where there is none; `REQUIRE_GPU=1` asks for one.
fn gpu() -> Option<Wgpu> {
    let first = gannet_gpu::adapters().first().map(|adapter| adapter.index.to_string());
    let required = std::env::var_os("REQUIRE_GPU").is_some_and(|value| value == "1");
    assert!(first.is_some() || !required, "REQUIRE_GPU=1, but no adapter");
    first.map(|adapter| Wgpu::new(&Options { adapter: Some(adapter), ..Options::default() }).unwrap())
}

#[test]
fn a_gpu_that_is_lost_ends_the_run_and_what_was_saved_goes_on_elsewhere() {
    let Some(gpu) = gpu() else { return };
    let device = Device::Gpu(gpu.clone());
    let run = Run::new();
    let config = config(22);
    let directory = RunDirectory::create(&run.path).unwrap();
    let settings = settings(&config, "5");
    directory.write_config(&settings).unwrap();
    let gan = Gan::new(&device, config).unwrap();
    let lose = Box::new(move |step: &Step| {
        if step.number == 12 {
            gpu.lose_device();
        }
        Ok(Next::GoOn)
    });
    let setup = run.setup(&directory, &Os, (settings, gan), lose);
    let error = Session::begin(setup).unwrap().run().unwrap_err();
    let (message, path) = (error.to_string(), run.path.display().to_string());
    assert_eq!(error.exit_code(), 1);
    for part in ["the GPU ", " was lost", "until step 10 is saved", "go on with `", " resume ", &path] {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    assert_eq!(run.checkpoints(), ["lock", "step-000005.safetensors", "step-000010.safetensors"]);
    drop(directory);
    // On whatever there is then.
    let end = run.resume(&Os, 0, go_on()).unwrap();
    assert_eq!((end.began_at_step, end.step, end.outcome), (10, 22, Outcome::Finished));
    let losses = fs::read_to_string(run.path.join("losses.csv")).unwrap();
    assert_eq!(losses.lines().count(), 23, "{losses}");
}

/// A run of a model that goes wrong, and the events that metrics.jsonl has of it.
fn go_wrong(
    config: GanConfig,
    every: &str,
    on_collapse: OnCollapse,
) -> (Result<End>, Vec<(u64, EventKind, String)>) {
    let run = Run::new();
    let directory = RunDirectory::create(&run.path).unwrap();
    let mut settings = settings(&config, every);
    settings.sample_every = settings.steps;
    settings.metrics = MetricsSettings { log_every: 50, on_collapse, ..MetricsSettings::default() };
    directory.write_config(&settings).unwrap();
    let gan = Gan::new(&*CPU, config).unwrap();
    let mut setup = run.setup(&directory, &Os, (settings, gan), go_on());
    // The sum has an answer of its own.
    setup.observers.pop();
    let result = Session::begin(setup).unwrap().run();
    let points = metrics_file::read(&run.path.join(metrics_file::METRICS)).unwrap();
    let events = points.into_iter().filter_map(|p| p.event.map(|event| (p.step, event.kind, event.message)));
    (result, events.collect())
}

#[test]
fn a_learning_rate_that_diverges_is_found_at_its_operation() {
    let mut config = config(10);
    config.generator_optimiser = config.generator_optimiser.with_learning_rate(1e30);
    config.discriminator_optimiser = config.discriminator_optimiser.with_learning_rate(1e30);
    let (result, events) = go_wrong(config.clone(), "5", OnCollapse::Warn);
    let message = result.unwrap_err().to_string();
    for part in
        ["training diverged", "the first number of step 1 that is not finite is ", " in discriminator/"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(events.iter().map(|e| (e.0, e.1)).collect::<Vec<_>>(), [(1, EventKind::Divergence)]);
    // Half of such a rate is no better: the run goes back three times and no more.
    let (result, events) = go_wrong(config, "5", OnCollapse::Rollback);
    let message = result.unwrap_err().to_string();
    assert!(message.contains("went back to a checkpoint 3 times"), "{message}");
    let kinds: Vec<_> = events.iter().map(|e| e.1).collect();
    let (divergence, rollback) = (EventKind::Divergence, EventKind::Rollback);
    assert_eq!(kinds, [divergence, rollback, divergence, rollback, divergence, rollback, divergence]);
}

/// A critic whose scores grow without bound: every loss is finite.
#[test]
fn losses_beyond_reason_are_a_divergence() {
    let text =
        TINY.replacen("penalties = [{ r1 = { gamma = 0.1, every = 3 } }]", "loss = \"wasserstein\"", 1);
    assert!(text.contains("wasserstein"));
    let mut config = GanConfig::from_toml(&text).unwrap();
    config.steps = Some(300);
    config.discriminator_optimiser = config.discriminator_optimiser.with_learning_rate(100.0);
    let (result, events) = go_wrong(config.clone(), "20", OnCollapse::Warn);
    assert_eq!(result.unwrap().outcome, Outcome::Finished);
    let found: Vec<_> = events.iter().filter(|e| e.1 == EventKind::Losses).map(|e| e.0).collect();
    assert_eq!(found, [50], "{events:?}");
    let (result, _) = go_wrong(config.clone(), "20", OnCollapse::Stop);
    let end = result.unwrap();
    assert!(
        end.step == 50 && matches!(&end.outcome, Outcome::Stopped(why) if why.contains("beyond reason")),
        "{end:?}"
    );
    let (result, events) = go_wrong(config, "20", OnCollapse::Rollback);
    let end = result.unwrap();
    assert!(matches!(&end.outcome, Outcome::Stopped(why) if why.contains("3 times")), "{end:?}");
    assert_eq!(events.iter().filter(|e| e.1 == EventKind::Rollback).count(), 3, "{events:?}");
}

#[test]
fn a_model_that_collapses_is_seen() {
    // A layer norm over one number is always zero: no latent has any effect.
    let text = TINY.replacen(
        "{ dense = { units = 8 } },\n  \"batch_norm\"",
        "{ dense = { units = 1 } },\n  \"layer_norm\"",
        1,
    );
    assert!(text.contains("layer_norm"));
    let mut config = GanConfig::from_toml(&text).unwrap();
    config.steps = Some(1150);
    let (result, events) = go_wrong(config.clone(), "200", OnCollapse::Warn);
    assert_eq!(result.unwrap().outcome, Outcome::Finished);
    let found: Vec<_> = events.iter().filter(|e| e.1 == EventKind::Collapse).map(|e| e.0).collect();
    assert_eq!(found, [1100], "{events:?}");
    assert!(events.iter().any(|e| e.2.contains("0 % as far apart")), "{events:?}");
    let (result, _) = go_wrong(config.clone(), "200", OnCollapse::Stop);
    let end = result.unwrap();
    assert!(
        end.step == 1100 && matches!(&end.outcome, Outcome::Stopped(why) if why.contains("collapsed")),
        "{end:?}"
    );
    let (result, events) = go_wrong(config, "200", OnCollapse::Rollback);
    let end = result.unwrap();
    assert!(matches!(&end.outcome, Outcome::Stopped(why) if why.contains("3 times")), "{end:?}");
    // Each time to step 800: what was saved after step 1000 was suspect.
    assert_eq!(events.iter().filter(|e| e.1 == EventKind::Rollback).count(), 3, "{events:?}");
}

/// Notes the steps after which it is asked to look, and what was measured.
#[derive(Default)]
struct Looks {
    periods: Vec<u64>,
    seen: Arc<Mutex<Vec<u64>>>,
    measured: Arc<Mutex<Vec<u64>>>,
}

impl Observer for Looks {
    fn name(&self) -> &'static str {
        "looks"
    }

    fn periods(&self) -> Vec<u64> {
        self.periods.clone()
    }

    fn examine(&mut self, step: u64, _: &mut dyn Trained, _: &mut Vec<Point>) -> Result<Next> {
        self.seen.lock().unwrap().push(step);
        Ok(Next::GoOn)
    }

    fn measured(&mut self, point: &Point) -> Result<()> {
        self.measured.lock().unwrap().push(point.step);
        Ok(())
    }
}

/// A step that nobody has to look at waits for nothing. The greatest common divisor of 4 and 6 is 2, of 3 and 7 is 1.
#[test]
fn only_the_steps_that_are_due_are_looked_at() {
    for (periods, expected) in
        [(vec![4, 6], vec![4, 6, 8, 11]), (vec![3, 7], vec![3, 6, 7, 9, 11]), (vec![], vec![])]
    {
        let run = Run::new();
        let directory = RunDirectory::create(&run.path).unwrap();
        let config = config(11);
        let settings = settings(&config, "100");
        let gan = Gan::new(&*CPU, config).unwrap();
        let mut setup = run.setup(&directory, &Os, (settings, gan), go_on());
        let looks = Looks { periods, ..Looks::default() };
        let (seen, measured) = (looks.seen.clone(), looks.measured.clone());
        setup.observers.push(Box::new(looks));
        Session::begin(setup).unwrap().run().unwrap();
        assert_eq!(*seen.lock().unwrap(), expected);
        // What metrics.jsonl has a line for, every third step.
        assert_eq!(*measured.lock().unwrap(), [3, 6, 9, 11]);
    }
}

#[test]
fn a_line_and_an_evaluation_are_due_each_at_its_own_steps() {
    let run = Run::new();
    let directory = RunDirectory::create(&run.path).unwrap();
    let mut settings = settings(&config(1000), "100");
    (settings.metrics.log_every, settings.metrics.evaluate_every) = (50, Some(333));
    let metrics = Metrics::new(&directory, &settings, &DATA, true, true).unwrap();
    assert_eq!(metrics.periods(), [50, 333]);
}

/// To ask for the logs changes nothing, however often: why the run went back stands in the log after it was cut.
#[test]
fn why_a_run_went_back_stands_in_the_log_once() {
    let run = Run::new();
    let directory = RunDirectory::create(&run.path).unwrap();
    let mut settings = settings(&config(10), "100");
    settings.metrics.on_collapse = OnCollapse::Rollback;
    let mut metrics = Metrics::new(&directory, &settings, &DATA, true, true).unwrap();
    let log = |metrics: &mut Metrics, act: &dyn Fn(&mut Log)| metrics.logs().into_iter().for_each(act);
    log(&mut metrics, &|log| log.create().unwrap());
    let next = metrics.diverged(5, "the loss is NaN").unwrap();
    assert!(matches!(next, Next::RollBack { .. }), "{next:?}");
    metrics.restored(3, &Value::Null).unwrap();
    assert_eq!((metrics.logs().len(), metrics.logs().len()), (1, 1));
    log(&mut metrics, &|log| log.resume(0).unwrap());
    let mut told = Vec::new();
    metrics.logs_cut(&mut told).unwrap();
    log(&mut metrics, &|log| log.flush(&Os).unwrap());
    let points = metrics_file::read(&run.path.join(metrics_file::METRICS)).unwrap();
    // And others are told.
    for points in [points, told] {
        let kinds: Vec<EventKind> = points.into_iter().filter_map(|point| Some(point.event?.kind)).collect();
        assert_eq!(kinds, [EventKind::Divergence, EventKind::Rollback]);
    }
}

/// What an observer hears of checkpoints, and how often of the pace.
#[derive(Default)]
struct Hears(Arc<Mutex<(Vec<u64>, usize)>>);

impl Observer for Hears {
    fn name(&self) -> &'static str {
        "hears"
    }

    fn progressed(&mut self, progress: &Progress) {
        assert!(progress.speed().is_some());
        self.0.lock().unwrap().1 += 1;
    }

    fn saved(&mut self, step: u64) {
        self.0.lock().unwrap().0.push(step);
    }
}

/// A checkpoint that is asked for comes after the step, once, and is told; who has no state is not in it, and what is trained is
/// the same.
#[test]
fn a_checkpoint_that_is_asked_for_comes_after_the_step() {
    let run = Run::new();
    let directory = RunDirectory::create(&run.path).unwrap();
    let config = config(22);
    let settings = settings(&config, "100");
    directory.write_config(&settings).unwrap();
    let gan = Gan::new(&*CPU, config).unwrap();
    let interrupt = run.interrupt.clone();
    let script: Script = Box::new(move |at| {
        if at.number == 7 {
            interrupt.request_checkpoint();
        }
        Ok(Next::GoOn)
    });
    let mut setup = run.setup(&directory, &Os, (settings, gan), script);
    let hears = Hears::default();
    let heard = hears.0.clone();
    setup.observers.push(Box::new(hears));
    Session::begin(setup).unwrap().run().unwrap();
    let (saved, progressed) = heard.lock().unwrap().clone();
    // The losses of the seventh step are told when it is known already what comes after it.
    assert_eq!((&saved[..], progressed), (&[0, 8, 22][..], 22));
    let state = Checkpoints::new(directory.checkpoints(), 2).newest().unwrap().state;
    assert!(state.observers.contains_key("sum") && !state.observers.contains_key("hears"), "{state:?}");
    assert_same(&run.results(), &undisturbed(22));
}
