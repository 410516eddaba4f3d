//! The commands in the pages for readers are such as the program takes: every subcommand and every flag is there.
//!
//! What the program takes is read from its source, where each command's flags are the fields of a struct; the program is
//! not built. What the commands of the README do is tested beside the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What a program takes, as far as this test reads it.
#[derive(Default)]
struct Program {
    /// The flags of a struct by its name.
    flags: BTreeMap<String, BTreeSet<String>>,
    /// The structs whose flags are also those of a struct.
    flattened: BTreeMap<String, Vec<String>>,
    /// Subcommands, with the struct of their flags where they have one.
    commands: BTreeMap<String, Option<String>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below a folder whose names end in `extension`.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// `train-classifier` of `TrainClassifier`.
fn kebab(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name
}

/// Tokens cut at the commas that stand outside of angle brackets.
fn items(group: &Group) -> Vec<Vec<TokenTree>> {
    let (mut items, mut depth) = (vec![Vec::new()], 0);
    for token in group.stream() {
        match token.to_string().as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            "," if depth == 0 => {
                items.push(Vec::new());
                continue;
            }
            _ => {}
        }
        items.last_mut().expect("an item").push(token);
    }
    items.retain(|item| !item.is_empty());
    items
}

/// The attributes before an item, and the item without them.
fn attributes(item: &[TokenTree]) -> (Vec<&Group>, &[TokenTree]) {
    let (mut found, mut rest) = (Vec::new(), item);
    while let [TokenTree::Punct(hash), TokenTree::Group(attribute), others @ ..] = rest
        && hash.as_char() == '#'
    {
        found.push(attribute);
        rest = others;
    }
    (found, rest)
}

/// What stands in an attribute `name(..)`.
fn arguments(attribute: &Group, name: &str) -> Vec<Vec<TokenTree>> {
    let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(ident), TokenTree::Group(group)] if ident == name => items(group),
        _ => Vec::new(),
    }
}

fn text(token: &TokenTree) -> String {
    token.to_string()
}

impl Program {
    fn read(src: &Path) -> Program {
        let mut paths = Vec::new();
        files(src, "rs", &mut paths);
        let mut program = Program::default();
        for path in paths {
            let source = fs::read_to_string(&path).expect("a source file");
            program.scan(source.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display())));
        }
        program
    }

    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for window in tokens.windows(3) {
            let [TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Group(body)] = window else {
                continue;
            };
            if body.delimiter() != Delimiter::Brace {
                continue;
            }
            if keyword == "struct" {
                self.scan_struct(&name.to_string(), body);
            } else if keyword == "enum" && name == "Command" {
                for variant in items(body) {
                    let (_, variant) = attributes(&variant);
                    // The struct itself, or a box of it.
                    let arguments = match variant.get(1) {
                        Some(TokenTree::Group(group)) => {
                            let names = group.stream().into_iter();
                            names.filter(|t| matches!(t, TokenTree::Ident(_))).last().as_ref().map(text)
                        }
                        _ => None,
                    };
                    self.commands.insert(kebab(&text(&variant[0])), arguments);
                }
            }
        }
    }

    fn scan_struct(&mut self, name: &str, body: &Group) {
        for field in items(body) {
            let (attributes, field) = attributes(&field);
            let colon = field.iter().position(|token| text(token) == ":");
            let Some(field_name) = colon.and_then(|colon| field.get(colon.checked_sub(1)?)).map(text) else {
                continue;
            };
            for attribute in attributes {
                for argument in arguments(attribute, "arg").iter().filter(|a| text(&a[0]) == "long") {
                    let given = argument.get(2).map(|name| text(name).trim_matches('"').to_string());
                    let flag = given.unwrap_or_else(|| field_name.replace('_', "-"));
                    self.flags.entry(name.into()).or_default().insert(format!("--{flag}"));
                }
                if arguments(attribute, "command").iter().any(|a| text(&a[0]) == "flatten") {
                    let of = field.iter().rfind(|token| matches!(token, TokenTree::Ident(_))).map(text);
                    self.flattened.entry(name.into()).or_default().extend(of);
                }
            }
        }
    }

    /// The flags of a struct, with those of the structs in it.
    fn flags_of(&self, name: &str) -> BTreeSet<String> {
        let own = self.flags.get(name).into_iter().flatten().cloned();
        let inner = self.flattened.get(name).into_iter().flatten();
        own.chain(inner.flat_map(|inner| self.flags_of(inner))).collect()
    }

    /// Errors when a command line has a subcommand or a flag that the program has not.
    fn check(&self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace().peekable();
        let flags = match words.next_if(|word| !word.starts_with('-')) {
            None => self.flags_of("Cli"),
            Some(command) => match self.commands.get(command) {
                None => return Err(format!("there is no command '{command}'")),
                Some(arguments) => {
                    arguments.as_ref().map(|arguments| self.flags_of(arguments)).unwrap_or_default()
                }
            },
        };
        // clap gives every command these two.
        let flag = |word: &&str| word.starts_with("--") && !["--help", "--version"].contains(word);
        let unknown = |word: &&str| !flags.contains(word.split('=').next().unwrap_or_default());
        match words.filter(flag).find(unknown) {
            Some(word) => Err(format!("there is no flag '{word}'")),
            None => Ok(()),
        }
    }

    fn has(&self, flag: &str) -> bool {
        self.commands.values().flatten().any(|arguments| self.flags_of(arguments).contains(flag))
    }
}

