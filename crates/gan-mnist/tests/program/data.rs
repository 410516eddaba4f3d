//! Training on one's own images, and what is said when they are none.

use std::fs;
use std::path::Path;

use gan_mnist::picture::Picture;
use gannet_data::ImageShape;

use crate::program::{folder, names, run};

/// A picture of one level.
fn picture(path: &Path, side: usize, channels: usize, level: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let shape = ImageShape { height: side, width: side, channels };
    Picture { shape, pixels: vec![level; shape.len()] }.save_png(path).unwrap();
}

#[test]
fn folders_of_pictures_are_classes_for_a_conditional_preset_and_not_used_by_others() {
    let folder = folder();
    for (n, class) in ["cats", "dogs", "cats", "dogs"].iter().enumerate() {
        picture(&folder.path().join(format!("pets/{class}/{n}.png")), 30 + n, 1, 60 * n as u8);
    }
    let line = "--data pets --steps 1 --batch-size 4 --device cpu";
    run(folder.path(), &format!("train --preset cdcgan {line} --flip --out two")).success();
    let config: toml::Table =
        fs::read_to_string(folder.path().join("two/config.toml")).unwrap().parse().unwrap();
    let data = config["data"].as_table().unwrap();
    assert_eq!(data["classes"].as_integer(), Some(2));
    assert_eq!((data["height"].as_integer(), data["images"].as_integer()), (Some(28), Some(4)));
    assert_eq!(data["flip"].as_bool(), Some(true));
    assert!(
        data["path"].as_str().unwrap().ends_with("pets")
            && Path::new(data["path"].as_str().unwrap()).is_absolute()
    );
    run(folder.path(), "generate two --count 4 --class 1 --out x.png --device cpu").success();
    let message = run(folder.path(), "generate two --count 4 --class 2 --out y.png --device cpu").error(2);
    assert!(message.contains("0 to 1"), "{message}");
    let outcome = run(folder.path(), &format!("train --preset dcgan {line} --out plain")).success();
    assert!(outcome.stderr.contains("has 2 classes; dcgan is told none"), "{outcome:?}");
}

#[test]
fn colour_digits_and_digits_in_three_channels_are_found_by_the_presets() {
    let folder = folder();
    for (preset, dataset) in [("colour", "colour"), ("seed-conv", "mnist")] {
        run(
            folder.path(),
            &format!("train --preset {preset} --steps 1 --batch-size 1 --device cpu --out {preset}"),
        )
        .success();
        let config = fs::read_to_string(folder.path().join(preset).join("config.toml")).unwrap();
        let config: toml::Table = config.parse().unwrap();
        assert_eq!(config["data"]["dataset"].as_str(), Some(dataset));
        assert_eq!(config["data"]["channels"].as_integer(), Some(3));
    }
}

#[test]
fn images_that_are_none_or_do_not_fit_are_refused() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("text"), "no images here").unwrap();
    fs::write(at("short.bin"), [0; 3000]).unwrap();
    fs::create_dir(at("broken")).unwrap();
    fs::write(at("broken/a.png"), b"\x89PNG\r\n\x1a\n and no more").unwrap();
    picture(&at("colours/a.png"), 28, 3, 9);
    picture(&at("greys/a.png"), 28, 1, 9);
    for (line, code, parts) in [
        ("--data nowhere", 1, &["nowhere", "no such file or folder"][..]),
        ("--data empty", 1, &["empty: has no images", "train-images-idx3-ubyte", ".webp"]),
        ("--data text", 1, &["text: not an IDX file", "offset 0"]),
        ("--data short.bin", 1, &["short.bin", "3000 bytes", "records of 3073 bytes"]),
        ("--data broken", 1, &["a.png: is no picture", "offset"]),
        (
            "--data colours --preset dcgan",
            1,
            &["28x28x1", "28x28x3", "--channels 1 makes images that fit", "colour"],
        ),
        ("--data greys --preset cdcgan", 1, &["cdcgan has 10 classes", "have none", "dcgan"]),
        ("--image-size 32 --preset dcgan", 1, &["32x32x1", "--image-size 28"]),
        ("--data greys --image-size 0", 2, &["--image-size", "from 1 to 1024"]),
        ("--channels 2", 2, &["--channels", "1, 3"]),
        ("--dataset mnits", 2, &["mnits", "mnist"]),
        ("--dataset mnist --data greys", 2, &["--dataset", "--data", "cannot be used"]),
    ] {
        let before = names(folder.path());
        let message =
            run(folder.path(), &format!("train --steps 1 --batch-size 2 --device cpu --out x {line}"))
                .error(code);
        for part in parts {
            assert!(message.contains(part), "{line}: {part:?} is missing in: {message}");
        }
        assert_eq!(names(folder.path()), before, "{line} left something behind");
    }
}
