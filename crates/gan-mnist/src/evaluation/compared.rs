//! The real images that generated ones are compared with.

use std::borrow::Cow;
use std::path::Path;

use gannet::Stream;
use gannet_data::{DataRecord, DataSet, ImageShape, Images, LabelledImages};

use crate::arguments::DataArgs;
use crate::error::{Error, Result};
use crate::run::{data_of_run, run_of};
use crate::terminal::Listening;

/// The most training images that are compared: neighbours are looked for among all of them.
const MOST: usize = 100_000;

/// Training and test images in memory.
#[derive(Debug, Clone)]
pub struct Compared {
    /// What the set is called: `mnist`, or a path.
    pub name: String,
    /// Training images: all, or 100,000 drawn from them.
    pub train: LabelledImages,
    /// Test images. Where a set has none, the training images are cut in two halves, one of which stands for them.
    pub test: LabelledImages,
    /// Whether `test` is a half of the training images.
    pub halved: bool,
}

impl Compared {
    /// Reads the images that the flags name; without flags those that the run was trained on that `model` names, a run
    /// directory or a file in one; without a run the default. They come in `shape` where the flags leave a choice.
    pub fn open(args: &DataArgs, model: Option<&Path>, shape: Option<ImageShape>, seed: u64) -> Result<Self> {
        match record_of(args, model)? {
            Some(record) => {
                let listener = Listening::default();
                Compared::of(&record.open(&listener)?, record.open_test(&listener)?.as_ref(), seed)
            }
            None => Compared::of(&args.open(shape, seed)?, args.open_test(shape, seed)?.as_ref(), seed),
        }
    }

    /// The training images alone, in their order: the first 100,000. Chosen as [`open`](Compared::open) does.
    pub fn open_train(
        args: &DataArgs,
        model: Option<&Path>,
        shape: Option<ImageShape>,
        seed: u64,
    ) -> Result<(String, LabelledImages)> {
        let data = match record_of(args, model)? {
            Some(record) => record.open(&Listening::default())?,
            None => args.open(shape, seed)?,
        };
        let images = LabelledImages::copy_of(data.images().as_ref(), 0..data.len().min(MOST))?;
        Ok((data.name(), images))
    }

    /// The pixels that a model was trained on: those of a halved set that stand for test images are among them.
    pub fn trained_on(&self) -> Cow<'_, [u8]> {
        match self.halved {
            true => [self.train.pixels(), self.test.pixels()].concat().into(),
            false => self.train.pixels().into(),
        }
    }

    /// How many training and test images there are to compare with, where a set has so many, test images if any.
    pub fn sizes(train: usize, test: Option<usize>) -> (usize, usize) {
        let most = train.min(MOST);
        match test {
            Some(test) => (most, test.min(MOST)),
            None => (most - most / 2, most / 2),
        }
    }

    /// Reads opened parts.
    pub fn of(train: &DataSet, test: Option<&DataSet>, seed: u64) -> Result<Self> {
        let name = train.name();
        let drawn = |data: &DataSet, part: &str| {
            let mut order: Vec<usize> = (0..data.len()).collect();
            if order.len() > MOST {
                order = Stream::new(seed, part, 0).permutation(data.len());
                order.truncate(MOST);
            }
            order
        };
        let images: &dyn Images = train.images().as_ref();
        if let Some(test) = test {
            let train = LabelledImages::copy_of(images, drawn(train, "train").into_iter())?;
            let test = LabelledImages::copy_of(test.images().as_ref(), drawn(test, "test").into_iter())?;
            return Ok(Compared { name, train, test, halved: false });
        }
        if train.len() < 2 {
            return Err(Error::failure(format!("{name}: one image cannot be compared with itself")));
        }
        let mut order = Stream::new(seed, "halves", 0).permutation(train.len());
        order.truncate(MOST);
        let (first, second) = order.split_at(order.len() / 2);
        Ok(Compared {
            name,
            train: LabelledImages::copy_of(images, second.iter().copied())?,
            test: LabelledImages::copy_of(images, first.iter().copied())?,
            halved: true,
        })
    }
}

/// What the run wrote down that `model` belongs to, unless the flags say otherwise.
fn record_of(args: &DataArgs, model: Option<&Path>) -> Result<Option<DataRecord>> {
    let Some(model) = model.filter(|_| !args.chooses()) else { return Ok(None) };
    run_of(model).map_or(Ok(None), data_of_run)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_set_without_test_images_is_halved() {
        let shape = ImageShape { height: 1, width: 1, channels: 1 };
        let images = Arc::new(LabelledImages::unlabelled(shape, (0..101).collect()));
        let data = DataSet::of_images("numbers", images);
        let compared = Compared::of(&data, None, 1).unwrap();
        assert!(compared.halved && compared.train.labels().is_none());
        assert_eq!((compared.train.len(), compared.test.len()), (51, 50));
        assert_eq!(Compared::sizes(101, None), (51, 50));
        assert_eq!(Compared::sizes(200_001, None), (50_000, 50_000));
        let mut all = [compared.train.pixels(), compared.test.pixels()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..101).collect::<Vec<u8>>());
        let whole = Compared::of(&data, Some(&data), 1).unwrap();
        assert_eq!((whole.train.len(), whole.test.len(), whole.halved), (101, 101, false));
        assert_eq!(Compared::sizes(101, Some(101)), (101, 101));
    }
}
