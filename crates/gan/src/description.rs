//! What a model file says of itself, for those who write such files without this crate.

use serde::Serialize;

use crate::checkpoint::Description;
use crate::config::GanConfig;
use crate::error::{Error, Result};

/// A piece of what a model file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The steps that are done.
    Step,
    /// The line `generator_loss = X`, where the generator has had an update.
    GeneratorLoss,
    /// The length of the run in steps.
    Length,
    /// A learning rate: that of the generator (0) or of the discriminator (1).
    LearningRate(usize),
}

/// What [`Gan::to_file`](crate::Gan::to_file) says of a GAN of this configuration, cut where that depends on how far a run is: for those who
/// write such files themselves. Errors when the configuration could not be read again.
pub(crate) fn description_pieces(config: &GanConfig) -> Result<Vec<Piece>> {
    let wrong = |e: &dyn std::fmt::Display| Error::Config(e.to_string());
    let description = Description::new(config, 0, Some(0.0))?;
    let mut table: toml::Table = description.to_toml()?.parse().map_err(|e: toml::de::Error| wrong(&e))?;
    // Each of these numbers becomes a text that stands nowhere else, where the whole is cut.
    let mut marks: Vec<(String, Piece)> = Vec::new();
    let mut mark = |value: Option<&mut toml::Value>, piece: Piece| {
        if let Some(value) = value {
            let mark = format!("\u{f8ff}{}\u{f8ff}", marks.len());
            *value = toml::Value::String(mark.clone());
            marks.push((format!("\"{mark}\""), piece));
        }
    };
    mark(table.get_mut("step"), Piece::Step);
    mark(table.get_mut("generator_loss"), Piece::GeneratorLoss);
    if let Some(toml::Value::Table(model)) = table.get_mut("model") {
        mark(model.get_mut("steps"), Piece::Length);
        for (player, name) in ["generator", "discriminator"].into_iter().enumerate() {
            let optimiser = model.get_mut(name).and_then(|network| network.get_mut("optimiser"));
            let rule = optimiser
                .and_then(toml::Value::as_table_mut)
                .and_then(|table| table.iter_mut().next())
                .map(|(_, rule)| rule);
            mark(rule.and_then(|rule| rule.get_mut("learning_rate")), Piece::LearningRate(player));
        }
    }
    let text = toml::to_string(&table).map_err(|e| wrong(&e))?;
    let mut cuts: Vec<(usize, usize, Piece)> = Vec::new();
    for (mark, piece) in marks {
        let Some(at) = text.find(&mark) else { return Err(wrong(&format!("{mark} is lost"))) };
        let (mut first, mut end) = (at, at + mark.len());
        if piece == Piece::GeneratorLoss {
            // The whole line.
            first = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            end += usize::from(text[end..].starts_with('\n'));
        }
        cuts.push((first, end, piece));
    }
    cuts.sort_by_key(|(first, ..)| *first);
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (first, end, piece) in cuts {
        pieces.extend([Piece::Text(text[at..first].to_owned()), piece]);
        at = end;
    }
    pieces.push(Piece::Text(text[at..].to_owned()));
    Ok(pieces)
}
