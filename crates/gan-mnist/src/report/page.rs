//! report.html: what happened in a run, or in several, as one file that needs nothing else.
//!
//! Curves are drawn as SVG while the page is made; its script only shows values on hover and moves the slider.

use std::collections::BTreeMap;
use std::path::Path;

use gannet_data::files;
use serde::Serialize;

use super::chart::{Hover, number};
use super::charts;
use super::html::{escape, png_address, script_json};
use super::run::Run;
use crate::animation::spread;
use crate::error::{Error, Result};
use crate::run::Evaluation;
use crate::terminal::duration;

/// The name of a run's report in its directory.
pub const REPORT: &str = "report.html";

/// Grids that a page holds of one run, at most.
const MOST_GRIDS: usize = 24;

/// As many as all its runs may have together.
const MOST_GRIDS_IN_ALL: usize = 60;

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
    let drawn: Vec<(String, Hover)> = charts::of(runs)
        .iter()
        .enumerate()
        .filter_map(|(id, chart)| chart.draw(id, steps).map(|(html, hover)| (id, html, hover)))
        // The numbers of what is drawn, without gaps.
        .enumerate()
        .map(|(k, (id, html, hover))| {
            (html.replace(&format!("data-chart=\"{id}\""), &format!("data-chart=\"{k}\"")), hover)
        })
        .collect();
    let (charts, hovers): (Vec<String>, Vec<Hover>) = drawn.into_iter().unzip();
    let grids = grids(runs)?;
    #[derive(Serialize)]
    struct Data<'a> {
        charts: Vec<Hover>,
        grids: &'a [Grids],
    }
    let data = serde_json::to_string(&Data { charts: hovers, grids: &grids }).map_err(Error::failure)?;
    let mut body = String::new();
    body.push_str(&header(runs, &title));
    body.push_str(&events(runs));
    body.push_str(&slider(&grids, runs.len() > 1));
    if !charts.is_empty() {
        body.push_str(&format!("<h2>Curves</h2>\n<div class=\"charts\">\n{}</div>\n", charts.concat()));
    }
    body.push_str(&evaluations(runs));
    body.push_str(&settings(runs));
    body.push_str(&commands(runs));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{}</style>\n</head>\n<body>\n<main>\n{body}\
         <footer>Made by gan-mnist {}. This file needs no network.</footer>\n</main>\n\
         <script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
        escape(&title),
        include_str!("page.css"),
        env!("CARGO_PKG_VERSION"),
        script_json(&data),
        include_str!("page.js"),
    ))
}

/// Name, and the figures that one asks for first.
fn header(runs: &[Run], title: &str) -> String {
    let mut html = format!("<header><h1>{}</h1>\n", escape(title));
    for (k, run) in runs.iter().enumerate() {
        let preset = run.setting("preset").unwrap_or("a model");
        let dataset =
            ["data.dataset", "data.path"].iter().find_map(|key| run.setting(key)).unwrap_or("images");
        let device =
            run.setting("device_description").or(run.setting("device")).unwrap_or("an unknown device");
        let mut line = format!("{preset} on {dataset}, {device}");
        if runs.len() > 1 {
            line = format!("{}: {line}", run.name);
        }
        let mark = if runs.len() > 1 { format!("<i class=\"s{}\"></i>", k % 8) } else { String::new() };
        html.push_str(&format!("<p class=\"lead\">{mark}{}</p>\n<dl class=\"figures\">", escape(&line)));
        for (name, value) in figures(run) {
            html.push_str(&format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(&value)));
        }
        html.push_str("</dl>\n");
    }
    html + "</header>\n"
}

