//! report.html: what happened in a run, or in several, as one file that needs nothing else.
//!
//! Curves are drawn as SVG while the page is made; its script only shows values on hover and moves the slider.

use std::collections::BTreeMap;
use std::path::Path;

use gannet_data::files;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::chart::{Hover, number};
use super::charts;
use super::html::{printable, script_json};
use super::pictures::{Grids, Pictures, pictures};
use super::run::Run;
use crate::error::{Error, Result};
use crate::run::Evaluation;
use crate::terminal::duration;

/// The name of a run's report in its directory.
pub const REPORT: &str = "report.html";

/// The style of pages.
pub(crate) const STYLE: &str = include_str!("page.css");

/// The script that shows the values of charts.
pub(crate) const CHARTS: &str = include_str!("charts.js");

/// Writes report.html into a run directory.
pub fn write(run: &Path) -> Result<()> {
    let page = page(&[Run::read(run)?])?;
    Ok(files::write_whole(&run.join(REPORT), page.as_bytes())?)
}

/// The page of one run or several. Errors when a grid cannot be read.
pub fn page(runs: &[Run]) -> Result<String> {
    let title = runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(", ");
    let title = if runs.len() > 1 { format!("Runs {title}") } else { format!("Run {title}") };
    let steps = runs.iter().map(Run::last_step).max().unwrap_or(0).max(1) as f64;
    let mut drawn: Vec<(Markup, Hover)> = Vec::new();
    for chart in charts::of(runs) {
        drawn.extend(chart.draw(drawn.len(), steps));
    }
    let (charts, hovers): (Vec<Markup>, Vec<Hover>) = drawn.into_iter().unzip();
    let Pictures { grids, real } = pictures(runs)?;
    #[derive(Serialize)]
    struct Data<'a> {
        charts: Vec<Hover>,
        grids: &'a [Grids],
    }
    let data = serde_json::to_string(&Data { charts: hovers, grids: &grids }).map_err(Error::failure)?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (header(runs, &title))
                    (events(runs))
                    (slider(&grids, &real, runs))
                    @if !charts.is_empty() {
                        h2 { "Curves" }
                        div.charts { @for chart in &charts { (chart) } }
                    }
                    (evaluations(runs))
                    (settings(runs))
                    (commands(runs))
                    footer { "Made by gan-mnist " (env!("CARGO_PKG_VERSION")) ". This file needs no network." }
                }
                script type="application/json" id="data" { (PreEscaped(script_json(&data))) }
                script { (PreEscaped(CHARTS)) }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    Ok(printable(&page.into_string()))
}

/// The mark of a run's colour, where there are several.
fn mark(colour: usize, named: bool) -> Markup {
    html! { @if named { i class={ "s" (colour) } {} } }
}

/// What is trained, on what, and where.
pub(super) fn about(run: &Run) -> String {
    let preset = run.setting("preset").unwrap_or("a model");
    let dataset = ["data.dataset", "data.path"].iter().find_map(|key| run.setting(key)).unwrap_or("images");
    let device = run.setting("device_description").or(run.setting("device")).unwrap_or("an unknown device");
    format!("{preset} on {dataset}, {device}")
}

/// Name, and the figures that one asks for first.
fn header(runs: &[Run], title: &str) -> Markup {
    let named = runs.len() > 1;
    let line = |run: &Run| {
        let name = if named { format!("{}: ", run.name) } else { String::new() };
        name + &about(run)
    };
    html! {
        header {
            h1 { (title) }
            @for (k, run) in runs.iter().enumerate() {
                p.lead { (mark(k % 8, named)) (line(run)) }
                dl.figures {
                    @for (name, value) in figures(run) { div { dt { (name) } dd { (value) } } }
                }
            }
        }
    }
}

