//! What is known of pictures before networks are made for them, and how networks are cut to their size.

use crate::error::{Error, Result};

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
    pub(crate) fn coarsest(self) -> usize {
        match self {
            Capacity::Small => 128,
            Capacity::Medium => 256,
            Capacity::Large => 512,
        }
    }
}

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

impl Pictures {
    /// How often the maps are halved from the picture to the coarsest level, whose shortest side has `side` pixels at least.
    /// Errors when a side cannot be halved so often, naming sizes near it that can.
    pub(crate) fn levels(&self, side: usize) -> Result<usize> {
        let &Pictures { height, width, .. } = self;
        let shortest = height.min(width);
        if shortest < 2 * side {
            return Err(Error::invalid(format!(
                "pictures of {width} x {height} pixels are too small for convolutions that halve them; expected at least \
                 {0} x {0}",
                2 * side
            )));
        }
        let levels = (shortest / side).ilog2() as usize;
        // A step of two pixels fewer at the coarsest level costs little; an odd side ends the halving.
        let divides = |levels: usize| height.is_multiple_of(1 << levels) && width.is_multiple_of(1 << levels);
        let coarsest = |levels: usize| (height >> levels) * (width >> levels);
        let most = MAX_COARSEST.max(side * side);
        let fits = (1..=levels).rev().find(|&levels| divides(levels) && coarsest(levels) <= most);
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

    /// The classes that networks are told, where there are some.
    pub(crate) fn told(&self) -> Option<usize> {
        self.classes.filter(|classes| (2..=MAX_TOLD).contains(classes))
    }

    /// How many groups of pictures that look alike each class is cut into.
    pub(crate) fn groups(&self) -> usize {
        let groups = (self.count / GROUP).min(MOST_GROUPS) / self.told().unwrap_or(1);
        1 << groups.max(1).ilog2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_the_number_of_pictures_and_their_classes() {
        let groups = |count, classes| {
            Pictures { height: 32, width: 32, channels: 3, classes: Some(classes), count }.groups()
        };
        assert_eq!([10, 49, 100, 1000, 3786, 60_000].map(|count| groups(count, 1)), [1, 1, 4, 32, 128, 128]);
        assert_eq!([1, 2, 10, 26, 300].map(|classes| groups(60_000, classes)), [128, 64, 8, 4, 1]);
    }
}
