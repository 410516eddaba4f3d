//! Pictures of a model: latents interpolated, training images beside samples.

use std::fs::File;

use gan_mnist::picture::Picture;
use gannet_data::Split;
use gannet_data::sets::mnist;

use crate::program::{folder, names, run, trained};

#[test]
fn interpolation_goes_from_one_latent_to_the_other() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    let at = |name: &str| folder.path().join(name);
    let outcome = run(
        folder.path(),
        &format!("interpolate {model} --count 3 --steps 4 --seed 9 --class 5 --out x.png"),
    )
    .success();
    assert!(outcome.stdout.contains("x.png"), "{}", outcome.stdout);
    let grid = Picture::load_png(&at("x.png")).unwrap();
    assert_eq!((grid.shape.width, grid.shape.height), (4 * 30 + 2, 3 * 30 + 2));
    // The ends of the rows are what `generate` draws from the same seed.
    run(folder.path(), &format!("generate {model} --count 6 --seed 9 --class 5 --out ends/")).success();
    for (n, name) in names(&at("ends")).iter().enumerate() {
        let end = Picture::load_png(&at("ends").join(name)).unwrap();
        let (top, left) = (n / 2 * 30 + 2, n % 2 * 3 * 30 + 2);
        for (y, row) in end.pixels.chunks_exact(28).enumerate() {
            let start = (top + y) * grid.shape.width + left;
            assert_eq!(grid.pixels[start..start + 28], *row, "{name}, row {y}");
        }
    }
}

#[test]
fn an_animation_goes_there_and_back() {
    let folder = folder();
    let model = trained("dcgan").display().to_string();
    run(folder.path(), &format!("interpolate {model} --count 4 --steps 5 --out x.gif")).success();
    let file = File::open(folder.path().join("x.gif")).unwrap();
    let mut decoder = gif::DecodeOptions::new().read_info(file).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        assert_eq!((frame.width, frame.height), (62, 62));
        frames.push(frame.buffer.to_vec());
    }
    assert_eq!(frames.len(), 8);
    assert!(frames[0] != frames[4] && (1..4).all(|k| frames[k] == frames[8 - k]));
}

#[test]
fn neighbours_are_training_images() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    let line = format!("neighbours {model} --count 2 --nearest 3 --seed 4 --out x.png");
    let outcome = run(folder.path(), &line).success();
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("image 1 of class 1: training image "), "{lines:?}");
    let picture = Picture::load_png(&folder.path().join("x.png")).unwrap();
    assert_eq!((picture.shape.width, picture.shape.height), (4 * 30 + 2 + 9, 2 * 30 + 2));
    let train = mnist::load(Split::Train).unwrap();
    for (row, line) in lines[..2].iter().enumerate() {
        let index: usize = line.split_whitespace().nth(7).unwrap().parse().unwrap();
        let image = &train.pixels()[index * 784..][..784];
        for (y, pixels) in image.chunks_exact(28).enumerate() {
            let start = (row * 30 + 2 + y) * picture.shape.width + 30 + 2 + 9;
            assert_eq!(picture.pixels[start..start + 28], *pixels, "{line}, row {y}");
        }
    }
}
