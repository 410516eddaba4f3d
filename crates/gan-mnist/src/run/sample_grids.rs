//! The sample grids of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The name of the folder of sample grids in a run directory.
pub const SAMPLES: &str = "samples";

/// The name of the grid of a step in that folder.
pub fn sample_grid_name(step: u64) -> String {
    format!("step-{step:06}.png")
}

/// The sample grids of a run directory, by their steps: samples/step-NNNNNN.png, in order.
pub fn sample_grids(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = run.join(SAMPLES);
    let mut grids = BTreeMap::new();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::cannot_read(&folder, &e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::cannot_read(&folder, &e))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let step = name.and_then(|name| name.strip_prefix("step-")?.strip_suffix(".png")?.parse().ok());
        if let Some(step) = step {
            grids.insert(step, path);
        }
    }
    Ok(grids.into_iter().collect())
}
