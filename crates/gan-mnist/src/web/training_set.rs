//! The training pictures that travel in a page.

use std::path::Path;

use gannet::{Backend, Gan, Stream};
use gannet_data::{DataSet, LabelledImages};
use serde::Serialize;

use crate::arguments::DataArgs;
use crate::data::{check_fit, labels_of};
use crate::error::Result;
use crate::run::{data_of_run, run_of};
use crate::terminal::{Listening, counted, note};
use crate::training::image_shape;

/// A sample of the training pictures of a model.
#[derive(Debug)]
pub(crate) struct TrainingSet {
    pub(super) about: About,
    /// [N, height, width, channels], and then the labels `[N]` as the model is told them, of four bytes each.
    pub(super) bytes: Vec<u8>,
}

/// What the page's script has to know of them.
#[derive(Debug, Serialize)]
pub(super) struct About {
    pub(super) count: usize,
    /// What they are, in a sentence.
    pub(super) text: String,
    /// Whether they are mirrored at random.
    pub(super) flip: bool,
}

impl TrainingSet {
    /// At most `count` of the pictures that the flags name, or else of those that the run was trained on that `model`
    /// belongs to; nothing where there are none. Errors when they do not fit the model, or when pictures that the flags name
    /// cannot be read; that a run's cannot be found any more is told.
    pub(crate) fn open<B: Backend>(
        args: &DataArgs,
        model: &Path,
        gan: &Gan<B>,
        count: usize,
    ) -> Result<Option<TrainingSet>> {
        if count == 0 {
            return Ok(None);
        }
        if args.chooses() {
            let data = args.open(Some(image_shape(gan)?), gan.config().seed)?;
            return TrainingSet::of(gan, &data, count).map(Some);
        }
        let Some(record) = run_of(model).map_or(Ok(None), data_of_run)? else { return Ok(None) };
        let found = record.open(&Listening::default()).map_err(Into::into);
        match found.and_then(|data| TrainingSet::of(gan, &data, count)) {
            Ok(set) => Ok(Some(set)),
            Err(error) => {
                note(&format!("no training pictures travel in the page: {error}"));
                Ok(None)
            }
        }
    }

    fn of<B: Backend>(gan: &Gan<B>, data: &DataSet, count: usize) -> Result<TrainingSet> {
        check_fit(gan, data)?;
        // All of them in their order, or as many by chance, in the same order.
        let mut chosen = Stream::new(gan.config().seed, "pictures", 0).permutation(data.len());
        chosen.truncate(count);
        chosen.sort_unstable();
        let images = LabelledImages::copy_of(data.images().as_ref(), chosen.iter().copied())?;
        let labels: Vec<u32> = match (gan.training_labels(), labels_of(gan, data)?) {
            (None, _) => vec![0; chosen.len()],
            (Some(_), Some(labels)) => chosen.iter().map(|&index| labels[index]).collect(),
            (Some(_), None) => images.labels().unwrap_or_default().to_vec(),
        };
        let mut bytes = images.pixels().to_vec();
        bytes.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
        let (count, all) = (chosen.len(), data.len());
        // The last part of a path says enough to those who get the page.
        let name = data.name();
        let name = Path::new(&name).file_name().map_or(name.clone().into(), |name| name.to_string_lossy());
        let text = if count == all {
            format!("{} of {name}, which travel in this file.", counted(count as u64, "picture"))
        } else {
            format!("{count} of the {all} pictures of {name}, which travel in this file.")
        };
        Ok(TrainingSet { about: About { count, text, flip: data.flip() }, bytes })
    }

    /// What they are, in a sentence.
    pub(crate) fn text(&self) -> &str {
        &self.about.text
    }
}
