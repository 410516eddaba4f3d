//! The preprocessor: imports, variants, conditions and unrolled lines (see the crate's documentation).

use std::collections::BTreeMap;
use std::path::Path;

/// A line of an expanded module, and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) file: String,
    pub(crate) number: usize,
}

/// One expanded variant of a file.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
}

impl Variant {
    /// The WGSL of the module.
    pub(crate) fn source(&self) -> String {
        self.lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    /// Where line `number` (from 1) of the module was written.
    pub(crate) fn origin(&self, number: usize) -> Option<&Line> {
        self.lines.get(number.checked_sub(1)?)
    }
}

/// The `*.wgsl` files of a folder: stem and text.
pub(crate) fn read_folder(folder: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wgsl") {
            let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            files.insert(stem, std::fs::read_to_string(&path)?);
        }
    }
    Ok(files)
}

/// One value of an axis: its name and the text that stands for it in WGSL.
type Value = (String, String);

/// All variants of the file `stem`.
pub(crate) fn expand(
    stem: &str,
    text: &str,
    library: &BTreeMap<String, String>,
) -> Result<Vec<Variant>, String> {
    let file = format!("{stem}.wgsl");
    let mut axes: Vec<(String, Vec<Value>)> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let error = |message: &str| Err(format!("shaders/{file}:{number}:1: error: {message}"));
        if let Some(rest) = line.strip_prefix("#axis ") {
            let (head, replacement) = match rest.split_once('=') {
                Some((head, replacement)) => (head, Some(replacement.trim().to_string())),
                None => (rest, None),
            };
            let head: Vec<&str> = head.split_whitespace().collect();
            let [axis, value] = head[..] else {
                return error("expected `#axis AXIS VALUE [= TEXT]`");
            };
            let value = (value.to_string(), replacement.unwrap_or_else(|| value.to_string()));
            match axes.iter_mut().find(|(name, _)| name == axis) {
                Some((_, values)) if values.iter().any(|(name, _)| *name == value.0) => {
                    return error("this axis has that value already");
                }
                Some((_, values)) => values.push(value),
                None => axes.push((axis.to_string(), vec![value])),
            }
        } else if let Some(rest) = line.strip_prefix("#name ") {
            words = rest.split_whitespace().map(str::to_string).collect();
        }
    }
    if words.is_empty() {
        words = std::iter::once(stem.to_string())
            .chain(axes.iter().map(|(axis, _)| format!("{{{axis}}}")))
            .collect();
    }
    let mut choices: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new()];
    for (axis, values) in &axes {
        choices = choices
            .iter()
            .flat_map(|choice| {
                values.iter().map(|value| {
                    let mut choice = choice.clone();
                    choice.insert(axis.clone(), value.clone());
                    choice
                })
            })
            .collect();
    }
    choices
        .iter()
        .map(|choice| {
            let mut parts = Vec::new();
            for word in &words {
                match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
                    Some(axis) => match choice.get(axis) {
                        Some((value, _)) if value == "plain" => {}
                        Some((value, _)) => parts.push(value.as_str()),
                        None => return Err(format!("shaders/{file}:1:1: error: #name: no axis `{axis}`")),
                    },
                    None => parts.push(word),
                }
            }
            let mut expander = Expander { library, choice, imported: Vec::new(), lines: Vec::new() };
            expander.file(&file, text)?;
            Ok(Variant { name: parts.join("_"), lines: expander.lines })
        })
        .collect()
}

struct Expander<'a> {
    library: &'a BTreeMap<String, String>,
    choice: &'a BTreeMap<String, Value>,
    imported: Vec<String>,
    lines: Vec<Line>,
}

impl Expander<'_> {
    fn file(&mut self, file: &str, text: &str) -> Result<(), String> {
        let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
        self.block(file, &lines, &BTreeMap::new())
    }

    fn block(
        &mut self,
        file: &str,
        lines: &[(usize, &str)],
        counters: &BTreeMap<String, usize>,
    ) -> Result<(), String> {
        // The conditions that enclose a line, innermost last.
        let mut conditions: Vec<bool> = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let (number, line) = lines[at];
            let error = |message: String| Err(format!("shaders/{file}:{number}:1: error: {message}"));
            at += 1;
            let mut words = line.split_whitespace();
            match words.next() {
                Some("#if") => {
                    let axis = words.next().unwrap_or_default();
                    let Some((value, _)) = self.choice.get(axis) else {
                        return error(format!("#if: no axis `{axis}`"));
                    };
                    conditions.push(words.any(|word| word == value));
                }
                Some("#else") => match conditions.last_mut() {
                    Some(condition) => *condition = !*condition,
                    None => return error("#else without #if".into()),
                },
                Some("#endif") => {
                    if conditions.pop().is_none() {
                        return error("#endif without #if".into());
                    }
                }
                Some("#axis" | "#name") => {}
                Some("#import") => {
                    let name = words.next().unwrap_or_default();
                    if conditions.iter().all(|&condition| condition)
                        && !self.imported.iter().any(|n| n == name)
                    {
                        let Some(text) = self.library.get(name) else {
                            return error(format!("no file shaders/lib/{name}.wgsl"));
                        };
                        self.imported.push(name.to_string());
                        self.file(&format!("lib/{name}.wgsl"), text)?;
                    }
                }
                Some("#unroll") => {
                    let (Some(counter), Some(count)) =
                        (words.next(), words.next().and_then(|n| n.parse().ok()))
                    else {
                        return error("expected `#unroll NAME COUNT`".into());
                    };
                    let Some(length) = lines[at..].iter().position(|(_, line)| line.trim() == "#endunroll")
                    else {
                        return error("#unroll without #endunroll".into());
                    };
                    if conditions.iter().all(|&condition| condition) {
                        for step in 0..count {
                            let mut counters = counters.clone();
                            counters.insert(counter.to_string(), step);
                            self.block(file, &lines[at..at + length], &counters)?;
                        }
                    }
                    at += length + 1;
                }
                Some(word) if word.starts_with('#') => return error(format!("unknown directive `{word}`")),
                _ => {
                    if conditions.iter().all(|&condition| condition) {
                        let text = match substitute(line, self.choice, counters) {
                            Ok(text) => text,
                            Err(message) => return error(message),
                        };
                        self.lines.push(Line { text, file: file.to_string(), number });
                    }
                }
            }
        }
        match conditions.is_empty() {
            true => Ok(()),
            false => Err(format!("shaders/{file}:{}:1: error: #if without #endif", lines.len())),
        }
    }
}

fn substitute(
    line: &str,
    choice: &BTreeMap<String, Value>,
    counters: &BTreeMap<String, usize>,
) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err("`${` without `}`".into());
        };
        text.push_str(before);
        match (choice.get(name), counters.get(name)) {
            (Some((_, replacement)), _) => text.push_str(replacement),
            (None, Some(step)) => text.push_str(&step.to_string()),
            (None, None) => return Err(format!("no axis or counter `{name}`")),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}
