//! A list of bad files that were tried, each with the message that it got. None takes more than 2 GiB of address space,
//! whatever it claims to hold, and none leaves anything behind.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::program::{Outcome, folder, names, run_in, trained};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn idx(sizes: &[u32], elements: &[u8]) -> Vec<u8> {
    let rank = sizes.len() as u8;
    let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, 8, rank].into_iter().chain(sizes).chain(elements.iter().copied()).collect()
}

/// A grey PNG of one pixel that claims to have `side` by `side`.
fn png(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[9]).unwrap();
    bytes[16..24].copy_from_slice(&[side.to_be_bytes(), side.to_be_bytes()].concat());
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    bytes
}

/// A safetensors file with this header.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Runs the program with little memory.
fn run_small(folder: &Path, line: &str) -> Outcome {
    if cfg!(not(target_os = "linux")) {
        return run_in(folder, line.split_whitespace());
    }
    let script = format!("ulimit -v 2097152; exec '{}' {line}", env!("CARGO_BIN_EXE_gan-mnist"));
    let output =
        std::process::Command::new("bash").args(["-c", &script]).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// What is wrong, the file's name, its bytes, the command, and the message.
type Row = (&'static str, &'static str, Vec<u8>, &'static str, &'static str);

/// Writes each file into a folder of its own and compares the message with the one that is written down.
fn check(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (what, name, bytes, command, expected) in rows {
        let folder = folder();
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        let before = names(folder.path());
        let line = command.replace("FILE", name).replace("MODEL", &trained("dcgan").display().to_string());
        let found = run_small(folder.path(), &line).error(1);
        if found != expected {
            wrong.push(format!("{what}:\n  found    {found}\n  expected {expected}"));
        }
        assert_eq!(names(folder.path()), before, "{what}: something is left behind");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const TRAIN: &str = "train --preset dcgan --steps 1 --batch-size 2 --threads 1 --out run --data";

fn train(path: &str) -> &'static str {
    Box::leak(format!("{TRAIN} {path}").into_boxed_str())
}

#[test]
fn files_of_images() {
    let file = train("FILE");
    let folder = train("d");
    let (images, labels) = ("d/train-images-idx3-ubyte", "d/train-labels-idx1-ubyte");
    check(vec![
        (
            "nothing in it",
            images,
            vec![],
            folder,
            "d/train-images-idx3-ubyte: ends at offset 0, expected 4 bytes",
        ),
        (
            "cut off in the header",
            images,
            idx(&[2, 28, 28], &[])[..9].to_vec(),
            folder,
            "d/train-images-idx3-ubyte: ends at offset 9, expected 16 bytes",
        ),
        (
            "cut off in the pixels",
            images,
            idx(&[2, 28, 28], &[7; 1000]),
            folder,
            "d/train-images-idx3-ubyte: ends at offset 1016, expected 1584 bytes",
        ),
        (
            "more than it says",
            images,
            idx(&[1, 28, 28], &[7; 785]),
            folder,
            "d/train-images-idx3-ubyte: goes on after its last element at offset 800",
        ),
        (
            "another type of element",
            images,
            [&[0, 0, 13, 3][..], &[0; 12]].concat(),
            folder,
            "d/train-images-idx3-ubyte: not an IDX file of bytes: it starts with [00, 00, 0d, 03] at offset 0, expected [00, 00, 08, rank] with a rank from 1 to 4",
        ),
        (
            "labels instead of images",
            images,
            idx(&[3], &[0, 1, 2]),
            folder,
            "d/train-images-idx3-ubyte: expected images [N, height, width] or [N, height, width, 1 or 3], found the shape [3]",
        ),
        (
            "no images",
            images,
            idx(&[0, 28, 28], &[]),
            folder,
            "d/train-images-idx3-ubyte: has no images (shape [0, 28, 28])",
        ),
        (
            "images of no pixels",
            images,
            idx(&[5, 0, 28], &[]),
            folder,
            "d/train-images-idx3-ubyte: has no images (shape [5, 0, 28])",
        ),
        (
            "sizes that overflow",
            images,
            idx(&[u32::MAX; 4], &[]),
            folder,
            "d/train-images-idx3-ubyte: the sizes [4294967295, 4294967295, 4294967295, 4294967295] at offset 4 are more than 1073741824 bytes; a set of images may have more where it is not packed",
        ),
        (
            "sizes of a terabyte",
            images,
            idx(&[1 << 20, 1 << 10, 1 << 10], &[]),
            folder,
            "d/train-images-idx3-ubyte: the sizes [1048576, 1024, 1024] at offset 4 are more than 1073741824 bytes; a set of images may have more where it is not packed",
        ),
        (
            "labels without images",
            labels,
            idx(&[3], &[0, 1, 2]),
            folder,
            "d: has no images: expected pictures (PNG, JPEG, WebP, BMP, GIF, TIFF, QOI), in it or in folders, one for each class; an archive of them (zip, tar, tar.gz); a NumPy array (.npy, .npz); train-images-idx3-ubyte, packed as .gz or not; or data_batch_1.bin",
        ),
        (
            "a file by its name",
            "d/digits",
            idx(&[1, 28, 28], &[7; 700]),
            file,
            "d/digits: ends at offset 716, expected 800 bytes",
        ),
        (
            "a web page",
            "d/digits",
            b"<html>not found</html>".to_vec(),
            file,
            "d/digits: not an IDX file of bytes: it starts with [3c, 68, 74, 6d] at offset 0, expected [00, 00, 08, rank] with a rank from 1 to 4",
        ),
        (
            "gzip that is cut off",
            "d/x.gz",
            packed(&idx(&[1, 28, 28], &[7; 784]))[..30].to_vec(),
            file,
            "d/x.gz: cannot be read at offset 0: incomplete deflate stream",
        ),
        (
            "gzip that is damaged",
            "d/x.gz",
            [&packed(&idx(&[1, 1, 1], &[7]))[..20], &[0; 20]].concat(),
            file,
            "d/x.gz: cannot be read at offset 10: corrupt gzip stream does not have a matching checksum",
        ),
        (
            "a gzip bomb",
            "d/x.gz",
            packed(&[idx(&[1, 28, 28], &[]), vec![0; 256 << 20]].concat()),
            file,
            "d/x.gz: goes on after its last element at offset 800",
        ),
        (
            "a gzip bomb that says so",
            "d/x.gz",
            packed(&idx(&[1 << 12, 1 << 10, 1 << 10], &[])),
            file,
            "d/x.gz: the sizes [4096, 1024, 1024] at offset 4 are more than 1073741824 bytes; a set of images may have more where it is not packed",
        ),
        (
            "CIFAR-10 that is cut off",
            "d/data_batch_1.bin",
            vec![1; 3073 + 100],
            folder,
            "d/data_batch_1.bin: is 3173 bytes long, ends at offset 100 of a record: CIFAR-10 has records of 3073 bytes",
        ),
        (
            "CIFAR-10 with nothing in it",
            "d/data_batch_1.bin",
            vec![],
            folder,
            "d/data_batch_1.bin: is empty: CIFAR-10 has records of 3073 bytes",
        ),
        (
            "CIFAR-10 with a label of 10",
            "d/data_batch_1.bin",
            vec![10; 3073],
            folder,
            "d/data_batch_1.bin: the label 10 at offset 0 is none of 0 to 9",
        ),
        ("a picture with nothing in it", "d/a.png", vec![], folder, "d/a.png: is empty"),
        (
            "a picture that is cut off",
            "d/a.png",
            png(1)[..40].to_vec(),
            folder,
            "d/a.png: is cut off: unexpected end of file",
        ),
        (
            "a picture of no pixels",
            "d/a.png",
            png(0),
            folder,
            "d/a.png: is damaged: Format error decoding Png: Invalid image dimensions",
        ),
        (
            "a picture that claims too much",
            "d/a.png",
            png(60_000),
            folder,
            "d/a.png: is too large: its 60000x60000 pixels take 3600000000 bytes, the most is 268435456",
        ),
        (
            "a picture of more than there is",
            "d/a.png",
            png(2),
            folder,
            "d/a.png: is damaged: Format error decoding Png: IDAT or fDAT chunk does not have enough data for image.",
        ),
        (
            "a GIF",
            "d/a.png",
            b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(),
            folder,
            "d/a.png: is cut off: unexpected end of file",
        ),
        (
            "no picture",
            "d/a.jpg",
            b"no picture".to_vec(),
            folder,
            "d/a.jpg: is no picture that can be read: it starts like none of PNG, JPEG, WebP, BMP, GIF, TIFF, QOI",
        ),
        (
            "nothing to see",
            "d/readme.txt",
            b"no picture".to_vec(),
            folder,
            "d: has no images: expected pictures (PNG, JPEG, WebP, BMP, GIF, TIFF, QOI), in it or in folders, one for each class; an archive of them (zip, tar, tar.gz); a NumPy array (.npy, .npz); train-images-idx3-ubyte, packed as .gz or not; or data_batch_1.bin",
        ),
    ]);
}

#[test]
fn files_of_models() {
    let generate = "generate FILE --count 1 --threads 1 --out x.png";
    let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#;
    let behind = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let other = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let whole = fs::read(trained("dcgan").join("model.safetensors")).unwrap();
    let classify = "evaluate MODEL --count 10 --threads 1 --classifier FILE";
    let latents = "generate MODEL --threads 1 --out x.png --latents FILE";
    let evaluate = "evaluate --threads 1 --images FILE";
    let import = "import FILE --preset dcgan --out x.safetensors";
    check(vec![
        (
            "nothing in it",
            "m",
            vec![],
            generate,
            "cannot load the model m: this is an empty file; expected a safetensors file",
        ),
        (
            "cut off in the header",
            "m",
            whole[..1000].to_vec(),
            generate,
            "cannot load the model m: this file is truncated: its header takes 7472 bytes, 992 are left; expected a safetensors file",
        ),
        (
            "cut off in the weights",
            "m",
            whole[..whole.len() - 1].to_vec(),
            generate,
            "cannot load the model m: this file is truncated or damaged (incomplete metadata, file not fully covered); expected a safetensors file",
        ),
        (
            "a header of 2^63 bytes",
            "m",
            [&[0, 0, 0, 0, 0, 0, 0, 0x80, b'{'][..], &[0; 99]].concat(),
            generate,
            "cannot load the model m: this file is truncated: its header takes 9223372036854775808 bytes, 100 are left; expected a safetensors file",
        ),
        (
            "sizes that overflow",
            "m",
            safetensors(huge, &[0; 4]),
            generate,
            "cannot load the model m: this file is truncated or damaged (overflow computing buffer size from shape and/or element type); expected a safetensors file",
        ),
        (
            "an element behind the end",
            "m",
            safetensors(behind, &[0; 4]),
            generate,
            "cannot load the model m: this file is truncated or damaged (incomplete metadata, file not fully covered); expected a safetensors file",
        ),
        (
            "another model",
            "m",
            safetensors(other, &[0; 4]),
            generate,
            "cannot load the model m: this safetensors file holds no Gannet model: its metadata has no entry 'gannet'; expected a file that Gan::save wrote",
        ),
        (
            "a PyTorch file",
            "m",
            b"PK\x03\x04and so on".to_vec(),
            generate,
            "cannot load the model m: this is a ZIP archive (PyTorch .pt, Keras .keras or NumPy .npz); expected a safetensors file",
        ),
        (
            "no classifier",
            "c",
            safetensors(other, &[0; 4]),
            classify,
            "c: this file holds no classifier of gannet: its metadata has no entry 'gannet'",
        ),
        (
            "a classifier that is cut off",
            "c",
            safetensors(behind, &[0; 4]),
            classify,
            "c: this file is truncated or damaged (incomplete metadata, file not fully covered); expected a safetensors file",
        ),
        (
            "no latents",
            "l",
            safetensors(other, &[0; 4]),
            latents,
            "l: has no tensor `latents`, expected one of shape [N, 100]",
        ),
        (
            "no images",
            "i",
            safetensors(other, &[0; 4]),
            evaluate,
            "i: has no tensor `images`, expected one of shape [N, 28, 28, 1]",
        ),
        (
            "no state dict",
            "s",
            safetensors(other, &[0; 4]),
            import,
            "s: the tensors fit neither model: for the generator missing 'dense_0.weight', 'batch_norm_2.weight', 'batch_norm_2.bias', 'batch_norm_2.running_mean', 'batch_norm_2.running_var' and 7 more; unexpected 'a'; for the discriminator missing 'conv2d_0.weight', 'conv2d_0.bias', 'conv2d_2.weight', 'batch_norm_3.weight', 'batch_norm_3.bias' and 4 more; unexpected 'a'",
        ),
        (
            "a state dict that is cut off",
            "s",
            safetensors(behind, &[0; 4]),
            import,
            "s: this file is truncated or damaged (incomplete metadata, file not fully covered); expected a safetensors file",
        ),
    ]);
}

#[test]
fn files_larger_than_memory_are_not_read_to_see_that_they_are_no_models() {
    let folder = folder();
    // A hole: it takes no room on the disk.
    fs::File::create(folder.path().join("film")).unwrap().set_len(1 << 38).unwrap();
    let model = trained("dcgan").display().to_string();
    for (line, expected) in [
        (
            "generate film --count 1 --threads 1 --out x.png".to_string(),
            "cannot load the model film: this is a file of another kind; expected a safetensors file",
        ),
        (
            format!("evaluate {model} --count 10 --threads 1 --classifier film"),
            "cannot read film: this is a file of another kind; expected a safetensors file",
        ),
        (
            "import film --preset dcgan --out x.safetensors".to_string(),
            "cannot read film: this is a file of another kind; expected a safetensors file",
        ),
        (
            "train --model film".to_string(),
            "film: 274877906944 bytes are no model file, which is TOML such as `gan-mnist presets cdcgan` prints",
        ),
        (
            "train --steps 1 --threads 1 --data film".to_string(),
            "film: not an IDX file of bytes: it starts with [00, 00, 00, 00] at offset 0, expected [00, 00, 08, rank] \
             with a rank from 1 to 4",
        ),
    ] {
        assert_eq!(run_small(folder.path(), &line).error(1), expected);
    }
}

#[test]
fn files_of_text() {
    let train = "train --steps 1 --threads 1 --out run --model FILE";
    let report = "report r";
    let with_config = |name: &'static str, bytes: &[u8]| (name, bytes.to_vec());
    let preset =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../gan/presets/dcgan.toml")).unwrap();
    let broken = |from: &str, to: &str| {
        assert!(preset.contains(from), "{from}");
        preset.replacen(from, to, 1).into_bytes()
    };
    let (config, no_text) = with_config("r/config.toml", &[0xff, 0xfe, 0]);
    check(vec![
        ("nothing in it", "m.toml", vec![], train, "m.toml: line 1: missing field `batch_size`"),
        (
            "no text",
            "m.toml",
            vec![0xff; 100],
            train,
            "m.toml: not a text; a model file is TOML such as `gan-mnist presets cdcgan` prints",
        ),
        (
            "no TOML",
            "m.toml",
            b"{\"name\": 1}".to_vec(),
            train,
            "m.toml: line 1: invalid key-value pair, expected key, in `{\"name\": 1}`",
        ),
        (
            "a word that is none",
            "m.toml",
            broken("batch_size", "batchsize"),
            train,
            "m.toml: line 4: unknown field `batchsize`, expected one of `name`, `description`, `batch_size`, `accumulate`, `loss`, `real_target`, `penalties`, `auxiliary`, `parts`, `augment`, `discriminator_steps`, `separate_updates`, `schedule`, `steps`, `ema`, `seed`, `class_names`, `generator`, `discriminator`, in `batchsize = 128`",
        ),
        (
            "a number that is none",
            "m.toml",
            broken("batch_size = 128", "batch_size = -1"),
            train,
            "m.toml: line 4: invalid value: integer `-1`, expected a whole number of at least 0, in `batch_size = -1`",
        ),
        (
            "a batch of 10^18",
            "m.toml",
            broken("batch_size = 128", "batch_size = 1000000000000000000"),
            train,
            "m.toml: line 4: a batch of 1000000000000000000 samples of 784 numbers is too large: at most 1073741824 numbers, in `batch_size = 1000000000000000000`",
        ),
        (
            "too long",
            "m.toml",
            vec![b'#'; (1 << 20) + 1],
            train,
            "m.toml: 1048577 bytes are no model file, which is TOML such as `gan-mnist presets cdcgan` prints",
        ),
        (
            "settings that are no text",
            config,
            no_text,
            report,
            "r is no run directory: its config.toml cannot be read: stream did not contain valid UTF-8",
        ),
        (
            "settings that are no TOML",
            config,
            b"steps = ".to_vec(),
            report,
            "r/config.toml, line 1: string values must be quoted, expected literal string",
        ),
    ]);
    // The other files of a run.
    let rows: [(&str, &[u8], &str); 5] = [
        (
            "metrics.jsonl",
            b"{\"step\":1}\n{\"step\":-1}\n",
            "r/metrics.jsonl, line 2: no metrics of a step (invalid value: integer `-1`, expected u64 at line 1 column 10)",
        ),
        (
            "metrics.jsonl",
            b"{\"step\":1}\n\xff\n",
            "cannot read r/metrics.jsonl: stream did not contain valid UTF-8",
        ),
        (
            "losses.csv",
            b"step,d_real,d_fake,g\n1,0.5,0.5\n",
            "r/losses.csv, line 2: expected four numbers, got '1,0.5,0.5'",
        ),
        (
            "losses.csv",
            b"step,d_real,d_fake,g\n1,0.5,0.5,\x1b[2J\n",
            "r/losses.csv, line 2: expected four numbers, got '1,0.5,0.5,\\u{1b}[2J'",
        ),
        (
            "evaluation.json",
            b"{\"count\":",
            "r/evaluation.json: these are no scores (EOF while parsing a value at line 1 column 9)",
        ),
    ];
    for (name, bytes, expected) in rows {
        let folder = folder();
        fs::create_dir(folder.path().join("r")).unwrap();
        fs::write(folder.path().join("r/config.toml"), "steps = 1").unwrap();
        fs::write(folder.path().join("r").join(name), bytes).unwrap();
        assert_eq!(run_small(folder.path(), "report r").error(1), expected);
        assert_eq!(names(&folder.path().join("r")).len(), 2, "{name} left something behind");
    }
}

#[test]
fn pictures_of_one_pixel_are_pictures() {
    let folder = folder();
    fs::create_dir(folder.path().join("d")).unwrap();
    for n in 0..4 {
        fs::write(folder.path().join(format!("d/{n}.png")), png(1)).unwrap();
    }
    run_in(folder.path(), format!("{TRAIN} d").split_whitespace()).success();
}
