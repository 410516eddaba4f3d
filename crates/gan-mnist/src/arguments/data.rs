//! The flags that choose images.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use gannet_data::{NamedSet, Request, Source};

use super::numbers::whole_number;

/// Parses the name of a set, and lists them all in the help.
fn named_set() -> impl TypedValueParser<Value = NamedSet> {
    let values = NamedSet::ALL.map(|set| PossibleValue::new(set.name()).help(set.about()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<NamedSet>())
}

/// The flags that choose images.
#[derive(Debug, Clone, Default, Args)]
pub struct DataArgs {
    /// A set of images that has a name [default: mnist, or the set that the preset is named after]
    #[arg(long, value_name = "SET", value_parser = named_set(), conflicts_with = "data")]
    pub dataset: Option<NamedSet>,
    /// Your own images: IDX files, CIFAR-10 batches, or a folder of PNG, JPEG or WebP, with a folder for each class or none
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Crop to the middle and scale to S x S pixels [default: pictures of a folder as the model needs them, others as
    /// they are]
    #[arg(long, value_name = "S", value_parser = whole_number(1, 1024), allow_negative_numbers = true)]
    pub image_size: Option<u64>,
    /// 1 makes images grey, 3 repeats grey three times [default: 3 where grey images meet a model of 3, otherwise as
    /// they are]
    #[arg(long, value_name = "C", value_parser = ["1", "3"])]
    pub channels: Option<String>,
}

impl DataArgs {
    /// The same for a preset: without a set, the one that the preset is named after, if there is one.
    pub fn or_named_after(&self, preset: &str) -> Self {
        let mut args = self.clone();
        if args.dataset.is_none() && args.data.is_none() {
            args.dataset = preset.parse().ok();
        }
        args
    }

    /// Whether any of the flags was given.
    pub fn chooses(&self) -> bool {
        let DataArgs { dataset, data, image_size, channels } = self;
        dataset.is_some() || data.is_some() || image_size.is_some() || channels.is_some()
    }

    /// What they ask for; `seed` chooses colours.
    pub fn request(&self, seed: u64) -> Request {
        Request {
            source: match &self.data {
                Some(path) => Source::Path(path.clone()),
                None => Source::Named(self.dataset.unwrap_or(NamedSet::Mnist)),
            },
            size: self.image_size.map(|size| (size as usize, size as usize)),
            channels: self.channels.as_deref().map(|channels| if channels == "1" { 1 } else { 3 }),
            seed,
        }
    }
}
