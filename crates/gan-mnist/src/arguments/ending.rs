//! Names of files that say what is written into them.

use std::path::Path;

use crate::error::{Error, Result};

/// Errors unless the file that `flag` names ends in `.ending`.
pub(crate) fn check_ending(flag: &str, path: &Path, ending: &str) -> Result<()> {
    if path.extension().is_some_and(|extension| extension == ending) {
        return Ok(());
    }
    Err(Error::usage(format!("{flag} {} is no name ending in .{ending}", path.display())))
}