fn program() -> Program {
    Program::read(&root().join("crates/gan-mnist/src"))
}

/// A page's pieces of code: the lines of its `sh` blocks, and what stands between backticks in its prose.
fn code(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (k, text) in page.split("```").enumerate() {
        if k % 2 == 0 {
            found.extend(text.split('`').skip(1).step_by(2));
        } else if let Some(block) = text.strip_prefix("sh\n") {
            found.extend(block.lines());
        }
    }
    found
}

/// The arguments in a line that runs the program, without comments and redirections.
fn command(line: &str) -> Option<&str> {
    // What starts it on many ranks.
    let started = ["mpirun ", "srun "].iter().any(|starter| line.starts_with(starter));
    let line = if started { &line[line.find("gan-mnist ")?..] } else { line };
    let rest = ["gan-mnist", "cargo run -p gan-mnist"].iter().find_map(|start| line.strip_prefix(start))?;
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix(' ')? };
    let rest = rest.strip_prefix("--release").unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix("-- ").unwrap_or(rest);
    let rest = if rest == "--" { "" } else { rest };
    rest.split(['#', '>', '|', '&']).next()
}

#[test]
fn the_program_takes_the_commands_of_the_pages() {
    let program = program();
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md"].map(|page| root().join(page)).into();
    files(&root().join("docs"), "md", &mut pages);
    let (mut commands, mut flags) = (0, 0);
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        for code in code(&text) {
            if let Some(command) = command(code) {
                commands += 1;
                program.check(command).unwrap_or_else(|e| panic!("{}: `{code}`: {e}", page.display()));
            } else if code.starts_with("--") && page.starts_with(root().join("docs")) {
                // Alone in prose a flag may be that of any command.
                flags += 1;
                let flag = code.split([' ', '=']).next().expect("a word");
                assert!(program.has(flag), "{}: there is no flag '{flag}'", page.display());
            }
        }
    }
    assert!(commands > 30 && flags > 3, "only {commands} commands and {flags} flags were found");
}

#[test]
fn what_the_program_does_not_take_is_seen() {
    let program = program();
    assert!(program.commands.len() > 10, "{:?}", program.commands);
    for (line, wrong) in [
        ("", None),
        ("--steps 2 --threads 1", None),
        ("train --preset dcgan --device=cpu", None),
        ("train-classifier --out x", None),
        ("devices", None),
        ("trian --steps 2", Some("no command 'trian'")),
        ("train --step 2", Some("no flag '--step'")),
        ("--part generator", Some("no flag '--part'")),
        ("devices --steps 1", Some("no flag '--steps'")),
    ] {
        let message = program.check(line).err();
        assert_eq!(message.is_some(), wrong.is_some(), "{line}: {message:?}");
        assert!(message.unwrap_or_default().contains(wrong.unwrap_or_default()), "{line}");
    }
    let page = "`gan-mnist data photos` says.\n```sh\ncargo run -p gan-mnist -- presets x > y # z\nmpirun -n 2 gan-mnist resume r\n```\n```text\nno\n```";
    let commands: Vec<&str> = code(page).into_iter().filter_map(command).collect();
    assert_eq!(commands, ["data photos", "presets x ", "resume r"]);
}
