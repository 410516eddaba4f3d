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
fn ways_between_images_by_their_numbers_begin_and_end_at_those_images() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    let line = format!("interpolate {model} --seeds 5,9,7 --loop --steps 3 --out");
    run(folder.path(), &format!("{line} x.png")).success();
    run(folder.path(), &format!("{line} x.gif")).success();
    let grid = Picture::load_png(&folder.path().join("x.png")).unwrap();
    assert_eq!((grid.shape.width, grid.shape.height), (3 * 30 + 2, 3 * 30 + 2));
    run(folder.path(), &format!("generate {model} --seeds 5,7,9 --class 0 --out ends/")).success();
    let end =
        |seed: u64| Picture::load_png(&folder.path().join(format!("ends/{seed:06}-class-0.png"))).unwrap();
    for (row, [from, to]) in [[5, 9], [9, 7], [7, 5]].into_iter().enumerate() {
        for (column, seed) in [(0, from), (2, to)] {
            let start = (row * 30 + 2 + 14) * grid.shape.width + column * 30 + 2;
            assert_eq!(grid.pixels[start..start + 28], end(seed).pixels[14 * 28..15 * 28], "{row} {column}");
        }
    }
    let mut decoder =
        gif::DecodeOptions::new().read_info(File::open(folder.path().join("x.gif")).unwrap()).unwrap();
    let mut frames = 0;
    while decoder.read_next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert_eq!((frames, decoder.width(), decoder.height()), (6, 28, 28));
    for (flags, part) in [
        ("--seeds 5", "two numbers at least"),
        ("--seeds 5,6 --seed 1", "cannot be used with"),
        ("--loop", "--seeds"),
        ("--seeds 0-1001 --steps 1000", "more than 100000 images"),
    ] {
        let message =
            run(folder.path(), &format!("interpolate {model} {flags} --out y.gif")).error_on_stderr(2);
        assert!(message.contains(part), "{flags}: {message}");
    }
    assert!(!names(folder.path()).contains(&"y.gif".into()));
}

#[test]
fn a_generated_picture_is_found_again() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    run(folder.path(), &format!("generate {model} --seeds 5 --class 3 --out made/")).success();
    let line = format!("project {model} made/000005-class-3.png --candidates 200 --steps 150");
    let found =
        run(folder.path(), &format!("{line} --class 3 --out x.png --latents x.safetensors")).success().stdout;
    let levels: f64 = found.split(" levels").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(levels < 6.0 && found.contains("in class 3"), "{found}");
    let grid = Picture::load_png(&folder.path().join("x.png")).unwrap();
    assert_eq!((grid.shape.width, grid.shape.height), (62, 32));
    // What was found can be drawn again.
    run(folder.path(), &format!("generate {model} --latents x.safetensors --out again/")).success();
    let again = Picture::load_png(&folder.path().join("again/000000-class-3.png")).unwrap();
    for (y, row) in again.pixels.chunks_exact(28).enumerate() {
        let start = (y + 2) * 62 + 32;
        assert_eq!(grid.pixels[start..start + 28], *row, "row {y}");
    }
    std::fs::write(folder.path().join("page.png"), "<html>").unwrap();
    for (line, code, part) in [
        (format!("project {model} page.png --out y.png"), 1, "page.png"),
        (format!("project {model} missing.png --out y.png"), 1, "missing.png"),
        (format!("project {model} x.png --out y.jpg"), 2, ".png"),
        (format!("project {model} x.png --out y.png --latents z.npz"), 2, ".safetensors"),
        (format!("project {model} x.png --class 12 --out y.png"), 2, "classes 0 to 9"),
        (format!("project {model} --out y.png"), 2, "PICTURE"),
        (format!("project {model} again --out y.png"), 2, "again/*.png"),
        (format!("project {model} x.png --out again/../x.png"), 2, "would be written over"),
    ] {
        let message = run(folder.path(), &line).error_on_stderr(code);
        assert!(message.contains(part), "{line}: {message}");
    }
    assert!(!names(folder.path()).contains(&"y.png".into()));
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
