//! Recipes that follow the pictures: networks, batch and length of a run from size, channels, classes and number.

use gannet_tensor::Padding;

use crate::activation::Activation;
use crate::augment::Augment;
use crate::config::GanConfig;
use crate::ema::Ema;
use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layers::{
    BatchNorm, Conv2d, Dense, Flatten, Label, LeakyRelu, Projection, Reshape, UpsampleNearest,
};
use crate::losses::NonSaturating;
use crate::optimisers::Adam;
use crate::penalties::Penalty;
use crate::schedule::Schedule;
use crate::sequential::Sequential;

/// What a recipe has to know of the pictures that it is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// Rows of pixels, as the networks see them.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Numbers per pixel: 1 grey, 3 colour, 4 colour with transparency.
    pub channels: usize,
    /// How many classes the labels tell apart; nothing where pictures have no labels.
    pub classes: Option<usize>,
    /// How many pictures there are to train on.
    pub count: usize,
}

/// How large the networks are. Each step up doubles all channels: about twice to four times the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capacity {
    /// 128 channels at the coarsest level.
    Small,
    /// 256 channels at the coarsest level.
    #[default]
    Medium,
    /// 512 channels at the coarsest level.
    Large,
}

impl Capacity {
    /// All of them, the smallest first.
    pub const ALL: [Capacity; 3] = [Capacity::Small, Capacity::Medium, Capacity::Large];

    /// `small`, `medium` or `large`.
    pub fn name(self) -> &'static str {
        match self {
            Capacity::Small => "small",
            Capacity::Medium => "medium",
            Capacity::Large => "large",
        }
    }

    /// Channels at the coarsest level, where maps have the fewest pixels.
    fn coarsest(self) -> usize {
        match self {
            Capacity::Small => 128,
            Capacity::Medium => 256,
            Capacity::Large => 512,
        }
    }

    /// Channels `level` levels above the coarsest: half as many for each, and at least as many as still make edges.
    fn channels(self, level: usize) -> usize {
        (self.coarsest() >> level.min(usize::BITS as usize - 1)).max(self.coarsest() / 16)
    }
}

/// The shortest side of the coarsest map: a network begins with 4 to 7 pixels there.
const COARSEST_SIDE: usize = 4;

/// The most pixels of the coarsest map: what a dense layer of moderate size makes.
const MAX_COARSEST: usize = 256;

/// The most classes that are told as a one-hot vector. Beyond it the dense layer behind would hold more numbers than the
/// rest of the network.
const MAX_TOLD: usize = 1024;

/// Pictures that a group has at least, so that it holds more than one kind.
const GROUP: usize = 25;

/// The most groups. Being told the group is worth more than any other choice made here: with 1, 16, 64 and 128 groups of 3,800
/// emoji of 32 x 32 the Frechet distance in features of a network for their kinds was 54, 33, 16 and 14 after 60,000 images
/// (floor 3.4).
const MOST_GROUPS: usize = 128;

/// Below this many pictures a discriminator learns them by heart unless they are changed before it sees them.
const FEW: usize = 2_000;

/// Images that a run of the default length sees.
const SEEN: u64 = 100_000;

/// Numbers in a latent.
const LATENTS: usize = 64;

const BATCH: usize = 32;

/// How often the maps are halved from the picture to the coarsest level. Errors when a side cannot be halved so often, naming
/// sizes near it that can.
fn levels(height: usize, width: usize) -> Result<usize> {
    let shortest = height.min(width);
    let mut levels = 0;
    while shortest >> (levels + 1) >= COARSEST_SIDE {
        levels += 1;
    }
    if shortest < 2 * COARSEST_SIDE {
        return Err(Error::invalid(format!(
            "pictures of {width} x {height} pixels are too small for convolutions that halve them; expected at least {0} x {0}",
            2 * COARSEST_SIDE
        )));
    }
    // A step of two pixels fewer at the coarsest level costs little; an odd side ends the halving.
    let divides = |levels: usize| height.is_multiple_of(1 << levels) && width.is_multiple_of(1 << levels);
    let coarsest = |levels: usize| (height >> levels) * (width >> levels);
    let fits = (1..=levels).rev().find(|&levels| divides(levels) && coarsest(levels) <= MAX_COARSEST);
    fits.ok_or_else(|| {
        let step = 1 << levels;
        let near = |side: usize| (side + step / 2) / step * step;
        Error::invalid(format!(
            "pictures {width} wide and {height} high cannot be halved {levels} times; {} x {} can",
            near(width).max(step),
            near(height).max(step)
        ))
    })
}

