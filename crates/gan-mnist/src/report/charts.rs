//! Which curves a report has.

use super::chart::{Chart, Series};
use super::run::Run;
use crate::run::metrics_file::Point;

/// What a curve takes from a run: steps and values.
type Course = fn(&Run) -> Vec<(f64, f64)>;

/// A chart before it is known how many runs are drawn into it.
struct Definition {
    title: &'static str,
    note: &'static str,
    logarithmic: bool,
    bounds: [Option<f64>; 2],
    /// Curves; those whose names begin with `floor` are values to compare with.
    curves: &'static [(&'static str, Course)],
}

/// Values of metrics.jsonl.
fn measured(run: &Run, of: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
    run.points.iter().filter_map(|point| Some((point.step as f64, of(point)?))).collect()
}

/// A column of losses.csv.
fn losses(run: &Run, of: impl Fn(&[f64; 4]) -> f64) -> Vec<(f64, f64)> {
    run.losses.iter().map(|row| (row[0], of(row))).collect()
}

const FROM_ZERO: [Option<f64>; 2] = [Some(0.0), None];
const SHARE: [Option<f64>; 2] = [Some(0.0), Some(1.0)];

const DEFINITIONS: &[Definition] = &[
    Definition {
        title: "Losses",
        note: "Of each step: the line is smoothed, the band goes from the least to the largest.",
        logarithmic: false,
        bounds: [None, None],
        curves: &[
            ("discriminator, real", |run| losses(run, |row| row[1])),
            ("discriminator, generated", |run| losses(run, |row| row[2])),
            ("generator", |run| losses(run, |row| row[3])),
        ],
    },
    Definition {
        title: "Discriminator accuracy",
        note: "The share of a batch that it judges rightly. Near 1 for long, it has won.",
        logarithmic: false,
        bounds: SHARE,
        curves: &[
            ("real images", |run| measured(run, |p| p.d_accuracy_real)),
            ("generated images", |run| measured(run, |p| p.d_accuracy_fake)),
        ],
    },
    Definition {
        title: "Discriminator scores",
        note: "The mean of what it says: logits, or a critic's scores.",
        logarithmic: false,
        bounds: [None, None],
        curves: &[
            ("real images", |run| measured(run, |p| p.d_score_real)),
            ("generated images", |run| measured(run, |p| p.d_score_fake)),
        ],
    },
    Definition {
        title: "Diversity of fixed latents",
        note: "How far two samples are apart, beside two real images. Near 0, the generator has collapsed.",
        logarithmic: false,
        bounds: FROM_ZERO,
        curves: &[("samples", |run| measured(run, |p| p.diversity))],
    },
    Definition {
        title: "Frechet distance",
        note: "In classifier features, beside what real images score.",
        logarithmic: false,
        bounds: FROM_ZERO,
        curves: &[
            ("generated images", |run| {
                measured(run, |p| p.evaluation.as_ref().map(|e| e.generated.frechet_distance))
            }),
            ("floor: real images", |run| {
                measured(run, |p| p.evaluation.as_ref().map(|e| e.floor.frechet_distance))
            }),
        ],
    },
    Definition {
        title: "Fidelity and diversity",
        note: "Precision is fidelity; recall and coverage are diversity.",
        logarithmic: false,
        bounds: SHARE,
        curves: &[
            ("precision", |run| measured(run, |p| p.evaluation.as_ref().map(|e| e.generated.precision))),
            ("recall", |run| measured(run, |p| p.evaluation.as_ref().map(|e| e.generated.recall))),
            ("coverage", |run| measured(run, |p| p.evaluation.as_ref().map(|e| e.generated.coverage))),
        ],
    },
    Definition {
        title: "Gradient norms",
        note: "Root mean square over the last updates, from Adam's second moment.",
        logarithmic: true,
        bounds: [None, None],
        curves: &[
            ("generator", |run| measured(run, |p| p.g_gradient_norm)),
            ("discriminator", |run| measured(run, |p| p.d_gradient_norm)),
        ],
    },
    Definition {
        title: "Learning rates",
        note: "With their schedule.",
        logarithmic: false,
        bounds: FROM_ZERO,
        curves: &[
            ("generator", |run| measured(run, |p| p.g_learning_rate)),
            ("discriminator", |run| measured(run, |p| p.d_learning_rate)),
        ],
    },
    Definition {
        title: "Speed",
        note: "Steps per second, with everything.",
        logarithmic: false,
        bounds: FROM_ZERO,
        curves: &[("steps per second", |run| measured(run, |p| p.steps_per_second))],
    },
];

/// The charts of a page. One run has the curves of a definition in one chart; of several runs, each curve has a chart
/// with a line for each run.
pub(super) fn of(runs: &[Run]) -> Vec<Chart> {
    let mut charts = Vec::new();
    for definition in DEFINITIONS {
        let chart = |title: String, series| Chart {
            title,
            note: definition.note.into(),
            series,
            logarithmic: definition.logarithmic,
            bounds: definition.bounds,
        };
        if let [run] = runs {
            let series = definition.curves.iter().enumerate().map(|(colour, (name, course))| Series {
                name: (*name).into(),
                colour,
                points: course(run),
                dashed: name.starts_with("floor"),
            });
            charts.push(chart(definition.title.into(), series.collect()));
            continue;
        }
        for (name, course) in definition.curves.iter().filter(|(name, _)| !name.starts_with("floor")) {
            let title = match definition.curves.len() {
                1 => definition.title.into(),
                _ => format!("{}: {name}", definition.title),
            };
            let series = runs.iter().enumerate().map(|(colour, run)| Series {
                name: run.name.clone(),
                colour,
                points: course(run),
                dashed: false,
            });
            charts.push(chart(title, series.collect()));
        }
    }
    charts
}
