//! Tiles that were measured: the file of them, and the runs that use it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::gpu::gpu;
use crate::program::{Outcome, folder, run_with};

/// A small model with products of every kind.
const MODEL: &str = r#"
name = "tiny"
description = "a small model for images of 28 x 28"
batch_size = 3
loss = "non_saturating"

[generator]
input = [24]
optimiser = { adam = { learning_rate = 1e-3, beta1 = 0.5 } }
layers = [
  { dense = { units = 588, activation = "relu" } },
  { reshape = { shape = [7, 7, 12] } },
  { conv_transpose2d = { filters = 16, kernel = [4, 4], stride = [2, 2], padding = "same", activation = "relu" } },
  { conv_transpose2d = { filters = 1, kernel = [4, 4], stride = [2, 2], padding = "same", activation = "tanh" } },
]

[discriminator]
input = [28, 28, 1]
optimiser = { adam = { learning_rate = 1e-3, beta1 = 0.5 } }
layers = [
  { conv2d = { filters = 12, kernel = [4, 4], stride = [2, 2], padding = "same", activation = "relu" } },
  "flatten",
  { dense = { units = 1 } },
]
"#;

/// A folder with the model, whose runs keep what outlasts them in `cache`.
struct Place {
    folder: TempDir,
    device: &'static str,
}

impl Place {
    fn new() -> Option<Place> {
        let place = Place { folder: folder(), device: gpu()? };
        fs::write(place.path().join("tiny.toml"), MODEL).unwrap();
        Some(place)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, line: &str, tiles: Option<&str>) -> Outcome {
        let cache = self.path().join("cache");
        let environment =
            [("GANNET_CACHE", Some(cache.as_os_str())), ("GANNET_TILES", tiles.map(OsStr::new))];
        run_with(self.path(), &environment, &format!("{line} {}", self.device))
    }

    /// The file of tiles, if there is one.
    fn file(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.path().join("cache")).ok()?;
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("tiles-"))
    }

    /// Trains two steps and says what stands in config.toml about tiles, and what was learnt.
    fn train(&self, out: &str, tiles: Option<&str>) -> (Outcome, String, Vec<u8>) {
        let line = format!("train --model tiny.toml --steps 2 --quiet --out {out}");
        let outcome = self.run(&line, tiles).success();
        let config: toml::Table =
            fs::read_to_string(self.path().join(out).join("config.toml")).unwrap().parse().unwrap();
        let model = fs::read(self.path().join(out).join("model.safetensors")).unwrap();
        (outcome, config["tiles"].as_str().unwrap().into(), model)
    }

    /// What `bench --json` says of tiles.
    fn bench(&self) -> String {
        let outcome = self.run("bench --model tiny.toml --steps 1 --json", None).success();
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let host = &report["host_ms"];
        assert!(["write", "record", "submit"].iter().all(|part| host[part].as_f64() > Some(0.0)), "{report}");
        report["tiles"].as_str().unwrap().into()
    }
}

