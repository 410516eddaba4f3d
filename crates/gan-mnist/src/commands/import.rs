//! `gan-mnist import`: weights from PyTorch.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use gannet::export::torch::{self, StateDict};
use gannet::tensor_file::read_whole;
use gannet::{Gan, GanConfig, presets};
use gannet_data::files::PendingFile;

use super::export::PartChoice;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::recipe::check_inputs;
use crate::terminal::{note, say};

/// The flags of `import`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("networks").required(true).args(["model", "preset"]))]
pub struct ImportArgs {
    /// Safetensors files with PyTorch's names and layouts, as `export` writes them: one, or one for each part
    #[arg(required = true, num_args = 1..=2, value_name = "FILE.safetensors")]
    pub files: Vec<PathBuf>,
    /// The model file that describes the networks
    #[arg(long, value_name = "FILE.toml")]
    pub model: Option<PathBuf>,
    /// The preset that describes the networks
    #[arg(long, value_name = "PRESET", value_parser = PossibleValuesParser::new(presets::names()))]
    pub preset: Option<String>,
    /// Which of the two models a single file holds [default: the one whose names and shapes it has]
    #[arg(long, value_name = "PART")]
    pub part: Option<PartChoice>,
    /// The model to write; what no file holds starts anew from the model file's seed
    #[arg(long, value_name = "MODEL.safetensors")]
    pub out: PathBuf,
}

/// Reads what the flags name and writes a model.
pub fn run(args: &ImportArgs) -> Result<()> {
    if args.part.is_some() && args.files.len() > 1 {
        return Err(Error::usage("--part goes with a single file: two are told apart by their tensors"));
    }
    let config = config(args)?;
    // Whether it can be written is known before any work, and shown once more when it is.
    drop(PendingFile::create(&args.out)?);
    let mut gan = Gan::new(&Device::cpu()?, config)?;
    let mut parts = Vec::new();
    for file in &args.files {
        let wrong = |message: String| Error::failure(format!("{}: {message}", file.display()));
        let bytes = read_whole(file).map_err(|e| Error::failure(format!("cannot read {e}")))?;
        let state = StateDict::parse(&bytes).map_err(wrong)?;
        let part = match args.part {
            Some(part) => part.into(),
            None => torch::part_of(&gan, &state).map_err(|e| wrong(e.to_string()))?,
        };
        if parts.contains(&part) {
            return Err(wrong(format!("this is a {part}, and so was the file before it")));
        }
        for remark in torch::import(&mut gan, part, &state).map_err(|e| wrong(e.to_string()))? {
            note(&format!("note: {remark}"));
        }
        parts.push(part);
    }
    gan.save(&args.out)?;
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    say(&format!("{} of {} in {}", parts.join(" and "), gan.config().name, args.out.display()));
    Ok(())
}

/// The networks that the flags name.
fn config(args: &ImportArgs) -> Result<GanConfig> {
    let mut config = match (&args.preset, &args.model) {
        (Some(preset), _) => presets::get(preset)?,
        (None, Some(path)) => read(path)?,
        (None, None) => return Err(Error::usage("name the networks: --preset or --model")),
    };
    // A model that is not being trained has no length of a run, which some schedules ask for.
    config.steps = config.steps.or(Some(1));
    Ok(config)
}

fn read(path: &Path) -> Result<GanConfig> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::cannot_read(path, &e))?;
    let wrong = |message: String| Error::failure(format!("{}: {message}", path.display()));
    let config = GanConfig::from_toml(&text).map_err(|e| wrong(e.to_string()))?;
    check_inputs(&config.inputs()?).map_err(wrong)?;
    Ok(config)
}
