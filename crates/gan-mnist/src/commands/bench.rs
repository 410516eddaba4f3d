//! `gan-mnist bench`: how fast training steps are, beside what the machine could do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use gannet::{Backend as _, Gan, GanConfig};
use gannet_cpu::Cpu;
use gannet_data::DataSet;
use gannet_gpu::{Counters, DispatchTime, Wgpu, products};
use serde::Serialize;

use crate::arguments::{DEFAULT_PRESET, DeviceArgs, RankArgs, preset, whole_number};
use crate::data::{Same, batches_of, check_fit, made_up};
use crate::device::{Device, Own};
use crate::error::{Error, Result};
use crate::memory::peak_resident_mb;
use crate::ranks::Ranks;
use crate::terminal::say;

/// The flags of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What to train
    #[arg(long, value_name = "PRESET", default_value = DEFAULT_PRESET, value_parser = preset())]
    pub preset: String,
    /// What to train instead: a model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    /// Images per step, or in each micro-batch of one [default: the preset's]
    #[arg(long, value_name = "B", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    /// Make each step of so many micro-batches [default: 1, or what the model file says]
    #[arg(long, value_name = "A", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub accumulate: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub ranks: RankArgs,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How many steps to measure
    #[arg(long, value_name = "N", default_value = "20", value_parser = whole_number(1, 1_000_000), allow_negative_numbers = true)]
    pub steps: u64,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Print the time of every kernel: of a GPU by timestamp queries, of the CPU in the order in which they run
    #[arg(long, conflicts_with_all = ["json", "distributed"])]
    pub profile: bool,
}

/// Steps that are taken and not measured: caches, branch predictors and the clock settle.
const WARM_UP: usize = 2;

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    preset: String,
    batch_size: usize,
    /// Micro-batches of a step.
    accumulate: u64,
    /// Processes that share a step.
    ranks: usize,
    device: &'static str,
    isa: &'static str,
    threads: usize,
    step_ms: StepTimes,
    /// Floating-point operations of the plan over the median step time.
    gflops: f64,
    images_per_s: f64,
    /// How long gradients of a step are under way between ranks, in milliseconds, the wait for slower ranks included, and the
    /// bytes of a step that the first sends, in 10^6; null where there is one.
    reduction_ms: Option<f64>,
    sent_mb: Option<f64>,
    /// In 10^6 bytes; null where the system does not say.
    peak_rss_mb: Option<f64>,
    /// Multiply-adds in registers, on a CPU on as many threads.
    fma_peak_gflops: f64,
    /// Bytes that a copy on a GPU reads and writes, in 10^9 a second; null elsewhere.
    copy_peak_gb_s: Option<f64>,
    /// Kernels that a step starts on a GPU; null elsewhere.
    dispatches: Option<f64>,
    /// Times that a step hands work to a GPU; null elsewhere.
    submits_per_step: Option<f64>,
    /// Times that the host waits for a GPU's numbers in a step, with nothing queued for it meanwhile; null elsewhere.
    waits_per_step: Option<f64>,
    /// What the host's thread takes to hand a step to a GPU; null elsewhere.
    host_ms: Option<HostTimes>,
    /// Which tiles a GPU computes products in; null elsewhere.
    tiles: Option<String>,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
struct StepTimes {
    min: f64,
    median: f64,
}

/// Of a step, in milliseconds.
#[derive(Debug, Serialize)]
struct HostTimes {
    /// To write its inputs.
    write: f64,
    /// To record its dispatches.
    record: f64,
    /// To submit what was recorded.
    submit: f64,
}

impl HostTimes {
    /// Those of `steps` steps between two counts.
    fn between(before: &Counters, after: &Counters, steps: u64) -> HostTimes {
        let each = |before: Duration, after: Duration| (after - before).as_secs_f64() * 1e3 / steps as f64;
        HostTimes {
            write: each(before.writing, after.writing),
            record: each(before.recording, after.recording),
            submit: each(before.submitting, after.submitting),
        }
    }

