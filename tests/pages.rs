//! The pages for readers name files that are there, and link to what is there.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders at the top that a path in a page begins with.
const ROOTS: [&str; 6] = ["crates/", "shaders/", "tests/", "benches/", "docs/", ".ci/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page, from the top: readmes, the guide, how to contribute.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec!["README.md".into(), "CONTRIBUTING.md".into(), "CHANGELOG.md".into()];
    let mut folders: Vec<PathBuf> =
        ["crates", "shaders", "tests", "benches", "docs"].map(PathBuf::from).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("a type").is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// What stands between `open` and `close`, wherever it does.
fn between<'a>(text: &'a str, open: &str, close: char) -> Vec<&'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split(close).next()).collect()
}

/// The text without its blocks of code.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let text = prose(&fs::read_to_string(root().join(&page)).expect("a page"));
        for link in between(&text, "](", ')') {
            let file = link.split('#').next().expect("a part");
            // Elsewhere, within the page, or an item of rustdoc.
            if file.is_empty() || link.contains("://") || link.contains("::") {
                continue;
            }
            let target = root().join(&page).parent().expect("a folder").join(file);
            assert!(target.exists(), "{} links to '{link}', which is not there", page.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} links were found");
}

#[test]
fn paths_that_are_named_are_there() {
    let mut seen = 0;
    for page in pages() {
        let text = prose(&fs::read_to_string(root().join(&page)).expect("a page"));
        for path in between(&text, "`", '`') {
            let is_path = ROOTS.iter().any(|top| path.starts_with(top));
            // A word in capitals stands for any name.
            if !is_path || path.contains(['*', '{', ' ']) || path.contains("NAME") {
                continue;
            }
            assert!(root().join(path).exists(), "{} names '{path}', which is not there", page.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} paths were found");
}
