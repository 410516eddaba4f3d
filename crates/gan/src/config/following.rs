//! Model files that follow the pictures: words in place of numbers, and layers that are repeated for each level.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::woven::{Weaver, Woven};
use crate::error::Result;
use crate::pictures::{Capacity, Pictures};

/// The section of a model file that says how networks are cut to the size of pictures.
pub(super) const SECTION: &str = "pictures";

/// The longest text that layers are repeated to: 256 pixels are six levels of a page each.
const MOST_TEXT: usize = 1 << 22;

/// What stands in the section; all of it may be missing.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    /// Pixels that the shortest side of the coarsest map has at least.
    coarsest_side: usize,
    /// Channels of the coarsest map.
    channels: Channels,
    /// The share of those channels that every level has at least.
    least_share: f64,
    /// With as many pictures or more, nothing is augmented.
    augment_below: Option<usize>,
}

impl Default for Section {
    fn default() -> Section {
        Section { coarsest_side: 4, channels: Channels::default(), least_share: 0.0625, augment_below: None }
    }
}

/// Channels of the coarsest map.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(untagged, expecting = "expected a number of channels, or \"capacity\"")]
enum Channels {
    Number(usize),
    Word(CapacityWord),
    #[serde(skip)]
    #[default]
    Capacity,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum CapacityWord {
    #[serde(rename = "capacity")]
    Capacity,
}

/// What the words of a file stand for.
struct Facts {
    pictures: Pictures,
    levels: usize,
    coarsest: usize,
    least: usize,
    augmented: bool,
}

impl Facts {
    /// Errors name the key of the section that is wrong.
    fn new(
        section: &Section,
        pictures: Pictures,
        capacity: Capacity,
    ) -> Result<Facts, (&'static str, String)> {
        let coarsest = match section.channels {
            Channels::Number(channels) => channels,
            Channels::Word(CapacityWord::Capacity) | Channels::Capacity => capacity.coarsest(),
        };
        for (name, number) in [("coarsest_side", section.coarsest_side), ("channels", coarsest)] {
            if !(1..=1 << 16).contains(&number) {
                return Err((name, format!("{name}: expected a number from 1 to {}, got {number}", 1 << 16)));
            }
        }
        if !(0.0..=1.0).contains(&section.least_share) {
            let message = format!("least_share: expected a number from 0 to 1, got {}", section.least_share);
            return Err(("least_share", message));
        }
        Ok(Facts {
            pictures,
            levels: pictures.levels(section.coarsest_side).map_err(|e| ("coarsest_side", e.to_string()))?,
            coarsest,
            least: ((coarsest as f64 * section.least_share).ceil() as usize).max(1),
            augmented: section.augment_below.is_none_or(|below| pictures.count < below),
        })
    }

    /// Channels of a level: half as many as of the one below, and at least as many as still make edges.
    fn channels(&self, level: usize) -> usize {
        (self.coarsest >> level.min(usize::BITS as usize - 1)).max(self.least)
    }

    /// Rows and columns of the coarsest map.
    fn coarsest_map(&self) -> [usize; 2] {
        [self.pictures.height >> self.levels, self.pictures.width >> self.levels]
    }

    /// The labels that networks are told: classes times groups. Nothing where all pictures are of one kind.
    fn labels(&self) -> Option<usize> {
        Some(self.pictures.groups() * self.pictures.told().unwrap_or(1)).filter(|&labels| labels > 1)
    }

