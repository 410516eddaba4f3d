//! Files out of archives.

#[cfg(feature = "download")]
use std::fs::File;
#[cfg(feature = "download")]
use std::io::{self, BufReader, Read};
use std::path::Path;

#[cfg(feature = "download")]
use flate2::read::GzDecoder;

use crate::error::{Error, Result};
#[cfg(feature = "download")]
use crate::files::PendingFile;

/// How an archive is packed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Packing {
    TarGz,
    Zip,
}

/// Brings `files`, which lie in the folder `inside` of an archive, into `folder`. Each is there whole or not at all. Errors
/// when the archive is damaged or lacks one.
#[cfg(feature = "download")]
pub(crate) fn unpack(
    path: &Path,
    packing: Packing,
    inside: &str,
    files: &[&str],
    folder: &Path,
) -> Result<()> {
    let name = path.display().to_string();
    let archive = BufReader::new(File::open(path).map_err(|e| Error::cannot_read(path, &e))?);
    let damaged = |e: &dyn std::fmt::Display| Error::failure(format!("{name}: cannot be unpacked: {e}"));
    let inner_name = |file: &str| format!("{inside}/{file}");
    let missing = |file: &str| Error::failure(format!("{name}: has no file {}", inner_name(file)));
    match packing {
        Packing::TarGz => {
            let mut left = files.to_vec();
            let mut archive = tar::Archive::new(GzDecoder::new(archive));
            for entry in archive.entries().map_err(|e| damaged(&e))? {
                let mut entry = entry.map_err(|e| damaged(&e))?;
                let inner = entry.path_bytes();
                let Some(at) = left.iter().position(|file| *inner == *inner_name(file).as_bytes()) else {
                    continue;
                };
                let (file, size) = (left.swap_remove(at), entry.size());
                put(&mut entry, size, &folder.join(file), &|e| damaged(&format!("{file}: {e}")))?;
            }
            left.first().map_or(Ok(()), |file| Err(missing(file)))
        }
        Packing::Zip => {
            let mut archive = zip::ZipArchive::new(archive).map_err(|e| damaged(&e))?;
            files.iter().try_for_each(|file| {
                let mut entry = match archive.by_name(&inner_name(file)) {
                    Err(zip::result::ZipError::FileNotFound) => return Err(missing(file)),
                    entry => entry.map_err(|e| damaged(&format!("{file}: {e}")))?,
                };
                let size = entry.size();
                put(&mut entry, size, &folder.join(file), &|e| damaged(&format!("{file}: {e}")))
            })
        }
    }
}

/// The same in a build that cannot: an error that says so.
#[cfg(not(feature = "download"))]
pub(crate) fn unpack(path: &Path, packing: Packing, inside: &str, _: &[&str], folder: &Path) -> Result<()> {
    let kind = match packing {
        Packing::TarGz => "tar.gz",
        Packing::Zip => "zip",
    };
    Err(Error::failure(format!(
        "{}: this build cannot unpack {kind} (the feature 'download' is off): unpack {inside} into {} by hand",
        path.display(),
        folder.display()
    )))
}

/// Writes `contents`, which should be `size` bytes, to `target`: whole or not at all.
#[cfg(feature = "download")]
fn put(
    contents: &mut impl Read,
    size: u64,
    target: &Path,
    failed: &dyn Fn(&dyn std::fmt::Display) -> Error,
) -> Result<()> {
    let mut pending = PendingFile::create(target)?;
    // One byte more than it should have shows that there are more.
    let copied =
        io::copy(&mut contents.take(size.saturating_add(1)), &mut pending).map_err(|e| failed(&e))?;
    if copied != size {
        return Err(failed(&format!("{copied} bytes instead of {size}")));
    }
    pending.finish()
}
