//! Training on one's own images, and what is said when they are none.

use std::fs;
use std::path::Path;

use gan_mnist::picture::Picture;
use gannet_data::ImageShape;

use crate::program::{folder, names, run};

/// A picture of one level.
pub(crate) fn picture(path: &Path, side: usize, channels: usize, level: u8) {
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
fn without_a_preset_networks_follow_the_pictures() {
    let folder = folder();
    for n in 0..6 {
        picture(&folder.path().join(format!("plain/{n}.png")), 40, 3, 40 * n);
        picture(
            &folder.path().join(format!("pets/{}/{n}.png", ["cats", "dogs"][n as usize % 2])),
            21,
            1,
            40 * n,
        );
    }
    let line = "--batch-size 2 --device cpu --threads 1";
    let outcome =
        run(folder.path(), &format!("train --data plain --steps 1 {line} --out plain-run")).success();
    for part in ["pictures: made for pictures of 32 x 32 x 3, medium capacity", "2 images in "] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome:?}");
    }
    let small = "train --data pets --capacity small --minutes 0.001";
    let outcome = run(folder.path(), &format!("{small} {line} --out pets-run")).success();
    assert!(outcome.stdout.contains("16 x 16 x 1 in 2 classes, small capacity"), "{outcome:?}");
    let config = fs::read_to_string(folder.path().join("pets-run/config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    // So short a time is a step or a few, and how many is written down.
    assert!(config["steps"].as_integer().is_some_and(|steps| (1..100).contains(&steps)), "{config}");
    assert_eq!(config["data"]["height"].as_integer(), Some(16));
    run(folder.path(), "resume pets-run --steps 1").success();
    run(folder.path(), "generate pets-run --count 2 --class 1 --device cpu --out x.png").success();
    // What is asked for goes before what would be chosen.
    run(folder.path(), &format!("train --data plain --image-size 24 --steps 1 {line} --out larger"))
        .success();
    let message = run(folder.path(), "train --data plain --image-size 31 --steps 1 --device cpu").error(1);
    assert!(message.contains("32 x 32 can"), "{message}");
    let message = run(folder.path(), "train --capacity small --steps 1").error(2);
    assert!(message.contains("--capacity") && message.contains("--data"), "{message}");
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
        ("--data empty", 1, &["empty: has no images", "train-images-idx3-ubyte", "WebP"]),
        ("--data text", 1, &["text: not an IDX file", "offset 0"]),
        ("--data short.bin", 1, &["short.bin", "3000 bytes", "records of 3073 bytes"]),
        ("--data broken", 1, &["broken/a.png: is "]),
        (
            "--data colours --preset dcgan",
            1,
            &["28x28x1", "28x28x3", "--channels 1 makes images that fit", "colour"],
        ),
        ("--data greys --preset cdcgan", 1, &["cdcgan has 10 classes", "have none", "dcgan"]),
        ("--image-size 32 --preset dcgan", 1, &["32x32x1", "--image-size 28"]),
        ("--data greys --image-size 0", 2, &["--image-size", "from 1 to 1024"]),
        ("--channels 2", 2, &["--channels", "1, 3, 4"]),
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

/// A run of `steps` on pictures, by the smallest preset that takes their size.
const SMALL: &str =
    "train --preset dcgan --channels 1 --batch-size 4 --device cpu --threads 1 --sample-every 100";

/// Writes so many pictures into folders `cat` and `dog` of a folder.
fn pets(folder: &Path, count: usize) {
    for n in 0..count {
        let class = ["cat", "dog"][n % 2];
        picture(&folder.join(format!("{class}/{n:04}.png")), 28 + n % 3, 3, (n * 13 % 250) as u8);
    }
}

#[test]
fn a_run_says_what_it_is_trained_on_and_shows_it() {
    let folder = folder();
    pets(&folder.path().join("pets"), 12);
    fs::write(folder.path().join("pets/cat/bad.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(folder.path().join("pets/dog/page.jpg"), "<html>not found</html>").unwrap();
    let outcome = run(folder.path(), &format!("{SMALL} --data pets --steps 1 --out x")).success();
    let line = outcome.stdout.lines().find(|line| line.starts_with("data: ")).unwrap();
    for words in [
        "12 pictures (PNG), 28x28 to 30x30",
        "scaled to 28x28, grey",
        "0 cat 6, 1 dog 6",
        "left out: 1 ",
        "cat/bad.png",
    ] {
        assert!(line.contains(words), "{line}");
    }
    let left_out = fs::read_to_string(folder.path().join("x/left_out.txt")).unwrap();
    assert!(
        left_out.contains("dog/page.jpg: is no picture that can be read: it is a web page"),
        "{left_out}"
    );
    let real = Picture::load_png(&folder.path().join("x/real.png")).unwrap();
    assert_eq!((real.shape.width, real.shape.height), (10 * 30 + 2, 10 * 30 + 2));
    let report = fs::read_to_string(folder.path().join("x/report.html")).unwrap();
    assert!(report.contains("training images</figcaption>"));
    // Whoever wants the end at such a file can have it.
    let message = run(folder.path(), &format!("{SMALL} --data pets --steps 1 --strict --out y")).error(1);
    assert!(message.contains("cat/bad.png: is ") && message.contains("1 more"), "{message}");
    assert!(!folder.path().join("y").exists());
}

#[test]
fn classes_have_names() {
    let folder = folder();
    pets(&folder.path().join("pets"), 8);
    let line = "train --preset cdcgan --channels 1 --batch-size 4 --device cpu --threads 1 --data pets --steps 1 --out x";
    run(folder.path(), line).success();
    let draw = |class: &str, out: &str| {
        run(folder.path(), &format!("generate x --count 2 --device cpu --class {class} --out {out}"))
    };
    draw("dog", "a.png").success();
    draw("1", "b.png").success();
    // They are in the model's file too, for whom it is given to.
    fs::copy(folder.path().join("x/model.safetensors"), folder.path().join("alone.safetensors")).unwrap();
    let alone = "generate alone.safetensors --count 2 --device cpu --class dog --out single/";
    run(folder.path(), alone).success();
    assert_eq!(names(&folder.path().join("single")), ["000000-dog-class-1.png", "000001-dog-class-1.png"]);
    let report = fs::read_to_string(folder.path().join("x/report.html")).unwrap();
    assert!(report.contains("columns in turn: cat, dog"), "the report names the columns");
    assert_eq!(
        fs::read(folder.path().join("a.png")).unwrap(),
        fs::read(folder.path().join("b.png")).unwrap()
    );
    let message = draw("emu", "c.png").error(2);
    assert!(message.contains("--class emu does not exist") && message.contains("0 cat, 1 dog"), "{message}");
    let outcome = run(folder.path(), "generate x --count 4 --device cpu --out d.png").success();
    assert!(outcome.stdout.contains("classes in turn: cat, dog"), "{}", outcome.stdout);
    // All together, if that is wanted.
    run(folder.path(), &format!("{SMALL} --data pets --classes none --steps 1 --out y")).success();
    let config: toml::Table =
        fs::read_to_string(folder.path().join("y/config.toml")).unwrap().parse().unwrap();
    assert!(
        config["data"].get("classes").is_none() && config["data"]["without_classes"].as_bool() == Some(true)
    );
}

/// A set with one bad file in a hundred, of several kinds, trains to its end; killed, resumed and moved it gives the
/// same bytes.
#[test]
fn a_run_that_was_moved_gives_the_same_bytes_as_one_that_was_not() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    pets(&at("pets"), 96);
    for (n, bad) in [&b""[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"<html>", b"\xff\xd8\xff\xe0\0\x10JFIF"]
        .iter()
        .enumerate()
    {
        fs::write(at(&format!("pets/cat/bad{n}.png")), bad).unwrap();
    }
    run(folder.path(), &format!("{SMALL} --data pets --steps 6 --out whole")).success();
    run(folder.path(), &format!("{SMALL} --data pets --steps 3 --out moved")).success();
    // Whole again, elsewhere, and one of the bad files has been mended.
    fs::create_dir(at("new")).unwrap();
    fs::rename(at("pets"), at("new/place")).unwrap();
    picture(&at("new/place/cat/bad1.png"), 28, 3, 9);
    let resume = "resume moved --steps 3 --device cpu --threads 1";
    let message = run(folder.path(), resume).error(1);
    assert!(message.contains("no such file or folder"), "{message}");
    let outcome = run(folder.path(), &format!("{resume} --data new/place")).success();
    assert!(outcome.stdout.contains("data: 96 pictures"), "{}", outcome.stdout);
    let losses = |run: &str| fs::read_to_string(at(run).join("losses.csv")).unwrap();
    assert_eq!(losses("moved"), losses("whole"));
    // A file that has gone bad meanwhile does not end it, and is told.
    fs::write(at("new/place/cat/0004.png"), "gone bad").unwrap();
    let again = "resume moved --steps 30 --device cpu --threads 1";
    let outcome = run(folder.path(), again).success();
    assert!(outcome.stderr.contains("1 unreadable (cat/0004.png)"), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("0004.png: is no picture").count(), 1, "{}", outcome.stderr);
    // Others in their places are named, and taken if that is wanted.
    picture(&at("new/place/cat/0004.png"), 28, 3, 99);
    fs::remove_file(at("new/place/dog/0001.png")).unwrap();
    let message = run(folder.path(), again).error(1);
    for words in ["1 changed (cat/0004.png)", "1 gone (dog/0001.png)", "--accept-changes"] {
        assert!(message.contains(words), "{message}");
    }
    let outcome = run(folder.path(), &format!("{again} --accept-changes")).success();
    assert!(outcome.stderr.contains("no longer the one that it would have been"), "{}", outcome.stderr);
    run(folder.path(), "resume moved --steps 1 --device cpu --threads 1").success();
}

#[test]
fn data_says_what_a_set_holds_and_shows_it() {
    let folder = folder();
    pets(&folder.path().join("pets"), 10);
    let outcome =
        run(folder.path(), "data pets --preset dcgan --channels 1 --device cpu --threads 1").success();
    for words in [
        "pictures     10",
        "formats      PNG",
        "28x28 (",
        "classes      2: 0 cat 5, 1 dog 5",
        "left out     nothing",
        "real.png",
        "estimate     dcgan: 1 step of 128 images, about",
        "train --preset dcgan --data pets --channels 1",
    ] {
        assert!(outcome.stdout.contains(words), "{words}: {}", outcome.stdout);
    }
    let real = Picture::load_png(&folder.path().join("real.png")).unwrap();
    assert_eq!(real.shape.width, 10 * 30 + 2, "five columns for each class");
    // Without a preset it is for the networks that would be made.
    let outcome = run(folder.path(), "data pets --device cpu --threads 1 --out z.png").success();
    assert!(outcome.stdout.contains("estimate     pictures: 3125 steps of 32 images"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("train --data pets\n"), "{}", outcome.stdout);
    let outcome =
        run(folder.path(), "data pets --no-estimate --image-size 24x16 --resize pad --out y.png").success();
    assert!(
        outcome.stdout.contains("to 24x16") && !outcome.stdout.contains("estimate"),
        "{}",
        outcome.stdout
    );
    let message = run(folder.path(), "data pets/cat/0000.png").error(1);
    assert!(message.contains("is one picture (PNG)"), "{message}");
}

/// A model that is trained in no time.
const TINY: &str = r#"
name = "tiny"
batch_size = 60
[generator]
input = [4]
layers = [{ dense = { units = 64, activation = "tanh" } }, { reshape = { shape = [8, 8, 1] } }]
[discriminator]
input = [8, 8, 1]
layers = ["flatten", { dense = { units = 1 } }]
"#;

/// Three thousand pictures, thirty of them damaged in ten ways: training comes to its end, and a run that is killed,
/// resumed, moved and resumed gives the bytes of one to which nothing happened.
#[test]
fn one_bad_file_in_a_hundred_does_no_harm() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for n in 0..3000 {
        let class = ["cat", "dog", "emu"][n % 3];
        picture(&at(&format!("set/{class}/{n:04}.png")), 8 + n % 2, 1, (n * 7 % 251) as u8);
    }
    let whole = fs::read(at("set/cat/0000.png")).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        bytes
    };
    let kinds: [Vec<u8>; 10] = [
        Vec::new(),
        whole[..8].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 12].to_vec(),
        changed(1),
        changed(20),
        changed(whole.len() - 20),
        b"<!DOCTYPE html><p>not found".to_vec(),
        b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(),
        b"\0\0\0\x20ftypavif".to_vec(),
    ];
    for n in 0..30 {
        fs::write(at(&format!("set/{}/{n:04}.png", ["cat", "dog", "emu"][n % 3])), &kinds[n % 10]).unwrap();
    }
    fs::write(at("tiny.toml"), TINY).unwrap();
    let train =
        "train --model tiny.toml --data set --steps 300 --sample-every 100 --checkpoint-every 10 --threads 1";
    let outcome = run(folder.path(), &format!("{train} --out whole")).success();
    assert!(outcome.stdout.contains("data: 2970 pictures (PNG)"), "{}", outcome.stdout);
    assert!(fs::read_to_string(at("whole/left_out.txt")).unwrap().lines().count() >= 30);

    let mut child = crate::resume::start(folder.path(), &format!("{train} --out moved"));
    crate::resume::wait_for_checkpoint(&mut child, &at("moved"), 40);
    child.kill().unwrap();
    child.wait().unwrap();
    // A machine that is very slow to look lets the run come to its end: then this says nothing.
    if crate::resume::newest(&at("moved")) == Some(300) {
        return;
    }
    fs::rename(at("set"), at("elsewhere")).unwrap();
    run(folder.path(), "resume moved --data elsewhere --threads 2").success();
    for file in ["losses.csv", "model.safetensors", "samples.png"] {
        assert!(
            fs::read(at("whole").join(file)).unwrap() == fs::read(at("moved").join(file)).unwrap(),
            "{file}"
        );
    }
}