    /// What a word under a key stands for, at this level if it is among repeated layers.
    fn word(&self, key: &str, word: &str, level: Option<usize>) -> Result<String, String> {
        let [rows, columns] = self.coarsest_map();
        let Pictures { height, width, channels, .. } = self.pictures;
        Ok(match (key, word) {
            ("input", "image") => format!("[{height}, {width}, {channels}]"),
            ("shape", "coarsest") => format!("[{rows}, {columns}, {}]", self.coarsest),
            ("units", "coarsest") => (rows * columns * self.coarsest).to_string(),
            ("classes", "data") => self.labels().unwrap_or(1).to_string(),
            ("parts", "data") => self.pictures.groups().to_string(),
            ("filters" | "units", "image") => channels.to_string(),
            ("filters" | "units", word) => {
                let (name, factor) = factor_of(word)?;
                let channels = match (name, level) {
                    ("channels", Some(level)) => self.channels(level),
                    ("channels", None) => {
                        return Err(
                            "\"channels\" are those of a level: it stands among the layers of `levels`"
                                .into(),
                        );
                    }
                    _ => self.coarsest,
                };
                factor.of(channels).to_string()
            }
            _ => unreachable!("the word is known"),
        })
    }
}

/// What a number of channels is multiplied and divided by.
#[derive(Clone, Copy)]
enum Factor {
    Times(usize),
    Over(usize),
}

impl Factor {
    fn of(self, channels: usize) -> usize {
        match self {
            Factor::Times(factor) => channels.saturating_mul(factor),
            Factor::Over(divisor) => (channels / divisor).max(1),
        }
    }
}

/// `channels`, `channels * 2`, `coarsest / 4`: the name and what follows it.
fn factor_of(word: &str) -> Result<(&str, Factor), String> {
    let (name, factor) = match word.split_once(['*', '/']) {
        None => (word, Some(Factor::Times(1))),
        Some((name, number)) => {
            let number = number.trim().parse().ok().filter(|number| (1..=1 << 10).contains(number));
            let of = if word.contains('*') { Factor::Times } else { Factor::Over };
            (name, number.map(of))
        }
    };
    match (name.trim(), factor) {
        (name @ ("channels" | "coarsest"), Some(factor)) => Ok((name, factor)),
        _ => Err(format!(
            "\"{word}\" stands for no number here; expected a number, \"channels\", \"coarsest\" (both also as \"channels * 2\" or \
             \"channels / 2\") or \"image\""
        )),
    }
}

/// Whether a word may stand under this key, and what is wrong if it may not.
fn check_word(key: &str, word: &str) -> Option<Result<(), String>> {
    let fits: &[&str] = match key {
        "input" => &["image"],
        "shape" => &["coarsest"],
        "classes" | "parts" => &["data"],
        "filters" | "units" if word == "image" => return Some(Ok(())),
        "units" if word == "coarsest" => return Some(Ok(())),
        "filters" | "units" => return Some(factor_of(word).map(|_| ())),
        _ => return None,
    };
    let known = fits.contains(&word).then_some(());
    Some(known.ok_or_else(|| {
        format!("\"{word}\" stands for nothing under `{key}`; expected a number or \"{}\"", fits[0])
    }))
}

/// Changes, and the bytes of the text that each is of.
type Edits<'v> = Vec<(Range<usize>, Edit<'v>)>;

/// A change to the text of a file.
enum Edit<'v> {
    /// A word under this key.
    Word { key: String, word: String },
    /// A layer whose place is taken by another, or by none, where there is nothing to tell; its changes where there is.
    Silent { instead: &'static str, inner: Edits<'v> },
    /// Layers that are repeated.
    Levels { up: bool, layers: Vec<&'v Spanned<DeValue<'v>>> },
}

/// What is wrong, and the bytes of the text that it is about.
pub(super) struct Wrong {
    pub(super) at: Range<usize>,
    pub(super) message: String,
}

fn wrong<T>(at: Range<usize>, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at, message: message.into() })
}

/// The pictures that a file is read for.
pub(super) type For = (Pictures, Capacity);

/// A file with numbers in place of its words, and whether nothing is augmented whatever it says. A file without words stays
/// as it is; one with words errors where it is read for no pictures.
pub(super) fn followed(
    text: &str,
    table: &DeTable<'_>,
    pictures: Option<For>,
) -> Result<(Woven, bool), Wrong> {
    let section = section_of(table)?;
    let mut edits = Vec::new();
    for (key, value) in table {
        if key.get_ref() != SECTION {
            collect(key.get_ref(), value, &mut edits)?;
        }
    }
    let first = edits.iter().map(|(at, _)| at.clone()).min_by_key(|at| at.start);
    let facts = match (pictures, first.clone()) {
        // Files with numbers alone are for pictures of one size.
        (_, None) if section.is_none() => None,
        (Some((pictures, capacity)), first) => {
            let (section, at) = section.unwrap_or_else(|| (Section::default(), first.unwrap_or(0..0)));
            let facts = Facts::new(&section, pictures, capacity);
            Some(facts.map_err(|(key, message)| Wrong { at: key_at(table, key).unwrap_or(at), message })?)
        }
        (None, Some(at)) => {
            return wrong(
                at,
                "this word follows the pictures of a run, and the file is read for none; expected a number",
            );
        }
        (None, None) => None,
    };
    let Some(facts) = facts else { return Ok((Woven::plain(text), false)) };
    let mut weaver = Weaver::new(text);
    weave(&facts, &mut weaver, 0..text.len(), edits, None)?;
    Ok((weaver.finish(), !facts.augmented))
}

/// Whether a file follows its pictures: it has the section, or a word of those that do.
pub(super) fn follows(table: &DeTable<'_>) -> bool {
    let mut edits = Vec::new();
    let bad = table.iter().any(|(key, value)| collect(key.get_ref(), value, &mut edits).is_err());
    bad || !edits.is_empty() || table.contains_key(SECTION)
}

/// Where the value of a key of the section stands.
fn key_at(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    Some(table.get(SECTION)?.get_ref().as_table()?.get(key)?.span())
}

/// The section of a file, and where it stands.
fn section_of(table: &DeTable<'_>) -> Result<Option<(Section, Range<usize>)>, Wrong> {
    let Some(value) = table.get(SECTION) else { return Ok(None) };
    let at = value.span();
    match Section::deserialize(ValueDeserializer::from(value.clone())) {
        Ok(section) => Ok(Some((section, at))),
        Err(e) => wrong(e.span().unwrap_or(at), e.message().to_owned()),
    }
}

