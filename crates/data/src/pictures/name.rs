//! Names of files inside a set.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// The name of a file relative to its set, with `/` between folders on every system. Names need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// A name of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Name(bytes.into())
    }

    /// The file or folder `child` in this folder; the empty name is the set itself.
    pub(crate) fn child(&self, child: &OsStr) -> Self {
        let child = bytes_of(child);
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + child.len());
        if !self.0.is_empty() {
            bytes.extend_from_slice(&self.0);
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&child);
        Name(bytes.into())
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// The folders and the file itself.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/')
    }

    /// Where the file is, in a set that is a folder.
    pub fn path_in(&self, folder: &Path) -> PathBuf {
        #[cfg(unix)]
        let name = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&self.0);
        #[cfg(not(unix))]
        let name = String::from_utf8_lossy(&self.0);
        #[cfg(not(unix))]
        let name: &str = &name;
        folder.join(name)
    }
}

#[cfg(unix)]
fn bytes_of(name: &OsStr) -> std::borrow::Cow<'_, [u8]> {
    std::os::unix::ffi::OsStrExt::as_bytes(name).into()
}

#[cfg(not(unix))]
fn bytes_of(name: &OsStr) -> std::borrow::Cow<'_, [u8]> {
    name.to_string_lossy().into_owned().into_bytes().into()
}

/// Folder by folder, as paths are ordered: `a/x` comes before `a-b`.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(other.parts())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Without characters that a terminal obeys.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).chars().try_for_each(|c| {
            if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") }
        })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The order in which people number: `2` before `10`. Runs of digits are compared as numbers, the rest byte by byte.
pub fn natural_order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    use std::cmp::Ordering::Equal;
    let (mut x, mut y) = (a, b);
    loop {
        match (x.first(), y.first()) {
            // What differs in leading zeros alone still has an order.
            (None, None) => return a.cmp(b),
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (number_x, number_y) = (digits(&mut x), digits(&mut y));
                let order = number_x.len().cmp(&number_y.len()).then(number_x.cmp(number_y));
                if order != Equal {
                    return order;
                }
            }
            (Some(p), Some(q)) if p == q => (x, y) = (&x[1..], &y[1..]),
            (p, q) => return p.cmp(&q),
        }
    }
}

/// Takes a run of digits, without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    *text = rest;
    &run[run.iter().position(|&byte| byte != b'0').unwrap_or(end)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_comes_before_ten() {
        let mut names = ["10", "9", "x10y2", "x10y10", "x9", "b", "1", "01", "", "a1b", "a"];
        names.sort_by(|a, b| natural_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, ["", "01", "1", "9", "10", "a", "a1b", "b", "x9", "x10y2", "x10y10"]);
    }

    #[test]
    fn names_are_ordered_as_paths_are() {
        let texts = ["a/x", "a-b", "a", "a/b/c", "b"];
        let mut names = texts.map(|text| Name::new(text.as_bytes()));
        let mut paths = texts.map(PathBuf::from);
        names.sort();
        paths.sort();
        for (name, path) in names.iter().zip(&paths) {
            assert_eq!(name.path_in(Path::new("")), *path);
        }
        let name = Name::new(b"").child(OsStr::new("a")).child(OsStr::new("line\nbreak"));
        assert_eq!((name.as_bytes(), name.to_string().as_str()), (&b"a/line\nbreak"[..], "a/line\\nbreak"));
    }
}
