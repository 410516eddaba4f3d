//! The file operations that a run's safety rests on, behind a trait, so that tests can let each of them fail.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What saving does to the disk, one operation a method.
pub trait Disk: fmt::Debug {
    /// Creates a file, or empties it.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Writes some of `bytes` and says how many.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until the file is on the disk.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Renames a file, over another if need be.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The disk as it is.
#[derive(Debug, Clone, Copy)]
pub struct Os;

impl Disk for Os {
    fn create(&self, path: &Path) -> io::Result<File> {
        File::create(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Elsewhere a folder cannot be opened, and a rename needs no more.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// Writes all of `bytes`; says how many it wrote before an error.
pub(super) fn write_all(disk: &dyn Disk, file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut done = 0;
    while done < bytes.len() {
        match disk.write(file, &bytes[done..]) {
            Ok(0) => return Err((done, ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err((done, e)),
        }
    }
    Ok(())
}

/// Writes `bytes` to `target` so that, whenever the machine stops, there is the old file or the whole new one: beside
/// it, onto the disk, renamed, and the folder onto the disk too.
pub fn write_durably(disk: &dyn Disk, target: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = beside(target);
    let written = disk
        .create(&part)
        .and_then(|mut file| {
            write_all(disk, &mut file, bytes).map_err(|(_, e)| e)?;
            disk.sync(&file)
        })
        .and_then(|()| disk.rename(&part, target));
    if written.is_err() {
        // What is left of it is of no use; the first error is the one to report.
        let _ = disk.remove(&part);
    }
    written?;
    disk.sync_folder(target.parent().unwrap_or(Path::new(".")))
}

/// Where a file is written before it is renamed to `target`.
fn beside(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    target.with_file_name(name)
}

/// Removes what a process that was stopped left in a folder while it wrote files there. Only for a folder that no other
/// process writes to.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(".part") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// A disk that fails.
#[cfg(test)]
pub(crate) mod faulty {
    use std::cell::Cell;

    use super::*;

    /// What happens from the operation with number `at` (from 0) on.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// That operation fails, as on a full disk: a write after some of its bytes.
        Once,
        /// Nothing reaches the disk any more, as after a power cut or SIGKILL: a write after some of its bytes.
        Forever,
    }

    #[derive(Debug)]
    pub(crate) struct Faulty {
        pub(crate) fault: Fault,
        pub(crate) at: usize,
        pub(crate) count: Cell<usize>,
    }

    impl Faulty {
        pub(crate) fn new(fault: Fault, at: usize) -> Self {
            Faulty { fault, at, count: Cell::new(0) }
        }

        fn fails(&self) -> bool {
            let number = self.count.replace(self.count.get() + 1);
            match self.fault {
                Fault::Once => number == self.at,
                Fault::Forever => number >= self.at,
            }
        }

        fn check(&self) -> io::Result<()> {
            if self.fails() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Disk for Faulty {
        fn create(&self, path: &Path) -> io::Result<File> {
            self.check()?;
            Os.create(path)
        }

        fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
            // Several writes for each file, as large ones have.
            let some = &bytes[..bytes.len().min(1 + bytes.len() / 2)];
            let first = self.count.get() == self.at;
            if self.fails() {
                if first {
                    Os.write(file, &some[..some.len() / 2])?;
                }
                return Err(ErrorKind::StorageFull.into());
            }
            Os.write(file, if bytes.len() > 64 { some } else { bytes })
        }

        fn sync(&self, file: &File) -> io::Result<()> {
            self.check()?;
            Os.sync(file)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.check()?;
            Os.rename(from, to)
        }

        fn sync_folder(&self, folder: &Path) -> io::Result<()> {
            self.check()?;
            Os.sync_folder(folder)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            self.check()?;
            Os.remove(path)
        }
    }
}
