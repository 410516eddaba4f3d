//! Every kind of file that the program reads, cut off at every length and with bytes changed: it is read, or refused by
//! its name in one line, and nothing panics.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gannet::export::{Part, torch};
use gannet::metrics::Classifier;
use gannet::recipe::{Capacity, Pictures};
use gannet::tensor_file::{FileTensor, TensorFile, Values};
use gannet::{Cpu, Gan};
use gannet_data::{ImageShape, Scratch};
use image::{DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::arguments::DataArgs;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::evaluation::{ClassifierFile, ImageSet};
use crate::picture::Picture;
use crate::recipe::{self, Recipe};
use crate::report;
use crate::run::metrics_file::{self, Event, EventKind, Point};
use crate::run::{Checkpoints, MODEL, Os, RunDirectory, State, data_of_run, read_evaluation, read_losses};
use crate::training::tests::{config, settings};

static CPU: LazyLock<Device> = LazyLock::new(|| Device::Cpu(Cpu::with_threads(1).unwrap()));

/// A kind of file.
struct Kind {
    /// What it is called in the folder that it is read from.
    name: &'static str,
    /// One that is whole.
    whole: Vec<u8>,
    /// Reads all of the file at this path.
    read: fn(&Path) -> Result<()>,
    /// Whether a beginning of it is refused, whatever its length.
    refuses_beginnings: bool,
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(9, 6, |x, y| image::Rgb([200, (x * 20) as u8, (y * 40) as u8]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn tensors(tensors: &[(&str, &[usize], Values)]) -> Vec<u8> {
    let tensor = |(name, shape, values): &(&str, &[usize], Values)| FileTensor {
        name: name.to_string(),
        shape: shape.to_vec(),
        values: values.clone(),
    };
    let file = TensorFile { description: None, tensors: tensors.iter().map(tensor).collect() };
    file.to_bytes().unwrap()
}

/// Opens images as `--data` does, and reads every one.
fn read_images(path: &Path) -> Result<()> {
    let data = DataArgs { data: Some(path.into()), ..DataArgs::default() }.open(None, 1)?;
    let (mut pixels, mut scratch) = (vec![0; data.shape().len()], Scratch::default());
    (0..data.len())
        .try_for_each(|index| Ok(data.images().read(index, &mut pixels, &mut scratch).map(|_| ())?))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap()
}

fn kinds() -> Vec<Kind> {
    let shape = ImageShape { height: 3, width: 3, channels: 1 };
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3][..], &[7; 18]].concat();
    let grey = Picture { shape, pixels: vec![9; 9] }.to_png().unwrap();
    let mut gan = Gan::new(&*CPU, config(3)).unwrap();
    let model = gan.to_file().unwrap();
    let state = State::new(3, &settings(&config(3), "5")).unwrap();
    let saved = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoints::new(saved.path().into(), 1).save(&Os, &state, model.clone()).unwrap();
    let event = Event { kind: EventKind::Collapse, message: "alike".into() };
    let points = [
        Point { step: 1, g: Some(0.5), ..Point::default() },
        Point { step: 2, event: Some(event), ..Point::default() },
    ];
    let evaluation = r#"{"count":2,"seed":1,"dataset":"mnist","test_images":3,"features":{"name":"c","sha256":"00",
        "test_accuracy":0.5},"generated":SCORES,"floor":SCORES}"#;
    let scores = r#"{"images":2,"frechet_distance":1.0,"kernel_distance":1.0,"kernel_distance_std":1.0,"precision":1.0,
        "recall":1.0,"density":1.0,"coverage":1.0,"class_shares":[1.0],"class_divergence":0.0,"class_accuracy":null}"#;
    let text = settings(&config(3), "5").to_toml().unwrap();
    let classifier = Classifier::new(&*CPU, [4, 4, 1], 2, 1).unwrap().to_file().unwrap();
    let exported = torch::export(&gan, Part::Generator, "generator.safetensors").unwrap().weights;
    let kind =
        |name, whole: Vec<u8>, refuses_beginnings, read| Kind { name, whole, read, refuses_beginnings };
    vec![
        kind("train-images-idx3-ubyte", idx.clone(), true, read_images),
        kind("train-images-idx3-ubyte.gz", packed(&idx), true, read_images),
        kind("train-labels-idx1-ubyte", [&[0, 0, 8, 1, 0, 0, 0, 2][..], &[1, 0]].concat(), true, |path| {
            let images = path.with_file_name("train-images-idx3-ubyte");
            fs::write(&images, [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1][..], &[7; 2]].concat())
                .unwrap();
            read_images(&images)
        }),
        kind("data_batch_1.bin", [vec![3; 3073], vec![9; 3073]].concat(), false, read_images),
        kind("a.png", encoded(ImageFormat::Png), false, |path| read_images(folder_of(path))),
        kind("a.jpg", encoded(ImageFormat::Jpeg), false, |path| read_images(folder_of(path))),
        kind("a.webp", encoded(ImageFormat::WebP), false, |path| read_images(folder_of(path))),
        // To score, one has to be exact; the end of a PNG holds nothing.
        kind("b.png", grey, false, |path| {
            let shape = ImageShape { height: 3, width: 3, channels: 1 };
            ImageSet::read(folder_of(path), shape).map(|_| ())
        }),
        kind(
            "images.safetensors",
            tensors(&[
                ("images", &[2, 3, 3, 1], Values::U8(vec![3; 18])),
                ("labels", &[2], Values::U8(vec![1, 2])),
            ]),
            true,
            |path| ImageSet::read(path, ImageShape { height: 3, width: 3, channels: 1 }).map(|_| ()),
        ),
        kind(MODEL, model.to_bytes().unwrap(), true, |path| {
            Gan::load(&*CPU, path).map(|_: Gan<Device>| ()).map_err(Error::failure)
        }),
        kind("step-000003.safetensors", fs::read(checkpoint).unwrap(), true, |path| {
            let read = Checkpoints::new(folder_of(path).into(), 1).newest();
            // What is damaged was put aside.
            let _ = fs::remove_file(path.with_file_name("step-000003.safetensors.damaged"));
            let checkpoint = read?;
            Gan::from_file(&*CPU, &checkpoint.model)
                .map(|_: Gan<Device>| ())
                .map_err(|e| Error::failure(format!("{}: {e}", path.display())))
        }),
        kind("classifier.safetensors", classifier.to_bytes().unwrap(), true, |path| {
            ClassifierFile::read(path)?.load(&*CPU).map(|_| ())
        }),
        kind("generator.safetensors", exported, true, |path| {
            let wrong = |message: String| Error::failure(format!("{}: {message}", path.display()));
            let state = torch::StateDict::parse(&fs::read(path).unwrap()).map_err(wrong)?;
            let mut gan = Gan::new(&*CPU, config(3)).unwrap();
            torch::import(&mut gan, Part::Generator, &state).map(|_| ()).map_err(|e| wrong(e.to_string()))
        }),
        kind("model.toml", config(3).to_toml().unwrap().into_bytes(), false, |path| {
            recipe::load("cdcgan", Some(path)).map(|_| ())
        }),
        kind("following.toml", gannet::recipe::MODEL_FILE.into(), false, |path| {
            let Recipe::Following(following) = recipe::read("cdcgan", Some(path))? else { return Ok(()) };
            let pictures = Pictures { height: 16, width: 32, channels: 3, classes: Some(2), count: 100 };
            following.for_pictures("pictures", &pictures, Capacity::Small).map(|_| ())
        }),
        kind("config.toml", text.into_bytes(), false, |path| {
            let folder = folder_of(path);
            fs::create_dir_all(folder.join("checkpoints")).unwrap();
            let checked = RunDirectory::open(folder)?.check_config(&settings(&config(3), "5"));
            data_of_run(folder)?;
            report::Run::read(folder)?;
            checked
        }),
        kind("metrics.jsonl", points.map(|p| p.line().unwrap()).concat().into_bytes(), false, |path| {
            metrics_file::read(path).map(|_| ())
        }),
        kind(
            "losses.csv",
            b"step,d_real,d_fake,g\n1,0.5,0.25,2\n2,0.5,0.25,1e-7\n".to_vec(),
            false,
            |path| read_losses(path).map(|_| ()),
        ),
        kind("evaluation.json", evaluation.replace("SCORES", scores).into_bytes(), true, |path| {
            read_evaluation(path).map(|_| ())
        }),
    ]
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(kinds);

