//! Presets, and model files in their place.

use std::fs;

use gannet::{Cpu, Gan, GanConfig, presets};

use crate::data::picture;
use crate::program::{folder, names, run};

#[test]
fn presets_are_listed_with_a_line_each_and_printed_by_name() {
    let folder = folder();
    let list = run(folder.path(), "presets").success().stdout;
    let all: Vec<&str> = presets::names().chain(["pictures"]).collect();
    assert_eq!(list.lines().count(), all.len());
    for (line, name) in list.lines().zip(all) {
        let description = line.strip_prefix(name).expect("in their order").trim();
        assert!(!description.is_empty() && line.chars().count() <= 100, "{line}");
    }
    for name in ["cdcgan", "seed-dense"] {
        let printed = run(folder.path(), &format!("presets {name}")).success().stdout;
        assert_eq!(printed, presets::text(name).unwrap());
    }
    let message = run(folder.path(), "presets cdgan").error(2);
    assert!(message.contains("'cdgan'") && message.contains("cdcgan"), "{message}");
}

/// Copying a preset and training the copy is training the preset.
#[test]
fn a_model_file_trains_like_the_preset_that_it_copies() {
    let folder = folder();
    let text = run(folder.path(), "presets cdcgan").success().stdout;
    fs::write(folder.path().join("mine.toml"), text.replace("name = \"cdcgan\"", "name = \"mine\"")).unwrap();
    for (what, out) in [("--preset cdcgan", "a"), ("--model mine.toml", "b")] {
        run(folder.path(), &format!("train {what} --steps 2 --batch-size 4 --device cpu --out {out}"))
            .success();
    }
    let read = |path: &str| fs::read(folder.path().join(path)).unwrap();
    assert_eq!(read("a/losses.csv"), read("b/losses.csv"));
    assert_eq!(read("a/samples.png"), read("b/samples.png"));
    let config = String::from_utf8(read("b/config.toml")).unwrap();
    assert!(config.contains("preset = \"mine\""), "{config}");
    // The run directory takes its name from the file.
    run(folder.path(), "train --model mine.toml --steps 1 --batch-size 2 --device cpu").success();
    assert_eq!(names(&folder.path().join("runs")), ["mine-1"]);
    let bench =
        run(folder.path(), "bench --model mine.toml --steps 1 --batch-size 2 --device cpu --json").success();
    assert!(bench.stdout.contains("\"preset\":\"mine\""), "{}", bench.stdout);
}

/// What a model file says of its length and its seed holds unless a flag says otherwise.
#[test]
fn a_model_file_may_say_how_long_it_trains_and_from_which_seed() {
    let folder = folder();
    let text = presets::text("dcgan").unwrap().replacen(
        "batch_size = 128",
        "batch_size = 2\nsteps = 3\nseed = 7",
        1,
    );
    fs::write(folder.path().join("short.toml"), text).unwrap();
    let lines =
        |out: &str| fs::read_to_string(folder.path().join(out).join("losses.csv")).unwrap().lines().count();
    run(folder.path(), "train --model short.toml --device cpu --out a").success();
    run(folder.path(), "train --model short.toml --device cpu --steps 1 --seed 8 --out b").success();
    assert_eq!((lines("a"), lines("b")), (4, 2));
    for (out, seed) in [("a", "seed = 7"), ("b", "seed = 8")] {
        let config = fs::read_to_string(folder.path().join(out).join("config.toml")).unwrap();
        assert!(config.lines().any(|line| line == seed), "{config}");
    }
}

