//! TensorBoard's event file: losses, learning rates, metrics and sample grids, for `tensorboard --logdir runs`.
//!
//! A file of records: the length of the data as 8 bytes, its check, the data, its check; each check is a masked
//! CRC-32C. The data is a message `Event` (tensorflow/core/util/event.proto, framework/summary.proto).

use std::time::{SystemTime, UNIX_EPOCH};

use gannet::export::crc32;
use gannet::export::protobuf::Message;
use serde_json::Value;

use super::observer::{End, Next, Observer, Samples, Step};
use crate::error::{Error, Result};
use crate::run::metrics_file::Point;
use crate::run::{EVENTS, Log, Os, RunDirectory};

/// Writes the event file of a run: the losses of every step, what is measured, and the grids.
#[derive(Debug)]
pub struct TensorBoard {
    log: Log,
}

impl TensorBoard {
    /// For this run.
    pub fn new(run: &RunDirectory) -> Self {
        let version = event(None).text(3, "brain.Event:2");
        TensorBoard { log: Log::new(run.path().join(EVENTS), record(version.as_bytes())) }
    }

    /// Adds numbers of a step.
    fn scalars<'a>(&mut self, step: u64, scalars: impl IntoIterator<Item = (&'a str, f64)>) {
        let values: Vec<Message> = scalars
            .into_iter()
            .map(|(tag, value)| Message::new().text(1, tag).float(2, value as f32))
            .collect();
        self.summary(step, &values);
    }

    fn summary(&mut self, step: u64, values: &[Message]) {
        let event = event(Some(step)).message(5, &Message::new().messages(1, values));
        self.log.append(&record(event.as_bytes()));
    }
}

impl Observer for TensorBoard {
    fn name(&self) -> &'static str {
        "tensorboard"
    }

    fn stepped(&mut self, step: &Step) -> Result<Next> {
        let losses = step.losses;
        self.scalars(
            step.number,
            [("loss/d_real", losses.d_real), ("loss/d_fake", losses.d_fake), ("loss/g", losses.g)],
        );
        Ok(Next::GoOn)
    }

    fn sampled(&mut self, samples: &Samples<'_>) -> Result<Next> {
        let (shape, png) = (samples.grid.shape, samples.grid.to_png()?);
        let image = Message::new()
            .integer(1, shape.height as i64)
            .integer(2, shape.width as i64)
            .integer(3, shape.channels as i64)
            .bytes(4, &png);
        self.summary(samples.step, &[Message::new().text(1, "samples").message(4, &image)]);
        Ok(Next::GoOn)
    }

    fn measured(&mut self, point: &Point) -> Result<()> {
        let Value::Object(values) = serde_json::to_value(point).map_err(Error::failure)? else {
            return Ok(());
        };
        let mut scalars = Vec::new();
        for (key, value) in &values {
            if let Some(tag) = tag(key) {
                flatten(&tag, value, &mut scalars);
            }
        }
        if !scalars.is_empty() {
            self.scalars(point.step, scalars.iter().map(|(tag, value)| (tag.as_str(), *value)));
        }
        Ok(())
    }

    fn logs(&mut self) -> Vec<&mut Log> {
        vec![&mut self.log]
    }

    fn ended(&mut self, _: &End) -> Result<()> {
        self.log.flush(&Os)
    }
}

/// An event at this moment.
fn event(step: Option<u64>) -> Message {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let event = Message::new().double(1, now.as_secs_f64());
    match step {
        Some(step) => event.integer(2, step as i64),
        None => event,
    }
}

/// What a measured number is called; losses are there for every step already.
fn tag(key: &str) -> Option<String> {
    match key {
        "step" | "images" | "seconds" | "d_real" | "d_fake" | "g" | "event" => None,
        "steps_per_second" => Some("speed/steps_per_second".into()),
        "evaluation" => Some("evaluation".into()),
        key => match key.strip_suffix("_learning_rate") {
            Some(model) => Some(format!("learning_rate/{model}")),
            None => Some(format!("metrics/{key}")),
        },
    }
}

/// The numbers in a value, each with the keys that lead to it.
fn flatten(tag: &str, value: &Value, scalars: &mut Vec<(String, f64)>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                flatten(&format!("{tag}/{key}"), value, scalars);
            }
        }
        value => scalars.extend(value.as_f64().map(|number| (tag.to_owned(), number))),
    }
}

