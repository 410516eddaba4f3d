//! The parts of a report that change while its run goes on, one by one.

use maud::{Markup, html};
use serde::Serialize;

use super::chart::Hover;
use super::charts;
use super::page::{about, columns, commands, evaluations, event_lines, figures, settings};
use super::run::Run;

/// What of a report changes while its run goes on, as a script takes it.
#[derive(Debug, Serialize)]
pub(crate) struct MovingReport {
    figures: Vec<(&'static str, String)>,
    events: Vec<String>,
    charts: Vec<MovingChart>,
    /// HTML.
    evaluations: String,
}

#[derive(Debug, Serialize)]
struct MovingChart {
    /// The same as long as there is the chart.
    title: String,
    html: String,
    hover: Hover,
}

impl MovingReport {
    /// That of a run as it is now.
    pub(crate) fn of(run: &Run) -> MovingReport {
        let steps = run.last_step().max(1) as f64;
        let runs = std::slice::from_ref(run);
        let drawn = charts::of(runs).into_iter().filter_map(|chart| {
            let (html, hover) = chart.draw(0, steps)?;
            Some(MovingChart { title: chart.title, html: html.into_string(), hover })
        });
        MovingReport {
            charts: drawn.collect(),
            figures: figures(run),
            events: event_lines(runs),
            evaluations: evaluations(runs).into_string(),
        }
    }
}

/// The parts that stay: what is trained, what the columns of its grids show, and settings and commands.
pub(crate) fn still_parts(run: &Run) -> (String, Option<String>, Markup) {
    let runs = std::slice::from_ref(run);
    (about(run), columns(run), html! { (settings(runs)) (commands(runs)) })
}