/// The figures of a run that one asks for first.
pub(super) fn figures(run: &Run) -> Vec<(&'static str, String)> {
    let mut figures = Vec::new();
    let (last, steps) = (run.last_step(), run.steps());
    figures.push(match steps {
        Some(steps) if last < steps => ("steps", format!("{last} of {steps}")),
        _ => ("steps", last.to_string()),
    });
    if let Some(images) = run.images_seen() {
        figures.push(("images seen", number(images as f64)));
    }
    if let Some(seconds) = run.last(|p| p.seconds) {
        figures.push(("trained for", duration(std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e15)))));
    }
    if let Some((_, evaluation)) = &run.evaluation {
        let (found, floor) = (evaluation.generated.frechet_distance, evaluation.floor.frechet_distance);
        figures.push(("Frechet distance (floor)", format!("{found:.1} ({floor:.1})")));
    }
    if let Some(diversity) = run.last(|p| p.diversity) {
        figures.push(("diversity", format!("{:.0} % of real", 100.0 * diversity)));
    }
    if let Some(row) = run.losses.last() {
        figures.push(("last losses D, G", format!("{}, {}", number(row[1] + row[2]), number(row[3]))));
    }
    figures
}

/// What happened in the runs, a line each.
pub(super) fn event_lines(runs: &[Run]) -> Vec<String> {
    let lines = runs.iter().flat_map(|run| {
        let place = if runs.len() > 1 { format!("{}, ", run.name) } else { String::new() };
        run.points.iter().filter_map(move |point| {
            let event = point.event.as_ref()?;
            let kind = format!("{:?}", event.kind).to_lowercase();
            Some(format!("{place}step {}, {kind}: {}", point.step, event.message))
        })
    });
    lines.collect()
}

/// What happened in the runs.
fn events(runs: &[Run]) -> Markup {
    let lines = event_lines(runs);
    html! {
        @if !lines.is_empty() {
            section.events {
                h2 { "What happened" }
                ul { @for line in &lines { li { (line) } } }
            }
        }
    }
}

/// What the columns of a run's grids show, where its classes have names.
pub(super) fn columns(run: &Run) -> Option<String> {
    const SHOWN: usize = 30;
    let names = &run.class_names;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    (!names.is_empty()).then(|| shown + more)
}

fn slider(grids: &[Grids], real: &[(usize, String)], runs: &[Run]) -> Markup {
    let named = runs.len() > 1;
    let Some(longest) = grids.iter().map(|g| g.steps.len()).max() else { return html! {} };
    html! {
        section.samples {
            h2 { "Samples through training" }
            div.grids {
                @for (k, grid) in grids.iter().enumerate() {
                    @if let (Some(step), Some(image)) = (grid.steps.last(), grid.images.last()) {
                        figure {
                            img src=(image) alt={ "Samples of " (grid.name) " from fixed latents" } data-grid=(k);
                            figcaption {
                                (mark(grid.colour, named))
                                @if named { (grid.name) ", " }
                                span data-step=(k) { "step " (step) }
                                @if let Some(columns) = runs.iter().find(|run| run.name == grid.name).and_then(columns) { "; columns in turn: " (columns) }
                            }
                        }
                    }
                }
                @for (run, image) in real {
                    figure {
                        img src=(image) alt={ "Training images of " (runs[*run].name) };
                        figcaption { @if named { (runs[*run].name) ", " } "training images" }
                    }
                }
            }
            @if longest > 1 {
                div.slider {
                    button type="button" id="play" { "Play" }
                    input type="range" id="time" min="0" max=(longest - 1) value=(longest - 1)
                        aria-label="Progress of training";
                }
            }
        }
    }
}

