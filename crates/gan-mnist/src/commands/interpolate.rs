//! `gan-mnist interpolate`: the images on the way from one latent to another.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gannet::{Backend, Gan};
use gannet_data::ImageShape;
use gannet_data::files::PendingFile;

use super::generate::{check_class, load};
use crate::animation::write_gif;
use crate::arguments::{DeviceArgs, Seeds, seeds, whole_number};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::terminal::say;
use crate::training::{classes_in_turn, image_shape};

/// How long a frame of an animation is shown, and how long its two ends are.
const SHOWN: Duration = Duration::from_millis(80);
const HELD: Duration = Duration::from_millis(600);

/// Images that are drawn at most between images by their numbers.
const MOST_IMAGES: usize = 100_000;

/// The flags of `interpolate`.
#[derive(Debug, Clone, Args)]
pub struct InterpolateArgs {
    /// A model.safetensors, or the run directory that holds it
    pub model: PathBuf,
    /// How many pairs of latents to go between: the rows of the grid
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole_number(1, 1000), allow_negative_numbers = true)]
    pub count: u64,
    /// How many images on each way, both ends included: the columns of the grid, or the frames
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole_number(2, 1000), allow_negative_numbers = true)]
    pub steps: u64,
    /// The class of every image, by its number or its name [default: all classes in turn, one for each row; with --seeds
    /// the first]
    #[arg(long, value_name = "K|NAME", allow_hyphen_values = true)]
    pub class: Option<String>,
    /// What the latents follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// Go from each of these images to the next, by their numbers as in `generate --seeds`: a row of the grid for each way, or
    /// one picture that changes
    #[arg(long, value_name = "N,N-M", value_parser = seeds, conflicts_with_all = ["seed", "count"])]
    pub seeds: Option<Seeds>,
    /// Go from the last of --seeds to the first again, so that the animation has no end
    #[arg(long = "loop", requires = "seeds")]
    pub closed: bool,
    /// What to write: a grid (.png), or an animation that goes there and back (.gif)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Draws what the flags ask for.
pub fn run(args: &InterpolateArgs) -> Result<()> {
    let animated = match args.out.extension().and_then(|extension| extension.to_str()) {
        Some("png") => false,
        Some("gif") => true,
        _ => {
            let out = args.out.display();
            return Err(Error::usage(format!(
                "--out {out} does not say what to write: a name ending in .png for a grid, in .gif for an animation"
            )));
        }
    };
    interpolate(args, animated, load(&Device::open(&args.device)?, &args.model)?)
}

fn interpolate<B: Backend<Element = f32>>(
    args: &InterpolateArgs,
    animated: bool,
    mut gan: Gan<B>,
) -> Result<()> {
    let (shape, classes) = (image_shape(&gan)?, gan.classes());
    let steps = args.steps as usize;
    let class = check_class(args.class.as_deref(), &gan, &args.model)?;
    let z = gan.generator().input().len();
    let [from, to] = match &args.seeds {
        Some(Seeds(seeds)) => ends_of(&gan, seeds, args.closed, steps)?,
        None => ends_of_pairs(&gan.latents(2 * args.count as usize, args.seed), z),
    };
    let count = from.len() / z;
    let file = PendingFile::create(&args.out)?;
    let labels: Option<Vec<u32>> = classes.map(|classes| {
        // A way from image to image stays in its class: that of `generate --seeds` with one of them.
        let class = class.or(args.seeds.is_some().then_some(0));
        class.map_or_else(|| classes_in_turn(count, classes), |class| vec![class; count])
    });
    let images = gan.interpolate([&from, &to], labels.as_ref().map(|labels| [&labels[..]; 2]), steps)?;
    match (animated, &args.seeds) {
        (true, Some(_)) => write_gif(&walk(&images, shape, steps, args.closed), file)?,
        (true, None) => write_animation(&images, shape.len(), steps, file, |frame| {
            Picture::grid(frame, shape, (1..).find(|n| n * n >= count).unwrap_or(1))
        })?,
        (false, _) => Picture::grid(&images, shape, steps).write_png(file)?,
    }
    let between =
        if count == 1 { "between one pair".into() } else { format!("between each of {count} pairs") };
    say(&format!("{steps} images {between} of latents in {}", args.out.display()));
    Ok(())
}

