//! Files that are either whole or not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

/// A checksum in hexadecimal digits, as it is published.
pub fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file written beside its target and renamed onto it by [`finish`](PendingFile::finish). Dropped
/// before that, it leaves nothing behind, and an older file of that name stays as it was.
#[derive(Debug)]
pub struct PendingFile {
    /// `None` once finished.
    writer: Option<BufWriter<File>>,
    temporary: PathBuf,
    target: PathBuf,
}

impl PendingFile {
    /// Opens a file that is to become `target`. Fails at once if `target` cannot be written: its folder
    /// is missing or may not be written to, or it is itself a folder. So callers open their outputs before
    /// any long work.
    pub fn create(target: &Path) -> Result<Self> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let Some(name) = target.file_name() else {
            return Err(Error::failure(format!("cannot write {}: this is no file name", target.display())));
        };
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if target.is_dir() {
            let target = target.display();
            return Err(Error::failure(format!("cannot write {target}: it is a folder, not a file")));
        }
        if !folder.exists() {
            let (target, folder) = (target.display(), folder.display());
            return Err(Error::failure(format!("cannot write {target}: the folder {folder} does not exist")));
        }
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary =
            folder.join(format!(".{}.{}-{serial}.part", name.to_string_lossy(), std::process::id()));
        let file = File::create(&temporary).map_err(|e| Error::cannot_write(target, &e))?;
        let writer = Some(BufWriter::new(file));
        Ok(PendingFile { writer, temporary, target: target.to_path_buf() })
    }

    /// What the file is to become.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Flushes everything to the disk and renames the file onto its target.
    pub fn finish(mut self) -> Result<()> {
        let writer = self.writer.take().expect("finish consumes the file");
        let result = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.temporary, &self.target));
        result.map_err(|e| {
            // Nothing can be done about a leftover that cannot be removed either.
            let _ = fs::remove_file(&self.temporary);
            Error::cannot_write(&self.target, &e)
        })
    }

    /// Writes `bytes` and finishes.
    pub fn finish_with(mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| Error::cannot_write(&self.target, &e))?;
        self.finish()
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().expect("not finished").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().expect("not finished").flush()
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            drop(writer.into_parts());
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `bytes` to `target`, all or nothing.
pub fn write_whole(target: &Path, bytes: &[u8]) -> Result<()> {
    PendingFile::create(target)?.finish_with(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_finished_file_replaces_its_target_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.txt");
        write_whole(&target, b"one").unwrap();
        write_whole(&target, b"two").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn an_abandoned_file_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.txt");
        write_whole(&target, b"one").unwrap();
        let mut pending = PendingFile::create(&target).unwrap();
        pending.write_all(&[0; 100_000]).unwrap();
        drop(pending);
        assert_eq!(fs::read(&target).unwrap(), b"one");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn targets_that_cannot_be_written_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        for (target, complaint) in [
            (folder.path().join("no/where.txt"), "no does not exist"),
            (folder.path().to_path_buf(), "it is a folder"),
            (file.join("below.txt"), "cannot write"),
            (PathBuf::from("/"), "no file name"),
        ] {
            let error = PendingFile::create(&target).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(complaint) && message.contains(&target.display().to_string()),
                "{message}"
            );
        }
        assert_eq!(names(folder.path()), ["file"]);
    }
}
