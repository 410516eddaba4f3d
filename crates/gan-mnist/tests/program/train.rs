//! Runs of a few steps.

use std::fs;
use std::path::Path;

use crate::program::{folder, names, run, trained};

#[test]
fn a_run_leaves_everything_it_promises() {
    let folder = folder();
    let line = "--steps 3 --batch-size 4 --sample-every 2 --seed 7";
    let outcome = run(folder.path(), line).success();
    let at = folder.path().join("runs/cdcgan-1");
    assert_eq!(
        names(&at),
        [
            "checkpoints",
            "config.toml",
            "events.out.tfevents",
            "losses.csv",
            "metrics.jsonl",
            "model.safetensors",
            "real.png",
            "report.html",
            "samples",
            "samples.gif",
            "samples.png"
        ]
    );
    assert_eq!(
        names(&at.join("checkpoints")),
        ["lock", "step-000000.safetensors", "step-000003.safetensors"]
    );
    assert_eq!(names(&at.join("samples")), ["step-000002.png", "step-000003.png"]);
    assert_eq!(
        fs::read(at.join("samples.png")).unwrap(),
        fs::read(at.join("samples/step-000003.png")).unwrap()
    );

    let config: toml::Table = fs::read_to_string(at.join("config.toml")).unwrap().parse().unwrap();
    for (key, value) in [
        ("preset", toml::Value::from("cdcgan")),
        ("steps", 3.into()),
        ("images", 12.into()),
        ("batch_size", 4.into()),
        ("learning_rate", 0.003.into()),
        ("sample_every", 2.into()),
        ("seed", 7.into()),
        ("device", "cpu".into()),
    ] {
        assert_eq!(config.get(key), Some(&value), "{key}");
    }

    let losses = fs::read_to_string(at.join("losses.csv")).unwrap();
    let rows: Vec<_> = losses.lines().collect();
    assert_eq!((rows.len(), rows[0]), (4, "step,d_real,d_fake,g"));
    for (step, row) in rows[1..].iter().enumerate() {
        let numbers: Vec<f32> = row.split(',').map(|n| n.parse().unwrap()).collect();
        assert_eq!((numbers.len(), numbers[0]), (4, (step + 1) as f32));
        assert!(numbers.iter().all(|n| n.is_finite()), "{row}");
    }

    // The last lines say where everything is and what to type next.
    for part in ["runs/cdcgan-1", "samples.png", "model.safetensors", "generate runs/cdcgan-1"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    // A slow machine takes seconds a step.
    let paced = ["steps/s", "s/step"].iter().any(|unit| outcome.stderr.contains(unit));
    assert!(outcome.stderr.contains("step 1/3") && paced, "{}", outcome.stderr);

    // The next run gets the next number; both stay.
    run(folder.path(), line).success();
    assert_eq!(names(&folder.path().join("runs")), ["cdcgan-1", "cdcgan-2"]);
}

#[test]
fn a_quiet_run_prints_its_directory_alone() {
    let folder = folder();
    let outcome = run(folder.path(), "train --preset dcgan --images 5 --batch-size 4 --quiet").success();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("runs/dcgan-1\n", ""));
    // Five images are two steps of four.
    assert_eq!(fs::read_to_string(folder.path().join("runs/dcgan-1/losses.csv")).unwrap().lines().count(), 3);
}

