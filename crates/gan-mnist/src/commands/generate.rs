//! `gan-mnist generate`: images from a trained model.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use gannet::tensor_file::{FileTensor, TensorFile, Values};
use gannet::{Backend, Gan};
use gannet_data::ImageShape;
use gannet_data::files::PendingFile;

use crate::arguments::{DeviceArgs, Seeds, seeds, truncation, whole_number};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::recipe::check_inputs;
use crate::run::{MODEL, data_of_run, run_of};
use crate::terminal::{counted, say};
use crate::training::{classes_in_turn, columns, image_shape};

/// The flags of `generate`.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// A model.safetensors, or the run directory that holds it
    pub model: PathBuf,
    /// How many images to draw [default: 100, or one for each of --latents]
    #[arg(long, value_name = "N", value_parser = whole_number(1, 100_000), allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// The class of every image, by its number or its name [default: all classes in turn; with --seeds the first]
    #[arg(long, value_name = "K|NAME", allow_hyphen_values = true)]
    pub class: Option<String>,
    /// What the latents follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// Draw these images alone: number N is what --seed N --count 1 draws, whatever stands beside it
    #[arg(long, value_name = "N,N-M", value_parser = seeds, conflicts_with_all = ["seed", "count", "latents"])]
    pub seeds: Option<Seeds>,
    /// Draw latents nearer to their middle, by this factor: less variety, fewer odd images
    #[arg(long, value_name = "T", value_parser = truncation, conflicts_with = "latents", allow_negative_numbers = true)]
    pub truncation: Option<f32>,
    /// A file with the tensor `latents` [N, size] f32 and perhaps `labels` `[N]` u8 or f32, instead of drawing them
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "seed")]
    pub latents: Option<PathBuf>,
    /// What to write: a grid (.png or .webp), a folder of one picture each (a name that ends in /), or tensors
    /// (.safetensors)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What the pictures of a folder are; both keep transparency
    #[arg(long, value_name = "FORMAT", default_value = "png", value_parser = ["png", "webp"])]
    pub format: String,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// How many images are drawn without --count and --latents.
const DEFAULT_COUNT: usize = 100;

/// So many classes are named where one is asked for that does not exist.
const NAMED: usize = 100;

/// Draws what the flags ask for.
pub fn run(args: &GenerateArgs) -> Result<()> {
    let out = Out::of(&args.out)?;
    generate(args, &out, load(&Device::open(&args.device)?, &args.model)?)
}

/// The model of a file or of a run directory.
pub(crate) fn load<B: Backend>(backend: &B, model: &Path) -> Result<Gan<B>> {
    let model = if model.is_dir() { &model.join(MODEL) } else { model };
    let gan = Gan::load(backend, model).map_err(|e| Error::failure(format!("cannot load the model {e}")))?;
    check_inputs(gan.inputs())
        .map_err(|message| Error::failure(format!("{}: {message}", model.display())))?;
    Ok(gan)
}

fn generate<B: Backend<Element = f32>>(args: &GenerateArgs, out: &Out, mut gan: Gan<B>) -> Result<()> {
    let (shape, classes) = (image_shape(&gan)?, gan.classes());
    let request = Request::of(args, &gan)?;
    let count = request.count;
    let names = class_names(&gan, &args.model)?;
    let mut draw = || gan.generate(&request.latents, request.labels.as_deref());
    // Each output is opened first, so that what cannot be written is known before any work.
    match out {
        Out::Grid(path) => {
            let file = PendingFile::create(path)?;
            let columns = columns(count, request.labels.as_deref(), classes);
            let grid = Picture::grid(&draw()?, shape, columns);
            file.finish_with(&packed(&grid, path.extension().is_some_and(|end| end == "webp"))?)?;
        }
        Out::Folder(path) => {
            fs::create_dir_all(path).map_err(|e| Error::cannot_write(path, &e))?;
            let numbers = args.seeds.as_ref().map(|Seeds(seeds)| &seeds[..]);
            let singles = Singles { shape, labels: request.labels.as_deref(), names: &names, numbers };
            singles.write(path, &draw()?, &args.format)?;
        }
        Out::Tensors(path) => {
            let file = PendingFile::create(path)?;
            let images = draw()?;
            let tensors = drawn_tensors(request.latents, request.labels, images, shape);
            let tensors = TensorFile { description: None, tensors };
            file.finish_with(&tensors.to_bytes().map_err(Error::failure)?)?;
        }
    }
    say(&format!("{} in {}", counted(count as u64, "image"), args.out.display()));
    if let (Some(classes), None, None, None, false) =
        (classes, &args.class, &args.latents, &args.seeds, names.is_empty())
    {
        let shown = names.iter().take(classes.min(count).min(NAMED)).map(String::as_str).collect::<Vec<_>>();
        say(&format!("classes in turn: {}", shown.join(", ")));
    }
    Ok(())
}

