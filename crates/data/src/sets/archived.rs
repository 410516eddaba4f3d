//! Sets that are published as one archive, which is fetched into the cache folder when one is first asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cached::cache_folder;
use super::published::Published;
use crate::error::{Error, Result};
use crate::formats::archive::{Packing, unpack};
use crate::formats::{cifar, idx_files};
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};
use crate::labelled_images::LabelledImages;
use crate::listener::Listener;
use crate::split::Split;
use crate::stored::Stored;

/// Of each set ten classes.
const CLASSES: usize = 10;

/// A set in an archive that is not embedded.
#[derive(Debug)]
pub(crate) struct ArchivedSet {
    name: &'static str,
    archive: Published<'static>,
    packing: Packing,
    /// The folder in the archive that holds its files, and so the one that unpacking it by hand makes.
    inside: &'static str,
    /// The files to train on, and to test on.
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// How many images of each class there are in either part: in both sets as many of every class.
    of_each: (usize, usize),
    read: fn(&[PathBuf]) -> Result<Stored>,
}

/// A. Krizhevsky's pictures of animals and vehicles, the "binary version". Its page gives the MD5
/// c32a1d4ab5d03f1284b67883e8d87530; several independent projects publish this SHA-256 beside it.
pub(crate) const CIFAR10: ArchivedSet = ArchivedSet {
    name: "cifar10",
    archive: Published {
        name: "cifar-10-binary.tar.gz",
        sources: &[
            "https://www.cs.toronto.edu/~kriz/",
            "http://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ],
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    },
    packing: Packing::TarGz,
    inside: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    of_each: (5000, 1000),
    read: cifar::open,
};

/// The digits of EMNIST, by G. Cohen, S. Afshar, J. Tapson and A. van Schaik, as NIST publishes them: with rows and
/// columns exchanged, which is undone here. Several independent projects publish this SHA-256.
pub(crate) const EMNIST_DIGITS: ArchivedSet = ArchivedSet {
    name: "emnist-digits",
    archive: Published {
        name: "gzip.zip",
        sources: &[
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "http://biometrics.nist.gov/cs_links/EMNIST/",
        ],
        sha256: "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    },
    packing: Packing::Zip,
    inside: "gzip",
    train: &["emnist-digits-train-images-idx3-ubyte.gz", "emnist-digits-train-labels-idx1-ubyte.gz"],
    test: &["emnist-digits-test-images-idx3-ubyte.gz", "emnist-digits-test-labels-idx1-ubyte.gz"],
    of_each: (24_000, 4000),
    read: read_emnist,
};

/// Opens a pair of EMNIST's files and turns the images upright.
fn read_emnist(paths: &[PathBuf]) -> Result<Stored> {
    let [images, labels] = paths else { unreachable!("a pair of files") };
    let Stored { images, sha256 } = idx_files::open_pair(images, labels)?;
    let images = LabelledImages::try_from(images.as_ref())?.with_classes(CLASSES)?.transposed();
    Ok(Stored { images: Arc::new(images), sha256 })
}

impl ArchivedSet {
    /// Opens one part; fetches and unpacks the archive if files of it are missing. Errors when the archive cannot be had,
    /// and says where to get it and where to put it, or when the files are not those of the set.
    pub(crate) fn open(&self, split: Split, listener: &dyn Listener) -> Result<Stored> {
        self.open_in(&cache_folder()?.join(self.name), split, listener)
    }

    fn open_in(&self, folder: &Path, split: Split, listener: &dyn Listener) -> Result<Stored> {
        let (names, of_each) = match split {
            Split::Train => (self.train, self.of_each.0),
            Split::Test => (self.test, self.of_each.1),
        };
        if !self.has_all(folder, names) {
            // Someone may have put the archive there.
            let fetched = !folder.join(self.archive.name).exists();
            if fetched {
                self.archive.fetch(folder, listener)?;
            } else {
                self.archive.check(folder)?;
            }
            listener.note(&format!("unpacking {}", folder.join(self.archive.name).display()));
            let files: Vec<&str> = self.train.iter().chain(self.test).copied().collect();
            unpack(&folder.join(self.archive.name), self.packing, self.inside, &files, folder)?;
            if fetched {
                // It has done its work; what cannot be removed does no harm.
                let _ = fs::remove_file(folder.join(self.archive.name));
            }
        }
        let paths: Vec<PathBuf> = names.iter().map(|name| self.place(folder, name)).collect();
        let stored = (self.read)(&paths)?;
        self.check(&paths, stored.images.as_ref(), of_each)?;
        Ok(stored)
    }

    /// Where a file is: in the folder, or in the one that unpacking by hand makes there.
    fn place(&self, folder: &Path, name: &str) -> PathBuf {
        let by_hand = folder.join(self.inside).join(name);
        if !folder.join(name).exists() && by_hand.exists() { by_hand } else { folder.join(name) }
    }

    fn has_all(&self, folder: &Path, names: &[&str]) -> bool {
        names.iter().all(|name| self.place(folder, name).exists())
    }

    /// Errors unless there are as many images of each class as are published: unpacked files have no published checksum.
    fn check(&self, paths: &[PathBuf], images: &dyn Images, of_each: usize) -> Result<()> {
        let ImageShape { height, width, channels } = images.shape();
        let mut found = [0; CLASSES];
        let (mut pixels, mut scratch) = (vec![0; images.shape().len()], Scratch::default());
        for index in 0..images.len() {
            found[images.read(index, &mut pixels, &mut scratch)? as usize] += 1;
        }
        if found == [of_each; CLASSES] {
            return Ok(());
        }
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        Err(Error::failure(format!(
            "{}: not the files of {}: of the {height}x{width}x{channels} images {} to {} are of one class, it has \
             {of_each} of each; remove them, and they are fetched again",
            names.join(", "),
            self.name,
            found.iter().min().unwrap_or(&0),
            found.iter().max().unwrap_or(&0)
        )))
    }
}

#[cfg(all(test, feature = "download"))]
mod tests {
    use std::io::{self, Write};

    use sha2::{Digest, Sha256};

    use super::super::download::tests::serve_once;
    use super::*;
    use crate::files::hexadecimal;
    use crate::listener::Silent;

    /// Batches of CIFAR-10 with two images of each class in five files, and one of each in the last.
    fn batches() -> Vec<(String, Vec<u8>)> {
        let record =
            |label: u8, n: u8| [vec![label], vec![n; 1024], vec![label; 1024], vec![7; 1024]].concat();
        let train = (1..=5).map(|n| {
            let records = (0..4).flat_map(|k| record((4 * (n - 1) + k) % 10, n));
            (format!("cifar-10-batches-bin/data_batch_{n}.bin"), records.collect())
        });
        let test = (0..10).flat_map(|label| record(label, 99)).collect();
        train.chain([("cifar-10-batches-bin/test_batch.bin".to_string(), test)]).collect()
    }

    fn small_cifar(url: &str, archive: &[u8]) -> ArchivedSet {
        let leak = |text: String| &*Box::leak(text.into_boxed_str());
        let sources = Box::leak(Box::new([leak(url.to_string())]));
        let sha256 = hexadecimal(&Sha256::digest(archive));
        ArchivedSet {
            archive: Published { sources, sha256: leak(sha256), ..CIFAR10.archive },
            of_each: (2, 1),
            ..CIFAR10
        }
    }

    /// A tar archive of these files; a name that ends in / is a folder.
    fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, contents) in files {
            let mut header = tar::Header::new_ustar();
            let folder = name.ends_with('/');
            header.set_entry_type(if folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
            header.set_size(contents.len() as u64);
            archive.append_data(&mut header, name, *contents).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// A zip archive of these files, every second one stored.
    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let methods = [zip::CompressionMethod::Deflated, zip::CompressionMethod::Stored];
        for ((name, contents), method) in files.iter().zip(methods.into_iter().cycle()) {
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            archive.start_file(*name, options).unwrap();
            archive.write_all(contents).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn as_files(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
        files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    const BINS: [&str; 6] = [
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ];

    fn message(result: Result<Stored>) -> String {
        match result {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_archive_is_fetched_and_unpacked_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = batches();
        let others: [(&str, &[u8]); 2] =
            [("cifar-10-batches-bin/", b""), ("cifar-10-batches-bin/readme.html", b"<html>")];
        let archive = packed(&tarred(&[&others[..], &as_files(&files)].concat()));
        let (url, server) = serve_once(archive.clone());
        let set = small_cifar(&url, &archive);
        let train = set.open_in(folder.path(), Split::Train, &Silent).unwrap();
        server.join().unwrap();
        // The archive is gone, and nobody is asked a second time.
        assert_eq!(names(folder.path()), BINS);
        assert_eq!((train.images.len(), train.images.classes()), (20, Some(10)));
        let test = set.open_in(folder.path(), Split::Test, &Silent).unwrap();
        let mut pixels = vec![0; 3072];
        assert_eq!(test.images.read(3, &mut pixels, &mut Scratch::default()).unwrap(), 3);
        assert_eq!(pixels[..6], [99, 3, 7, 99, 3, 7]);
        // A file that is not one of the set.
        fs::copy(folder.path().join("data_batch_1.bin"), folder.path().join("data_batch_2.bin")).unwrap();
        let text = message(set.open_in(folder.path(), Split::Train, &Silent));
        for part in
            ["data_batch_2.bin", "not the files of cifar10", "1 to 3 are of one class, it has 2 of each"]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn files_put_there_by_hand_are_taken_where_they_are() {
        let files = batches();
        let archive = packed(&tarred(&as_files(&files)));
        let set = small_cifar("http://127.0.0.1:9/", &archive);
        // The archive itself, which stays; then what unpacking it by hand makes.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cifar-10-binary.tar.gz"), &archive).unwrap();
        set.open_in(folder.path(), Split::Train, &Silent).unwrap();
        assert_eq!(names(folder.path())[0], "cifar-10-binary.tar.gz");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cifar-10-batches-bin")).unwrap();
        for (name, bytes) in &files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        set.open_in(folder.path(), Split::Test, &Silent).unwrap();
        assert_eq!(names(folder.path()), ["cifar-10-batches-bin"]);
        // Without any of it: what to fetch, from where, and where to put it.
        let folder = tempfile::tempdir().unwrap();
        let text = message(set.open_in(folder.path(), Split::Train, &Silent));
        let place = folder.path().display().to_string();
        for part in [
            "cannot fetch cifar-10-binary.tar.gz",
            "http://127.0.0.1:9/cifar-10",
            "put the file into",
            &place,
        ] {
            assert!(text.contains(part), "{text}");
        }
        fs::write(folder.path().join("cifar-10-binary.tar.gz"), "<html>").unwrap();
        let text = message(set.open_in(folder.path(), Split::Train, &Silent));
        assert!(
            text.contains("cifar-10-binary.tar.gz: has the sha256") && text.contains("remove it"),
            "{text}"
        );
    }

    #[test]
    fn an_archive_without_the_files_leaves_none() {
        let mut files = batches();
        files.remove(2);
        let archive = packed(&tarred(&as_files(&files)));
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("cifar-10-binary.tar.gz");
        fs::write(&at, &archive).unwrap();
        let set = small_cifar("http://127.0.0.1:9/", &archive);
        let text = message(set.open_in(folder.path(), Split::Train, &Silent));
        assert!(text.contains("has no file cifar-10-batches-bin/data_batch_3.bin"), "{text}");
        // Cut off, and yet with the SHA-256 that it should have.
        let cut = &archive[..archive.len() / 2];
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cifar-10-binary.tar.gz"), cut).unwrap();
        let folder = folder.path();
        let text = message(small_cifar("http://127.0.0.1:9/", cut).open_in(folder, Split::Test, &Silent));
        assert!(text.contains("cifar-10-binary.tar.gz"), "{text}");
        assert!(names(folder).iter().all(|name| !name.ends_with(".part")), "{:?}", names(folder));
    }

    #[test]
    fn the_digits_of_emnist_are_turned_upright() {
        let idx = |shape: &[u32], elements: &[u8]| -> Vec<u8> {
            let sizes = shape.iter().flat_map(|size| size.to_be_bytes());
            packed(&[&[0, 0, 8, shape.len() as u8][..], &sizes.collect::<Vec<u8>>(), elements].concat())
        };
        // A bar at the top, as the files have it: it is to stand at the left.
        let image = |level: u8| (0..784).map(move |k| if k < 28 { level } else { 0 });
        let pixels: Vec<u8> = (0..10).flat_map(|level| image(100 + level)).collect();
        let labels: Vec<u8> = (0..10).collect();
        let mut files = Vec::new();
        for part in ["train", "test"] {
            files.push((
                format!("gzip/emnist-digits-{part}-images-idx3-ubyte.gz"),
                idx(&[10, 28, 28], &pixels),
            ));
            files.push((format!("gzip/emnist-digits-{part}-labels-idx1-ubyte.gz"), idx(&[10], &labels)));
        }
        files.push(("gzip/emnist-letters-mapping.txt".into(), b"1 65 97".to_vec()));
        let archive = zipped(&as_files(&files));
        let (url, server) = serve_once(archive.clone());
        let small = small_cifar(&url, &archive);
        let archive = Published { name: "gzip.zip", ..small.archive };
        let set = ArchivedSet { archive, of_each: (1, 1), ..EMNIST_DIGITS };
        let folder = tempfile::tempdir().unwrap();
        let stored = set.open_in(folder.path(), Split::Test, &Silent).unwrap();
        server.join().unwrap();
        assert_eq!(names(folder.path()).len(), 4);
        let mut pixels = vec![0; 784];
        assert_eq!(stored.images.read(4, &mut pixels, &mut Scratch::default()).unwrap(), 4);
        assert!((0..784).all(|k| pixels[k] == if k % 28 == 0 { 104 } else { 0 }), "{pixels:?}");
    }
}
