//! No circle of files: below each file stands all that it names, so that a crate can be read from the ground up.
//!
//! A file stands on another of its crate if it names, by a path from `crate`, `super` or `self` or from a module that it
//! imports or declares, an item of that file. Two rules make this fair:
//!
//! - A list (`lib.rs`, `mod.rs`: a file that declares modules) does not stand on what it declares and re-exports, and
//!   whoever names an item through a list stands on the file that holds the item.
//! - Tests may look at everything: what `#[cfg(test)]` or `#[test]` stands before is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

type Module = Vec<String>;

/// A source file, as far as this test reads it.
#[derive(Default)]
struct Source {
    name: String,
    /// Paths that it names, each with the module that it is read from.
    named: Vec<(Module, Vec<String>)>,
    identifiers: BTreeSet<String>,
}

/// The files of a crate, and what their modules import.
#[derive(Default)]
struct Sources {
    files: Vec<Source>,
    /// Modules, those inside of a file among them, with the file that each is in.
    modules: BTreeMap<Module, usize>,
    /// What a name in a module stands for, as it is written there.
    imports: BTreeMap<(Module, String), Vec<String>>,
}

/// Whether tokens of an attribute say that what follows is a test.
fn is_test(attribute: &TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text == "test" || text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

fn is(token: Option<&TokenTree>, text: &str) -> bool {
    token.is_some_and(|token| !matches!(token, TokenTree::Group(_)) && token.to_string() == text)
}

/// Whether `::` stands at `at`.
fn separates(tokens: &[TokenTree], at: usize) -> bool {
    is(tokens.get(at), ":") && is(tokens.get(at + 1), ":")
}

/// The paths of a `use` without the `use`, each with the name that it is known by; `*` stands for all names.
fn use_tree(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    let mut alias = None;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for part in inner.split(|token| is(Some(token), ",")).filter(|part| !part.is_empty()) {
                    use_tree(part, &path, found);
                }
                return;
            }
            token if is(Some(token), "as") => {
                alias = tokens.get(at + 1).map(ToString::to_string);
                break;
            }
            token if is(Some(token), ":") => {}
            token => path.push(token.to_string()),
        }
        at += 1;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let last = path.last().cloned().unwrap_or_default();
    found.push((path, alias.unwrap_or(last)));
}

impl Sources {
    /// Reads the files below `src`. The modules are known before the first path is looked at.
    fn read(root: &Path, src: &Path) -> Sources {
        let mut paths = Vec::new();
        collect(src, &mut paths);
        paths.sort();
        let mut sources = Sources::default();
        let mut texts = Vec::new();
        for path in paths {
            let mut module: Module =
                path.strip_prefix(src).unwrap().with_extension("").iter().map(text).collect();
            if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
                module.pop();
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            // A library's main.rs names the library as others do.
            if !sources.modules.contains_key(&module) {
                sources.modules.insert(module.clone(), texts.len());
                texts.push((module, fs::read_to_string(&path).unwrap()));
                sources.files.push(Source { name, ..Source::default() });
            }
        }
        for (file, (module, text)) in texts.into_iter().enumerate() {
            let tokens: TokenStream =
                text.parse().unwrap_or_else(|e| panic!("{}: {e}", sources.files[file].name));
            sources.scan(file, &module, tokens);
        }
        sources
    }

    /// Whether a module declares others, so that its file is a list.
    fn is_list(&self, file: usize) -> bool {
        let name = Path::new(&self.files[file].name).file_name().map(text).unwrap_or_default();
        let declares = |own: &Module, other: &Module| other.len() > own.len() && other.starts_with(own);
        name == "lib.rs"
            || name == "mod.rs"
            || self.modules.iter().any(|(own, of)| {
                *of == file && self.modules.iter().any(|(other, of)| *of != file && declares(own, other))
            })
    }

