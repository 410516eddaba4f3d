//! The pictures of a page, so packed that it stays small enough to be sent to someone.

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::html::{PictureKind, picture_address};
use super::run::Run;
use crate::animation::spread;
use crate::error::{Error, Result};
use crate::picture::Picture;

/// Grids that a page holds of one run, at most.
const MOST_GRIDS: usize = 24;

/// As many as all its runs may have together.
const MOST_GRIDS_IN_ALL: usize = 60;

/// The bytes that all pictures of a page may have together; as text they take a third more, and the page stays under 5 MB.
const MOST_BYTES: usize = 3_400_000;

/// The quality of JPEGs: what it takes away of a grid is hardly seen.
const QUALITY: u8 = 88;

/// The fewest grids that are worth a slider.
const FEWEST_GRIDS: usize = 2;

/// The grids of a run as the script takes them.
#[derive(Debug, Serialize)]
pub(super) struct Grids {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) steps: Vec<u64>,
    pub(super) images: Vec<String>,
}

/// The pictures of a page.
#[derive(Debug)]
pub(super) struct Pictures {
    pub(super) grids: Vec<Grids>,
    /// Training images of each run that kept some, with its number.
    pub(super) real: Vec<(usize, String)>,
}

/// A grid that may stand on the page.
struct Grid {
    run: usize,
    step: u64,
    path: PathBuf,
}

/// The pictures of these runs: as they are where they are small, otherwise as JPEG, and then fewer of them where even those
/// are too many. Errors when one cannot be read.
pub(super) fn pictures(runs: &[Run]) -> Result<Pictures> {
    pictures_within(runs, MOST_BYTES)
}

fn pictures_within(runs: &[Run], most_bytes: usize) -> Result<Pictures> {
    let real = || runs.iter().enumerate().filter_map(|(k, run)| run.real.as_ref().map(|png| (k, png)));
    let kept: usize = real().map(|(_, png)| png.len()).sum();
    let mut most = (MOST_GRIDS_IN_ALL / runs.len().max(1)).clamp(1, MOST_GRIDS);
    let grids = spread_over(runs, most);
    let mut sizes = 0;
    for grid in &grids {
        let length = std::fs::metadata(&grid.path).map_err(|e| Error::cannot_read(&grid.path, &e))?.len();
        sizes += length as usize;
    }
    if sizes + kept <= most_bytes {
        let bytes = |path: &Path| std::fs::read(path).map_err(|e| Error::cannot_read(path, &e));
        let address = |png: &[u8]| picture_address(PictureKind::Png, png);
        let real = real().map(|(k, png)| (k, address(png))).collect();
        let images = grids.iter().map(|grid| Ok(address(&bytes(&grid.path)?))).collect::<Result<_>>()?;
        return Ok(Pictures { grids: by_run(runs, grids, images), real });
    }
    let real: Vec<(usize, Vec<u8>)> = real()
        .map(|(k, png)| Ok((k, jpeg(&Picture::read_png(std::io::Cursor::new(png), &runs[k].name)?)?)))
        .collect::<Result<_>>()?;
    let kept: usize = real.iter().map(|(_, bytes)| bytes.len()).sum();
    loop {
        let grids = spread_over(runs, most);
        let mut packed = Vec::with_capacity(grids.len());
        let mut sizes = kept;
        for grid in &grids {
            packed.push(jpeg(&Picture::load_png(&grid.path)?)?);
            sizes += packed.last().map_or(0, Vec::len);
            if sizes > most_bytes && most > FEWEST_GRIDS {
                break;
            }
        }
        if sizes <= most_bytes || most <= FEWEST_GRIDS {
            let address = |bytes: &Vec<u8>| picture_address(PictureKind::Jpeg, bytes);
            let images = packed.iter().map(address).collect();
            let real = real.iter().map(|(k, bytes)| (*k, address(bytes))).collect();
            return Ok(Pictures { grids: by_run(runs, grids, images), real });
        }
        // About as many as fit, by those that were packed.
        let fitting = most * packed.len() * most_bytes / (grids.len() * sizes);
        most = fitting.clamp(FEWEST_GRIDS, most - 1);
    }
}

/// At most so many grids of each run.
fn spread_over(runs: &[Run], most: usize) -> Vec<Grid> {
    let of_run = |(run, of): (usize, &Run)| {
        spread(&of.grids, most).into_iter().map(move |(step, path)| Grid { run, step, path })
    };
    runs.iter().enumerate().flat_map(of_run).collect()
}

fn by_run(runs: &[Run], grids: Vec<Grid>, images: Vec<String>) -> Vec<Grids> {
    let mut found: Vec<Grids> = Vec::new();
    let mut last = None;
    for (grid, image) in grids.into_iter().zip(images) {
        if last != Some(grid.run) {
            last = Some(grid.run);
            let (name, colour) = (runs[grid.run].name.clone(), grid.run % 8);
            found.push(Grids { name, colour, steps: Vec::new(), images: Vec::new() });
        }
        if let Some(of) = found.last_mut() {
            of.steps.push(grid.step);
            of.images.push(image);
        }
    }
    found
}

/// The bytes of a JPEG.
fn jpeg(picture: &Picture) -> Result<Vec<u8>> {
    let colour = if picture.shape.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .write_image(&picture.pixels, picture.shape.width as u32, picture.shape.height as u32, colour)
        .map_err(Error::failure)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use gannet_data::ImageShape;

    use super::*;

    /// A run directory with grids of noise, which no format packs well.
    fn run(folder: &Path, grids: u64) -> Run {
        std::fs::write(folder.join("config.toml"), "preset = \"tiny\"\n").unwrap();
        std::fs::create_dir(folder.join("samples")).unwrap();
        let shape = ImageShape { height: 64, width: 64, channels: 3 };
        let mut stream = gannet::Stream::new(1, "noise", 0);
        let mut noise = || {
            let pixels = (0..shape.len()).map(|_| stream.below(256) as u8).collect();
            Picture { shape, pixels }
        };
        for step in 1..=grids {
            noise().save_png(&folder.join(format!("samples/step-{step:06}.png"))).unwrap();
        }
        noise().save_png(&folder.join("real.png")).unwrap();
        Run::read(folder).unwrap()
    }

    #[test]
    fn pages_stay_small_whatever_the_grids_are() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), 10);
        let all = |most| {
            let Pictures { grids, real } = pictures_within(std::slice::from_ref(&run), most).unwrap();
            let images: Vec<String> =
                grids[0].images.iter().cloned().chain(real.into_iter().map(|(_, image)| image)).collect();
            (grids[0].steps.clone(), images)
        };
        let bytes = |images: &[String]| images.iter().map(String::len).sum::<usize>() * 3 / 4;
        // As they are.
        let (steps, images) = all(1 << 20);
        assert_eq!(steps, (1..=10).collect::<Vec<_>>());
        assert!(images.iter().all(|image| image.starts_with("data:image/png;base64,")));
        // Packed.
        let (steps, images) = all(100_000);
        assert_eq!(steps.len(), 10);
        assert!(images.iter().all(|image| image.starts_with("data:image/jpeg;base64,")));
        assert!(bytes(&images) <= 100_000);
        // Fewer of them, the first and the last among them.
        let (steps, images) = all(50_000);
        assert!(steps.len() < 10 && steps.len() >= FEWEST_GRIDS, "{steps:?}");
        assert_eq!(steps.last(), Some(&10));
        assert!(bytes(&images) <= 50_000);
    }
}
