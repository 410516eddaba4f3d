//! Every way of asking for what cannot be: the message, the exit code, and nothing left behind.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::program::{folder, names, run, trained};

/// Runs a line in a folder, expects this exit code and all parts in the message, and nothing new in the folder.
#[track_caller]
fn refused(folder: &Path, line: &str, code: i32, parts: &[&str]) {
    let before = names(folder);
    let message = run(folder, line).error(code);
    for part in parts {
        assert!(message.contains(part), "{line}: {part:?} is missing in: {message}");
    }
    assert_eq!(names(folder), before, "{line} left something behind");
}

#[test]
fn wrong_command_lines() {
    let folder = folder();
    for (line, parts) in [
        ("--preset cdgan", &["'cdgan'", "possible values", "similar", "'cdcgan'"][..]),
        ("--preset", &["--preset <PRESET>"]),
        ("--steps 0", &["'0'", "--steps", "whole number from 1"]),
        ("--epochs 0", &["'0'", "--epochs", "whole number from 1"]),
        ("--images 0", &["'0'", "--images", "whole number from 1"]),
        ("--steps 1.5", &["'1.5'", "--steps", "whole number from 1"]),
        ("--steps 999999999999999999999", &["--steps", "from 1 to 1000000000"]),
        ("--batch-size 0", &["--batch-size", "from 1 to 4096"]),
        ("--batch-size 1000000", &["--batch-size", "from 1 to 4096"]),
        ("--learning-rate 0", &["--learning-rate", "above 0 and at most 1"]),
        ("--learning-rate -0.1", &["--learning-rate", "above 0 and at most 1"]),
        ("--learning-rate inf", &["--learning-rate", "above 0 and at most 1"]),
        ("--learning-rate fast", &["--learning-rate", "above 0 and at most 1"]),
        ("--threads 0", &["--threads", "from 1 to 1024"]),
        ("--threads 1000000", &["--threads", "from 1 to 1024"]),
        ("--sample-every 0", &["--sample-every", "whole number from 1"]),
        ("--seed -1", &["--seed", "whole number from 0"]),
        ("--seed 9223372036854775808", &["--seed", "from 0 to 9223372036854775807"]),
        ("--device cuda", &["'cuda'", "auto, cpu, gpu, reference"]),
        ("--steps 2 --epochs 1", &["--steps", "--epochs", "cannot be used"]),
        ("trian", &["'trian'", "'train'"]),
        ("--step 2", &["'--step'", "'--steps'"]),
        ("bench --steps 0", &["--steps", "whole number from 1"]),
        ("bench --preset nothing", &["'nothing'", "possible values", "cdcgan"]),
        ("generate", &["<MODEL>", "--out"]),
        ("generate model", &["--out"]),
        ("generate model --out x.png --count 0", &["--count", "from 1 to 100000"]),
        ("generate model --out x.png --count 999999999", &["--count", "from 1 to 100000"]),
        ("generate model --out x.jpg", &["x.jpg", ".png", ".safetensors", "/"]),
        ("generate model --out x", &["x", ".png", ".safetensors", "/"]),
        ("interpolate model", &["--out"]),
        ("interpolate model --out x.jpg", &["x.jpg", ".png", ".gif"]),
        ("interpolate model --out x.png --steps 1", &["--steps", "from 2 to 1000"]),
        ("neighbours model --out x.gif", &["x.gif", ".png"]),
        ("neighbours model --out x.png --nearest 0", &["--nearest", "from 1 to 50"]),
        ("evaluate", &["<MODEL>"]),
        ("evaluate model --images x", &["--images", "cannot be used"]),
        ("evaluate model --count 9", &["--count", "from 10 to 60000"]),
    ] {
        refused(folder.path(), line, 2, parts);
    }
}

#[test]
fn runs_that_cannot_be_written() {
    let folder = folder();
    fs::write(folder.path().join("file"), "kept").unwrap();
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/old"), "kept").unwrap();
    for (out, parts) in [
        ("file", &["file is a file", "empty folder"][..]),
        ("file/run", &["file/run"]),
        ("full", &["full", "not empty", "another --out"]),
    ] {
        refused(folder.path(), &format!("train --steps 1 --batch-size 2 --out {out}"), 1, parts);
    }
    #[cfg(target_os = "linux")]
    refused(folder.path(), "train --steps 1 --batch-size 2 --out /proc/run", 1, &["/proc/run"]);
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"kept");
    assert_eq!(names(&folder.path().join("full")), ["old"]);
}