    fn in_words(&self, step_ms: f64) -> String {
        let HostTimes { write, record, submit } = self;
        let share = 100.0 * (write + record + submit) / step_ms;
        format!(
            "{write:.3} ms to write, {record:.3} ms to record and {submit:.3} ms to submit a step ({share:.0} %)"
        )
    }
}

/// Measures what the flags ask for.
pub fn run(args: &BenchArgs) -> Result<()> {
    let ranks = Ranks::open(&args.ranks)?;
    let result = run_among(args, &ranks);
    ranks.close(result)
}

fn run_among(args: &BenchArgs, ranks: &Ranks) -> Result<()> {
    let device = Device::open(&ranks.device(&args.device))?;
    let config = crate::recipe::load(&args.preset, args.model.as_deref())?;
    let data = made_up(&config)?;
    if args.profile {
        return match &device {
            Device::Gpu(gpu) => profile_gpu(args, &device, gpu, &data),
            Device::Cpu(cpu) => profile_cpu(args, &device, cpu, &data),
            Device::Reference(_) => Err(Error::Usage(
                "--profile times the kernels of a device that has some; it needs --device cpu or --device gpu".into(),
            )),
        };
    }
    let count = || if let Device::Gpu(gpu) = &device { Some(gpu.counters()) } else { None };
    let (measured, [before, after]) = measure(args, ranks, &device, data, count)?;
    let counted = before.zip(after);
    let host_ms = counted.as_ref().map(|(before, after)| HostTimes::between(before, after, args.steps));
    let per_step = counted.map(|(before, after)| {
        let each = |count: u64| count as f64 / args.steps as f64;
        (
            each(after.dispatches - before.dispatches),
            each(after.submissions - before.submissions),
            each(after.waits - before.waits),
        )
    });
    let mut copy_peak_gb_s = None;
    let fma_peak_gflops = match &device {
        Device::Cpu(cpu) => cpu.measure_fma_peak(),
        Device::Gpu(gpu) => {
            let peak = gpu.measure_peak().map_err(Error::failure)?;
            copy_peak_gb_s = Some(peak.copy_gb_s);
            peak.fma_gflops
        }
        Device::Reference(_) => Cpu::with_threads(1).map_err(Error::failure)?.measure_fma_peak(),
    };
    if ranks.rank() > 0 {
        return Ok(());
    }
    let peak_rss_mb = peak_resident_mb();
    let among = |x: f64| (ranks.count() > 1).then_some(x / args.steps as f64);
    let median = measured.milliseconds[measured.milliseconds.len() / 2];
    let report = Report {
        preset: measured.preset,
        batch_size: measured.batch_size,
        accumulate: measured.accumulate,
        ranks: ranks.count(),
        device: device.name(),
        isa: match &device {
            Device::Cpu(cpu) => cpu.isa().name(),
            Device::Gpu(_) => "gpu",
            Device::Reference(_) => "portable",
        },
        threads: device.threads(),
        step_ms: StepTimes { min: measured.milliseconds[0], median },
        gflops: measured.flops as f64 / median / 1e6,
        images_per_s: measured.accumulate as f64 * measured.batch_size as f64 / median * 1e3,
        reduction_ms: among(measured.reduction.0.as_secs_f64() * 1e3),
        sent_mb: among(measured.reduction.1 as f64 / 1e6),
        peak_rss_mb,
        fma_peak_gflops,
        copy_peak_gb_s,
        dispatches: per_step.map(|(dispatches, ..)| dispatches),
        submits_per_step: per_step.map(|(_, submits, _)| submits),
        waits_per_step: per_step.map(|(.., waits)| waits),
        host_ms,
        tiles: measured.tiles,
    };
    if args.json {
        say(&serde_json::to_string(&report).map_err(Error::failure)?);
    } else {
        print(&report, ranks, &device, args.steps);
    }
    Ok(())
}

