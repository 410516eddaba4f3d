//! Measurements, and what there is to measure on.

use serde_json::Value;

use crate::program::{folder, run};

#[test]
fn json_has_every_field() {
    let folder = folder();
    let line = "bench --preset dcgan --batch-size 2 --device cpu --threads 2 --steps 2 --json";
    let outcome = run(folder.path(), line).success();
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.stdout);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["preset"], "dcgan");
    assert_eq!(report["batch_size"], 2);
    assert_eq!(report["device"], "cpu");
    assert_eq!(report["threads"], 2);
    assert!(report["isa"].is_string(), "{report}");
    let number =
        |value: &Value| value.as_f64().unwrap_or_else(|| panic!("not a number: {value} in {report}"));
    let (min, median) = (number(&report["step_ms"]["min"]), number(&report["step_ms"]["median"]));
    assert!(0.0 < min && min <= median, "{report}");
    assert!((number(&report["images_per_s"]) - 2000.0 / median).abs() < 1.0, "{report}");
    assert!(number(&report["gflops"]) > 0.0 && number(&report["fma_peak_gflops"]) > 0.0, "{report}");
    #[cfg(target_os = "linux")]
    assert!(number(&report["peak_rss_mb"]) > 10.0, "{report}");
}

#[test]
fn a_step_of_micro_batches_is_measured_with_all_its_images() {
    let folder = folder();
    let line = "bench --preset dcgan --batch-size 2 --accumulate 3 --device cpu --threads 1 --steps 1";
    let outcome = run(folder.path(), &format!("{line} --json")).success();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&report["batch_size"], &report["accumulate"]), (&2.into(), &3.into()));
    let number = |value: &Value| value.as_f64().unwrap();
    let median = number(&report["step_ms"]["median"]);
    assert!((number(&report["images_per_s"]) - 6000.0 / median).abs() < 1.0, "{report}");
    let outcome = run(folder.path(), line).success();
    assert!(outcome.stdout.contains("dcgan, 3 micro-batches of 2, on "), "{}", outcome.stdout);
    let outcome = run(folder.path(), &format!("{line} --profile"));
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("--profile") && outcome.stderr.contains("--accumulate"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_reference_is_measured_too() {
    let folder = folder();
    let outcome = run(folder.path(), "bench --batch-size 1 --device reference --steps 1").success();
    for part in ["cdcgan", "reference", "ms", "GFLOP/s", "images/s", "MB"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
}

#[test]
fn the_kernels_of_a_step_on_the_cpu_are_listed() {
    let folder = folder();
    let line = "bench --preset dcgan --batch-size 2 --device cpu --steps 2 --profile";
    let lines = run(folder.path(), line).success().stdout;
    // The generator's first product and its gradient, a transposed convolution, both updates.
    for part in ["[2, 6272] <- [2, 100] [100, 6272]", "[100, 6272] <- [2, 100] [2, 6272]", "conv_transpose2d"]
    {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert_eq!(lines.lines().filter(|line| line.contains("  adam ")).count(), 2, "{lines}");
    let share = |line: &str| line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok());
    let shares: f64 = lines.lines().skip(1).map(|line| share(line).unwrap_or_else(|| panic!("{line}"))).sum();
    assert!((shares - 100.0).abs() < 0.1 * lines.lines().count() as f64, "{shares}: {lines}");
}

#[test]
fn devices_lists_them() {
    let folder = folder();
    let outcome = run(folder.path(), "devices").success();
    for part in ["auto", "cpu", "reference", "threads"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
}

#[test]
fn help_and_version_are_printed() {
    let folder = folder();
    let help = run(folder.path(), "--help").success().stdout;
    for part in ["train", "generate", "bench", "devices", "--preset", "--sample-every"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    assert!(run(folder.path(), "--version").success().stdout.starts_with("gan-mnist 0."));
}

#[test]
fn presets_and_model_files_of_other_sizes_are_measured_without_data() {
    let folder = folder();
    run(folder.path(), "bench --preset dcgan-32 --batch-size 1 --steps 1").success();
    let preset = run(folder.path(), "presets cdcgan-32").success().stdout;
    std::fs::write(folder.path().join("mine.toml"), preset.replace("\"cdcgan-32\"", "\"mine\"")).unwrap();
    let outcome = run(folder.path(), "bench --model mine.toml --batch-size 1 --steps 1").success();
    assert!(outcome.stdout.contains("mine"), "{}", outcome.stdout);
}