#[test]
fn models_that_are_none() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let whole = fs::read(trained("cdcgan").join("model.safetensors")).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("text"), "a line of text that is no model").unwrap();
    fs::copy(trained("cdcgan").join("samples.png"), at("picture.png")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let tensor = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let other = safetensors::serialize([("weight", tensor)], None).unwrap();
    fs::write(at("other.safetensors"), other).unwrap();
    for (model, parts) in [
        ("missing", &["cannot load the model missing", "No such file"][..]),
        ("empty", &["empty"]),
        ("text", &["text"]),
        ("picture.png", &["picture.png"]),
        ("folder", &["folder/model.safetensors"]),
        ("other.safetensors", &["other.safetensors"]),
    ] {
        refused(folder.path(), &format!("generate {model} --out x.png"), 1, parts);
    }
    for end in [4, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(at("cut"), &whole[..end]).unwrap();
        refused(folder.path(), "generate cut --out x.png", 1, &["cut"]);
    }
    // A header that claims to be longer than any file.
    fs::write(at("cut"), [&[0xff; 8], &whole[8..]].concat()).unwrap();
    refused(folder.path(), "generate cut --out x.png", 1, &["cut"]);
}

#[test]
fn a_classifier_is_no_gan_and_is_called_what_it_is() {
    let folder = folder();
    let classifier =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data/classifier/mnist-classifier.safetensors");
    let classifier = classifier.display();
    for line in
        ["evaluate CLASSIFIER", "generate CLASSIFIER --out x.png", "interpolate CLASSIFIER --out x.png"]
    {
        let line = line.replace("CLASSIFIER", &classifier.to_string());
        refused(folder.path(), &line, 1, &["holds a classifier, not a GAN", "mnist-classifier.safetensors"]);
    }
    let model = trained("dcgan").join("model.safetensors");
    let line = format!("evaluate {} --count 10 --classifier {}", model.display(), model.display());
    refused(folder.path(), &line, 1, &["holds no classifier", "model.safetensors"]);
}

#[test]
fn images_that_cannot_be_scored() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, tensor: &str, dtype, shape: &[usize], bytes: &[u8]| {
        let size = shape.iter().product::<usize>() * Dtype::bitsize(&dtype) / 8;
        let bytes: Vec<u8> = bytes.iter().copied().cycle().take(size).collect();
        let view = TensorView::new(dtype, shape.to_vec(), &bytes).unwrap();
        fs::write(at(name), safetensors::serialize([(tensor, view)], None).unwrap()).unwrap();
    };
    write("named", "pixels", Dtype::U8, &[20, 28, 28, 1], &[0]);
    write("wide", "images", Dtype::U8, &[20, 28, 29, 1], &[0]);
    write("flat", "images", Dtype::U8, &[20, 784], &[0]);
    write("few", "images", Dtype::U8, &[9, 28, 28, 1], &[0]);
    write("bytes", "images", Dtype::F32, &[20, 28, 28, 1], &255f32.to_le_bytes());
    write("nan", "images", Dtype::F32, &[20, 28, 28, 1], &f32::NAN.to_le_bytes());
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir(at("grids")).unwrap();
    fs::copy(trained("dcgan").join("samples.png"), at("grids/x.png")).unwrap();
    fs::create_dir(at("damaged")).unwrap();
    fs::write(at("damaged/x.png"), "no picture").unwrap();
    for (images, parts) in [
        ("missing", &["missing", "No such file"][..]),
        ("named", &["named", "no tensor `images`", "[N, 28, 28, 1]"]),
        ("wide", &["wide", "[20, 28, 29, 1]", "[N, 28, 28, 1]"]),
        ("flat", &["flat", "[20, 784]"]),
        ("few", &["few", "9 images", "10 are needed"]),
        ("bytes", &["bytes", "holds 255", "-1 (black) to 1 (white)"]),
        ("nan", &["nan", "holds NaN"]),
        ("empty", &["empty", "no PNG"]),
        ("grids", &["x.png", "302x302x1", "28x28x1"]),
        ("damaged", &["x.png", "no PNG that can be read"]),
    ] {
        refused(folder.path(), &format!("evaluate --images {images}"), 1, parts);
    }
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    fs::write(folder.path().join("file"), "kept").unwrap();
    fs::create_dir(folder.path().join("taken.png")).unwrap();
    for (out, parts) in [
        ("no/where.png", &["no/where.png", "the folder no does not exist"][..]),
        ("no/where.safetensors", &["no/where.safetensors", "the folder no does not exist"]),
        ("file/x.png", &["file/x.png"]),
        ("file/", &["file/"]),
        ("file/below/", &["file/below/"]),
        ("taken.png", &["taken.png", "folder"]),
    ] {
        refused(folder.path(), &format!("generate {model} --count 2 --out {out}"), 1, parts);
    }
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"kept");
}

