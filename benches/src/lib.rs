//! What the benchmarks share: the devices, their peaks, the clock, and the table.
//!
//! `cargo bench -p gannet-benches` runs all of them, `cargo bench -p gannet-benches -- conv2d cpu` those
//! whose line contains both words. Every figure is a median of samples of at least 10 ms; the fastest
//! sample stands beside it. Peaks are measured in the same run, on the same threads: multiply-adds on
//! registers, and a copy between arrays that no cache holds. A GPU is measured where there is one; a software adapter, which
//! says little about speed, if `WGPU_ADAPTER_NAME` names it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gannet_cpu::Cpu;
use gannet_gpu::Wgpu;
use gannet_tensor::{Reference, Result};

mod program;

pub use program::{gradient_program, program};

/// The work of one run.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Floating-point operations, a multiply-add counted as two.
    pub flops: u64,
    /// Bytes read and written if every tensor is touched once by each operation.
    pub bytes: u64,
}

/// What a device can do at most.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// GFLOP/s of multiply-adds on registers.
    pub gflops: f64,
    /// GB/s of a copy, reads and writes counted.
    pub bandwidth: f64,
}

/// The devices to measure.
pub struct Devices {
    /// The plain loops, on one thread.
    pub reference: Reference<f32>,
    /// All cores.
    pub cpu: Cpu,
    /// What the CPU can do at most.
    pub peak: Peak,
    /// A GPU and what it can do at most, where there is one.
    pub gpu: Option<(Wgpu, Peak)>,
}

impl Devices {
    /// Finds the devices and measures the CPU.
    pub fn open() -> Result<Devices> {
        let cpu = Cpu::new()?;
        let peak = Peak { gflops: cpu.measure_fma_peak(), bandwidth: copy_bandwidth(cpu.threads()) };
        let named = std::env::var_os("WGPU_ADAPTER_NAME").is_some();
        let gpu = if named || gannet_gpu::has_gpu() {
            let gpu = Wgpu::new(&gannet_gpu::Options::default())?;
            let peak = gpu.measure_peak()?;
            Some((gpu, Peak { gflops: peak.fma_gflops, bandwidth: peak.copy_gb_s }))
        } else {
            None
        };
        Ok(Devices { reference: Reference::new(), cpu, peak, gpu })
    }
}

/// GB/s of copying 64 MiB per thread, the best of several times; reads and writes both count.
fn copy_bandwidth(threads: usize) -> f64 {
    const BYTES: usize = 64 << 20;
    let mut arrays: Vec<(Vec<u8>, Vec<u8>)> =
        (0..threads).map(|_| (vec![1; BYTES], vec![0; BYTES])).collect();
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (from, to) in &mut arrays {
                scope.spawn(|| black_box(to).copy_from_slice(black_box(from)));
            }
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    (2 * BYTES * threads) as f64 / best / 1e9
}

/// The times of one run, over several samples.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The fastest sample.
    pub least: f64,
    /// The median, in seconds.
    pub median: f64,
}

/// Measures `run(n)`, which does the same thing n times and returns when all of it is done.
pub fn measure(mut run: impl FnMut(usize) -> Result<()>) -> Result<Times> {
    const SAMPLES: usize = 15;
    const SAMPLE: Duration = Duration::from_millis(10);
    const LIMIT: Duration = Duration::from_secs(3);
    let begin = Instant::now();
    run(1)?;
    let mut count = 1;
    let mut timed = |count: usize| -> Result<f64> {
        let start = Instant::now();
        run(count)?;
        Ok(start.elapsed().as_secs_f64() / count as f64)
    };
    let mut once = timed(count)?;
    while once * (count as f64) < SAMPLE.as_secs_f64() {
        count = (count * 2).max((SAMPLE.as_secs_f64() / once) as usize).min(count * 16);
        once = timed(count)?;
    }
    let mut times = vec![once];
    while times.len() < SAMPLES && begin.elapsed() < LIMIT {
        times.push(timed(count)?);
    }
    times.sort_by(f64::total_cmp);
    Ok(Times { least: times[0], median: times[times.len() / 2] })
}

/// Prints lines whose words contain all of the arguments of the command line.
pub struct Table {
    words: Vec<String>,
}

impl Table {
    /// The table that the command line asks for.
    pub fn from_arguments() -> Table {
        Table { words: std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect() }
    }

    /// What is measured, and the heading.
    pub fn heading(&self, devices: &Devices) {
        let Peak { gflops, bandwidth } = devices.peak;
        println!("cpu: {}, {} threads", devices.cpu.isa(), devices.cpu.threads());
        println!("peak, measured: {gflops:.1} GFLOP/s of multiply-adds, {bandwidth:.1} GB/s of copying");
        match &devices.gpu {
            Some((gpu, Peak { gflops, bandwidth })) => {
                println!("gpu: {}", gannet_tensor::Backend::describe(gpu));
                println!(
                    "peak, measured: {gflops:.1} GFLOP/s of multiply-adds, {bandwidth:.1} GB/s of copying"
                );
            }
            None => println!("gpu: none"),
        }
        println!(
            "{:<58} {:<10} {:>10} {:>10} {:>9} {:>6} {:>8} {:>6}",
            "", "device", "median ms", "least ms", "GFLOP/s", "peak", "GB/s", "copy"
        );
    }

    /// Whether a line is asked for.
    pub fn wants(&self, what: &str, device: &str) -> bool {
        self.words.iter().all(|word| what.contains(word.as_str()) || device.contains(word.as_str()))
    }

    /// Prints a line: times, rates by the median, and their shares of the peak.
    pub fn line(&self, what: &str, device: &str, times: Times, work: Work, peak: Option<Peak>) {
        let rate = |amount: u64| amount as f64 / times.median / 1e9;
        let (gflops, bandwidth) = (rate(work.flops), rate(work.bytes));
        let share = |rate: f64, of: fn(Peak) -> f64| {
            peak.map_or_else(|| "-".into(), |peak| format!("{:.0}%", 100.0 * rate / of(peak)))
        };
        println!(
            "{what:<58} {device:<10} {:>10.4} {:>10.4} {gflops:>9.1} {:>6} {bandwidth:>8.1} {:>6}",
            times.median * 1e3,
            times.least * 1e3,
            share(gflops, |peak| peak.gflops),
            share(bandwidth, |peak| peak.bandwidth),
        );
    }
}

#[cfg(test)]
mod tests {
    use gannet::GanConfig;

    /// The networks that are measured beside their peers are models whose parts fit.
    #[test]
    fn networks_are_models() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/networks");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let config = GanConfig::from_toml(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(Some(config.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()));
            let (generator, discriminator) = config.build().unwrap();
            assert_eq!(generator.output(), discriminator.input(), "{}", path.display());
            count += 1;
        }
        assert!(count >= 5, "{count} networks in {folder}");
    }
}
