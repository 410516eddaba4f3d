//! losses.csv: a row for each step.

use std::path::Path;

use crate::error::{Error, Result};

/// The name of the file in a run directory.
pub const LOSSES: &str = "losses.csv";

/// The rows of losses.csv: step, d_real, d_fake, g. A last one without an end is being written and is left out.
pub fn read_losses(path: &Path) -> Result<Vec<[f64; 4]>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::cannot_read(path, &e)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let rows = whole.lines().enumerate().skip(1);
    rows.map(|(number, line)| {
        let numbers: Option<Vec<f64>> = line.split(',').map(|number| number.trim().parse().ok()).collect();
        numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| {
            let (path, line) = (path.display(), line.chars().take(60).collect::<String>());
            Error::failure(format!("{path}, line {}: expected four numbers, got '{line}'", number + 1))
        })
    })
    .collect()
}
