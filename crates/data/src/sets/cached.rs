//! Sets that are fetched into the cache folder when they are first asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::published::Published;
use crate::error::{Error, Result};
use crate::formats::idx_files;
use crate::labelled_images::LabelledImages;
use crate::listener::Listener;
use crate::split::Split;
use crate::stored::Stored;

/// Of each set ten classes.
const CLASSES: usize = 10;

/// A set of four IDX files that is not embedded.
#[derive(Debug)]
pub(crate) struct CachedSet {
    name: &'static str,
    /// Where its files are published; names are put behind.
    sources: &'static [&'static str],
    /// Images and labels to train on, and to test on: name, and SHA-256 as several independent projects publish it.
    files: [(&'static str, &'static str); 4],
}

/// Zalando's pictures of clothes. The checksums are also those of the files in Debian's package dataset-fashion-mnist.
pub(crate) const FASHION: CachedSet = CachedSet {
    name: "fashion",
    sources: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ],
    files: [
        ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ],
};

/// Cursive Japanese characters of the Center for Open Data in the Humanities.
pub(crate) const KMNIST: CachedSet = CachedSet {
    name: "kmnist",
    sources: &[
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ],
    files: [
        ("train-images-idx3-ubyte.gz", "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        ("train-labels-idx1-ubyte.gz", "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        ("t10k-images-idx3-ubyte.gz", "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        ("t10k-labels-idx1-ubyte.gz", "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ],
};

impl CachedSet {
    /// Opens one part, and fetches the files of it that are missing. Errors when a file cannot be had, and says where to
    /// get it and where to put it, or is another.
    pub(crate) fn open(&self, split: Split, listener: &dyn Listener) -> Result<Stored> {
        self.open_in(&cache_folder()?.join(self.name), split, listener)
    }

    fn open_in(&self, folder: &Path, split: Split, listener: &dyn Listener) -> Result<Stored> {
        let [train_images, train_labels, test_images, test_labels] = &self.files;
        let (images, labels) = match split {
            Split::Train => (train_images, train_labels),
            Split::Test => (test_images, test_labels),
        };
        for (name, sha256) in [images, labels] {
            let file = Published { name, sources: self.sources, sha256 };
            if folder.join(name).exists() {
                file.check(folder)?;
            } else {
                // Checked as it comes.
                file.fetch(folder, listener)
                    .map_err(|e| Error::failure(format!("{e}, or name a folder that has it with --data")))?;
            }
        }
        let Stored { images, sha256 } = idx_files::open_pair(&folder.join(images.0), &folder.join(labels.0))?;
        // The highest label need not occur in a part.
        let images = LabelledImages::copy_of(images.as_ref(), 0..images.len())?.with_classes(CLASSES)?;
        Ok(Stored { images: Arc::new(images), sha256 })
    }
}

/// Where sets are kept, and what else is to outlast a process: the folder that the environment variable `GANNET_CACHE` names, or
/// `gannet` in the user's cache folder. It need not exist. Errors where neither is known.
pub fn cache_folder() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || {
        let folder = variable("XDG_CACHE_HOME").or_else(|| variable("LOCALAPPDATA"));
        folder
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .map(|folder| folder.join("gannet"))
    };
    variable("GANNET_CACHE").or_else(user).ok_or_else(|| {
        Error::failure("there is no cache folder: name one in the environment variable GANNET_CACHE")
    })
}

#[cfg(all(test, feature = "download"))]
mod tests {
    use super::*;
    use crate::listener::Silent;

    /// KMNIST as if nobody published it: nothing listens on this port.
    const NOWHERE: CachedSet =
        CachedSet { name: "kmnist", sources: &["http://127.0.0.1:9/kmnist/"], files: KMNIST.files };

    fn message(folder: &Path, split: Split) -> String {
        match NOWHERE.open_in(folder, split, &Silent) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn missing_and_other_files_are_named_with_where_to_get_them() {
        let folder = tempfile::tempdir().unwrap();
        let text = message(folder.path(), Split::Train);
        for part in ["cannot fetch train-images-idx3-ubyte.gz", "127.0.0.1:9/kmnist/train-images", "--data"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.contains(&folder.path().display().to_string()), "{text}");
        for name in ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"] {
            std::fs::write(folder.path().join(name), "<html>not found</html>").unwrap();
        }
        let text = message(folder.path(), Split::Test);
        assert!(
            text.contains("t10k-images-idx3-ubyte.gz: has the sha256") && text.contains("edd7a857"),
            "{text}"
        );
    }
}
