//! One square matrix product on the CPU, as a line of JSON: what `peers/run.sh` compares with.
//!
//! `cargo bench -p gannet-benches --bench matmul -- --json --size 1024 --threads 2`

use gannet_benches::{Times, measure, program};
use gannet_cpu::Cpu;
use gannet_tests::rows;

type Failure = Box<dyn std::error::Error>;

/// The whole number behind a flag.
fn flag(name: &str) -> Result<Option<usize>, Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    if arguments.next().is_none() {
        return Ok(None);
    }
    match arguments.next().and_then(|text| text.parse().ok()) {
        Some(number) if (1..=8192).contains(&number) => Ok(Some(number)),
        _ => Err(format!("{name} takes a whole number from 1 to 8192").into()),
    }
}

fn main() -> Result<(), Failure> {
    let size = flag("--size")?.unwrap_or(1024);
    let cpu = match flag("--threads")? {
        Some(threads) => Cpu::with_threads(threads)?,
        None => Cpu::new()?,
    };
    let (mut program, work) = program(&cpu, &rows::matmul_case([size; 3], [false, false]))?;
    let mut done = [0.0];
    let Times { least, median } = measure(|count| {
        for _ in 0..count {
            program.run()?;
        }
        program.read_into("done", &mut done)
    })?;
    println!(
        "{{\"size\":{size},\"isa\":\"{}\",\"threads\":{},\"step_ms\":{{\"min\":{},\"median\":{}}},\"gflops\":{},\
         \"fma_peak_gflops\":{}}}",
        cpu.isa(),
        cpu.threads(),
        least * 1e3,
        median * 1e3,
        work.flops as f64 / median / 1e9,
        cpu.measure_fma_peak()
    );
    Ok(())
}