#[test]
fn what_was_measured_is_used_by_later_runs_and_changes_no_byte() {
    let Some(place) = Place::new() else { return };
    let (first, words, expected) = place.train("by-rule", None);
    assert_eq!(words, "by rule");
    assert!(!first.stderr.contains("tiles"), "{first:?}");

    let dry = place.run("tune --model tiny.toml --dry-run", None).success();
    assert!(dry.stdout.contains("nothing is kept") && place.file().is_none(), "{dry:?}");
    let tuned = place.run("tune --model tiny.toml", None).success();
    for part in [
        "tiny, batches of 3, on ",
        "GFLOP/s of multiply-adds",
        "conv2d_weight_grad 14x14x16 of 7x7x12, 4x4/2, N 3",
        "conv_transpose2d",
        "matmul_nn_bias 3x588x24",
        "products of a step: ",
        "kept: ",
    ] {
        assert!(tuned.stdout.contains(part), "{part}: {}", tuned.stdout);
    }
    let path = place.file().expect("a file of tiles");
    assert!(tuned.stdout.contains(&path.display().to_string()), "{}", tuned.stdout);

    // Whatever was measured: by others than the rule's.
    let text = fs::read_to_string(&path).unwrap();
    let other = ["plain", "vec4", "large"]
        .iter()
        .fold(text.clone(), |text, name| text.replace(&format!("= \"{name}\""), "= \"tall\""));
    assert!(other.contains("= \"tall\"") && text.contains("\"matmul_nn_bias 3x588x24\" = "), "{text}");
    fs::write(&path, &other).unwrap();
    let bench = place.bench();
    let words = bench.split(['(', ',', ':', ')']).map(str::trim).collect::<Vec<_>>();
    assert_eq!(words[0], "as measured");
    let [known, .., of] = *words.last().unwrap().split(' ').collect::<Vec<_>>() else { panic!("{bench}") };
    assert!(known.parse::<usize>().unwrap() > 3 && of == "step", "{bench}");
    let (run, words, found) = place.train("measured", None);
    assert!(words.starts_with("as measured (") && bench.starts_with(&words), "{words}: {bench}");
    assert!(
        run.stderr.contains(" as measured: ") && run.stderr.contains(&path.display().to_string()),
        "{run:?}"
    );
    assert!(found == expected, "other tiles, other bytes");

    // The environment has the last word.
    let (run, words, found) = place.train("asked", Some("large"));
    assert_eq!(words, "large (GANNET_TILES)");
    assert!(run.stderr.contains("large wherever it fits"), "{run:?}");
    assert!(found == expected, "other tiles, other bytes");

    // A run that goes on says what is another now, and no more than that is another.
    let resumed = place.run("resume by-rule --steps 1", None).success();
    assert!(
        resumed.stderr.contains("tiles of products were by rule before and are as measured"),
        "{resumed:?}"
    );
    let same = place.run("resume measured --steps 1", None).success();
    assert!(!same.stderr.contains("before and are"), "{same:?}");
    let model = |run: &str| fs::read(place.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("by-rule") == model("measured"), "other tiles, other bytes");

    // A file that is not whole, and what tune makes of it.
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    let (run, words, _) = place.train("damaged", None);
    assert_eq!(words, "by rule");
    assert!(run.stderr.contains(&format!("{} is not used: ", path.display())), "{run:?}");
    let tuned = place.run("tune --model tiny.toml --batch-size 2", None).success();
    assert!(tuned.stderr.contains("is not used: "), "{tuned:?}");
    let [two, three] = ["\"matmul_nn_bias 2x588x24\"", "\"matmul_nn_bias 3x588x24\""];
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(two) && !text.contains(three), "{text}");
    // What is measured of another model is added.
    place.run("tune --model tiny.toml", None).success();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(two) && text.contains(three), "{text}");
}

#[test]
fn what_tune_cannot_do_is_said() {
    let folder = folder();
    for (line, tiles, parts) in [
        ("tune --device cpu", None, ["tune measures a GPU", "--adapter"]),
        ("tune --preset dcgan --image-size 32", None, ["--image-size", "dcgan has a size of its own"]),
        ("tune --preset pictures", None, ["pictures follows its pictures", "--image-size 64"]),
        ("tune --capacity small", None, ["--image-size", "required"]),
        ("tune --device gpu --adapter 0", Some("large"), ["GANNET_TILES is set", "unset it"]),
        ("bench --device gpu --adapter 0 --steps 1", Some("huge"), ["GANNET_TILES is 'huge'", "vec4, tall"]),
    ] {
        let environment = [("GANNET_TILES", tiles.map(OsStr::new))];
        let message = run_with(folder.path(), &environment, line).error(2);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}: {message}");
    }
    let message = run_with(folder.path(), &[], "tune --adapter nosuch").error(1);
    assert!(message.contains("adapter"), "{message}");
    let Some(gpu) = gpu() else { return };
    let without = ["GANNET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"].map(|name| (name, None));
    let message = run_with(folder.path(), &without, &format!("tune {gpu}")).error(1);
    assert!(message.contains("no cache folder") && message.contains("GANNET_CACHE"), "{message}");
}