/// The latents [ways, z] that the ways from each of the images `seeds` to the next begin at, and those that they end at.
fn ends_of<B: Backend<Element = f32>>(
    gan: &Gan<B>,
    seeds: &[u64],
    closed: bool,
    steps: usize,
) -> Result<[Vec<f32>; 2]> {
    if seeds.len() < 2 {
        return Err(Error::usage("--seeds takes two numbers at least to go between, such as 5,17"));
    }
    let count = seeds.len() - usize::from(!closed);
    if count * steps > MOST_IMAGES {
        return Err(Error::usage(format!(
            "--seeds {count} ways of --steps {steps} are more than {MOST_IMAGES} images; ask for fewer"
        )));
    }
    let mut places: Vec<Vec<f32>> = seeds.iter().map(|&seed| gan.latents(1, seed)).collect();
    if closed {
        places.push(places[0].clone());
    }
    Ok([places[..count].concat(), places[1..].concat()])
}

/// Latents [2 pairs, z], pair after pair, as those that ways begin at and those that they end at, [pairs, z] each.
fn ends_of_pairs(latents: &[f32], z: usize) -> [Vec<f32>; 2] {
    [0, 1].map(|end| latents.chunks_exact(2 * z).flat_map(|pair| &pair[end * z..][..z]).copied().collect())
}

/// The frames of a walk along ways [ways, steps, height, width, channels], each of which begins where the one before ended:
/// one image at a time, the images at the ends of ways longer than those between. Unless it is closed it goes back the way it
/// came.
fn walk(images: &[f32], shape: ImageShape, steps: usize, closed: bool) -> Vec<(Picture, Duration)> {
    let size = shape.len();
    let mut frames = Vec::new();
    for way in images.chunks_exact(steps * size) {
        for (step, image) in way.chunks_exact(size).enumerate().take(steps - 1) {
            frames.push((Picture::single(image, shape), if step == 0 { HELD } else { SHOWN }));
        }
    }
    if closed {
        return frames;
    }
    frames.push((Picture::single(&images[images.len() - size..], shape), HELD));
    and_back(frames)
}

/// Frames, and what lies between the last and the first backwards, so that none jumps.
fn and_back(mut frames: Vec<(Picture, Duration)>) -> Vec<(Picture, Duration)> {
    let back: Vec<_> = frames[1..frames.len() - 1].iter().rev().cloned().collect();
    frames.extend(back);
    frames
}

/// Writes one frame for each step, then the same backwards, so that no frame jumps.
fn write_animation(
    images: &[f32],
    size: usize,
    steps: usize,
    file: PendingFile,
    grid: impl Fn(&[f32]) -> Picture,
) -> Result<()> {
    let forwards = (0..steps).map(|step| {
        let frame: Vec<f32> =
            images.chunks_exact(steps * size).flat_map(|way| &way[step * size..][..size]).copied().collect();
        let end = step == 0 || step == steps - 1;
        (grid(&frame), if end { HELD } else { SHOWN })
    });
    write_gif(&and_back(forwards.collect()), file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_latents_are_the_ends_of_ways() {
        let latents = [1.0, 0.0, 0.0, 2.0, -3.0, 1.0, 3.0, 3.0];
        assert_eq!(ends_of_pairs(&latents, 2), [[1.0, 0.0, -3.0, 1.0], [0.0, 2.0, 3.0, 3.0]]);
    }

    #[test]
    fn a_walk_shows_each_image_once_and_comes_back() {
        let shape = ImageShape { height: 1, width: 1, channels: 1 };
        // From a to b to c, one image between each two.
        let images = [-1.0, -0.5, 0.0, 0.0, 0.5, 1.0];
        let shown = |closed| {
            let frames = walk(&images, shape, 3, closed);
            frames.into_iter().map(|(frame, time)| (frame.pixels[0], time == HELD)).collect::<Vec<_>>()
        };
        let [a, ab, b, bc, c] = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|x: f32| gannet::metrics::quantise(x));
        let there = [(a, true), (ab, false), (b, true), (bc, false)];
        assert_eq!(shown(true), there);
        let back = [(c, true), (bc, false), (b, true), (ab, false)];
        assert_eq!(shown(false), [there, back].concat());
    }
}