/// A record of the file.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// The check of a record, turned and moved, so that the check of data that holds checks is none of them.
fn masked(bytes: &[u8]) -> u32 {
    crc32::CASTAGNOLI.of(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use gannet::Losses;

    use super::*;
    use crate::run::{Evaluation, FeaturesUsed, Scores};
    use crate::training::Outcome;

    /// The records of a file, their checks verified.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert_eq!(bytes[8..12], masked(&bytes[..8]).to_le_bytes());
            let data = &bytes[12..12 + length];
            assert_eq!(bytes[12 + length..16 + length], masked(data).to_le_bytes());
            records.push(data.to_vec());
            bytes = &bytes[16 + length..];
        }
        records
    }

    fn contains(record: &[u8], part: &[u8]) -> bool {
        record.windows(part.len()).any(|window| window == part)
    }

    fn evaluation() -> Evaluation {
        let scores = Scores {
            images: 2,
            frechet_distance: 1.0,
            kernel_distance: 1.0,
            kernel_distance_std: 1.0,
            precision: 0.25,
            recall: 1.0,
            density: 1.0,
            coverage: 1.0,
            class_shares: vec![1.0],
            class_divergence: Some(0.0),
            sliced_wasserstein: Vec::new(),
            class_accuracy: None,
        };
        Evaluation {
            count: 2,
            seed: 1,
            dataset: "mnist".into(),
            test_images: 3,
            features: FeaturesUsed {
                name: "c".into(),
                sha256: "00".into(),
                test_accuracy: None,
                self_supervised: false,
            },
            generated: scores.clone(),
            floor: scores,
            memorisation: None,
            train_on_synthetic: None,
        }
    }

    /// The first record that TensorFlow itself wrote into an event file of 2016, but for the time.
    #[test]
    fn a_record_has_the_bytes_that_tensorflow_writes() {
        let data = Message::new().double(1, 0.0).text(3, "brain.Event:2").into_bytes();
        let record = record(&data);
        assert_eq!(record[..12], *b"\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22");
        assert_eq!(record[12..21], *b"\x09\0\0\0\0\0\0\0\0");
        assert_eq!(record[21..36], *b"\x1a\x0dbrain.Event:2");
        assert_eq!(record.len(), 40);
    }

    #[test]
    fn losses_and_metrics_are_there_once_after_a_run_went_back() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(&folder.path().join("run")).unwrap();
        let mut board = TensorBoard::new(&run);
        board.log.create().unwrap();
        let losses = Losses { d_real: 0.5, d_fake: 0.25, g: 2.0 };
        let step = |number| Step { number, images: 0, losses, elapsed: Duration::ZERO };
        let rates = Point {
            step: 1,
            g: Some(2.0),
            g_learning_rate: Some(0.5),
            evaluation: Some(evaluation()),
            ..Point::default()
        };
        let diversity = |diversity| Point { step: 2, diversity: Some(diversity), ..Point::default() };
        board.stepped(&step(1)).unwrap();
        board.measured(&rates).unwrap();
        let (length, state) = (board.log.sync(&Os).unwrap(), board.state());
        // What follows is undone: the run goes back to the checkpoint after step 1.
        board.stepped(&step(2)).unwrap();
        board.measured(&diversity(9.0)).unwrap();
        board.log.flush(&Os).unwrap();

        let mut board = TensorBoard::new(&run);
        board.restored(1, &state).unwrap();
        board.log.resume(length).unwrap();
        board.stepped(&step(2)).unwrap();
        board.measured(&diversity(0.75)).unwrap();
        let end = End {
            step: 2,
            steps: 2,
            began_at_step: 0,
            outcome: Outcome::Finished,
            elapsed: Duration::ZERO,
            took: Duration::ZERO,
            before_collapse: None,
        };
        board.ended(&end).unwrap();
        let records = records(&fs::read(run.path().join(EVENTS)).unwrap());
        assert_eq!(records.len(), 5);
        assert!(contains(&records[0], b"brain.Event:2"));
        // A tag, and the number behind it.
        let scalar = |tag: &str, value: f32| Message::new().text(1, tag).float(2, value).into_bytes();
        for (record, step, scalars) in [
            (1, 1, &[("loss/d_real", 0.5), ("loss/d_fake", 0.25), ("loss/g", 2.0)][..]),
            (2, 1, &[("learning_rate/g", 0.5), ("evaluation/floor/precision", 0.25)]),
            (3, 2, &[("loss/g", 2.0)]),
            (4, 2, &[("metrics/diversity", 0.75)]),
        ] {
            assert_eq!(records[record][9..11], [0x10, step], "{record}");
            for (tag, value) in scalars {
                assert!(contains(&records[record], &scalar(tag, *value)), "{record}: {tag}");
            }
        }
        assert!(!contains(&records[2], b"loss/g"));
    }
}