struct Measured {
    preset: String,
    batch_size: usize,
    accumulate: u64,
    flops: u64,
    /// Of each step, sorted.
    milliseconds: Vec<f64>,
    /// How long gradients were under way between ranks, and the bytes that this one sent, of all steps.
    reduction: (Duration, u64),
    /// Which tiles a GPU computes products in.
    tiles: Option<String>,
}

/// The preset as the flags change it, ready to train.
fn prepare(args: &BenchArgs, ranks: &Ranks, device: &Device, data: &DataSet) -> Result<(Gan<Device>, u64)> {
    let mut config = crate::recipe::load(&args.preset, args.model.as_deref())?;
    if let Some(batch_size) = args.batch_size {
        config.batch_size = batch_size as usize;
    }
    config.accumulate = ranks.micro_batches(args.accumulate, config.accumulate)?;
    config.steps = Some(WARM_UP as u64 + args.steps);
    let mut gan = Gan::new(device, config)?;
    check_fit(&gan, data)?;
    let flops = gan.plans()?.into_iter().map(|(plan, runs)| runs * plan.flops()).sum();
    Ok((gan, flops))
}

/// Which tiles the next step computes its products in on a GPU, and how many of them as they were measured.
fn tiles_of(gan: &mut Gan<Device>) -> Result<Option<String>> {
    let Device::Gpu(gpu) = gan.backend().clone() else { return Ok(None) };
    let words = gan.backend().tiles();
    if gpu.tiles().is_empty() {
        return Ok(words);
    }
    let mut names = BTreeSet::new();
    for (plan, _) in gan.plans()? {
        names.extend(products(plan).map_err(Error::failure)?.into_iter().map(|product| product.name));
    }
    let known = names.iter().filter(|name| gpu.tiles().contains_key(*name)).count();
    Ok(words.map(|words| format!("{words}: {known} of the {} of a step", names.len())))
}

/// Times steps, and calls `count` before the first that is measured and after the last. A step is timed to its
/// end on the CPU; on a GPU the steps are handed over without waiting, and the time of all is divided evenly.
///
/// All steps are given the same batch, and the set is dropped before the first: the memory that is reported is
/// what training takes, and no thread prepares batches beside it.
fn measure<C>(
    args: &BenchArgs,
    ranks: &Ranks,
    device: &Device,
    data: DataSet,
    count: impl Fn() -> C,
) -> Result<(Measured, [C; 2])> {
    let (mut gan, flops) = prepare(args, ranks, device, &data)?;
    let GanConfig { batch_size, accumulate, .. } = *gan.config();
    let mut batches = batches_of(&gan, &data, 0)?;
    let (images, labels) = batches.next_batch()?;
    let (images, labels) = (images.to_vec(), labels.to_vec());
    drop((batches, data));
    let conditional = gan.training_labels().is_some();
    let step = |gan: &mut Gan<Device>| -> Result<()> {
        ranks.step_on(gan, &mut Same { images: &images, labels: conditional.then_some(&labels[..]) })?;
        // As in training: every step's losses, a few steps late.
        while gan.next_losses()?.is_some() {}
        Ok(())
    };
    for _ in 0..WARM_UP {
        step(&mut gan)?;
        gan.losses()?;
    }
    let (before, (spent, sent)) = (count(), ranks.account());
    let mut milliseconds = Vec::new();
    let mut began = Instant::now();
    for _ in 0..args.steps {
        step(&mut gan)?;
        let now = Instant::now();
        milliseconds.push((now - began).as_secs_f64() * 1e3);
        began = now;
    }
    let (after, account) = (count(), ranks.account());
    let reduction = (account.0 - spent, account.1 - sent);
    // Whatever is still under way belongs to the steps: it is spread over them.
    gan.losses()?;
    let rest = began.elapsed().as_secs_f64() * 1e3 / args.steps as f64;
    milliseconds.iter_mut().for_each(|time| *time += rest);
    milliseconds.sort_by(f64::total_cmp);
    let preset = gan.config().name.clone();
    let tiles = tiles_of(&mut gan)?;
    Ok((Measured { preset, batch_size, accumulate, flops, milliseconds, reduction, tiles }, [before, after]))
}