/// The figures of a run that one asks for first.
fn figures(run: &Run) -> Vec<(&'static str, String)> {
    let mut figures = Vec::new();
    let (last, steps) = (run.last_step(), run.setting("steps").and_then(|steps| steps.parse::<u64>().ok()));
    figures.push(match steps {
        Some(steps) if last < steps => ("steps", format!("{last} of {steps}")),
        _ => ("steps", last.to_string()),
    });
    if let Some(batch) = run.setting("batch_size").and_then(|batch| batch.parse::<u64>().ok()) {
        figures.push(("images seen", number((last * batch) as f64)));
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

/// What happened in the runs.
fn events(runs: &[Run]) -> String {
    let mut items = String::new();
    for run in runs {
        let place = if runs.len() > 1 { format!("{}, ", run.name) } else { String::new() };
        for point in &run.points {
            if let Some(event) = &point.event {
                let kind = format!("{:?}", event.kind).to_lowercase();
                let text = format!("{place}step {}, {kind}: {}", point.step, event.message);
                items.push_str(&format!("<li>{}</li>\n", escape(&text)));
            }
        }
    }
    if items.is_empty() {
        items
    } else {
        format!("<section class=\"events\"><h2>What happened</h2><ul>\n{items}</ul></section>\n")
    }
}

/// The grids of a run as the script takes them.
#[derive(Debug, Serialize)]
struct Grids {
    name: String,
    colour: usize,
    steps: Vec<u64>,
    images: Vec<String>,
}

fn grids(runs: &[Run]) -> Result<Vec<Grids>> {
    let most = (MOST_GRIDS_IN_ALL / runs.len().max(1)).clamp(1, MOST_GRIDS);
    let mut grids = Vec::new();
    for (k, run) in runs.iter().enumerate().filter(|(_, run)| !run.grids.is_empty()) {
        let (mut steps, mut images) = (Vec::new(), Vec::new());
        for (step, path) in spread(&run.grids, most) {
            let png = std::fs::read(&path).map_err(|e| Error::cannot_read(&path, &e))?;
            steps.push(step);
            images.push(png_address(&png));
        }
        grids.push(Grids { name: run.name.clone(), colour: k % 8, steps, images });
    }
    Ok(grids)
}

fn slider(grids: &[Grids], named: bool) -> String {
    let Some(longest) = grids.iter().map(|g| g.steps.len()).max() else { return String::new() };
    let mut html =
        "<section class=\"samples\"><h2>Samples through training</h2>\n<div class=\"grids\">".to_string();
    for (k, grid) in grids.iter().enumerate() {
        let (Some(step), Some(image)) = (grid.steps.last(), grid.images.last()) else { continue };
        let name = if named {
            format!("<i class=\"s{}\"></i>{}, ", grid.colour, escape(&grid.name))
        } else {
            String::new()
        };
        html.push_str(&format!(
            "<figure><img src=\"{image}\" alt=\"Samples of {} from fixed latents\" data-grid=\"{k}\">\
             <figcaption>{name}<span data-step=\"{k}\">step {step}</span></figcaption></figure>",
            escape(&grid.name)
        ));
    }
    html.push_str("</div>\n");
    if longest > 1 {
        html.push_str(&format!(
            "<div class=\"slider\"><button type=\"button\" id=\"play\">Play</button>\
             <input type=\"range\" id=\"time\" min=\"0\" max=\"{0}\" value=\"{0}\" aria-label=\"Progress of training\">\
             </div>\n",
            longest - 1
        ));
    }
    html + "</section>\n"
}

/// The scores of the runs, beside their floors.
fn evaluations(runs: &[Run]) -> String {
    let scored: Vec<(&Run, Option<u64>, &Evaluation)> = runs
        .iter()
        .filter_map(|run| run.evaluation.as_ref().map(|(step, evaluation)| (run, *step, evaluation)))
        .collect();
    if scored.is_empty() {
        let advice = "No scores yet: <code>gan-mnist evaluate</code> on the run directory, or training with \
                      <code>--evaluate-every</code>, adds them.";
        return format!("<h2>Evaluation</h2>\n<p class=\"note\">{advice}</p>\n");
    }
    let mut html = "<h2>Evaluation</h2>\n".to_string();
    let mut counts: Vec<usize> = scored.iter().map(|(_, _, e)| e.count).collect();
    counts.dedup();
    let mut hashes: Vec<&str> = scored.iter().map(|(_, _, e)| e.features.sha256.as_str()).collect();
    hashes.dedup();
    if counts.len() > 1 || hashes.len() > 1 {
        html.push_str(
            "<p class=\"note\">These scores cannot be compared with one another: the numbers of images or the \
             features differ.</p>\n",
        );
    }
    for (run, step, evaluation) in &scored {
        let when = step.map_or("The finished model".into(), |step| format!("The model after step {step}"));
        let name = if runs.len() > 1 { format!("{}. ", run.name) } else { String::new() };
        let text = format!(
            "{name}{when}: {} images against {} test images of {}. Features: {}.",
            evaluation.count,
            evaluation.test_images,
            evaluation.dataset,
            evaluation.features.describe()
        );
        html.push_str(&format!("<p class=\"note\">{}</p>\n", escape(&text)));
    }
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
    html.push_str(&table(&head, &rows.collect::<Vec<_>>(), "numbers"));
    for (run, _, evaluation) in scored {
        if evaluation.memorisation.as_ref().is_some_and(|found| found.suspicious) {
            let text =
                format!("{}: there are more copies of training images than chance explains.", run.name);
            html.push_str(&format!("<p class=\"note\">{}</p>\n", escape(&text)));
        }
    }
    html
}

/// The settings: those that differ between runs first.
fn settings(runs: &[Run]) -> String {
    let mut keys: Vec<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| *key != "command");
    let value = |run: &Run, key: &str| run.setting(key).unwrap_or("").to_owned();
    let differs = |key: &str| runs.iter().any(|run| run.setting(key) != runs[0].setting(key));
    let (other, same): (Vec<&String>, Vec<&String>) = keys.into_iter().partition(|key| differs(key));
    let mut html = String::new();
    if runs.len() > 1 {
        let head: Vec<String> =
            std::iter::once("").chain(runs.iter().map(|run| run.name.as_str())).map(String::from).collect();
        let rows: Vec<Vec<String>> = other
            .iter()
            .map(|key| {
                std::iter::once((*key).clone()).chain(runs.iter().map(|run| value(run, key))).collect()
            })
            .collect();
        html.push_str("<h2>Settings that differ</h2>\n");
        html.push_str(&table(&head, &rows, ""));
    }
    let rows: Vec<Vec<String>> = same.iter().map(|key| vec![(*key).clone(), value(&runs[0], key)]).collect();
    let title = if runs.len() > 1 { "Settings that all share" } else { "Settings and environment" };
    html.push_str(&format!("<h2>{title}</h2>\n{}", table(&[], &rows, "")));
    for run in runs {
        if let Some(model) = &run.model {
            let name = if runs.len() > 1 { format!(" of {}", escape(&run.name)) } else { String::new() };
            html.push_str(&format!(
                "<details><summary>Networks and recipe{name}</summary><pre>{}</pre></details>\n",
                escape(model)
            ));
        }
    }
    html
}

/// How to do it again.
fn commands(runs: &[Run]) -> String {
    let commands: String = runs
        .iter()
        .filter_map(|run| run.setting("command"))
        .map(|command| format!("<pre class=\"command\">{}</pre>\n", escape(command)))
        .collect();
    let plural = if runs.len() > 1 { "s" } else { "" };
    if commands.is_empty() { commands } else { format!("<h2>To repeat the run{plural}</h2>\n{commands}") }
}

/// A table; the first cell of each row is its heading.
fn table(head: &[String], rows: &[Vec<String>], class: &str) -> String {
    let mut html = format!("<div class=\"table\"><table class=\"{class}\">");
    if !head.is_empty() {
        let cells: String =
            head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell))).collect();
        html.push_str(&format!("<thead><tr>{cells}</tr></thead>"));
    }
    html.push_str("<tbody>");
    for row in rows {
        for (k, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            html.push_str(&match k {
                0 => format!("<tr><th scope=\"row\">{}</th>", cell.trim_start()),
                _ => format!("<td>{cell}</td>"),
            });
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody></table></div>\n"
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