/// What `--out` asks for.
#[derive(Debug)]
enum Out {
    Grid(PathBuf),
    Folder(PathBuf),
    Tensors(PathBuf),
}

impl Out {
    fn of(path: &Path) -> Result<Self> {
        // A trailing separator is not part of a path's components.
        let text = path.to_string_lossy();
        if text.ends_with(std::path::is_separator) {
            return Ok(Out::Folder(path.to_path_buf()));
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("png" | "webp") => Ok(Out::Grid(path.to_path_buf())),
            Some("safetensors") => Ok(Out::Tensors(path.to_path_buf())),
            _ => Err(Error::usage(format!(
                "--out {text} does not say what to write: a name ending in .png or .webp for a grid, in / for a \
                 folder of one picture each, in .safetensors for tensors"
            ))),
        }
    }
}

/// What is to be drawn.
struct Request {
    count: usize,
    /// [count, z].
    latents: Vec<f32>,
    /// `[count]`, below the model's number of classes; none for a model without classes.
    labels: Option<Vec<u32>>,
}

impl Request {
    fn of<B: Backend<Element = f32>>(args: &GenerateArgs, gan: &Gan<B>) -> Result<Self> {
        let class = check_class(args.class.as_deref(), gan, &args.model)?;
        let z = gan.generator().input().len();
        let (latents, mut labels) = match &args.latents {
            Some(path) => read_latents(path, z, gan.classes())?,
            None => (draw_latents(args, gan), None),
        };
        let count = latents.len() / z;
        if let (Some(path), Some(asked)) = (&args.latents, args.count)
            && asked != count as u64
        {
            let path = path.display();
            return Err(Error::usage(format!(
                "--count {asked} does not fit: {path} has latents for {count} images"
            )));
        }
        if let Some(class) = class {
            labels = Some(vec![class; count]);
        }
        if args.seeds.is_some() && labels.is_none() {
            // A class in turn would follow from what stands beside it.
            labels = Some(vec![0; count]);
        }
        let labels = gan.classes().map(|classes| labels.unwrap_or_else(|| classes_in_turn(count, classes)));
        Ok(Request { count, latents, labels })
    }
}

/// The tensors of a file: `images` [N, H, W, C], `latents` [N, z], and `labels` `[N]` where there are classes.
pub(crate) fn drawn_tensors(
    latents: Vec<f32>,
    labels: Option<Vec<u32>>,
    images: Vec<f32>,
    shape: ImageShape,
) -> Vec<FileTensor> {
    let n = images.len() / shape.len();
    let tensor = |name: &str, shape: Vec<usize>, values| FileTensor { name: name.into(), shape, values };
    let z = latents.len() / n;
    let mut tensors = vec![
        tensor("images", vec![n, shape.height, shape.width, shape.channels], Values::F32(images)),
        tensor("latents", vec![n, z], Values::F32(latents)),
    ];
    if let Some(labels) = labels {
        // What does not fit into bytes.
        let values = if labels.iter().all(|&label| label <= u32::from(u8::MAX)) {
            Values::U8(labels.into_iter().map(|label| label as u8).collect())
        } else {
            Values::F32(labels.into_iter().map(|label| label as f32).collect())
        };
        tensors.push(tensor("labels", vec![n], values));
    }
    tensors
}

/// The latents [N, z] that the flags ask for.
fn draw_latents<B: Backend<Element = f32>>(args: &GenerateArgs, gan: &Gan<B>) -> Vec<f32> {
    let mut latents = match &args.seeds {
        Some(Seeds(seeds)) => seeds.iter().flat_map(|&seed| gan.latents(1, seed)).collect(),
        None => gan.latents(args.count.map_or(DEFAULT_COUNT, |n| n as usize), args.seed),
    };
    if let Some(truncation) = args.truncation {
        let z = gan.generator().input().len();
        // The last number of a model with clusters says which cluster an image is of, all of which are as likely.
        let scaled = z - usize::from(gan.config().clusters > 1);
        latents
            .chunks_exact_mut(z)
            .for_each(|latent| latent[..scaled].iter_mut().for_each(|x| *x *= truncation));
    }
    latents
}

/// The names of the classes of a model: they are in its file, of older ones in that of the run that it belongs to.
pub(crate) fn class_names<B: Backend>(gan: &Gan<B>, model: &Path) -> Result<Vec<String>> {
    if !gan.config().class_names.is_empty() {
        return Ok(gan.config().class_names.clone());
    }
    let record = run_of(model).map_or(Ok(None), data_of_run)?;
    Ok(record.map(|record| record.class_names).unwrap_or_default())
}