/// Finds what has to be changed in a value under a key.
fn collect<'v>(key: &str, value: &'v Spanned<DeValue<'v>>, edits: &mut Edits<'v>) -> Result<(), Wrong> {
    match value.get_ref() {
        DeValue::String(word) => match check_word(key, word) {
            Some(Ok(())) => {
                edits.push((value.span(), Edit::Word { key: key.into(), word: word.to_string() }));
                Ok(())
            }
            Some(Err(message)) => wrong(value.span(), message),
            None => Ok(()),
        },
        DeValue::Array(values) => values.iter().try_for_each(|layer| collect_layer(layer, edits)),
        DeValue::Table(table) => {
            table.iter().try_for_each(|(key, value)| collect(key.get_ref(), value, edits))
        }
        _ => Ok(()),
    }
}

/// The same in a layer, or in another value of a list.
fn collect_layer<'v>(layer: &'v Spanned<DeValue<'v>>, edits: &mut Edits<'v>) -> Result<(), Wrong> {
    let mut inner = Vec::new();
    if let Some(levels) = repeated(layer)? {
        edits.push((layer.span(), levels));
        return Ok(());
    }
    collect("", layer, &mut inner)?;
    match silent(layer) {
        Some(instead) => edits.push((layer.span(), Edit::Silent { instead, inner })),
        None => edits.extend(inner),
    }
    Ok(())
}

/// The only key of a table with its value.
fn only<'v>(value: &'v Spanned<DeValue<'v>>) -> Option<(&'v str, &'v Spanned<DeValue<'v>>)> {
    let table = value.get_ref().as_table()?;
    let (key, value) = table.iter().next().filter(|_| table.len() == 1)?;
    Some((key.get_ref(), value))
}

/// `{ levels = { up = [..] } }`, or `down`.
fn repeated<'v>(layer: &'v Spanned<DeValue<'v>>) -> Result<Option<Edit<'v>>, Wrong> {
    let Some(("levels", value)) = only(layer) else { return Ok(None) };
    match only(value) {
        Some((way @ ("up" | "down"), layers)) if layers.get_ref().as_array().is_some() => {
            let layers = layers.get_ref().as_array().into_iter().flatten().collect();
            Ok(Some(Edit::Levels { up: way == "up", layers }))
        }
        _ => wrong(
            value.span(),
            "expected `levels = { up = [..] }`, layers from the coarsest map up to the image, or `levels = { down = [..] }`",
        ),
    }
}

/// What takes the place of a layer that tells the classes of the data, where there are none to tell.
fn silent(layer: &Spanned<DeValue<'_>>) -> Option<&'static str> {
    let (kind, options) = only(layer)?;
    let told = options.get_ref().as_table()?.get("classes")?.get_ref().as_str()? == "data";
    let instead = match kind {
        "label" => "",
        "projection" => "{ dense = { units = 1 } }",
        "conditional_batch_norm" => "\"batch_norm\"",
        _ => return None,
    };
    told.then_some(instead)
}

/// Writes a range of the text with its changes.
fn weave(
    facts: &Facts,
    weaver: &mut Weaver<'_>,
    range: Range<usize>,
    mut edits: Edits<'_>,
    level: Option<usize>,
) -> Result<(), Wrong> {
    edits.sort_by_key(|(at, _)| at.start);
    let mut from = range.start;
    for (at, edit) in edits {
        weaver.copy(from..at.start);
        from = at.end;
        match edit {
            Edit::Word { key, word } => match facts.word(&key, &word, level) {
                Ok(number) => weaver.put(&number, at.start),
                Err(message) => return wrong(at, message),
            },
            Edit::Silent { inner, .. } if facts.labels().is_some() => weave(facts, weaver, at, inner, level)?,
            Edit::Silent { instead: "", .. } => from = weaver.after_comma(at.end),
            Edit::Silent { instead, .. } => weaver.put(instead, at.start),
            Edit::Levels { up, layers } => {
                if level.is_some() {
                    return wrong(at, "`levels` cannot stand among the layers of another `levels`");
                }
                let order: Vec<usize> = match up {
                    true => (1..=facts.levels).collect(),
                    false => (0..facts.levels).rev().collect(),
                };
                let mut first = true;
                for level in order {
                    for layer in &layers {
                        let mut inner = Vec::new();
                        collect_layer(layer, &mut inner)?;
                        if !std::mem::take(&mut first) {
                            weaver.put(", ", at.start);
                        }
                        weave(facts, weaver, layer.span(), inner, Some(level))?;
                    }
                }
                if weaver.len() > MOST_TEXT {
                    return wrong(at, "the repeated layers are too many");
                }
            }
        }
    }
    weaver.copy(from..range.end);
    Ok(())
}