#[test]
fn classes_that_do_not_exist() {
    let folder = folder();
    let conditional = trained("cdcgan").display().to_string();
    let plain = trained("dcgan").display().to_string();
    refused(folder.path(), &format!("generate {conditional} --class 10 --out x.png"), 2, &["10", "0 to 9"]);
    refused(folder.path(), &format!("generate {plain} --class 1 --out x.png"), 2, &["--class", "no classes"]);
}

#[test]
fn latents_that_do_not_fit() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    let plain = trained("dcgan").display().to_string();
    let zeros = vec![0; 3 * 100 * 4];
    let write = |name: &str, tensors: &[(&str, Dtype, &[usize])]| {
        let views = tensors.iter().map(|&(name, dtype, shape)| {
            let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            (name, TensorView::new(dtype, shape.to_vec(), &zeros[..bytes]).unwrap())
        });
        fs::write(folder.path().join(name), safetensors::serialize(views, None).unwrap()).unwrap();
    };
    write("narrow", &[("latents", Dtype::F32, &[3, 63])]);
    write("flat", &[("latents", Dtype::F32, &[64])]);
    write("none", &[("latents", Dtype::F32, &[0, 64])]);
    write("double", &[("latents", Dtype::F64, &[2, 64])]);
    write("named", &[("z", Dtype::F32, &[3, 64])]);
    write("labels", &[("latents", Dtype::F32, &[3, 64]), ("labels", Dtype::U8, &[2])]);
    write("wide-labels", &[("latents", Dtype::F32, &[3, 64]), ("labels", Dtype::F64, &[3])]);
    write("good", &[("latents", Dtype::F32, &[3, 64]), ("labels", Dtype::U8, &[3])]);
    write("plain", &[("latents", Dtype::F32, &[3, 100]), ("labels", Dtype::U8, &[3])]);
    fs::write(folder.path().join("text"), "no tensors").unwrap();
    let nan = [0xff; 64 * 4];
    let nan = TensorView::new(Dtype::F32, vec![1, 64], &nan).unwrap();
    fs::write(folder.path().join("nan"), safetensors::serialize([("latents", nan)], None).unwrap()).unwrap();
    let class = TensorView::new(Dtype::U8, vec![1], &[10]).unwrap();
    let latent = TensorView::new(Dtype::F32, vec![1, 64], &zeros[..256]).unwrap();
    let tensors = safetensors::serialize([("latents", latent), ("labels", class)], None).unwrap();
    fs::write(folder.path().join("class"), tensors).unwrap();
    for (latents, parts) in [
        ("narrow", &["narrow", "[3, 63]", "[N, 64]"][..]),
        ("flat", &["flat", "[64]", "[N, 64]"]),
        ("none", &["none", "[0, 64]", "[N, 64]"]),
        ("double", &["double", "F64", "F32"]),
        ("named", &["named", "`latents`"]),
        ("labels", &["labels", "[2]", "[3]"]),
        ("wide-labels", &["wide-labels", "F64", "U8 or F32"]),
        ("nan", &["nan", "not a finite number"]),
        ("class", &["class", "10", "0 to 9"]),
        ("text", &["text"]),
        ("missing", &["missing", "No such file"]),
    ] {
        refused(folder.path(), &format!("generate {model} --latents {latents} --out x.png"), 1, parts);
    }
    refused(
        folder.path(),
        &format!("generate {model} --latents good --count 4 --out x.png"),
        2,
        &["--count 4", "good", "3"],
    );
    run(folder.path(), &format!("generate {model} --latents good --out good.png")).success();
    // Labels mean nothing to a model without classes.
    run(folder.path(), &format!("generate {plain} --latents plain --out plain.png")).success();
}