/// A recipe for these pictures: a convolutional GAN whose discriminator has no normalisation but a penalty on its gradient
/// (R1 of Mescheder et al. 2018, computed in every fourth step). Classes, where there are some, are told to both networks, and
/// so is which group of pictures that look alike one is of ([`partition`](crate::partition)), where there are enough of them.
/// Few pictures are shifted, brightened and partly blanked before the discriminator sees them (Zhao et al. 2020).
///
/// The configuration is plain: it can be written as a model file, and means the same wherever it is read. Errors when the
/// pictures are too small, have sides that cannot be halved to a coarse map, or other channels than 1, 3 or 4.
///
/// ```
/// use gannet::recipe::{Capacity, Pictures, recipe};
///
/// let pictures = Pictures { height: 64, width: 64, channels: 3, classes: None, count: 3000 };
/// let config = recipe(&pictures, Capacity::Medium)?;
/// assert_eq!(config.build()?.0.output().dims(), [64, 64, 3]);
/// # Ok::<(), gannet::Error>(())
/// ```
pub fn recipe(pictures: &Pictures, capacity: Capacity) -> Result<GanConfig> {
    let Pictures { height, width, channels, classes, count } = *pictures;
    if !matches!(channels, 1 | 3 | 4) {
        return Err(Error::invalid(format!("pictures have 1, 3 or 4 channels, got {channels}")));
    }
    let levels = levels(height, width)?;
    let told = classes.filter(|classes| (2..=MAX_TOLD).contains(classes));

    let parts = parts(count, told.unwrap_or(1));
    // Networks are told nothing where all pictures are of one group.
    let groups = Some(parts * told.unwrap_or(1)).filter(|&groups| groups > 1);

    let coarsest = capacity.channels(0);
    let (rows, columns) = (height >> levels, width >> levels);
    let mut generator = Sequential::new("generator", [LATENTS]);
    if let Some(groups) = groups {
        generator = generator.add(Label::new(groups).scale(2.0));
    }
    generator = generator
        .add(Dense::new(rows * columns * coarsest).use_bias(false))
        .add(Reshape::new([rows, columns, coarsest]))
        .add(BatchNorm::new())
        .add(LeakyRelu::new(0.2));
    for level in 1..=levels {
        // A transposed convolution would leave its grid on flat colours (Odena et al. 2016, "Deconvolution and Checkerboard
        // Artifacts").
        generator = generator
            .add(UpsampleNearest::new([2, 2]))
            .add(smooth(capacity.channels(level)).use_bias(false))
            .add(BatchNorm::new())
            .add(LeakyRelu::new(0.2));
    }
    generator = generator.add(smooth(channels).activation(Activation::Tanh));

    let mut discriminator = Sequential::new("discriminator", [height, width, channels]);
    for level in (0..levels).rev() {
        discriminator = discriminator
            .add(Conv2d::new(capacity.channels(level), [4, 4]).stride([2, 2]).padding(Padding::Same))
            .add(LeakyRelu::new(0.2));
    }
    discriminator = discriminator.add(Flatten::new());
    discriminator = match groups {
        Some(groups) => discriminator.add(Projection::new(groups)),
        None => discriminator.add(Dense::new(1)),
    };

    let start = Initialiser::Normal { std: 0.02 };
    let mut config = GanConfig::new(generator.initialiser(start), discriminator.initialiser(start))
        .optimiser(Adam::new(5e-4).betas(0.5, 0.999))
        .loss(NonSaturating)
        .penalty(Penalty::R1 { gamma: 1.0, every: 4 })
        .batch_size(BATCH)
        .schedule(Schedule::Linear { from: 0.5 }, SEEN.div_ceil(BATCH as u64))
        .ema(Ema::default())
        .name("pictures")
        .description(format!(
            "made for pictures of {width} x {height} x {channels}{}{}, {} capacity",
            told.map_or(String::new(), |classes| format!(" in {classes} classes")),
            match (parts, told) {
                (1, _) => String::new(),
                (parts, None) => format!(" in {parts} groups that look alike"),
                (parts, Some(_)) => format!(" of {parts} groups each that look alike"),
            },
            capacity.name()
        ))
        .clusters(parts);
    if count < FEW {
        config = config.augment(Augment::default().brightness(0.5).translation(0.125));
    }
    Ok(config)
}

