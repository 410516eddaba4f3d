//! The program on a GPU, software or not: the first adapter that there is.

use std::path::Path;

use serde_json::Value;

use crate::program::{folder, names, run};

/// `--device gpu` with the first adapter, or nothing where there is none; `REQUIRE_GPU=1` asks for one.
pub(crate) fn gpu() -> Option<&'static str> {
    if gannet_gpu::adapters().is_empty() {
        assert!(
            std::env::var_os("REQUIRE_GPU").is_none_or(|value| value != "1"),
            "REQUIRE_GPU=1, but no adapter"
        );
        eprintln!("skipped: there is no GPU adapter, not even a software one");
        return None;
    }
    Some("--device gpu --adapter 0")
}

/// The numbers of losses.csv.
fn losses(run: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join("losses.csv")).unwrap();
    text.lines().skip(1).flat_map(|line| line.split(',')).map(|number| number.parse().unwrap()).collect()
}

#[test]
fn a_gpu_trains_as_the_cpu_does() {
    let Some(gpu) = gpu() else { return };
    let folder = folder();
    let train = "train --preset dcgan --steps 2 --batch-size 2 --quiet";
    run(folder.path(), &format!("{train} {gpu} --out gpu")).success();
    run(folder.path(), &format!("{train} --device cpu --out cpu")).success();
    let (found, expected) = (losses(&folder.path().join("gpu")), losses(&folder.path().join("cpu")));
    assert_eq!((found.len(), expected.len()), (8, 8));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 1e-3 * expected.abs(),
            "{found} on the GPU, {expected} on the CPU"
        );
    }
}

#[test]
fn every_operation_of_a_step_is_verified() {
    let Some(gpu) = gpu() else { return };
    let folder = folder();
    let outcome =
        run(folder.path(), &format!("verify --preset dcgan --batch-size 2 --steps 1 {gpu}")).success();
    for part in ["conv_transpose2d", "adam", "every operation within its bound"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let line = format!("verify --preset dcgan --batch-size 1 --accumulate 2 --steps 1 {gpu}");
    let outcome = run(folder.path(), &line).success();
    for part in ["accumulate", "dcgan: 1 steps of 2 images", "every operation within its bound"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
}

#[test]
fn a_step_is_sixty_dispatches_at_most_and_one_submit() {
    let Some(gpu) = gpu() else { return };
    let folder = folder();
    let outcome =
        run(folder.path(), &format!("bench --preset dcgan --batch-size 8 --steps 1 --json {gpu}")).success();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["device"], "gpu");
    assert_eq!(report["submits_per_step"], 1.0);
    assert!((1.0..=60.0).contains(&report["dispatches"].as_f64().unwrap()), "{report}");
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let folder = folder();
    for (line, code, parts) in [
        ("train --device gpu --adapter nosuch --steps 1 --out run", 1, ["adapter", "no"]),
        ("train --device cpu --adapter 0 --steps 1 --out run", 2, ["--adapter", "--device cpu"]),
        ("verify --device cpu", 2, ["verify", "--adapter"]),
        ("bench --device reference --profile", 2, ["--profile", "--device gpu"]),
    ] {
        let message = run(folder.path(), line).error(code);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}: {message}");
    }
    assert!(names(folder.path()).is_empty());
}