/// What has to be the same of two runs.
fn results(run: &Path) -> [Vec<u8>; 3] {
    ["losses.csv", "model.safetensors", "samples.png"].map(|name| fs::read(run.join(name)).unwrap())
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_any_number_of_threads() {
    let folder = folder();
    let train = |out: &str, flags: &str| {
        let line = format!("train --steps 3 --batch-size 8 --out {out} {flags}");
        run(folder.path(), &line).success();
        results(&folder.path().join(out))
    };
    let first = train("first", "--threads 1");
    assert!(first == train("again", "--threads 1"), "two runs differ");
    assert!(first == train("two", "--threads 2"), "one and two threads differ");
    assert!(first == train("three", "--threads 3"), "one and three threads differ");
    let other = train("other", "--threads 1 --seed 43");
    assert!(first[0] != other[0] && first[1] != other[1], "the seed changes nothing");
}

/// Steps of micro-batches: a run in two parts ends with the bytes of one at once, and all that counts images counts them all.
#[test]
fn steps_are_made_of_micro_batches() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    // A penalty of second order, several updates of the critic, an average.
    let train = "train --preset wgan-gp --batch-size 2 --sample-every 100 --threads 1 --quiet";
    run(folder.path(), &format!("{train} --accumulate 3 --images 24 --out at-once")).success();
    run(folder.path(), &format!("{train} --accumulate 3 --steps 2 --out in-two")).success();
    run(folder.path(), "resume in-two --images 11 --threads 2 --quiet").success();
    assert!(results(&at("at-once"))[..2] == results(&at("in-two"))[..2], "a run in two parts differs");
    let config: toml::Table = fs::read_to_string(at("in-two/config.toml")).unwrap().parse().unwrap();
    let whole = |key: &str| config.get(key).and_then(toml::Value::as_integer);
    assert_eq!(["steps", "images", "batch_size", "accumulate"].map(whole), [4, 24, 2, 3].map(Some));
    let metrics = fs::read_to_string(at("at-once/metrics.jsonl")).unwrap();
    assert!(metrics.lines().last().unwrap().contains("\"step\":4,\"images\":24"), "{metrics}");
    // One micro-batch is a plain step; a run can change to it, and says so.
    run(folder.path(), &format!("{train} --accumulate 1 --steps 2 --out one")).success();
    run(folder.path(), &format!("{train} --steps 2 --out plain")).success();
    assert!(results(&at("one")) == results(&at("plain")), "one micro-batch differs");
    assert!(!fs::read_to_string(at("one/config.toml")).unwrap().contains("accumulate ="));
    let outcome = run(folder.path(), "resume in-two --accumulate 1 --steps 1 --threads 1").success();
    assert!(outcome.stdout.contains("on from step 4 to 5, 2 images each"), "{}", outcome.stdout);
    let config: toml::Table = fs::read_to_string(at("in-two/config.toml")).unwrap().parse().unwrap();
    assert_eq!((config["images"].as_integer(), config.get("accumulate")), (Some(26), None));
    assert_eq!(config["changes"].as_array().unwrap()[0]["accumulate"].as_integer(), Some(3));
    run(folder.path(), "report in-two").success();
}

#[test]
fn the_reference_agrees_with_the_cpu() {
    let folder = folder();
    let losses = |device: &str| {
        let line = format!("train --steps 1 --batch-size 1 --device {device} --out {device}");
        run(folder.path(), &line).success();
        let text = fs::read_to_string(folder.path().join(device).join("losses.csv")).unwrap();
        let row = text.lines().nth(1).unwrap();
        row.split(',').map(|n| n.parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    for (cpu, reference) in losses("cpu").into_iter().zip(losses("reference")) {
        assert!((cpu - reference).abs() <= 1e-4 * reference.abs(), "{cpu} {reference}");
    }
}

#[test]
fn flags_reach_the_training() {
    let folder = folder();
    let first = fs::read(trained("cdcgan").join("losses.csv")).unwrap();
    let train = |flags: &str| {
        run(folder.path(), &format!("train --steps 2 --out run {flags}")).success();
        let losses = fs::read(folder.path().join("run/losses.csv")).unwrap();
        fs::remove_dir_all(folder.path().join("run")).unwrap();
        losses
    };
    assert_eq!(train("--batch-size 4"), first);
    for flags in ["--batch-size 5", "--batch-size 4 --learning-rate 0.0001", "--batch-size 4 --preset dcgan"]
    {
        assert_ne!(train(flags), first, "{flags}");
    }
}

#[test]
fn a_run_begins_from_what_another_has_learnt() {
    let folder = folder();
    let model = trained("cdcgan");
    let train = |from: &str, flags: &str, out: &str| {
        run(
            folder.path(),
            &format!("train --from {from} --steps 1 --batch-size 4 --threads 1 {flags} --out {out}"),
        )
    };
    let (run_of, file) = (model.display().to_string(), model.join("model.safetensors").display().to_string());
    let outcome = train(&run_of, "", "a").success();
    assert!(outcome.stdout.contains("all its weights fit; the optimisers begin anew"), "{}", outcome.stdout);
    train(&file, "", "b").success();
    let losses = |out: &str| fs::read(folder.path().join(out).join("losses.csv")).unwrap();
    assert_eq!(losses("a"), losses("b"));
    run(folder.path(), "train --steps 1 --batch-size 4 --threads 1 --out fresh").success();
    assert_ne!(losses("a"), losses("fresh"), "a fresh run begins with other weights");

    // Another last layer, and networks that have nothing in common.
    let outcome = train(&run_of, "--preset acgan", "c").success();
    assert!(outcome.stdout.contains(" not fit and begin anew"), "{}", outcome.stdout);
    let message = train(&run_of, "--preset seed-dense", "d").error(1);
    assert!(
        message.contains("cannot begin from") && message.contains("nothing in this file fits"),
        "{message}"
    );
    let message = train("no-such-run", "", "e").error(1);
    assert!(message.contains("cannot begin from no-such-run"), "{message}");
    assert!(!folder.path().join("d").exists() && !folder.path().join("e").exists());
}