    fn scan(&mut self, file: usize, module: &Module, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let start = at;
            at += 1;
            match &tokens[start] {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    at += usize::from(is(tokens.get(at), "!"));
                    let Some(TokenTree::Group(group)) = tokens.get(at) else { continue };
                    at += 1;
                    if !is_test(&group.stream()) {
                        self.scan(file, module, group.stream());
                        continue;
                    }
                    // The item ends with its block or its semicolon.
                    while at < tokens.len() {
                        let block =
                            matches!(&tokens[at], TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
                        let end = is(tokens.get(at), ";");
                        at += 1;
                        if block && is(tokens.get(at), ";") {
                            at += 1;
                        }
                        if block || end {
                            break;
                        }
                    }
                }
                TokenTree::Group(group) => self.scan(file, module, group.stream()),
                TokenTree::Ident(ident) if ident == "use" => {
                    let end = (at..tokens.len()).find(|&k| is(tokens.get(k), ";")).unwrap_or(tokens.len());
                    let mut found = Vec::new();
                    use_tree(&tokens[at..end], &[], &mut found);
                    // `pub use`, `pub(crate) use`.
                    let before = &tokens[..start];
                    let public = match before {
                        [.., TokenTree::Group(group)] => {
                            group.delimiter() == Delimiter::Parenthesis
                                && is(before.iter().rev().nth(1), "pub")
                        }
                        [.., last] => is(Some(last), "pub"),
                        [] => false,
                    };
                    for (path, name) in found {
                        if !(public && self.is_list(file)) {
                            self.files[file].named.push((module.clone(), path.clone()));
                        }
                        if name != "*" && name != "_" {
                            self.imports.insert((module.clone(), name), path);
                        }
                    }
                    at = end;
                }
                TokenTree::Ident(ident) if ident == "mod" => {
                    if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(group))) =
                        (tokens.get(at), tokens.get(at + 1))
                    {
                        let inner: Module = module.iter().cloned().chain([name.to_string()]).collect();
                        self.modules.insert(inner.clone(), file);
                        self.scan(file, &inner, group.stream());
                        at += 2;
                    }
                }
                TokenTree::Ident(ident) => {
                    self.files[file].identifiers.insert(ident.to_string());
                    if !separates(&tokens, at) || (start > 1 && separates(&tokens, start - 2)) {
                        continue;
                    }
                    let mut path = vec![ident.to_string()];
                    while separates(&tokens, at)
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 2)
                    {
                        self.files[file].identifiers.insert(next.to_string());
                        path.push(next.to_string());
                        at += 3;
                    }
                    self.files[file].named.push((module.clone(), path));
                }
                _ => {}
            }
        }
    }

    /// The file that holds what `path`, read in `module`, names; nothing where that is in another crate. `deep` counts
    /// the lists that it was looked for in.
    fn resolve(&self, module: &Module, path: &[String], deep: usize) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        let mut own = module.clone();
        let mut rest = rest;
        match first.as_str() {
            "crate" => own.clear(),
            "self" => {}
            "super" => {
                own.pop()?;
                while let [next, others @ ..] = rest
                    && next == "super"
                {
                    own.pop()?;
                    rest = others;
                }
            }
            name => {
                own.push(name.into());
                if !self.modules.contains_key(&own) {
                    own.pop();
                    let import = self.imports.get(&(module.clone(), name.into()))?;
                    // Its own name, imported from another crate.
                    if deep > 8 || import.first().is_some_and(|start| start == name) {
                        return None;
                    }
                    let whole: Vec<String> = import.iter().chain(rest).cloned().collect();
                    return self.resolve(module, &whole, deep + 1);
                }
            }
        }
        for (k, name) in rest.iter().enumerate() {
            own.push(name.clone());
            if self.modules.contains_key(&own) {
                continue;
            }
            own.pop();
            if let Some(import) = self.imports.get(&(own.clone(), name.clone()))
                && deep < 8
            {
                let whole: Vec<String> = import.iter().chain(&rest[k + 1..]).cloned().collect();
                return self.resolve(&own, &whole, deep + 1);
            }
            break;
        }
        self.modules.get(&own).copied()
    }

    /// The files that each file stands on.
    fn edges(&self) -> Vec<BTreeSet<usize>> {
        let of =
            |(file, source): (usize, &Source)| {
                let mut below = BTreeSet::new();
                for (module, path) in &source.named {
                    if path.last().is_some_and(|last| last == "*") {
                        let all = &path[..path.len() - 1];
                        let Some(target) = self.resolve(module, all, 0) else { continue };
                        below.insert(target);
                        // Of what it re-exports, what is named here.
                        let of_target = |(own, name): &&(Module, String)| {
                            self.modules.get(own) == Some(&target) && source.identifiers.contains(name)
                        };
                        let names = self.imports.keys().filter(of_target);
                        below.extend(names.filter_map(|(own, name)| {
                            self.resolve(own, &["self".to_string(), name.clone()], 0)
                        }));
                    } else {
                        below.extend(self.resolve(module, path, 0));
                    }
                }
                below.remove(&file);
                below
            };
        self.files.iter().enumerate().map(of).collect()
    }

    /// The circles: sets of files each of which stands on all others, by their names.
    fn circles(&self) -> Vec<Vec<String>> {
        let edges = self.edges();
        let reached = |from: usize| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(file) = next.pop() {
                next.extend(edges[file].iter().filter(|below| seen.insert(**below)));
            }
            seen
        };
        let reached: Vec<BTreeSet<usize>> = (0..edges.len()).map(reached).collect();
        let mut circles: Vec<Vec<String>> = Vec::new();
        let mut done: BTreeSet<usize> = BTreeSet::new();
        for file in 0..edges.len() {
            if reached[file].contains(&file) && !done.contains(&file) {
                let all = reached[file].iter().filter(|&&other| reached[other].contains(&file));
                done.extend(all.clone());
                circles.push(all.map(|&other| self.files[other].name.clone()).collect());
            }
        }
        circles
    }

    /// A circle with what leads from each of its files to the others, for people.
    fn describe(&self, circle: &[String]) -> String {
        let edges = self.edges();
        let mut lines = String::new();
        for (file, below) in edges.iter().enumerate().filter(|(k, _)| circle.contains(&self.files[*k].name)) {
            let names = below.iter().map(|&k| self.files[k].name.as_str());
            let names: Vec<&str> = names.filter(|name| circle.iter().any(|c| c == name)).collect();
            lines.push_str(&format!("  {} names {}\n", self.files[file].name, names.join(", ")));
        }
        lines
    }
}