/// The device's form of a training step after a few of them: what [`profile_gpu`] and [`profile_cpu`] run.
fn warmed_up(args: &BenchArgs, device: &Device, data: &DataSet) -> Result<Gan<Device>> {
    let (mut gan, _) = prepare(args, &Ranks::default(), device, data)?;
    if gan.config().accumulate > 1 {
        return Err(Error::Usage(format!(
            "--profile times the kernels of a step that is one program, and {} micro-batches are several; leave out \
             --accumulate, or give 1",
            gan.config().accumulate
        )));
    }
    let mut batches = batches_of(&gan, data, 0)?;
    let conditional = gan.training_labels().is_some();
    for _ in 0..WARM_UP {
        let (images, labels) = batches.next_batch()?;
        gan.train_on_batch(images, conditional.then_some(labels))?;
    }
    Ok(gan)
}

/// Prints what each kernel of a step took on a GPU, the slowest first.
fn profile_gpu(args: &BenchArgs, device: &Device, gpu: &Wgpu, data: &DataSet) -> Result<()> {
    let mut gan = warmed_up(args, device, data)?;
    let tiles = tiles_of(&mut gan)?.unwrap_or_default();
    let Own::Gpu(program) = gan.executable()? else { unreachable!("a program of the GPU") };
    let (before, began) = (gpu.counters(), Instant::now());
    for _ in 0..args.steps {
        gpu.run(program).map_err(Error::failure)?;
    }
    gpu.finish().map_err(Error::failure)?;
    let step_ms = began.elapsed().as_secs_f64() * 1e3 / args.steps as f64;
    let host = HostTimes::between(&before, &gpu.counters(), args.steps);
    let mut kernels: BTreeMap<&'static str, Vec<DispatchTime>> = BTreeMap::new();
    for _ in 0..args.steps {
        let Own::Gpu(program) = gan.executable()? else { unreachable!("a program of the GPU") };
        let times = gpu.profile(program).map_err(Error::failure)?;
        for time in times {
            kernels.entry(time.shader).or_default().push(time);
        }
    }
    let peak = gpu.measure_peak().map_err(Error::failure)?;
    say(&format!(
        "peaks, measured: {:.0} GFLOP/s of multiply-adds, {:.0} GB/s of copying",
        peak.fma_gflops, peak.copy_gb_s
    ));
    say(&format!("step: {step_ms:.3} ms; the host takes {}; tiles {tiles}", host.in_words(step_ms)));
    let sum = |times: &[DispatchTime], of: fn(&DispatchTime) -> f64| times.iter().map(of).sum::<f64>();
    let mut rows: Vec<(&str, Vec<DispatchTime>)> = kernels.into_iter().collect();
    rows.sort_by(|(_, a), (_, b)| sum(b, |t| t.seconds).total_cmp(&sum(a, |t| t.seconds)));
    say(&format!(
        "{:<34} {:>10} {:>10} {:>10} {:>6} {:>8} {:>6}",
        "kernel", "dispatches", "ms a step", "GFLOP/s", "peak", "GB/s", "copy"
    ));
    for (shader, times) in &rows {
        let seconds = sum(times, |t| t.seconds);
        let steps = args.steps as f64;
        let gflops = sum(times, |t| t.flops as f64) / seconds / 1e9;
        let gb_s = sum(times, |t| t.bytes as f64) / seconds / 1e9;
        say(&format!(
            "{shader:<34} {:>10.0} {:>10.4} {gflops:>10.1} {:>5.0}% {gb_s:>8.1} {:>5.0}%",
            times.len() as f64 / steps,
            seconds / steps * 1e3,
            100.0 * gflops / peak.fma_gflops,
            100.0 * gb_s / peak.copy_gb_s,
        ));
    }
    Ok(())
}