/// The scores of the runs, beside their floors.
pub(super) fn evaluations(runs: &[Run]) -> Markup {
    let scored: Vec<(&Run, Option<u64>, &Evaluation)> = runs
        .iter()
        .filter_map(|run| run.evaluation.as_ref().map(|(step, evaluation)| (run, *step, evaluation)))
        .collect();
    if scored.is_empty() {
        return html! {
            h2 { "Evaluation" }
            p.note {
                "No scores yet: " code { "gan-mnist evaluate" } " on the run directory, or training with "
                code { "--evaluate-every" } ", adds them."
            }
        };
    }
    let mut counts: Vec<usize> = scored.iter().map(|(_, _, e)| e.count).collect();
    counts.dedup();
    let mut hashes: Vec<&str> = scored.iter().map(|(_, _, e)| e.features.sha256.as_str()).collect();
    hashes.dedup();
    let what = |(run, step, evaluation): &(&Run, Option<u64>, &Evaluation)| {
        let when = step.map_or("The finished model".into(), |step| format!("The model after step {step}"));
        let name = if runs.len() > 1 { format!("{}. ", run.name) } else { String::new() };
        format!(
            "{name}{when}: {} images against {} test images of {}. Features: {}.",
            evaluation.count,
            evaluation.test_images,
            evaluation.dataset,
            evaluation.features.describe()
        )
    };
    let mut head = vec!["".to_string()];
    let mut columns: Vec<BTreeMap<String, String>> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (run, _, evaluation) in &scored {
        let memorisation = evaluation.memorisation.iter().flat_map(|found| found.rows());
        let (mut own, mut floor) = (BTreeMap::new(), BTreeMap::new());
        for [name, generated, real] in evaluation.rows().into_iter().chain(memorisation) {
            if !names.contains(&name) {
                names.push(name.clone());
            }
            own.insert(name.clone(), generated);
            floor.insert(name, real);
        }
        let of = if runs.len() > 1 { run.name.as_str() } else { "generated" };
        head.push(of.into());
        head.push(if runs.len() > 1 { "its floor".into() } else { "floor: real images".into() });
        columns.extend([own, floor]);
    }
    let rows = names.iter().map(|name| {
        let cells = columns.iter().map(|column| column.get(name).cloned().unwrap_or_default());
        std::iter::once(name.clone()).chain(cells).collect::<Vec<_>>()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    html! {
        h2 { "Evaluation" }
        @if counts.len() > 1 || hashes.len() > 1 {
            p.note {
                "These scores cannot be compared with one another: the numbers of images or the features differ."
            }
        }
        @for scored in &scored { p.note { (what(scored)) } }
        (table(&head, &rows, Some("numbers")))
        @for (run, _, evaluation) in &scored {
            @if evaluation.memorisation.as_ref().is_some_and(|found| found.suspicious) {
                p.note { (run.name) ": there are more copies of training images than chance explains." }
            }
        }
    }
}

/// The settings: those that differ between runs first.
pub(super) fn settings(runs: &[Run]) -> Markup {
    let mut keys: Vec<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| *key != "command");
    let value = |run: &Run, key: &str| run.setting(key).unwrap_or("").to_owned();
    let differs = |key: &str| runs.iter().any(|run| run.setting(key) != runs[0].setting(key));
    let (other, same): (Vec<&String>, Vec<&String>) = keys.into_iter().partition(|key| differs(key));
    let several = runs.len() > 1;
    let head: Vec<String> =
        std::iter::once("").chain(runs.iter().map(|run| run.name.as_str())).map(String::from).collect();
    let row = |key: &&String, runs: &[Run]| {
        std::iter::once((*key).clone()).chain(runs.iter().map(|run| value(run, key))).collect::<Vec<_>>()
    };
    let differing: Vec<Vec<String>> = other.iter().map(|key| row(key, runs)).collect();
    let shared: Vec<Vec<String>> = same.iter().map(|key| row(key, &runs[..1])).collect();
    html! {
        @if several {
            h2 { "Settings that differ" }
            (table(&head, &differing, None))
        }
        h2 { @if several { "Settings that all share" } @else { "Settings and environment" } }
        (table(&[], &shared, None))
        @for run in runs {
            @if let Some(model) = &run.model {
                details {
                    summary { "Networks and recipe" @if several { " of " (run.name) } }
                    pre { (model) }
                }
            }
        }
    }
}

/// How to do it again.
pub(super) fn commands(runs: &[Run]) -> Markup {
    let commands: Vec<&str> = runs.iter().filter_map(|run| run.setting("command")).collect();
    html! {
        @if !commands.is_empty() {
            h2 { "To repeat the run" @if runs.len() > 1 { "s" } }
            @for command in commands { pre.command { (command) } }
        }
    }
}

/// A table; the first cell of each row is its heading.
fn table(head: &[String], rows: &[Vec<String>], class: Option<&str>) -> Markup {
    html! {
        div.table {
            table class=[class] {
                @if !head.is_empty() {
                    thead { tr { @for cell in head { th scope="col" { (cell) } } } }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (k, cell) in row.iter().enumerate() {
                                @if k == 0 { th scope="row" { (cell.trim_start()) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use gannet_data::ImageShape;

    use crate::picture::Picture;
    use crate::run::EVALUATION;
    use crate::run::metrics_file::METRICS;

    /// A run directory with everything a run leaves, and names that are markup.
    fn directory(folder: &Path, name: &str) -> PathBuf {
        let run = folder.join(name);
        std::fs::create_dir_all(run.join("samples")).unwrap();
        let config = "preset = \"<b>tiny</b>\"\nsteps = 200\nbatch_size = 8\nseed = 1\ncommand = \"gan-mnist train --out 'a&b'\"\n\
                      [model]\nname = \"</pre><script>alert(1)</script>\"\n";
        std::fs::write(run.join("config.toml"), config).unwrap();
        let rows: String = (1..=200).map(|k| format!("{k},0.5,0.{},1.5\n", k % 10)).collect();
        std::fs::write(run.join("losses.csv"), format!("step,d_real,d_fake,g\n{rows}201,0.")).unwrap();
        let point = "{\"step\":100,\"images\":800,\"seconds\":90,\"diversity\":0.5,\"d_accuracy_real\":0.9,\
                     \"event\":{\"kind\":\"collapse\",\"message\":\"<img src=x onerror=alert(1)>\"}}\n";
        std::fs::write(run.join(METRICS), point).unwrap();
        let shape = ImageShape { height: 4, width: 4, channels: 1 };
        for step in [100, 200] {
            let picture = Picture { shape, pixels: vec![9; 16] };
            picture.save_png(&run.join(format!("samples/step-{step:06}.png"))).unwrap();
        }
        run
    }

    #[test]
    fn a_page_has_what_the_run_has_and_text_is_text() {
        let folder = tempfile::tempdir().unwrap();
        let run = directory(folder.path(), "one");
        write(&run).unwrap();
        let page = std::fs::read_to_string(run.join(REPORT)).unwrap();
        for part in [
            "Losses",
            "Diversity",
            "What happened",
            "data:image/png;base64,",
            "gan-mnist train --out",
            "id=\"time\"",
        ] {
            assert!(page.contains(part), "{part}");
        }
        for part in ["<b>tiny", "<script>alert", "<img src=x", "http://", "https://"] {
            assert!(!page.contains(part), "{part}");
        }
        assert!(page.len() < 120_000, "{}", page.len());
    }

    #[test]
    fn several_runs_share_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let runs = ["one", "two"].map(|name| directory(folder.path(), name));
        std::fs::write(runs[1].join("config.toml"), "preset = \"other\"\nsteps = 400\nseed = 1\n").unwrap();
        std::fs::remove_file(runs[1].join(METRICS)).unwrap();
        let page = page(&Run::read_all(&runs).unwrap()).unwrap();
        for part in
            ["Runs one, two", "Settings that differ", "Settings that all share", "Networks and recipe of one"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("NaN") && page.contains("data-grid=\"1\""));
        let again = Run::read_all(&[runs[0].clone(), runs[0].clone()]).unwrap();
        assert_eq!(again[0].name, runs[0].display().to_string());
    }

    #[test]
    fn what_is_no_run_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let message = Run::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("is no run directory"), "{message}");
        let run = directory(folder.path(), "one");
        for (name, content, complaint) in [
            ("config.toml", "preset = ", "config.toml"),
            ("losses.csv", "step\n1,2,3\n", "losses.csv, line 2"),
            (EVALUATION, "{}", "these are no scores"),
        ] {
            let before = std::fs::read(run.join(name)).ok();
            std::fs::write(run.join(name), content).unwrap();
            let message = Run::read(&run).unwrap_err().to_string();
            assert!(message.contains(complaint), "{message}");
            match before {
                Some(before) => std::fs::write(run.join(name), before).unwrap(),
                None => std::fs::remove_file(run.join(name)).unwrap(),
            }
        }
    }
}
