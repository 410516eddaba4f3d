//! `gan-mnist project`: the latents that come nearest to pictures.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use gannet::metrics::dequantise;
use gannet::tensor_file::TensorFile;
use gannet::{Backend, Gan, Inversion};
use gannet_data::files::PendingFile;
use gannet_data::pictures::read_picture;
use gannet_data::transforms::Resize;

use super::generate::{check_class, class_names, drawn_tensors, load};
use crate::arguments::{DeviceArgs, check_ending, resize, whole_number};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::terminal::{counted, duration, note, say};
use crate::training::image_shape;

/// The flags of `project`.
#[derive(Debug, Clone, Args)]
pub struct ProjectArgs {
    /// A model.safetensors, or the run directory that holds it
    pub model: PathBuf,
    /// The pictures to look for; each is brought to the size of the model
    #[arg(required = true, value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
    /// The class to draw them in, by its number or its name [default: the one that comes nearest]
    #[arg(long, value_name = "K|NAME", allow_hyphen_values = true)]
    pub class: Option<String>,
    /// How pictures of other proportions get there: cut to the middle, laid on black, or stretched [default: crop]
    #[arg(long, value_name = "HOW", value_parser = resize())]
    pub resize: Option<Resize>,
    /// How many latents to draw to begin with
    #[arg(long, value_name = "N", default_value = "1024", value_parser = whole_number(1, 100_000), allow_negative_numbers = true)]
    pub candidates: u64,
    /// How many steps to go down the gradient from the nearest four of them
    #[arg(long, value_name = "N", default_value = "300", value_parser = whole_number(1, 1_000_000), allow_negative_numbers = true)]
    pub steps: u64,
    /// What the latents follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// The grid to write: a row for each picture, it and the nearest image
    #[arg(long, value_name = "FILE.png")]
    pub out: PathBuf,
    /// Write what was found too: `latents`, `images` and perhaps `labels`, from which `generate --latents` draws it again
    #[arg(long, value_name = "FILE.safetensors")]
    pub latents: Option<PathBuf>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// How often a line says how far it is.
const LINE: Duration = Duration::from_secs(10);

/// Looks for the pictures that the flags name.
pub fn run(args: &ProjectArgs) -> Result<()> {
    check_ending("--out", &args.out, "png")?;
    if let Some(path) = &args.latents {
        check_ending("--latents", path, "safetensors")?;
    }
    let same = |path: &PathBuf| matches!((fs::canonicalize(path), fs::canonicalize(&args.out)), (Ok(a), Ok(b)) if a == b);
    if let Some(path) = args.pictures.iter().find(|path| same(path)) {
        return Err(Error::usage(format!(
            "--out {} would be written over the picture that is looked for; name another file",
            path.display()
        )));
    }
    if let Some(folder) = args.pictures.iter().find(|path| path.is_dir()) {
        let folder = folder.display();
        return Err(Error::usage(format!(
            "{folder} is a folder; name the pictures in it, such as {folder}/*.png"
        )));
    }
    project(args, load(&Device::open(&args.device)?, &args.model)?)
}

fn project<B: Backend<Element = f32>>(args: &ProjectArgs, mut gan: Gan<B>) -> Result<()> {
    let shape = image_shape(&gan)?;
    let class = check_class(args.class.as_deref(), &gan, &args.model)?;
    let names = class_names(&gan, &args.model)?;
    let mut targets = Vec::with_capacity(args.pictures.len() * shape.len());
    for path in &args.pictures {
        let pixels = read_picture(path, shape, args.resize.unwrap_or_default())?;
        targets.extend(pixels.into_iter().map(dequantise));
    }
    // Each output is opened first, so that what cannot be written is known before any work.
    let file = PendingFile::create(&args.out)?;
    let latents = args.latents.as_deref().map(PendingFile::create).transpose()?;

    let labels = class.map(|class| vec![class; args.pictures.len()]);
    let options = Inversion {
        candidates: args.candidates as usize,
        steps: args.steps,
        seed: args.seed,
        ..Inversion::default()
    };
    let (began, mut said) = (Instant::now(), Instant::now());
    let found = gan.invert(&targets, labels.as_deref(), options, |step, steps| {
        if said.elapsed() >= LINE {
            said = Instant::now();
            let left = began.elapsed().mul_f64((steps - step) as f64 / step as f64);
            note(&format!("step {step}/{steps}  {} left", duration(left)));
        }
    })?;

    let rows = targets.chunks_exact(shape.len()).zip(found.images.chunks_exact(shape.len()));
    let pairs: Vec<f32> = rows.flat_map(|(target, image)| [target, image].concat()).collect();
    Picture::grid(&pairs, shape, 2).write_png(file)?;
    for (k, (path, error)) in args.pictures.iter().zip(&found.errors).enumerate() {
        let class = found.labels.as_ref().map_or(String::new(), |labels| {
            let class = labels[k] as usize;
            format!(
                " in class {class}{}",
                names.get(class).map_or(String::new(), |name| format!(" ({name})"))
            )
        });
        // Pixels lie in -1 to 1, grey levels in 0 to 255.
        say(&format!("{}: found at {:.1} levels{class}", path.display(), 127.5 * error));
    }
    if let Some(latents) = latents {
        let tensors = drawn_tensors(found.latents, found.labels, found.images, shape);
        latents
            .finish_with(&TensorFile { description: None, tensors }.to_bytes().map_err(Error::failure)?)?;
    }
    let count = args.pictures.len() as u64;
    say(&format!("{} beside what comes nearest in {}", counted(count, "picture"), args.out.display()));
    if let Some(path) = &args.latents {
        say(&format!("latents in {}", path.display()));
    }
    Ok(())
}
