//! `evaluate` on images whose scores are known beforehand.

use std::fs;
use std::path::Path;

use gan_mnist::picture::Picture;
use gannet_data::sets::mnist;
use gannet_data::{ImageShape, Images, Split};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::program::{folder, names, run};

const SIZE: usize = 28 * 28;

/// Writes `images` of bytes, perhaps with labels, as `evaluate --images` reads them.
fn write(path: &Path, images: &[u8], labels: Option<&[u32]>) {
    let n = images.len() / SIZE;
    let mut views = vec![("images", TensorView::new(Dtype::U8, vec![n, 28, 28, 1], images).unwrap())];
    let labels: Option<Vec<u8>> = labels.map(|labels| labels.iter().map(|&label| label as u8).collect());
    views.extend(
        labels.as_ref().map(|labels| ("labels", TensorView::new(Dtype::U8, vec![n], labels).unwrap())),
    );
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn evaluate(folder: &Path, line: &str) -> Value {
    let outcome = run(folder, &format!("evaluate --json --device cpu {line}")).success();
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn training_images_score_the_floor_and_are_known_for_copies() {
    let folder = folder();
    let train = mnist::load(Split::Train).unwrap();
    write(
        &folder.path().join("x.safetensors"),
        &train.pixels()[..400 * SIZE],
        Some(&train.labels().unwrap()[..400]),
    );
    let report = evaluate(folder.path(), "--images x.safetensors");
    assert_eq!((&report["count"], &report["model"]), (&400.into(), &"x.safetensors".into()));
    let (real, floor) = (&report["generated"], &report["floor"]);
    let ratio = real["frechet_distance"].as_f64().unwrap() / floor["frechet_distance"].as_f64().unwrap();
    // Four hundred images: the floor itself is as rough as that.
    assert!((0.4..2.5).contains(&ratio), "{ratio}");
    assert!(real["class_accuracy"].as_f64().unwrap() > 0.98, "{report}");
    let copies = &report["memorisation"];
    assert_eq!((&copies["duplicates"], &copies["suspicious"]), (&1.0.into(), &true.into()));
}

#[test]
fn a_folder_of_one_class_scores_as_such() {
    let folder = folder();
    let train = mnist::load(Split::Train).unwrap();
    // A folder of PNG, all of one class.
    let sevens = folder.path().join("sevens");
    fs::create_dir(&sevens).unwrap();
    let images =
        train.pixels().chunks_exact(SIZE).zip(train.labels().unwrap()).filter(|(_, label)| **label == 7);
    for (n, (image, _)) in images.take(200).enumerate() {
        let picture = Picture { shape: train.shape(), pixels: image.to_vec() };
        picture.save_png(&sevens.join(format!("{n:06}-class-7.png"))).unwrap();
    }
    let report = evaluate(folder.path(), "--images sevens");
    let (sevens, floor) = (&report["generated"], &report["floor"]);
    let number = |scores: &Value, name: &str| scores[name].as_f64().unwrap();
    assert_eq!(sevens["images"], 200);
    assert!(number(sevens, "frechet_distance") > 5.0 * number(floor, "frechet_distance"), "{report}");
    assert!(number(sevens, "class_divergence") > 1.5 && number(sevens, "precision") > 0.6, "{report}");
    assert!(number(sevens, "coverage") < 0.3 && number(sevens, "class_accuracy") > 0.95, "{report}");
}

/// Pictures of two kinds, upright and lying bars, in a folder for each.
fn bars(folder: &Path) {
    let shape = ImageShape { height: 28, width: 28, channels: 1 };
    for n in 0..24 {
        let (kind, at) = (n % 2, 2 + n);
        let upright = |k: usize| if kind == 0 { k % 28 == at } else { k / 28 == at };
        let pixels = (0..SIZE).map(|k| if upright(k) { 255 } else { 9 * (k % 3) as u8 }).collect();
        let class = folder.join(["upright", "lying"][kind]);
        fs::create_dir_all(&class).unwrap();
        Picture { shape, pixels }.save_png(&class.join(format!("{n}.png"))).unwrap();
    }
}

#[test]
fn evaluations_in_training_need_a_classifier_for_the_images_and_say_so_before_anything_is_written() {
    let folder = folder();
    bars(&folder.path().join("bars"));
    let train = "train --preset cdcgan --batch-size 4 --steps 2 --threads 1 --quiet --evaluate-every 2";
    fs::write(folder.path().join("page.html"), "<html>").unwrap();
    for (line, code, parts) in [
        ("--data bars --evaluate-count 500", 2, &["500 images cannot be scored", "--evaluate-count"][..]),
        ("--dataset mnist --classifier missing", 1, &["cannot read missing"]),
        ("--dataset mnist --classifier page.html", 1, &["page.html"]),
    ] {
        let before = names(folder.path());
        let message = run(folder.path(), &format!("{train} {line} --out refused")).error(code);
        for part in parts {
            assert!(message.contains(part), "{line}: {part:?} is missing in: {message}");
        }
        assert_eq!(names(folder.path()), before, "{line} left something behind");
    }

    let message = run(folder.path(), "train-classifier --data bars --out bars.png").error(2);
    assert!(message.contains("--out bars.png is no name ending in .safetensors"), "{message}");
    run(folder.path(), "train-classifier --data bars --epochs 3 --quiet --out of-bars.safetensors").success();
    let train = format!("{train} --data bars --classifier of-bars.safetensors");
    run(folder.path(), &format!("{train} --evaluate-count 12 --out run")).success();
    let other = "train --preset cdcgan --steps 1 --evaluate-every 1 --out refused --dataset mnist --classifier of-bars.safetensors";
    let message = run(folder.path(), other).error_on_stderr(1);
    assert!(
        message.contains("of 2 classes, mnist has 28x28x1 of 10 classes; leave --classifier out"),
        "{message}"
    );
    let lines = |run: &str| fs::read_to_string(folder.path().join(run).join("metrics.jsonl")).unwrap();
    assert!(lines("run").contains("\"name\":\"of-bars.safetensors\""), "{}", lines("run"));
    // The run has its own copy, which a resumed run and `evaluate` use.
    fs::remove_file(folder.path().join("of-bars.safetensors")).unwrap();
    run(folder.path(), "resume run --steps 2 --quiet").success();
    assert_eq!(lines("run").matches("frechet_distance\":").count(), 4, "{}", lines("run"));
    let report = evaluate(folder.path(), "run --count 12");
    assert_eq!(report["features"]["name"], "run/classifier.safetensors");
    fs::write(folder.path().join("run/classifier.safetensors"), "another").unwrap();
    let message = run(folder.path(), "resume run --steps 2").error_on_stderr(1);
    for part in
        ["run/classifier.safetensors has the sha256", "put the file back that was of-bars.safetensors"]
    {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn pictures_that_no_classifier_is_known_for_get_one_of_their_own() {
    let folder = folder();
    bars(&folder.path().join("bars"));
    // As many classes as the embedded classifier has, in the same shape: that it knows nothing of them has to be seen.
    for n in 0..60 {
        let class = folder.path().join(format!("noise/{}", n % 10));
        fs::create_dir_all(&class).unwrap();
        let pixels = (0..SIZE).map(|k| ((k * 7919 + n * 104_729) % 251) as u8).collect();
        let shape = ImageShape { height: 28, width: 28, channels: 1 };
        Picture { shape, pixels }.save_png(&class.join(format!("{n}.png"))).unwrap();
    }
    let train = "--batch-size 4 --steps 4 --threads 1 --quiet --evaluate-every 2 --evaluate-count 12";
    run(folder.path(), &format!("train --data noise --preset cdcgan {train} --out noisy")).success();
    run(folder.path(), &format!("train --data bars --classes none --image-size 16 {train} --out run"))
        .success();
    let points = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert!(points.contains("\"name\":\"made from "), "{points}");

    // The better of the two models that were scored.
    let scored: Vec<(f64, u64)> = points
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|p| {
            Some((p["evaluation"]["generated"]["frechet_distance"].as_f64()?, p["step"].as_u64()?))
        })
        .collect();
    let best = scored.iter().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1;
    let kept = |name: &str| fs::read(folder.path().join("run").join(name)).unwrap();
    assert_eq!(kept("best.safetensors") == kept("model.safetensors"), best == 4, "{scored:?}");
    assert_eq!(scored.len(), 2);

    // What the run has learnt to see is what `evaluate` looks with.
    let report = evaluate(folder.path(), "run --count 12");
    assert_eq!(report["features"]["self_supervised"], true);
    assert_eq!(report["features"]["name"], "run/classifier.safetensors");
    assert_eq!(report["generated"]["sliced_wasserstein"][0]["height"], 16);
    assert!(report["generated"]["class_divergence"].is_null(), "{report}");
    let shown = run(folder.path(), "evaluate run --count 12 --threads 1").success().stdout;
    assert!(shown.contains("learnt from the pictures without labels"), "{shown}");
    assert!(
        shown.contains("sliced Wasserstein distance x 1000, 16x16") && !shown.contains("classes"),
        "{shown}"
    );
    let report = evaluate(folder.path(), "noisy --count 12");
    assert!(report["features"]["test_accuracy"].is_number(), "{report}");

    // Every training image is known for a copy, whichever half it was put into.
    let all = folder.path().join("all");
    fs::create_dir(&all).unwrap();
    for (n, name) in (0..10)
        .flat_map(|class| {
            let of_class = folder.path().join(format!("noise/{class}"));
            names(&of_class).into_iter().map(move |name| of_class.join(name))
        })
        .enumerate()
    {
        fs::copy(name, all.join(format!("{n:02}.png"))).unwrap();
    }
    let shown = run(folder.path(), "evaluate --images all --data all --threads 1").success();
    assert!(shown.stderr.contains("the first 30 of 60 images are scored"), "{shown:?}");
    let copies = shown.stdout.lines().find(|line| line.starts_with("byte for byte")).unwrap();
    assert!(copies.contains("100.00 %"), "{copies}");

    // Too few pictures to be cut in halves.
    fs::create_dir(folder.path().join("few")).unwrap();
    for (n, name) in names(&folder.path().join("noise/3")).iter().enumerate() {
        fs::copy(folder.path().join("noise/3").join(name), folder.path().join(format!("few/{n}.png")))
            .unwrap();
    }
    let line = format!("train --data few --image-size 16 {train} --out refused");
    let message = run(folder.path(), &line).error(1);
    assert!(message.contains("20 pictures where one half has to stand for test images"), "{message}");

    // A run that was never evaluated gets one now, and keeps it.
    run(folder.path(), "train --data bars --classes none --image-size 16 --steps 1 --quiet --out plain")
        .success();
    let file = folder.path().join("plain/classifier.safetensors");
    assert!(!file.exists());
    let first = evaluate(folder.path(), "plain --count 12");
    assert!(file.exists());
    let again = evaluate(folder.path(), "plain --count 12");
    assert_eq!(first["generated"]["frechet_distance"], again["generated"]["frechet_distance"]);
}
