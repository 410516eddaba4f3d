//! Images from a trained model.

use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::program::{folder, names, run, trained};

/// The shape, type and bytes of a tensor of a file.
fn tensor(path: &Path, name: &str) -> (Vec<usize>, Dtype, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.dtype(), tensor.data().to_vec())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Width, height and pixels of a grey PNG.
fn png(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
    (info.width, info.height, pixels)
}

#[test]
fn tensors_have_the_promised_shapes_and_range() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    let out = folder.path().join("x.safetensors");
    run(folder.path(), &format!("generate {model} --count 23 --out x.safetensors")).success();
    let (shape, dtype, images) = tensor(&out, "images");
    assert_eq!((shape, dtype), (vec![23, 28, 28, 1], Dtype::F32));
    assert!(floats(&images).iter().all(|x| (-1.0..=1.0).contains(x)));
    let (shape, dtype, latents) = tensor(&out, "latents");
    assert_eq!((shape, dtype), (vec![23, 64], Dtype::F32));
    let mean = floats(&latents).iter().sum::<f32>() / (23.0 * 64.0);
    assert!(mean.abs() < 0.15, "the mean of {} standard normal numbers is {mean}", 23 * 64);
    let (shape, dtype, labels) = tensor(&out, "labels");
    assert_eq!((shape, dtype), (vec![23], Dtype::U8));
    assert_eq!(labels[8..13], [8, 9, 0, 1, 2]);

    run(folder.path(), &format!("generate {model} --count 3 --class 7 --out sevens.safetensors")).success();
    assert_eq!(tensor(&folder.path().join("sevens.safetensors"), "labels").2, [7; 3]);
}

#[test]
fn a_model_without_classes_has_no_labels() {
    let folder = folder();
    let model = trained("dcgan").display().to_string();
    run(folder.path(), &format!("generate {model} --count 2 --out x.safetensors")).success();
    let bytes = fs::read(folder.path().join("x.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert_eq!(names, ["images", "latents"]);
}

#[test]
fn pictures_show_the_tensors() {
    let folder = folder();
    let model = trained("cdcgan").join("model.safetensors").display().to_string();
    for out in ["x.safetensors", "x.png", "x/"] {
        run(folder.path(), &format!("generate {model} --count 12 --seed 5 --out {out}")).success();
    }
    let images = floats(&tensor(&folder.path().join("x.safetensors"), "images").2);
    let bytes: Vec<u8> = images.iter().map(|x| ((x + 1.0) * 127.5).round() as u8).collect();

    let singles = folder.path().join("x");
    let expected: Vec<_> = (0..12).map(|n| format!("{n:06}-class-{}.png", n % 10)).collect();
    assert_eq!(names(&singles), expected);
    for (name, image) in expected.iter().zip(bytes.chunks_exact(784)) {
        assert_eq!(png(&singles.join(name)), (28, 28, image.to_vec()), "{name}");
    }

    // Ten columns, one for each class; the second row holds two.
    let (width, height, pixels) = png(&folder.path().join("x.png"));
    assert_eq!((width, height), (10 * 30 + 2, 2 * 30 + 2));
    for (n, image) in bytes.chunks_exact(784).enumerate() {
        for (y, row) in image.chunks_exact(28).enumerate() {
            let start = (n / 10 * 30 + 2 + y) * 302 + n % 10 * 30 + 2;
            assert_eq!(pixels[start..start + 28], *row, "image {n}, row {y}");
        }
    }
}

#[test]
fn latents_of_a_file_give_its_images_again() {
    let folder = folder();
    let model = trained("cdcgan").display().to_string();
    let generate = |flags: &str, out: &str| {
        run(folder.path(), &format!("generate {model} {flags} --out {out}")).success();
        tensor(&folder.path().join(out), "images").2
    };
    let first = generate("--count 21 --seed 9", "first.safetensors");
    assert!(first == generate("--count 21 --seed 9 --threads 1", "threads.safetensors"));
    assert!(first == generate("--latents first.safetensors", "again.safetensors"));
    assert!(
        first[..784 * 4] == generate("--count 1 --seed 9", "one.safetensors")[..],
        "fewer are the first of more"
    );
    assert!(first != generate("--count 21 --seed 10", "other.safetensors"));
    let sevens = generate("--latents first.safetensors --class 7", "sevens.safetensors");
    let image = 784 * 4;
    assert!(sevens[7 * image..8 * image] == first[7 * image..8 * image] && sevens != first);
}

#[test]
fn an_older_file_is_replaced() {
    let folder = folder();
    let model = trained("dcgan").display().to_string();
    fs::write(folder.path().join("x.png"), "old").unwrap();
    let outcome = run(folder.path(), &format!("generate {model} --count 4 --out x.png")).success();
    assert_eq!(png(&folder.path().join("x.png")).0, 2 * 30 + 2);
    assert_eq!(names(folder.path()), ["x.png"]);
    assert!(outcome.stdout.contains("x.png") && outcome.stdout.contains('4'), "{}", outcome.stdout);
}

#[test]
fn an_image_has_a_number_of_its_own_and_latents_can_be_truncated() {
    let folder = folder();
    let model = trained("dcgan");
    let draw = |flags: &str, out: &str| {
        run(folder.path(), &format!("generate {} {flags} --device cpu --out {out}", model.display()))
            .success()
    };
    let tensors = |flags: &str| {
        draw(flags, "t.safetensors");
        let (_, _, bytes) = tensor(&folder.path().join("t.safetensors"), "images");
        let (_, _, latents) = tensor(&folder.path().join("t.safetensors"), "latents");
        (floats(&bytes), floats(&latents))
    };
    let (several, latents) = tensors("--seeds 5,100-101");
    let size = several.len() / 3;
    assert_eq!(tensors("--seed 5 --count 1").0, several[..size]);
    assert_eq!(tensors("--seeds 101").0, several[2 * size..]);
    draw("--seeds 5,100-101 --format webp", "single/");
    assert_eq!(names(&folder.path().join("single")), ["000005.webp", "000100.webp", "000101.webp"]);
    let half: Vec<f32> = latents.iter().map(|x| 0.5 * x).collect();
    assert_eq!(tensors("--seeds 5,100-101 --truncation 0.5").1, half);
    // Of a model with clusters the last number stays: it says which cluster is drawn.
    let model = trained("cdcgan");
    // An image is the same whatever stands beside it, its class too.
    for (flags, out) in [("--seeds 5,9", "both/"), ("--seeds 9", "one/")] {
        run(folder.path(), &format!("generate {} {flags} --out {out}", model.display())).success();
    }
    let image = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    assert!(image("both/000009-class-0.png") == image("one/000009-class-0.png"));
    let last = |flags: &str| {
        run(
            folder.path(),
            &format!("generate {} --count 3 {flags} --device cpu --out c.safetensors", model.display()),
        )
        .success();
        let (shape, _, bytes) = tensor(&folder.path().join("c.safetensors"), "latents");
        let latents = floats(&bytes);
        latents.chunks(shape[1]).map(|latent| (latent[0], latent[shape[1] - 1])).collect::<Vec<_>>()
    };
    for (whole, scaled) in last("").into_iter().zip(last("--truncation 0.5")) {
        assert_eq!(scaled, (0.5 * whole.0, whole.1));
    }
}