#[test]
fn wrong_model_files_are_refused_with_line_key_and_what_would_fit() {
    let folder = folder();
    let good = presets::text("cdcgan").unwrap();
    let line_of = |needle: &str| good.lines().position(|line| line.contains(needle)).unwrap() + 1;
    for (from, to, parts) in [
        ("batch_size = 32", "batch_sise = 32", &["batch_sise", "batch_size"][..]),
        ("batch_size = 32", "batch_size = -32", &["-32", "whole number of at least 0"]),
        ("batch_size = 32", "batch_size = 0", &["batch_size", "at least 1"]),
        ("loss = \"non_saturating\"", "loss = \"wasserstien\"", &["wasserstien", "wasserstein"]),
        ("share = 0.05", "share = -1.0", &["share", "positive"]),
        ("from = 0.5", "from = 1.5", &["at least 0 and less than 1", "1.5"]),
        ("beta1 = 0.5", "beta1 = 1.5", &["beta1", "1.5"]),
        ("units = 6272", "units = 6271", &["reshape", "6271", "6272"]),
        ("\"flatten\"", "\"flaten\"", &["flaten", "flatten"]),
        ("input = [28, 28, 1]", "input = [28, 28, 3]", &["[28, 28, 1]", "[28, 28, 3]"]),
    ] {
        fs::write(folder.path().join("wrong.toml"), good.replacen(from, to, 1)).unwrap();
        let before = names(folder.path());
        let message = run(folder.path(), "train --model wrong.toml --steps 1").error(1);
        // A layer that does not fit is the Reshape after the Dense.
        let line = line_of(if from.starts_with("units") { "reshape" } else { from });
        for part in [&["wrong.toml:", &format!("line {line}:")], parts].concat() {
            assert!(message.contains(part), "{part:?} is missing in: {message}");
        }
        assert_eq!(names(folder.path()), before);
    }
    let refuse = |line: &str, code: i32, parts: &[&str]| {
        let message = run(folder.path(), line).error(code);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}: {message}");
    };
    refuse("train --model missing.toml", 1, &["missing.toml"]);
    refuse("bench --model .", 1, &["cannot read"]);
    refuse("train --model wrong.toml --preset dcgan", 2, &["--model", "--preset", "cannot be used"]);
    fs::write(folder.path().join("picture.toml"), b"\x89PNG\xff").unwrap();
    refuse("train --model picture.toml", 1, &["picture.toml", "not a text"]);
    fs::write(folder.path().join("named.toml"), good.replace("\"cdcgan\"", "\"a/b\"")).unwrap();
    refuse("train --model named.toml", 1, &["named.toml", "\"a/b\"", "letters"]);
    // A model that is told more than pictures come with.
    let told =
        good.replacen("\"flatten\"", "\"flatten\", { concat_input = { name = \"angle\", shape = [1] } }", 1);
    fs::write(folder.path().join("told.toml"), &told).unwrap();
    let mut config = GanConfig::from_toml(&told).unwrap();
    config.steps = Some(1);
    Gan::new(&Cpu::new().unwrap(), config).unwrap().save(folder.path().join("told.safetensors")).unwrap();
    for (line, file) in [
        ("train --model told.toml --steps 1", "told.toml"),
        ("train --from told.safetensors --steps 1", "told.safetensors"),
        ("generate told.safetensors --count 1 --out told.png", "told.safetensors"),
        ("export told.safetensors --format onnx --out told.onnx", "told.safetensors"),
        ("import told.safetensors --model told.toml --out again.safetensors", "told.toml"),
    ] {
        refuse(line, 1, &[file, "the input 'angle'", "classes alone"]);
    }
    // Models for other images or classes than the data has.
    fs::write(folder.path().join("large.toml"), presets::text("cdcgan-32").unwrap()).unwrap();
    refuse("train --model large.toml --steps 1", 1, &["32x32x3", "mnist has 28x28", "--image-size 32"]);
    fs::write(folder.path().join("five.toml"), good.replace("classes = 160", "classes = 80")).unwrap();
    refuse("train --model five.toml --steps 1", 1, &["5 classes", "10"]);
    assert!(!folder.path().join("runs").exists());
}

/// A model file that follows its pictures is one for any of them; copying the preset is what `train --data` does by itself.
#[test]
fn a_model_file_follows_its_pictures() {
    let folder = folder();
    (0..4).for_each(|n| picture(&folder.path().join(format!("wide/{n}.png")), 40, 3, 60 * n));
    let text = run(folder.path(), "presets pictures").success().stdout;
    fs::write(folder.path().join("mine.toml"), &text).unwrap();
    let flags = "--data wide --image-size 32x16 --steps 2 --batch-size 4 --device cpu --capacity small";
    for (what, out) in [("", "a"), ("--model mine.toml", "b"), ("--preset pictures", "c")] {
        let outcome = run(folder.path(), &format!("train {what} {flags} --out {out}")).success();
        assert!(outcome.stdout.contains("made for pictures of 32 x 16 x 3, small capacity"), "{outcome:?}");
    }
    let read = |path: &str| fs::read(folder.path().join(path)).unwrap();
    assert_eq!(read("a/model.safetensors"), read("b/model.safetensors"));
    assert_eq!(read("a/losses.csv"), read("c/losses.csv"));
    run(folder.path(), "data wide --model mine.toml --device cpu --out wide.png").success();
    // Digits are pictures too.
    run(folder.path(), "train --model mine.toml --steps 1 --batch-size 2 --device cpu --out digits")
        .success();

    for preset in ["--preset dcgan-32", "--from digits"] {
        let message = run(folder.path(), &format!("train {preset} {flags}")).error(2);
        assert!(message.contains("--capacity") && message.contains("follows them"), "{message}");
    }
    let message = run(folder.path(), "bench --model mine.toml --device cpu").error(1);
    assert!(
        message.contains("mine.toml follows its pictures") && message.contains("train --data"),
        "{message}"
    );
    let wrong = text.replace("\"channels\", kernel = [3, 3]", "\"chanels\", kernel = [3, 3]");
    fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
    let message = run(folder.path(), &format!("train --model wrong.toml {flags}")).error(1);
    let line = text.lines().position(|line| line.contains("kernel = [3, 3]")).unwrap() + 1;
    let parts = ["wrong.toml", &format!("line {line}"), "\"chanels\" stands for no number", "\"channels\""];
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    assert_eq!(
        names(folder.path()),
        ["a", "b", "c", "digits", "mine.toml", "wide", "wide.png", "wrong.toml"]
    );
}