fn text(name: impl AsRef<std::ffi::OsStr>) -> String {
    name.as_ref().to_string_lossy().into_owned()
}

/// The Rust files below a folder.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The source folders of the workspace.
fn crates(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["shaders", "tests", "tests/backends", "benches"].map(|name| root.join(name)).into();
    folders.extend(fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path()));
    let mut folders: Vec<PathBuf> = folders.into_iter().map(|folder| folder.join("src")).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders
}

#[test]
fn no_crate_has_a_circle_of_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = crates(root);
    assert!(folders.len() >= 8, "{folders:?}");
    let mut found = String::new();
    for folder in folders {
        let sources = Sources::read(root, &folder);
        for circle in sources.circles() {
            found.push_str(&format!(
                "{} files stand on one another:\n{}",
                circle.len(),
                sources.describe(&circle)
            ));
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// A crate of these files.
fn sources(files: &[(&str, &str)]) -> Sources {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join("src").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Sources::read(folder.path(), &folder.path().join("src"))
}

#[test]
fn circles_are_seen_through_lists_bodies_and_attributes() {
    let list = ("lib.rs", "mod a; mod b; pub mod room; pub use room::Deep;");
    let room = ("room/mod.rs", "mod deep; pub use deep::Deep;");
    let deep = ("room/deep.rs", "use crate::a::A; pub struct Deep(A);");
    for (a, circle) in [
        // Through two lists, a body, an attribute, a macro, a glob, another name.
        ("use crate::Deep; pub struct A;", true),
        ("pub struct A; fn f() { let _ = crate::room::Deep::new(); }", true),
        ("#[arg(value = crate::room::Deep)] pub struct A;", true),
        ("pub struct A; fn f() { vec![super::Deep] }", true),
        ("use crate::room::*; pub struct A(Deep);", true),
        ("use crate::room as other; pub struct A(other::Deep);", true),
        // Another item, a test, a comment, a text, another crate.
        ("use crate::b::B; pub struct A;", false),
        ("pub struct A; #[cfg(test)] mod tests { use crate::Deep; }", false),
        ("/// crate::Deep\npub struct A; // crate::Deep", false),
        ("pub struct A; const T: &str = \"crate::Deep\";", false),
        ("use other::Deep; pub struct A(Deep);", false),
    ] {
        let sources = sources(&[list, room, deep, ("a.rs", a), ("b.rs", "pub struct B;")]);
        let expected: &[&[&str]] = if circle { &[&["src/a.rs", "src/room/deep.rs"]] } else { &[] };
        assert_eq!(sources.circles(), expected, "{a}");
    }
}
