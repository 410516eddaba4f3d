//! Files that only grow while a run goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::disk::{Disk, write_all};
use crate::error::{Error, Result};
use crate::terminal::note;

/// A file that grows by whole records and can be cut back to an earlier length: losses.csv, metrics.jsonl, TensorBoard's
/// event files. Records are held back until [`flush`](Log::flush), so that adding one cannot fail.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    header: Vec<u8>,
    /// `None` until it is opened.
    file: Option<File>,
    /// Bytes in the file.
    length: u64,
    /// Records that are not yet in the file.
    pending: Vec<u8>,
}

impl Log {
    /// A log at `path` that begins with `header`. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>, header: impl Into<Vec<u8>>) -> Self {
        Log { path: path.into(), header: header.into(), file: None, length: 0, pending: Vec::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the file, under which checkpoints know it.
    pub fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Creates the file, which must not be there yet.
    pub fn create(&mut self) -> Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(&self.path);
        self.file = Some(file.map_err(|e| Error::cannot_write(&self.path, &e))?);
        self.length = 0;
        self.pending = self.header.clone();
        Ok(())
    }

    /// Opens the file, cuts it to `length` bytes, forgets what was not yet written, and goes on from there. A log that
    /// is missing or shorter than that begins anew, with a note; what was left of it is kept as NAME.old.
    pub fn resume(&mut self, length: u64) -> Result<()> {
        let cannot = |e| Error::cannot_write(&self.path, &e);
        self.file = None;
        let found = match fs::metadata(&self.path) {
            Ok(metadata) => Some(metadata.len()),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(cannot(e)),
        };
        let whole = found.is_some_and(|found| found >= length);
        if !whole && length > 0 {
            let path = self.path.display();
            match found {
                Some(found) => {
                    let mut old = self.path.clone().into_os_string();
                    old.push(".old");
                    fs::rename(&self.path, &old).map_err(cannot)?;
                    let old = Path::new(&old).display();
                    note(&format!("{path} has {found} bytes instead of {length}: kept as {old}, begun anew"));
                }
                None => note(&format!("{path} is missing: begun anew")),
            }
        }
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(&self.path).map_err(cannot)?;
        self.length = if whole { length } else { 0 };
        file.set_len(self.length).map_err(cannot)?;
        self.file = Some(file);
        self.pending = if self.length == 0 { self.header.clone() } else { Vec::new() };
        Ok(())
    }

    /// Adds a record, which must be whole.
    pub fn append(&mut self, record: &[u8]) {
        self.pending.extend_from_slice(record);
    }

    /// Writes the records that are not yet in the file. After an error, what was not written is tried again next time.
    pub fn flush(&mut self, disk: &dyn Disk) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        // Over what a write that failed may have left.
        file.seek(SeekFrom::Start(self.length)).map_err(|e| Error::cannot_write(&self.path, &e))?;
        let (done, result) = match write_all(disk, file, &self.pending) {
            Ok(()) => (self.pending.len(), Ok(())),
            Err((done, e)) => (done, Err(Error::cannot_write(&self.path, &e))),
        };
        self.pending.drain(..done);
        self.length += done as u64;
        result
    }

    /// Flushes, waits until the disk has everything, and says how long the file is.
    pub fn sync(&mut self, disk: &dyn Disk) -> Result<u64> {
        self.flush(disk)?;
        if let Some(file) = &self.file {
            disk.sync(file).map_err(|e| Error::cannot_write(&self.path, &e))?;
        }
        Ok(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Os;

    #[test]
    fn a_log_is_cut_to_where_a_checkpoint_saw_it_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut log = Log::new(&path, "h\n");
        log.create().unwrap();
        log.append(b"1\n");
        let length = log.sync(&Os).unwrap();
        assert_eq!(length, 4);
        log.append(b"2\n");
        log.flush(&Os).unwrap();
        log.append(b"never written\n");
        log.resume(length).unwrap();
        log.append(b"3\n");
        log.flush(&Os).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "h\n1\n3\n");
        // A log that a checkpoint does not know begins anew.
        log.resume(0).unwrap();
        log.flush(&Os).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "h\n");
    }

    #[test]
    fn a_log_that_lost_its_end_begins_anew_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "h\n1").unwrap();
        let mut log = Log::new(&path, "h\n");
        log.resume(40).unwrap();
        log.append(b"9\n");
        log.flush(&Os).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "h\n9\n");
        assert_eq!(fs::read_to_string(folder.path().join("a.csv.old")).unwrap(), "h\n1");
        fs::remove_file(&path).unwrap();
        log.resume(4).unwrap();
        log.flush(&Os).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "h\n");
    }

    #[test]
    fn nothing_that_exists_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "mine").unwrap();
        let message = Log::new(&path, "h\n").create().unwrap_err().to_string();
        assert!(message.contains("a.csv") && message.contains("exists"), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
