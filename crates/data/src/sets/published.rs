//! Files that are published with their SHA-256.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::files::hexadecimal;
#[cfg(not(feature = "download"))]
use crate::listener::Listener;

/// A file that is published in several places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published<'a> {
    /// Its name, there and here.
    pub(crate) name: &'a str,
    /// What stands before its name, for each place, the first to be asked first.
    pub(crate) sources: &'a [&'a str],
    /// Its SHA-256 in hexadecimal digits.
    pub(crate) sha256: &'a str,
}

impl Published<'_> {
    /// Errors when the file in `folder`, whoever put it there, is another than the published one.
    pub(crate) fn check(&self, folder: &Path) -> Result<()> {
        let path = folder.join(self.name);
        let found = File::open(&path).and_then(|mut file| sha256(&mut file));
        let found = found.map_err(|e| Error::cannot_read(&path, &e))?;
        if found == self.sha256 {
            return Ok(());
        }
        Err(Error::failure(format!(
            "{}: has the sha256 {found}, the published file has {}: remove it, and it is fetched again",
            path.display(),
            self.sha256
        )))
    }

    /// What a build without downloads has in the place of fetching: an error that says where the file is published and
    /// where to put it.
    #[cfg(not(feature = "download"))]
    pub(crate) fn fetch(&self, folder: &Path, _: &dyn Listener) -> Result<()> {
        let urls: Vec<String> = self.sources.iter().map(|source| format!("{source}{}", self.name)).collect();
        Err(Error::failure(format!(
            "{} is not in {} and this build cannot fetch it (the feature 'download' is off): put it there by hand, from {}",
            self.name,
            folder.display(),
            urls.join(" or ")
        )))
    }
}

/// The SHA-256 of a file from its beginning, in hexadecimal digits.
pub(super) fn sha256(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}
