#![doc = include_str!("../presets/README.md")]

use crate::config::GanConfig;
use crate::error::{Error, Result};

macro_rules! presets {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../presets/", $name, ".toml")))),*]
    };
}

/// The presets: name and model file. The first is the default.
const PRESETS: &[(&str, &str)] = presets! {
    "cdcgan",
    "dcgan",
    "acgan",
    "cdcgan-32",
    "clustered",
    "colour",
    "dcgan-32",
    "lsgan",
    "r3gan",
    "seed-conv",
    "seed-dense",
    "sngan",
    "wgan-gp",
};

/// The names of the presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The model file of a preset: to print, copy and change.
pub fn text(name: &str) -> Result<&'static str> {
    PRESETS.iter().find(|(n, _)| *n == name).map(|(_, text)| *text).ok_or_else(|| {
        let known: Vec<&str> = names().collect();
        Error::Invalid(format!("there is no preset '{name}'; there are: {}", known.join(", ")))
    })
}

/// The configuration of a preset.
pub fn get(name: &str) -> Result<GanConfig> {
    GanConfig::from_toml(text(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options of optimisers stand in the order of their fields: the bytes of saved models depend on it.
    #[test]
    fn optimisers_are_written_as_in_the_first_files() {
        let text = get("cdcgan").unwrap().to_toml().unwrap();
        let expected = "[generator.optimiser.adam]\nlearning_rate = 0.003\nbeta1 = 0.5\nbeta2 = 0.999\neps = 0.0000001\nform = \"keras\"\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("\nloss = \"non_saturating\"\n") && text.contains("\nparts = 16\n"), "{text}");
    }

    #[test]
    fn every_preset_builds_under_its_own_name_and_survives_a_round_trip() {
        for name in names() {
            let mut config = get(name).unwrap();
            assert_eq!(config.name, name);
            config.steps = Some(10);
            config.build().unwrap_or_else(|e| panic!("{name}: {e}"));
            let text = config.to_toml().unwrap();
            let again = GanConfig::from_toml(&text).unwrap();
            assert_eq!(format!("{config:?}"), format!("{again:?}"), "{name}:\n{text}");
        }
    }
}
