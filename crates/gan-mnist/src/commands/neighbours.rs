//! `gan-mnist neighbours`: generated images beside the training images that come nearest to them.

use std::path::PathBuf;

use clap::Args;
use gannet::metrics::quantise;
use gannet::{Backend, Gan};
use gannet_data::files::PendingFile;
use gannet_data::{ImageShape, LabelledImages};
use rayon::prelude::*;

use super::generate::{check_class, load};
use crate::arguments::{DataArgs, DeviceArgs, check_ending, whole_number};
use crate::data::check_fit_images;
use crate::device::Device;
use crate::error::Result;
use crate::evaluation::Compared;
use crate::picture::Picture;
use crate::terminal::say;
use crate::training::{classes_in_turn, image_shape};

/// The flags of `neighbours`.
#[derive(Debug, Clone, Args)]
pub struct NeighboursArgs {
    /// A model.safetensors, or the run directory that holds it
    pub model: PathBuf,
    /// How many images to draw: the rows of the picture
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole_number(1, 1000), allow_negative_numbers = true)]
    pub count: u64,
    /// How many training images to show beside each
    #[arg(long, value_name = "K", default_value = "8", value_parser = whole_number(1, 50), allow_negative_numbers = true)]
    pub nearest: u64,
    /// The class of every image, by its number or its name [default: all classes in turn]
    #[arg(long, value_name = "K|NAME", allow_hyphen_values = true)]
    pub class: Option<String>,
    /// What the latents follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// The picture to write (.png): each row a generated image, a gap, and the nearest training images in order
    #[arg(long, value_name = "FILE.png")]
    pub out: PathBuf,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Draws what the flags ask for.
pub fn run(args: &NeighboursArgs) -> Result<()> {
    check_ending("--out", &args.out, "png")?;
    neighbours(args, load(&Device::open(&args.device)?, &args.model)?)
}

fn neighbours<B: Backend<Element = f32>>(args: &NeighboursArgs, mut gan: Gan<B>) -> Result<()> {
    let (shape, count) = (image_shape(&gan)?, args.count as usize);
    let class = check_class(args.class.as_deref(), &gan, &args.model)?;
    let (name, training) = Compared::open_train(&args.data, Some(&args.model), Some(shape), args.seed)?;
    check_fit_images(&gan, &name, &training)?;
    let file = PendingFile::create(&args.out)?;
    let labels = gan
        .classes()
        .map(|classes| class.map_or_else(|| classes_in_turn(count, classes), |class| vec![class; count]));
    let images = gan.generate(&gan.latents(count, args.seed), labels.as_deref())?;
    let images: Vec<u8> = images.into_iter().map(quantise).collect();
    let found: Vec<Vec<Near>> = images
        .par_chunks(shape.len())
        .map(|image| nearest(image, training.pixels(), args.nearest as usize))
        .collect();
    picture(&images, &found, &training, shape).write_png(file)?;
    for (n, found) in found.iter().enumerate() {
        let asked = labels.as_ref().map_or(String::new(), |labels| format!(" of class {}", labels[n]));
        let levels = |near: &Near| (near.squared as f64 / shape.len() as f64).sqrt();
        let Some(first) = found.first() else { continue };
        let mut line = format!(
            "image {n}{asked}: training image {}{} at {:.1} levels",
            first.index,
            training.labels().map_or(String::new(), |labels| format!(" of class {}", labels[first.index])),
            levels(first)
        );
        if let Some(second) = found.get(1) {
            line.push_str(&format!(", the next at {:.1}", levels(second)));
        }
        say(&line);
    }
    say(&format!("{count} image{} in {}", if count == 1 { "" } else { "s" }, args.out.display()));
    Ok(())
}

/// A training image and how far it is: the sum of squared differences of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Near {
    squared: u64,
    index: usize,
}

/// The `count` training images nearest to `image`, in order; of equally near ones the first.
fn nearest(image: &[u8], training: &[u8], count: usize) -> Vec<Near> {
    let squared = |other: &[u8]| -> u64 {
        // A row of 64 fits into 32 bits, and such a loop becomes vectors.
        image
            .chunks(64)
            .zip(other.chunks(64))
            .map(|(a, b)| {
                let sum: u32 = a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum();
                u64::from(sum)
            })
            .sum()
    };
    let mut all: Vec<Near> = training
        .chunks_exact(image.len())
        .enumerate()
        .map(|(index, other)| Near { squared: squared(other), index })
        .collect();
    if count < all.len() {
        all.select_nth_unstable(count);
        all.truncate(count);
    }
    all.sort_unstable();
    all
}

/// Each row an image, a black tile's gap, and its neighbours.
fn picture(images: &[u8], found: &[Vec<Near>], training: &LabelledImages, shape: ImageShape) -> Picture {
    let size = shape.len();
    let mut tiles = Vec::new();
    for (image, found) in images.chunks_exact(size).zip(found) {
        tiles.extend_from_slice(image);
        for near in found {
            tiles.extend_from_slice(&training.pixels()[near.index * size..][..size]);
        }
    }
    let columns = 1 + found.first().map_or(0, Vec::len);
    let grid = Picture::grid_of_bytes(&tiles, shape, columns);
    // The first column is set apart from the others.
    let [left, gap] = [(shape.width + 2) * shape.channels, shape.width / 3 * shape.channels];
    let wide = ImageShape { width: grid.shape.width + shape.width / 3, ..grid.shape };
    let rows = grid.pixels.chunks_exact(grid.shape.width * shape.channels);
    let pixels = rows
        .flat_map(|row| {
            let (first, rest) = row.split_at(left);
            first.iter().copied().chain(std::iter::repeat_n(0, gap)).chain(rest.iter().copied())
        })
        .collect();
    Picture { shape: wide, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first() {
        let training: Vec<u8> = [[9u8; 100], [5; 100], [7; 100], [5; 100], [0; 100]].concat();
        let found = nearest(&[6; 100], &training, 3);
        let expected = [(100, 1), (100, 2), (100, 3)].map(|(squared, index)| Near { squared, index });
        assert_eq!(found, expected);
        assert_eq!(nearest(&[0; 100], &training, 1), [Near { squared: 0, index: 4 }]);
        assert_eq!(nearest(&[255; 100], &training, 99).len(), 5);
    }
}
