//! What a run directory says of its run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::run::metrics_file::{self, METRICS, Point};
use crate::run::{
    CONFIG, EVALUATION, Evaluation, LOSSES, REAL, SAMPLES, read_evaluation, read_losses, sample_grid_name,
    sample_grids,
};

/// What a run directory says of its run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The last part of its path.
    pub(super) name: String,
    path: PathBuf,
    /// config.toml, flat: `model.generator.name`.
    pub(super) settings: BTreeMap<String, String>,
    /// The networks and the recipe, as TOML.
    pub(super) model: Option<String>,
    /// What the classes that the model is told are called, where they have names.
    pub(super) class_names: Vec<String>,
    /// Rows of losses.csv: step, d_real, d_fake, g.
    pub(super) losses: Vec<[f64; 4]>,
    pub(super) points: Vec<Point>,
    pub(super) grids: Vec<(u64, PathBuf)>,
    /// Training images in one picture, a PNG.
    pub(super) real: Option<Vec<u8>>,
    /// The scores of `evaluate`, or the last of those taken in training, with the step.
    pub(super) evaluation: Option<(Option<u64>, Evaluation)>,
}

impl Run {
    /// Reads a run directory, whether its run has ended or not. Errors name the file, and what it should be.
    pub fn read(path: &Path) -> Result<Self> {
        let config = path.join(CONFIG);
        let text = std::fs::read_to_string(&config).map_err(|e| {
            let path = path.display();
            Error::failure(format!("{path} is no run directory: its config.toml cannot be read: {e}"))
        })?;
        Run::read_with(path, &text)
    }

    /// [`read`](Run::read), with another text in the place of config.toml: that of a run whose settings are about to change.
    pub(crate) fn read_with(path: &Path, text: &str) -> Result<Self> {
        let config = path.join(CONFIG);
        let mut table: toml::Table =
            text.parse().map_err(|e: toml::de::Error| Error::in_toml(&config, text, &e))?;
        let model = table.remove("model");
        let names = model.as_ref().and_then(|model| model.get("class_names")?.as_array());
        let class_names =
            names.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        let model = model.and_then(|model| toml::to_string(&model).ok());
        let mut settings = BTreeMap::new();
        flatten("", &toml::Value::Table(table), &mut settings);
        let points = metrics_file::read(&path.join(METRICS))?;
        let kept = read_evaluation(&path.join(EVALUATION))?.map(|evaluation| (None, evaluation));
        let in_training = || points.iter().rev().find_map(|p| Some((Some(p.step), p.evaluation.clone()?)));
        let name = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Ok(Run {
            name: name.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            path: path.into(),
            settings,
            model,
            class_names,
            losses: read_losses(&path.join(LOSSES))?,
            evaluation: kept.or_else(in_training),
            points,
            grids: sample_grids(path)?,
            real: std::fs::read(path.join(REAL)).ok(),
        })
    }

    /// Reads several. Those whose directories have the same name are called by their paths.
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut runs = paths.iter().map(|path| Run::read(path)).collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
        for run in &mut runs {
            if names.iter().filter(|name| **name == run.name).count() > 1 {
                run.name = run.path.display().to_string();
            }
        }
        Ok(runs)
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Training images in one picture, a PNG.
    pub(crate) fn real(&self) -> Option<&[u8]> {
        self.real.as_deref()
    }

    /// The sample grids by their steps, in order.
    pub(crate) fn grids(&self) -> &[(u64, PathBuf)] {
        &self.grids
    }

    /// A step was done: step, d_real, d_fake, g.
    pub(crate) fn add_losses(&mut self, row: [f64; 4]) {
        self.losses.push(row);
    }

    /// Something was measured.
    pub(crate) fn add_point(&mut self, point: Point) {
        if let Some(evaluation) = &point.evaluation {
            self.evaluation = Some((Some(point.step), evaluation.clone()));
        }
        self.points.push(point);
    }

    /// Where the sample grid of a step lies, if there is one.
    pub(crate) fn grid_path(&self, step: u64) -> PathBuf {
        self.path.join(SAMPLES).join(sample_grid_name(step))
    }

    /// The sample grid of a step was drawn.
    pub(crate) fn add_grid(&mut self, step: u64) {
        self.grids.push((step, self.grid_path(step)));
    }

    /// The run went back to where it was after `step`.
    pub(crate) fn go_back(&mut self, step: u64) {
        self.losses.retain(|row| row[0] <= step as f64);
        self.points.retain(|point| point.step <= step);
        self.grids.retain(|(of, _)| *of <= step);
    }

    /// The steps that the run is to take, if that is known.
    pub(crate) fn steps(&self) -> Option<u64> {
        self.setting("steps").and_then(|steps| steps.parse().ok())
    }

    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// The last step that anything is known of.
    pub(crate) fn last_step(&self) -> u64 {
        let losses = self.losses.last().map_or(0, |row| row[0] as u64);
        let points = self.points.last().map_or(0, |point| point.step);
        losses.max(points).max(self.grids.last().map_or(0, |(step, _)| *step))
    }

    /// The training images seen by the last step, if that is known.
    pub(super) fn images_seen(&self) -> Option<u64> {
        let last = self.last_step();
        let whole = |key: &str| self.setting(key).and_then(|number| number.parse::<u64>().ok());
        let batch = whole("batch_size").map(|batch| batch * whole("accumulate").unwrap_or(1));
        // Who changed the size of the batch counted along.
        let (step, images) = self.points.last().map_or((0, 0), |point| (point.step, point.images));
        batch.map(|batch| images + last.saturating_sub(step) * batch)
    }

    /// The last value of something that is measured now and then.
    pub(super) fn last(&self, of: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
        self.points.iter().rev().find_map(of)
    }
}

/// Settings by their paths.
fn flatten(path: &str, value: &toml::Value, settings: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, settings);
            }
        }
        toml::Value::String(text) => {
            settings.insert(path.into(), text.clone());
        }
        other => {
            settings.insert(path.into(), other.to_string());
        }
    }
}