/// Prints what each instruction of a step took on the CPU, in the order in which they run: medians of all steps.
fn profile_cpu(args: &BenchArgs, device: &Device, cpu: &Cpu, data: &DataSet) -> Result<()> {
    let mut gan = warmed_up(args, device, data)?;
    let mut times: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut slow: Vec<usize> = Vec::new();
    for _ in 0..args.steps {
        let Own::Cpu(program) = gan.executable()? else { unreachable!("a program of the CPU") };
        slow = program.by_reference().collect();
        for timing in cpu.run_timed(program) {
            times.entry(timing.instruction).or_default().push(timing.seconds);
        }
    }
    let rows: Vec<(usize, f64)> = times
        .into_iter()
        .map(|(instruction, mut seconds)| {
            seconds.sort_by(f64::total_cmp);
            (instruction, seconds[seconds.len() / 2])
        })
        .collect();
    let total: f64 = rows.iter().map(|(_, seconds)| seconds).sum();
    let plan = gan.prepare()?;
    say(&format!("{:>9} {:>6} {:>9} {:>7}  operation, result <- operands", "us", "share", "GFLOP/s", "GB/s"));
    for (instruction, seconds) in rows {
        let mark = if slow.contains(&instruction) { "  (reference loops, one thread)" } else { "" };
        let instruction = &plan.instructions()[instruction];
        let operands: Vec<String> = instruction.inputs.iter().map(|view| view.shape.to_string()).collect();
        say(&format!(
            "{:>9.1} {:>4.1} % {:>9.1} {:>7.1}  {} {} <- {}{mark}",
            seconds * 1e6,
            100.0 * seconds / total,
            instruction.flops() as f64 / seconds / 1e9,
            instruction.traffic() as f64 * 4.0 / seconds / 1e9,
            instruction.op.name(),
            instruction.output.shape,
            operands.join(" "),
        ));
    }
    Ok(())
}

fn print(report: &Report, ranks: &Ranks, device: &Device, steps: u64) {
    let Report { preset, batch_size, accumulate, step_ms, gflops, images_per_s, fma_peak_gflops, .. } =
        report;
    let each = if *accumulate > 1 { format!("{accumulate} micro-") } else { String::new() };
    let on = ranks.on(&device.describe());
    say(&format!("{preset}, {each}batches of {batch_size}, on {on}, {steps} steps"));
    say(&format!("step        {:.1} ms median, {:.1} ms min", step_ms.median, step_ms.min));
    let share = 100.0 * gflops / fma_peak_gflops;
    say(&format!(
        "arithmetic  {gflops:.1} GFLOP/s, {share:.0} % of the measured peak of {fma_peak_gflops:.0}"
    ));
    if let (Some(dispatches), Some(submits), Some(waits)) =
        (report.dispatches, report.submits_per_step, report.waits_per_step)
    {
        say(&format!("GPU         {dispatches} dispatches, {submits} submits and {waits} waits a step"));
    }
    if let Some(host) = &report.host_ms {
        say(&format!("host        {}", host.in_words(step_ms.median)));
    }
    if let Some(tiles) = &report.tiles {
        say(&format!("tiles       {tiles}"));
    }
    if let (Some(reduction), Some(sent)) = (report.reduction_ms, report.sent_mb) {
        let share = 100.0 * reduction / step_ms.median;
        say(&format!("reduction   {reduction:.1} ms a step ({share:.0} %), {sent:.1} MB sent by each rank"));
    }
    say(&format!("throughput  {images_per_s:.0} images/s"));
    if let Some(mb) = report.peak_rss_mb {
        say(&format!("memory      {mb:.0} MB at most"));
    }
}
