//! The flags that choose images.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use gannet_data::transforms::Resize;
use gannet_data::{NamedSet, Request, Source};

/// Parses the name of a set, and lists them all in the help.
fn named_set() -> impl TypedValueParser<Value = NamedSet> {
    let values = NamedSet::ALL.map(|set| PossibleValue::new(set.name()).help(set.about()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<NamedSet>())
}

/// Parses a way to resize.
pub(crate) fn resize() -> impl TypedValueParser<Value = Resize> {
    PossibleValuesParser::new(Resize::ALL.map(Resize::name)).try_map(|name| name.parse::<Resize>())
}

/// Parses `32` or `96x48`, width first, into a height and a width.
pub(crate) fn image_size(text: &str) -> std::result::Result<(usize, usize), String> {
    let (width, height) = text.split_once(['x', 'X']).unwrap_or((text, text));
    let side = |text: &str| text.parse().ok().filter(|side| (1..=1024).contains(side));
    match (side(height), side(width)) {
        (Some(height), Some(width)) => Ok((height, width)),
        _ => Err("expected a whole number from 1 to 1024, or a width and a height such as 96x48".into()),
    }
}

/// The flags that choose images.
#[derive(Debug, Clone, Default, Args)]
pub struct DataArgs {
    /// A set of images that has a name [default: mnist, or the set that the preset is named after]
    #[arg(long, value_name = "SET", value_parser = named_set(), conflicts_with = "data")]
    pub dataset: Option<NamedSet>,
    /// Your own images: a folder of pictures (PNG, JPEG, WebP, BMP, GIF, TIFF, QOI), with a folder for each class or none,
    /// a labels.csv or a dataset.json; a zip or tar archive of them; a NumPy array (.npy, .npz); IDX files; CIFAR-10 batches
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Bring images to S x S pixels, or to WIDTHxHEIGHT [default: pictures of a folder as the model needs them, others as
    /// they are]
    #[arg(long, value_name = "S|WxH", value_parser = image_size, allow_negative_numbers = true)]
    pub image_size: Option<(usize, usize)>,
    /// How images of other proportions get there: cut to the middle, laid on black, or stretched [default: crop]
    #[arg(long, value_name = "HOW", value_parser = resize())]
    pub resize: Option<Resize>,
    /// 1 makes images grey, 3 repeats grey three times, 4 keeps transparency [default: 3 where grey images meet a model
    /// of 3, otherwise 1 or 3 as they are]
    #[arg(long, value_name = "C", value_parser = ["1", "3", "4"])]
    pub channels: Option<String>,
    /// none: take all images without their classes
    #[arg(long, value_name = "none", value_parser = ["none"])]
    pub classes: Option<String>,
    /// End at a picture that cannot be used, instead of leaving it out
    #[arg(long)]
    pub strict: bool,
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
        let DataArgs { dataset, data, image_size, resize, channels, classes, strict: _ } = self;
        dataset.is_some()
            || data.is_some()
            || image_size.is_some()
            || resize.is_some()
            || channels.is_some()
            || classes.is_some()
    }

    /// The flags that shape images, as they are typed, each with a space before it.
    pub fn shaping(&self) -> String {
        let mut text = String::new();
        if let Some((height, width)) = self.image_size {
            text.push_str(&format!(" --image-size {width}x{height}"));
        }
        if let Some(resize) = self.resize {
            text.push_str(&format!(" --resize {}", resize.name()));
        }
        for (flag, value) in [("channels", &self.channels), ("classes", &self.classes)] {
            if let Some(value) = value {
                text.push_str(&format!(" --{flag} {value}"));
            }
        }
        text
    }

    /// What they ask for; `seed` chooses colours.
    pub fn request(&self, seed: u64) -> Request {
        Request {
            source: match &self.data {
                Some(path) => Source::Path(path.clone()),
                None => Source::Named(self.dataset.unwrap_or(NamedSet::Mnist)),
            },
            size: self.image_size,
            // The parser lets nothing but numbers through.
            channels: self.channels.as_deref().and_then(|channels| channels.parse().ok()),
            largest_square: None,
            resize: self.resize.unwrap_or_default(),
            without_classes: self.classes.is_some(),
            strict: self.strict,
            seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_side_or_a_width_and_a_height() {
        assert_eq!(image_size("32"), Ok((32, 32)));
        assert_eq!(image_size("96x48"), Ok((48, 96)));
        for wrong in ["", "0", "x", "96x", "9x2000", "1x2x3", "-3"] {
            assert!(image_size(wrong).unwrap_err().contains("from 1 to 1024"), "{wrong}");
        }
    }
}