/// A convolution that keeps the size of a map.
fn smooth(filters: usize) -> Conv2d {
    Conv2d::new(filters, [3, 3]).padding(Padding::Same)
}

/// How many groups of pictures that look alike each class is cut into.
fn parts(count: usize, classes: usize) -> usize {
    let parts = (count / GROUP).min(MOST_GROUPS) / classes;
    1 << parts.max(1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures(height: usize, width: usize) -> Pictures {
        Pictures { height, width, channels: 3, classes: None, count: 3000 }
    }

    #[test]
    fn every_size_has_networks_that_fit() {
        let sizes = [
            (16, 16),
            (28, 28),
            (32, 32),
            (40, 40),
            (48, 96),
            (64, 64),
            (96, 48),
            (120, 80),
            (128, 128),
            (256, 256),
        ];
        for (height, width) in sizes {
            for channels in [1, 3, 4] {
                for classes in [None, Some(2), Some(300)] {
                    for capacity in Capacity::ALL {
                        let pictures = Pictures { height, width, channels, classes, count: 100 };
                        let config = recipe(&pictures, capacity).unwrap();
                        let (generator, discriminator) =
                            config.build().unwrap_or_else(|e| panic!("{pictures:?}: {e}"));
                        assert_eq!(generator.output().dims(), [height, width, channels], "{pictures:?}");
                        assert_eq!(discriminator.input(), generator.output());
                        let told = generator.classes();
                        assert_eq!((told, discriminator.classes()), (told, told));
                        // 100 pictures are four groups, two for each of two classes.
                        assert_eq!(told, classes.map(|classes| classes.max(4)).or(Some(4)));
                        assert_eq!(told.and_then(|told| config.classes_among(told)), classes);
                        let again = GanConfig::from_toml(&config.to_toml().unwrap()).unwrap();
                        assert_eq!(format!("{config:?}"), format!("{again:?}"));
                    }
                }
            }
        }
    }

    #[test]
    fn groups_follow_the_number_of_pictures_and_their_classes() {
        assert_eq!([10, 49, 100, 1000, 3786, 60_000].map(|count| parts(count, 1)), [1, 1, 4, 32, 128, 128]);
        assert_eq!([1, 2, 10, 26, 300].map(|classes| parts(60_000, classes)), [128, 64, 8, 4, 1]);
        let few = Pictures { count: 40, ..pictures(32, 32) };
        assert_eq!(recipe(&few, Capacity::Small).unwrap().build().unwrap().0.classes(), None);
        let many = Pictures { classes: Some(10), count: 60_000, ..pictures(32, 32) };
        let config = recipe(&many, Capacity::Small).unwrap();
        assert_eq!(config.build().unwrap().0.classes(), Some(80));
        assert!(config.description.contains("in 10 classes of 8 groups each"), "{}", config.description);
    }

    #[test]
    fn capacity_grows_and_a_large_set_is_not_augmented() {
        let count =
            |capacity| recipe(&pictures(64, 64), capacity).unwrap().build().unwrap().0.parameter_count();
        let [small, medium, large] = Capacity::ALL.map(count);
        assert!(2 * small < medium && 2 * medium < large, "{small} {medium} {large}");
        let few = Pictures { count: FEW - 1, ..pictures(64, 64) };
        assert!(recipe(&few, Capacity::Small).unwrap().augment.is_some());
        let many = Pictures { count: 60_000, ..pictures(64, 64) };
        assert!(recipe(&many, Capacity::Small).unwrap().augment.is_none());
    }

    #[test]
    fn what_cannot_be_made_says_what_can() {
        let message = |pictures| recipe(&pictures, Capacity::Medium).unwrap_err().to_string();
        assert!(message(pictures(7, 64)).contains("expected at least 8 x 8"));
        assert!(message(pictures(63, 65)).contains("64 x 64 can"), "{}", message(pictures(63, 65)));
        assert!(message(pictures(100, 100)).contains("halved 4 times; 96 x 96 can"));
        assert!(
            message(pictures(23, 17)).contains("17 wide and 23 high cannot be halved 2 times; 16 x 24 can")
        );
        assert!(message(Pictures { channels: 2, ..pictures(64, 64) }).contains("1, 3 or 4 channels, got 2"));
        // One class is no class.
        let one = Pictures { classes: Some(1), count: 10, ..pictures(32, 32) };
        assert_eq!(recipe(&one, Capacity::Small).unwrap().build().unwrap().0.classes(), None);
    }
}
