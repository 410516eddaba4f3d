//! Whether the fast CPU backend chooses well: convolutions of many shapes by every way that is possible.
//!
//! `cargo bench -p gannet-benches --bench choices` prints, for every shape, each way's least time in milliseconds, the one that is
//! taken in brackets, and how much longer that takes than the best; last, how often the choice is within 10 % of the best.
//! Words choose lines: `-- conv2d_weight_grad 3x3/1`.

use gannet_benches::{Table, Times, measure, program};
use gannet_cpu::{Cpu, Way};
use gannet_tensor::{Conv2dGeometry, Padding, Result, Shape};
use gannet_tests::rows;

/// Multiply-adds of a shape: more take long, and fewer say little about a step.
const WORK: std::ops::RangeInclusive<u64> = 4_000_000..=400_000_000;

/// Images of a batch are as many as make about so many multiply-adds, from 4 to 32.
const AIM: u64 = 100_000_000;

/// Channels at the image and at the features, as they follow one another in networks.
const CHANNELS: [[usize; 2]; 14] = [
    [1, 32],
    [3, 16],
    [3, 32],
    [3, 64],
    [4, 32],
    [16, 16],
    [16, 32],
    [32, 32],
    [32, 64],
    [64, 64],
    [64, 128],
    [128, 128],
    [128, 256],
    [256, 512],
];

const WINDOWS: [[usize; 2]; 6] = [[1, 1], [3, 1], [3, 2], [4, 2], [5, 1], [5, 2]];

fn geometries() -> Vec<Conv2dGeometry> {
    let mut list = Vec::new();
    for [kernel, stride] in WINDOWS {
        for channels in CHANNELS {
            for side in [4, 8, 16, 32, 64, 128] {
                // Both ways: from an image, and to it.
                for [c_in, c_out] in [channels, [channels[1], channels[0]]] {
                    if c_in == c_out && [c_in, c_out] != channels {
                        continue;
                    }
                    let of = |batch: usize| {
                        let x = Shape::from([batch, side, side, c_in]);
                        let w = Shape::from([kernel, kernel, c_in, c_out]);
                        Conv2dGeometry::forward(x, w, [stride; 2], Padding::Same)
                            .unwrap_or_else(|error| unreachable!("{error}"))
                    };
                    let batch = (2 * AIM / of(1).flops().max(1)).clamp(4, 32);
                    let geometry = of(batch as usize);
                    if WORK.contains(&(geometry.flops() / 2)) && !list.contains(&geometry) {
                        list.push(geometry);
                    }
                }
            }
        }
    }
    list
}

fn main() -> Result<()> {
    let table = Table::from_arguments();
    let cpu = Cpu::new()?;
    println!("{} with {} threads", cpu.isa(), cpu.threads());
    let (mut measured, mut well, mut worst) = (0, 0, 1.0_f64);
    for geometry in geometries() {
        for (name, case) in rows::CONVOLUTIONS {
            let Conv2dGeometry { batch, in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride_h, .. } =
                geometry;
            let line =
                format!("{name} {batch}x{in_h}x{in_w}x{in_c} to {out_c}, {kernel_h}x{kernel_w}/{stride_h}");
            if !table.wants(&line, "") {
                continue;
            }
            let (ways, chosen) = {
                let (program, _) = program(&cpu, &case(geometry))?;
                match cpu.ways(&program.plan().instructions()[0]) {
                    Some(ways) => ways,
                    None => continue,
                }
            };
            let mut times: Vec<(Way, f64)> = Vec::new();
            if ways.len() > 1 {
                for way in ways {
                    let forced = Cpu::by_way(cpu.isa(), cpu.threads(), way)?;
                    let (mut program, _) = program(&forced, &case(geometry))?;
                    let mut done = [0.0];
                    let Times { least, .. } = measure(|count| {
                        for _ in 0..count {
                            program.run()?;
                        }
                        program.read_into("done", &mut done)
                    })?;
                    times.push((way, least * 1e3));
                }
            }
            let of_chosen = times.iter().find(|(way, _)| *way == chosen).map(|(_, time)| *time);
            let best = times.iter().map(|(_, time)| *time).fold(f64::INFINITY, f64::min);
            let Some(of_chosen) = of_chosen else { continue };
            measured += 1;
            well += usize::from(of_chosen <= 1.1 * best);
            worst = worst.max(of_chosen / best);
            let times = times.iter().map(|(way, time)| match *way == chosen {
                true => format!("[{way:?} {time:.3}]"),
                false => format!("{way:?} {time:.3}"),
            });
            println!("{line:<56} {:<60} {:.2}", times.collect::<Vec<_>>().join("  "), of_chosen / best);
        }
    }
    if measured > 0 {
        println!(
            "{measured} shapes with several ways: the choice is within 10 % of the best in {:.1} %, at most {worst:.2} times it",
            100.0 * well as f64 / f64::from(measured)
        );
    }
    Ok(())
}
