//! What is trained: a preset, or a model file.

use std::fs;
use std::path::{Path, PathBuf};

use gannet::recipe::{Capacity, MODEL_FILE, Pictures, recipe};
use gannet::{GanConfig, Shape, presets};

use crate::error::{Error, Result};

/// The longest model file that is read; a file of another kind is refused before it fills the memory.
const MAX_BYTES: u64 = 1 << 20;

/// The most characters that are shown of a line.
const SHOWN: usize = 100;

/// What is wrong, and the line that it is in, which the library shows below.
fn in_one_line(message: &str) -> String {
    match message.split_once("\n  |") {
        Some((what, "")) => what.into(),
        Some((what, line)) => format!("{what}, in `{}`", line.chars().take(SHOWN).collect::<String>()),
        None => message.into(),
    }
}

/// The preset that follows the pictures.
pub const PICTURES: &str = "pictures";

/// A preset or a model file.
#[derive(Clone, Debug)]
pub enum Recipe {
    /// Networks of one size.
    Plain(Box<GanConfig>),
    /// Networks that follow the pictures.
    Following(Following),
}

/// How to make networks for pictures.
#[derive(Clone, Debug)]
pub struct Following {
    /// The model file; the preset `pictures` without one.
    file: Option<(PathBuf, String)>,
}

impl Following {
    /// The recipe of the preset `pictures`.
    pub fn preset() -> Following {
        Following { file: None }
    }

    /// The networks for these pictures, which are called `name`.
    pub fn for_pictures(&self, name: &str, pictures: &Pictures, capacity: Capacity) -> Result<GanConfig> {
        match &self.file {
            None => recipe(pictures, capacity).map_err(|e| Error::failure(format!("{name}: {e}"))),
            Some((path, text)) => {
                let config = GanConfig::from_toml_for(text, pictures, capacity);
                checked(config.map_err(|e| wrong(path, &in_one_line(&e.to_string())))?, path)
            }
        }
    }
}

/// The recipe of the model file `model`, or else of the preset. Errors name the file, the line and what would fit.
pub fn read(preset: &str, model: Option<&Path>) -> Result<Recipe> {
    let Some(path) = model else {
        return Ok(match preset {
            PICTURES => Recipe::Following(Following::preset()),
            preset => Recipe::Plain(Box::new(presets::get(preset)?)),
        });
    };
    let length = fs::metadata(path).map_err(|e| Error::cannot_read(path, &e))?.len();
    if length > MAX_BYTES {
        return Err(wrong(
            path,
            &format!(
                "{length} bytes are no model file, which is TOML such as `gan-mnist presets cdcgan` prints"
            ),
        ));
    }
    let bytes = fs::read(path).map_err(|e| Error::cannot_read(path, &e))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        wrong(path, "not a text; a model file is TOML such as `gan-mnist presets cdcgan` prints")
    })?;
    if GanConfig::follows_pictures(&text) {
        return Ok(Recipe::Following(Following { file: Some((path.into(), text)) }));
    }
    let config = GanConfig::from_toml(&text).map_err(|e| wrong(path, &in_one_line(&e.to_string())))?;
    Ok(Recipe::Plain(Box::new(checked(config, path)?)))
}

/// The configuration in the model file `model`, or else of the preset. Errors name the file, the line and what
/// would fit; one that follows its pictures is refused, since there are none.
pub fn load(preset: &str, model: Option<&Path>) -> Result<GanConfig> {
    match read(preset, model)? {
        Recipe::Plain(config) => Ok(*config),
        Recipe::Following(following) => {
            let what = following.file.map_or(PICTURES.to_owned(), |(path, _)| path.display().to_string());
            Err(Error::failure(format!(
                "{what} follows its pictures, and there are none here; `train --data PATH` makes networks of it, which are in the \
                 run's config.toml under [model]"
            )))
        }
    }
}

/// Errors for a model whose layers take more than latents, images and classes.
pub fn check_inputs(inputs: &[(String, Shape)]) -> Result<(), String> {
    match inputs.first() {
        Some((name, _)) => Err(format!(
            "a layer takes the input '{name}', but pictures come with classes alone; a program of your own can train and draw with \
             such a model (gannet::Samples::with)"
        )),
        None => Ok(()),
    }
}

/// What is wrong with a model file.
fn wrong(path: &Path, message: &str) -> Error {
    Error::failure(format!("{}: {message}", path.display()))
}

/// The configuration of a model file, whose name has to be one.
fn checked(config: GanConfig, path: &Path) -> Result<GanConfig> {
    // The name becomes part of a folder's.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if config.name.is_empty() || config.name.starts_with('.') || !config.name.chars().all(plain) {
        return Err(wrong(
            path,
            &format!(
                "the name {:?} does not fit; expected letters, digits, '-', '_' and '.', such as \"my-gan\"",
                config.name
            ),
        ));
    }
    let inputs = config.inputs().map_err(|e| wrong(path, &e.to_string()))?;
    check_inputs(&inputs).map_err(|message| wrong(path, &message))?;
    Ok(config)
}

/// The names of all presets: those of one size, and the one that follows its pictures.
pub fn names() -> impl Iterator<Item = &'static str> {
    presets::names().chain([PICTURES])
}

/// The model file of a preset.
pub fn text(name: &str) -> Result<&'static str> {
    if name == PICTURES { Ok(MODEL_FILE) } else { Ok(presets::text(name)?) }
}
