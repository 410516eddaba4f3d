//! Files read from any position.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file that several threads read from any position: sets larger than memory stay where they are, and the system's
/// cache keeps what is used.
#[derive(Debug)]
pub(crate) struct Positioned {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Positioned {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let cannot = |e| Error::cannot_read(path, &e);
        let file = File::open(path).map_err(cannot)?;
        let len = file.metadata().map_err(cannot)?.len();
        Ok(Positioned { path: path.into(), file, len })
    }

    /// A file that is open already, `path` in messages.
    pub(crate) fn of(file: File, path: &Path) -> Result<Self> {
        let len = file.metadata().map_err(|e| Error::cannot_read(path, &e))?.len();
        Ok(Positioned { path: path.into(), file, len })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How long it was when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads all of `bytes` from `offset` on. Errors name the file and the offset.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, offset, bytes).map_err(|e| {
            Error::failure(format!("{}: cannot be read at offset {offset}: {e}", self.path.display()))
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}