/// Reads `bytes` as a file of a kind. An error must name the file, in one line that people can read.
fn read(kind: &Kind, bytes: &[u8]) -> std::result::Result<(), String> {
    thread_local! {
        static FOLDER: TempDir = tempfile::tempdir().unwrap();
    }
    let path: PathBuf = FOLDER.with(|folder| folder.path().join(kind.name).join(kind.name));
    fs::create_dir_all(folder_of(&path)).unwrap();
    fs::write(&path, bytes).unwrap();
    (kind.read)(&path).map_err(|error| {
        let message = error.line();
        assert!(message.contains(kind.name), "{}: its name is missing in: {message}", kind.name);
        assert!(message.len() < 800, "{}: {message}", kind.name);
        assert!(message.chars().all(|c| !c.is_control()), "{}: {message:?}", kind.name);
        message
    })
}

#[test]
fn whole_files_are_read() {
    for kind in &*KINDS {
        assert_eq!(read(kind, &kind.whole), Ok(()), "{}", kind.name);
    }
}

#[test]
fn files_that_are_cut_off_are_refused_by_name() {
    for kind in &*KINDS {
        // Of a longer file the beginning, the end, and places in between.
        let len = kind.whole.len();
        let step = (len / 120).max(1);
        for end in (0..len).filter(|end| end % step == 0 || *end < 120 || len - end < 20) {
            let result = read(kind, &kind.whole[..end]);
            assert!(result.is_err() || !kind.refuses_beginnings, "{} of {end} bytes", kind.name);
        }
        assert!(
            read(kind, b"").is_err() || ["losses.csv", "metrics.jsonl", "config.toml"].contains(&kind.name)
        );
    }
}

#[test]
fn files_of_another_kind_are_refused_by_name() {
    for kind in &*KINDS {
        for other in &*KINDS {
            let pictures = |kind: &Kind| kind.name.starts_with("a.") || kind.name == "b.png";
            let safetensors = |kind: &Kind| kind.name.ends_with(".safetensors");
            let same = (pictures(kind) && pictures(other)) || (safetensors(kind) && safetensors(other));
            if !same && kind.name != other.name {
                // What a file of text is not is seen at its first line.
                let _ = read(kind, &other.whole);
            }
        }
        for junk in [&b"<html><body>404 Not Found</body></html>"[..], &[0; 5000], &[0xff; 5000], b"\n\n\n"] {
            let _ = read(kind, junk);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn files_with_changed_bytes_are_read_or_refused_by_name(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        at_the_beginning: bool,
        end in any::<prop::sample::Index>(),
        cut in prop::bool::weighted(0.2),
    ) {
        let kind = &KINDS[which.index(KINDS.len())];
        let mut bytes = kind.whole.clone();
        let len = bytes.len();
        for (at, value) in changes {
            // Headers are at the beginning.
            bytes[at.index(if at_the_beginning { len.min(400) } else { len })] = value;
        }
        if cut {
            bytes.truncate(end.index(len));
        }
        let _ = read(kind, &bytes);
    }
}
