//! `gan-mnist export`: a trained model for PyTorch, ONNX, NumPy or a browser.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use gannet::export::{self, Part, npz, onnx, torch};
use gannet::tensor_file::TensorFile;
use gannet::{Backend, Gan};
use gannet_data::files::PendingFile;

use super::generate::{class_names, load};
use crate::arguments::{DataArgs, whole_number};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::run::MODEL;
use crate::terminal::say;
use crate::web::{self, TrainingSet};

/// Inputs among the test vectors.
const TEST_VECTORS: u64 = 16;

/// Training pictures in a page.
const PICTURES: u64 = 2000;

/// The flags of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// A model.safetensors, or the run directory that holds it
    pub model: PathBuf,
    /// What to write
    #[arg(long, value_name = "FORMAT")]
    pub format: Format,
    /// Which of the two models
    #[arg(long, value_name = "PART", default_value = "generator")]
    pub part: PartChoice,
    /// The file to write; for safetensors-torch the Python class goes beside it, as .py
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Also write inputs, and what Gannet makes of them, to check the exported model by
    #[arg(long, value_name = "FILE.safetensors")]
    pub test_vectors: Option<PathBuf>,
    /// How many inputs --test-vectors holds, one batch
    #[arg(long, value_name = "N", default_value_t = TEST_VECTORS, value_parser = whole_number(1, 4096), allow_negative_numbers = true, requires = "test_vectors")]
    pub count: u64,
    /// How many training pictures travel in the web page, of those that the run was trained on or that --data names; 0 for
    /// none [default: 2000]
    #[arg(long, value_name = "N", value_parser = whole_number(0, 1_000_000), allow_negative_numbers = true)]
    pub pictures: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// PyTorch: weights under its names and in its layouts, and the class that loads them
    SafetensorsTorch,
    /// ONNX, operator set 17; images are [N, C, H, W]
    Onnx,
    /// NumPy arrays with Gannet's names and layouts
    Npz,
    /// A web page, one file, in which the generator draws and is trained on, on WebGPU
    Web,
}

/// One of the two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartChoice {
    /// From latents to images, its average where there is one
    Generator,
    /// From images to scores
    Discriminator,
}

impl From<PartChoice> for Part {
    fn from(choice: PartChoice) -> Part {
        match choice {
            PartChoice::Generator => Part::Generator,
            PartChoice::Discriminator => Part::Discriminator,
        }
    }
}

/// Writes what the flags ask for.
pub fn run(args: &ExportArgs) -> Result<()> {
    let model = if args.model.is_dir() { args.model.join(MODEL) } else { args.model.clone() };
    let part = args.part.into();
    if args.format == Format::Web && part != Part::Generator {
        return Err(Error::usage("--format web is the generator's page: leave out --part discriminator"));
    }
    if args.format != Format::Web && (args.pictures.is_some() || args.data.chooses()) {
        return Err(Error::usage(
            "training pictures travel in web pages alone: leave out --pictures and the flags that choose images, or take --format \
             web",
        ));
    }
    // Everything that is to be written is opened before any work.
    let class = match args.format {
        Format::SafetensorsTorch => Some(class_file(&args.out)?),
        Format::Onnx | Format::Npz | Format::Web => None,
    };
    let out = PendingFile::create(&args.out)?;
    let vectors = args.test_vectors.as_deref().map(PendingFile::create).transpose()?;
    let mut gan = load(&Device::cpu()?, &model)?;
    let tensors = match &vectors {
        Some(_) => Some(test_vectors(&gan, part, args.count as usize)?),
        None => None,
    };
    let mut lines = Vec::new();
    let (bytes, text) = match args.format {
        Format::SafetensorsTorch => {
            let name = args.out.file_name().unwrap_or_default().to_string_lossy();
            let torch::Export { weights, class } = torch::export(&gan, part, &name)?;
            (weights, Some(class))
        }
        Format::Onnx => (onnx::export(&gan, part)?, None),
        Format::Npz => (npz::export(&gan, part)?, None),
        Format::Web => {
            let names = class_names(&gan, &args.model)?;
            let count = args.pictures.unwrap_or(PICTURES) as usize;
            let set = TrainingSet::open(&args.data, &args.model, &gan, count)?;
            let page = web::page(&mut gan, &names, set.as_ref())?;
            lines.push(match (page.untrained, set) {
                (Some(reason), _) => reason,
                (None, Some(set)) => format!("it trains on {}", set.text()),
                (None, None) => "it trains on pictures that are dropped on it".into(),
            });
            (page.html.into_bytes(), None)
        }
    };
    out.finish_with(&bytes)?;
    let mut files = vec![args.out.display().to_string()];
    if let (Some(file), Some(text)) = (class, text) {
        files.push(file.target().display().to_string());
        file.finish_with(text.as_bytes())?;
    }
    if let (Some(file), Some(tensors)) = (vectors, tensors) {
        files.push(file.target().display().to_string());
        file.finish_with(&tensors)?;
    }
    say(&format!("{part} of {} after {} steps in {}", gan.config().name, gan.step(), files.join(", ")));
    if !matches!(args.format, Format::Npz | Format::Web) {
        lines.push(export::Signature::of(&gan, part).to_string());
    }
    lines.iter().for_each(|line| say(line));
    Ok(())
}

fn test_vectors<B: Backend>(gan: &Gan<B>, part: Part, count: usize) -> Result<Vec<u8>> {
    let tensors = export::test_vectors(gan, part, count, 42)?;
    TensorFile { description: None, tensors }.to_bytes().map_err(Error::failure)
}

/// The Python file beside `weights`. A file of that name that this command did not write is somebody's work.
fn class_file(weights: &Path) -> Result<PendingFile> {
    let path = weights.with_extension("py");
    if path == weights {
        return Err(Error::usage(format!(
            "--out {} is where the Python class goes: name the weights .safetensors",
            weights.display()
        )));
    }
    if fs::read(&path).is_ok_and(|text| !text.starts_with(torch::HEADING.as_bytes())) {
        return Err(Error::failure(format!(
            "{} exists and was not written by `export`: the Python class goes there, so name another --out",
            path.display()
        )));
    }
    Ok(PendingFile::create(&path)?)
}
