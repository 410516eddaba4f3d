//! `evaluate` on images whose scores are known beforehand.

use std::fs;
use std::path::Path;

use gan_mnist::data::{Images, mnist};
use gan_mnist::picture::Picture;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::program::{folder, run};

const SIZE: usize = 28 * 28;

/// Writes `images` of bytes, perhaps with labels, as `evaluate --images` reads them.
fn write(path: &Path, images: &[u8], labels: Option<&[u8]>) {
    let n = images.len() / SIZE;
    let mut views = vec![("images", TensorView::new(Dtype::U8, vec![n, 28, 28, 1], images).unwrap())];
    views.extend(labels.map(|labels| ("labels", TensorView::new(Dtype::U8, vec![n], labels).unwrap())));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn evaluate(folder: &Path, line: &str) -> Value {
    let outcome = run(folder, &format!("evaluate --json --device cpu {line}")).success();
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn training_images_score_the_floor_and_are_known_for_copies() {
    let folder = folder();
    let train = mnist::load(mnist::Split::Train).unwrap();
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
    let train = mnist::load(mnist::Split::Train).unwrap();
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
