//! What is trained: a preset, or a model file.

use std::fs;
use std::path::Path;

use gannet::{GanConfig, presets};

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

/// The configuration in the model file `model`, or else of the preset. Errors name the file, the line and what
/// would fit.
pub fn load(preset: &str, model: Option<&Path>) -> Result<GanConfig> {
    let Some(path) = model else { return Ok(presets::get(preset)?) };
    let length = fs::metadata(path).map_err(|e| Error::cannot_read(path, &e))?.len();
    let wrong = |message: String| Error::failure(format!("{}: {message}", path.display()));
    if length > MAX_BYTES {
        return Err(wrong(format!(
            "{length} bytes are no model file, which is TOML such as `gan-mnist presets cdcgan` prints"
        )));
    }
    let bytes = fs::read(path).map_err(|e| Error::cannot_read(path, &e))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        wrong("not a text; a model file is TOML such as `gan-mnist presets cdcgan` prints".into())
    })?;
    let config = GanConfig::from_toml(&text).map_err(|e| wrong(in_one_line(&e.to_string())))?;
    // The name becomes part of a folder's.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if config.name.is_empty() || config.name.starts_with('.') || !config.name.chars().all(plain) {
        return Err(wrong(format!(
            "the name {:?} does not fit; expected letters, digits, '-', '_' and '.', such as \"my-gan\"",
            config.name
        )));
    }
    Ok(config)
}
