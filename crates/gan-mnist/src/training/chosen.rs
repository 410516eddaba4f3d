//! The recipe for people's own pictures: size, networks and length of a run that suit them and this machine.

use gannet::recipe::{Capacity, Pictures};
use gannet::{Backend, GanConfig, presets};
use gannet_data::{DataSet, ImageShape, Request};

use super::pace::Pace;
use crate::data::open_training;
use crate::device::Device;
use crate::error::Result;
use crate::recipe::Following;

/// The longest side of the images that are trained on unless more are asked for: on a CPU, a step of 128 x 128 takes a second.
const LONGEST_ON_CPU: usize = 64;

/// The same on a GPU.
const LONGEST_ON_GPU: usize = 128;

/// Grey images of this side, such as MNIST's, have presets of their own.
const DIGITS: ImageShape = ImageShape { height: 28, width: 28, channels: 1 };

/// The images that a run has to see for a capacity to be worth its time: a larger network that is trained for less makes worse
/// pictures than a smaller one.
const WORTH_IT: [(Capacity, f64); 2] = [(Capacity::Large, 400_000.0), (Capacity::Medium, 80_000.0)];

/// The share of `--minutes` that steps may take: the rest is for grids, checkpoints and the report.
const FOR_STEPS: f64 = 0.93;

/// The longest side that is chosen for this device.
pub fn longest_side(device: &Device) -> usize {
    if matches!(device, Device::Gpu(_)) { LONGEST_ON_GPU } else { LONGEST_ON_CPU }
}

/// Opens the pictures in the size that they are trained on: the one that is asked for, or the largest power of two that they
/// have, at most `longest`.
pub fn open(request: Request, longest: usize) -> Result<DataSet> {
    open_training(&Request { largest_square: Some(longest), ..request }, None)
}

/// The recipe for these pictures, and why it is that one: what `asked` makes of them if there is such a thing. With `minutes`,
/// the capacity (unless it is given) and the number of steps are those that this device manages in that time.
pub fn choose<B: Backend<Element = f32>>(
    pace: &Pace<'_, B>,
    data: &DataSet,
    asked: Option<&Following>,
    capacity: Option<Capacity>,
    minutes: Option<f64>,
) -> Result<GanConfig> {
    let shape = data.shape();
    if shape == DIGITS && asked.is_none() && capacity.is_none() {
        let preset = if data.classes().is_some() { "cdcgan" } else { "clustered" };
        return Ok(presets::get(preset)?);
    }
    let ImageShape { height, width, channels } = shape;
    let pictures = Pictures { height, width, channels, classes: data.classes(), count: data.len() };
    let following = asked.cloned().unwrap_or_else(Following::preset);
    let of = |capacity| following.for_pictures(&data.name(), &pictures, capacity);
    let Some(minutes) = minutes else { return of(capacity.unwrap_or_default()) };
    if let Some(capacity) = capacity {
        return of(capacity);
    }
    for (capacity, worth) in WORTH_IT {
        let config = of(capacity)?;
        if steps_in(pace, &config, minutes)? as f64 * config.images_per_step() as f64 >= worth {
            return Ok(config);
        }
    }
    of(Capacity::Small)
}

/// The steps of a recipe that fit into so many minutes on this device; at least one.
pub fn steps_in<B: Backend<Element = f32>>(
    pace: &Pace<'_, B>,
    config: &GanConfig,
    minutes: f64,
) -> Result<u64> {
    let steps = minutes * 60.0 * FOR_STEPS / pace.seconds_per_step(config)?;
    Ok((steps as u64).max(1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gannet::Cpu;
    use gannet_data::LabelledImages;

    use super::*;

    fn data(height: usize, width: usize, channels: usize, classes: Option<usize>) -> DataSet {
        let shape = ImageShape { height, width, channels };
        let pixels = vec![0; shape.len()];
        let images = match classes {
            Some(classes) => LabelledImages::labelled(shape, pixels, vec![0], classes),
            None => LabelledImages::unlabelled(shape, pixels),
        };
        DataSet::of_images("pictures", Arc::new(images))
    }

    #[test]
    fn recipes_follow_the_pictures() {
        let cpu = Device::Cpu(Cpu::with_threads(1).unwrap());
        let choose = |data: &DataSet| choose(&Pace::new(&cpu), data, None, None, None).unwrap();
        assert_eq!(choose(&data(28, 28, 1, Some(10))).name, "cdcgan");
        assert_eq!(choose(&data(28, 28, 1, None)).name, "clustered");
        let config = choose(&data(32, 64, 3, Some(5)));
        assert_eq!(config.name, "pictures");
        let (generator, discriminator) = config.build().unwrap();
        assert_eq!(generator.output().dims(), [32, 64, 3]);
        assert_eq!(discriminator.classes(), Some(5));
        let wrong = super::choose(&Pace::new(&cpu), &data(63, 63, 3, None), None, None, None)
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("pictures: ") && wrong.contains("64 x 64 can"), "{wrong}");
    }

    #[test]
    fn a_short_time_gets_a_small_network() {
        let cpu = Device::Cpu(Cpu::with_threads(1).unwrap());
        let pace = Pace::new(&cpu);
        let config = choose(&pace, &data(16, 16, 1, None), None, None, Some(0.01)).unwrap();
        assert!(config.description.contains("small"), "{}", config.description);
        assert!(steps_in(&pace, &config, 1e-9).unwrap() == 1);
    }
}
