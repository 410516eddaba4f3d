//! `gan-mnist bench`: how fast training steps are, beside what the machine could do.

use std::time::Instant;

use gannet::{Backend, Gan, presets};
use gannet_cpu::Cpu;
use serde::Serialize;

use super::train::Batches;
use crate::cli::BenchArgs;
use crate::data::{LabelledImages, mnist};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::memory::peak_resident_mb;
use crate::output::say;

/// Steps that are taken and not measured: caches, branch predictors and the clock settle.
const WARM_UP: usize = 2;

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    preset: String,
    batch_size: usize,
    device: &'static str,
    isa: &'static str,
    threads: usize,
    step_ms: StepTimes,
    /// Floating-point operations of the plan over the median step time.
    gflops: f64,
    images_per_s: f64,
    /// In 10^6 bytes; null where the system does not say.
    peak_rss_mb: Option<f64>,
    /// Multiply-adds in registers, on as many threads.
    fma_peak_gflops: f64,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
struct StepTimes {
    min: f64,
    median: f64,
}

/// Measures what the flags ask for.
pub fn run(args: &BenchArgs) -> Result<()> {
    let device = Device::open(&args.device)?;
    let data = mnist::load(mnist::Split::Train)?;
    let (measured, cpu) = match &device {
        Device::Cpu(cpu) => (measure(args, cpu, &data)?, cpu.clone()),
        Device::Reference(reference) => {
            (measure(args, reference, &data)?, Cpu::with_threads(1).map_err(Error::failure)?)
        }
    };
    let peak_rss_mb = peak_resident_mb();
    let median = measured.milliseconds[measured.milliseconds.len() / 2];
    let report = Report {
        preset: args.preset.clone(),
        batch_size: measured.batch_size,
        device: device.name(),
        isa: match &device {
            Device::Cpu(cpu) => cpu.isa().name(),
            Device::Reference(_) => "portable",
        },
        threads: device.threads(),
        step_ms: StepTimes { min: measured.milliseconds[0], median },
        gflops: measured.flops as f64 / median / 1e6,
        images_per_s: measured.batch_size as f64 / median * 1e3,
        peak_rss_mb,
        fma_peak_gflops: cpu.measure_fma_peak(),
    };
    if args.json {
        say(&serde_json::to_string(&report).map_err(Error::failure)?);
    } else {
        print(&report, &device, args.steps);
    }
    Ok(())
}

struct Measured {
    batch_size: usize,
    flops: u64,
    /// Of each step, sorted.
    milliseconds: Vec<f64>,
}

fn measure<B: Backend<Element = f32>>(
    args: &BenchArgs,
    backend: &B,
    data: &LabelledImages,
) -> Result<Measured> {
    let mut config = presets::get(&args.preset)?;
    if let Some(batch_size) = args.batch_size {
        config.batch_size = batch_size as usize;
    }
    config.steps = Some(WARM_UP as u64 + args.steps);
    let batch_size = config.batch_size;
    let seed = config.seed;
    let mut gan = Gan::new(backend, config)?;
    let flops = gan.prepare()?.flops();
    let mut batches = Batches::new(data, batch_size, seed);
    let conditional = gan.classes().is_some();
    let mut milliseconds = Vec::new();
    for _ in 0..WARM_UP as u64 + args.steps {
        let began = Instant::now();
        let (images, labels) = batches.next();
        gan.train_on_batch(images, conditional.then_some(labels))?;
        milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let mut milliseconds = milliseconds.split_off(WARM_UP);
    milliseconds.sort_by(f64::total_cmp);
    Ok(Measured { batch_size, flops, milliseconds })
}

fn print(report: &Report, device: &Device, steps: u64) {
    let Report { preset, batch_size, step_ms, gflops, images_per_s, fma_peak_gflops, .. } = report;
    say(&format!("{preset}, batches of {batch_size}, on {}, {steps} steps", device.describe()));
    say(&format!("step        {:.1} ms median, {:.1} ms min", step_ms.median, step_ms.min));
    let share = 100.0 * gflops / fma_peak_gflops;
    say(&format!(
        "arithmetic  {gflops:.1} GFLOP/s, {share:.0} % of the measured peak of {fma_peak_gflops:.0}"
    ));
    say(&format!("throughput  {images_per_s:.0} images/s"));
    if let Some(mb) = report.peak_rss_mb {
        say(&format!("memory      {mb:.0} MB at most"));
    }
}
