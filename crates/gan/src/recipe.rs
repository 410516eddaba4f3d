//! Recipes that follow the pictures: networks, batch and length of a run from size, channels, classes and number.

use crate::config::GanConfig;
use crate::error::{Error, Result};

pub use crate::pictures::{Capacity, Pictures};

/// The model file of [`recipe`], whose words stand for what the pictures are: to print, copy and change.
pub const MODEL_FILE: &str = include_str!("../presets/pictures.toml");

/// A recipe for these pictures: a convolutional GAN whose discriminator has no normalisation but a penalty on its gradient
/// (R1 of Mescheder et al. 2018, computed in every fourth step). Classes, where there are some, are told to both networks, and
/// so is which group of pictures that look alike one is of ([`partition`](crate::partition)), where there are enough of them.
/// Few pictures are shifted and brightened before the discriminator sees them (Zhao et al. 2020).
///
/// The configuration is plain: it can be written as a model file, and means the same wherever it is read. It is what
/// [`MODEL_FILE`] says for these pictures ([`GanConfig::from_toml_for`]). Errors when the pictures are too small, have sides that
/// cannot be halved to a coarse map, or other channels than 1, 3 or 4.
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
    if !matches!(pictures.channels, 1 | 3 | 4) {
        return Err(Error::invalid(format!("pictures have 1, 3 or 4 channels, got {}", pictures.channels)));
    }
    pictures.levels(COARSEST_SIDE)?;
    GanConfig::from_toml_for(MODEL_FILE, pictures, capacity)
}

/// What the model file says of the coarsest map.
const COARSEST_SIDE: usize = 4;

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
    fn groups_are_told_where_there_are_some() {
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
        let few = Pictures { count: 1999, ..pictures(64, 64) };
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