/// The class asked for, by its name or its number, if the model has it.
pub(crate) fn check_class<B: Backend>(
    class: Option<&str>,
    gan: &Gan<B>,
    model: &Path,
) -> Result<Option<u32>> {
    let Some(class) = class else { return Ok(None) };
    let Some(classes) = gan.classes() else {
        return Err(Error::usage("--class does not fit: the model has no classes, leave it out"));
    };
    let names = class_names(gan, model)?;
    if let Some(number) = names.iter().take(classes).position(|name| name == class) {
        return Ok(Some(number as u32));
    }
    match class.parse::<u32>() {
        Ok(number) if (number as usize) < classes => Ok(Some(number)),
        _ => {
            let named: Vec<String> = names
                .iter()
                .take(NAMED)
                .enumerate()
                .map(|(number, name)| format!("{number} {name}"))
                .collect();
            let named = if names.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
            let more = if names.len() > NAMED { ", ..." } else { "" };
            Err(Error::usage(format!(
                "--class {class} does not exist: the model has classes 0 to {}{named}{more}",
                classes - 1
            )))
        }
    }
}

/// Reads `latents` [N, z] and, for a model with classes, `labels` `[N]` if they are there.
fn read_latents(path: &Path, z: usize, classes: Option<usize>) -> Result<(Vec<f32>, Option<Vec<u32>>)> {
    let wrong = |what: String| Error::failure(format!("{}: {what}", path.display()));
    let file = TensorFile::read(path)?;
    let Some(latents) = file.tensor("latents") else {
        return Err(wrong(format!("has no tensor `latents`, expected one of shape [N, {z}]")));
    };
    let count = match latents.shape[..] {
        [count, columns] if count > 0 && columns == z => count,
        _ => {
            return Err(wrong(format!(
                "`latents` has the shape {:?}, the model needs [N, {z}]",
                latents.shape
            )));
        }
    };
    let Values::F32(values) = &latents.values else {
        return Err(wrong(format!("`latents` has the type {}, expected F32", kind(&latents.values))));
    };
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(wrong(format!(
            "`latents` holds {} at [{}, {}], not a finite number",
            values[at],
            at / z,
            at % z
        )));
    }
    let labels = match (classes, file.tensor("labels")) {
        (Some(classes), Some(labels)) => {
            if labels.shape != [count] {
                return Err(wrong(format!("`labels` has the shape {:?}, expected [{count}]", labels.shape)));
            }
            let values: Vec<f64> = match &labels.values {
                Values::U8(values) => values.iter().map(|&label| label.into()).collect(),
                Values::F32(values) => values.iter().map(|&label| label.into()).collect(),
                other => {
                    return Err(wrong(format!("`labels` has the type {}, expected U8 or F32", kind(other))));
                }
            };
            let known = |label: f64| label.fract() == 0.0 && (0.0..classes as f64).contains(&label);
            if let Some(label) = values.iter().find(|&&label| !known(label)) {
                let last = classes - 1;
                return Err(wrong(format!("`labels` holds {label}: the model has classes 0 to {last}")));
            }
            Some(values.iter().map(|&label| label as u32).collect())
        }
        _ => None,
    };
    Ok((values.clone(), labels))
}

/// The name of a type in a safetensors file.
fn kind(values: &Values) -> &'static str {
    match values {
        Values::F32(_) => "F32",
        Values::F64(_) => "F64",
        Values::U8(_) => "U8",
    }
}

/// The bytes of a picture as WebP or PNG.
fn packed(picture: &Picture, webp: bool) -> Result<Vec<u8>> {
    if webp { picture.to_webp() } else { picture.to_png() }
}

/// Images that get a file each.
struct Singles<'a> {
    shape: ImageShape,
    labels: Option<&'a [u32]>,
    names: &'a [String],
    /// What the files are called instead of 0, 1, 2, ...
    numbers: Option<&'a [u64]>,
}

impl Singles<'_> {
    /// One file for each image: 000000.png, 000000-class-7.png where there are classes, 000000-cat-class-7.png where they
    /// have names that a file may have.
    fn write(&self, folder: &Path, images: &[f32], format: &str) -> Result<()> {
        let plain = |name: &&String| name.chars().all(|c| c.is_alphanumeric() || "-_ ".contains(c));
        for (n, image) in images.chunks_exact(self.shape.len()).enumerate() {
            let number = self.numbers.map_or(n as u64, |numbers| numbers[n]);
            let name = match self.labels.map(|labels| labels[n]) {
                Some(class) => match self.names.get(class as usize).filter(plain) {
                    Some(name) => format!("{number:06}-{name}-class-{class}.{format}"),
                    None => format!("{number:06}-class-{class}.{format}"),
                },
                None => format!("{number:06}.{format}"),
            };
            let bytes = packed(&Picture::single(image, self.shape), format == "webp")?;
            PendingFile::create(&folder.join(name))?.finish_with(&bytes)?;
        }
        Ok(())
    }
}
