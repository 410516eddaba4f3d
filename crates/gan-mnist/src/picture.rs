//! Generated images as PNG.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use gannet::metrics::quantise;
use gannet_data::ImageShape;
use gannet_data::files::PendingFile;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::{Error, Result};

/// Black pixels between the tiles of a grid.
const GAP: usize = 2;

/// The largest PNG that is read, in bytes of its pixels: 8192 by 8192 of three channels.
const LARGEST_PNG: usize = 3 << 26;

/// An 8-bit picture, row-major, channels last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its size.
    pub shape: ImageShape,
    /// `shape.len()` bytes.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// One image [height, width, channels] with values in [-1, 1]. Of four channels the first three are multiplied by
    /// the last, which is alpha, as in training; in the picture they are not.
    pub fn single(image: &[f32], shape: ImageShape) -> Self {
        assert_eq!(image.len(), shape.len());
        let mut pixels: Vec<u8> = image.iter().copied().map(quantise).collect();
        if shape.channels == 4 {
            for pixel in pixels.chunks_exact_mut(4) {
                let alpha = u32::from(pixel[3]);
                for value in &mut pixel[..3] {
                    *value =
                        (u32::from(*value) * 255 + alpha / 2).checked_div(alpha).unwrap_or(0).min(255) as u8;
                }
            }
        }
        Picture { shape, pixels }
    }

    /// Images [N, height, width, channels] with values in [-1, 1], `columns` to a row, in order; two
    /// black pixels between them and around, black where the last row ends early. Every value becomes the
    /// same byte in every picture ([`quantise`]), so that grids can be compared with one another.
    pub fn grid(images: &[f32], shape: ImageShape, columns: usize) -> Self {
        let bytes: Vec<u8> = images.iter().copied().map(quantise).collect();
        Picture::grid_of_bytes(&bytes, shape, columns)
    }

    /// [`grid`](Picture::grid) of images that are bytes already. What is transparent shows a chequered ground.
    pub fn grid_of_bytes(images: &[u8], shape: ImageShape, columns: usize) -> Self {
        if shape.channels == 4 {
            return Picture::grid_of_bytes(
                &on_chequers(images, shape),
                ImageShape { channels: 3, ..shape },
                columns,
            );
        }
        assert!(columns > 0 && !shape.is_empty() && images.len().is_multiple_of(shape.len()));
        let rows = (images.len() / shape.len()).div_ceil(columns);
        let (tile_h, tile_w) = (shape.height + GAP, shape.width + GAP);
        let size = ImageShape { height: rows * tile_h + GAP, width: columns * tile_w + GAP, ..shape };
        let mut pixels = vec![0; size.len()];
        for (n, image) in images.chunks_exact(shape.len()).enumerate() {
            let (top, left) = (GAP + n / columns * tile_h, GAP + n % columns * tile_w);
            for (y, row) in image.chunks_exact(shape.width * shape.channels).enumerate() {
                let start = ((top + y) * size.width + left) * shape.channels;
                pixels[start..start + row.len()].copy_from_slice(row);
            }
        }
        Picture { shape: size, pixels }
    }

    /// Reads a PNG of 8 bits per channel, grey or RGB, as this program writes them; an alpha channel is left out.
    pub fn load_png(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::cannot_read(path, &e))?;
        Picture::read_png(BufReader::new(file), &path.display().to_string())
    }

    /// The same with four channels, the first three multiplied by the last, as in training: opaque where the PNG has no
    /// alpha.
    pub fn load_png_with_alpha(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::cannot_read(path, &e))?;
        let (picture, alpha) = Picture::read_samples(BufReader::new(file), &path.display().to_string())?;
        let channels = picture.shape.channels;
        let mut pixels = Vec::with_capacity(picture.pixels.len() / channels * 4);
        for (n, pixel) in picture.pixels.chunks_exact(channels).enumerate() {
            let a = alpha.as_ref().map_or(255, |alpha| alpha[n]);
            let weighed = |value: u8| ((u32::from(value) * u32::from(a) + 127) / 255) as u8;
            pixels.extend([0, 1, 2].map(|k| weighed(pixel[k.min(channels - 1)])));
            pixels.push(a);
        }
        Ok(Picture { shape: ImageShape { channels: 4, ..picture.shape }, pixels })
    }

    /// The same as [`load_png`](Picture::load_png) of a PNG that errors call `name`.
    pub fn read_png(file: impl BufRead + Seek, name: &str) -> Result<Self> {
        Ok(Picture::read_samples(file, name)?.0)
    }

    /// The picture of a PNG, and its alpha where it has one.
    fn read_samples(file: impl BufRead + Seek, name: &str) -> Result<(Self, Option<Vec<u8>>)> {
        let wrong = |what: String| Error::failure(format!("{name}: {what}"));
        let mut decoder = png::Decoder::new_with_limits(file, png::Limits { bytes: LARGEST_PNG });
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader =
            decoder.read_info().map_err(|e| wrong(format!("this is no PNG that can be read: {e}")))?;
        let size = reader.output_buffer_size().filter(|&size| size <= LARGEST_PNG);
        let size = size.ok_or_else(|| wrong("the picture is too large".into()))?;
        let mut pixels = vec![0; size];
        let info = reader.next_frame(&mut pixels).map_err(|e| wrong(format!("the PNG is damaged: {e}")))?;
        pixels.truncate(info.buffer_size());
        let (channels, samples) = match info.color_type {
            png::ColorType::Grayscale => (1, 1),
            png::ColorType::GrayscaleAlpha => (1, 2),
            png::ColorType::Rgb => (3, 3),
            png::ColorType::Rgba => (3, 4),
            png::ColorType::Indexed => return Err(wrong("the palette of this PNG is missing".into())),
        };
        let mut alpha = None;
        if samples > channels {
            alpha = Some(pixels.chunks_exact(samples).map(|pixel| pixel[channels]).collect());
            pixels = pixels.chunks_exact(samples).flat_map(|pixel| &pixel[..channels]).copied().collect();
        }
        let shape = ImageShape { height: info.height as usize, width: info.width as usize, channels };
        Ok((Picture { shape, pixels }, alpha))
    }

    /// Writes a PNG into `file` and finishes it.
    pub fn write_png(&self, file: PendingFile) -> Result<()> {
        let path = file.target().to_path_buf();
        let png =
            self.to_png().map_err(|e| Error::failure(format!("cannot write {}: {e}", path.display())))?;
        Ok(file.finish_with(&png)?)
    }

    /// The bytes of a PNG.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let (Ok(width), Ok(height)) = (u32::try_from(self.shape.width), u32::try_from(self.shape.height))
        else {
            return Err(Error::failure("the picture is too large"));
        };
        let color = match self.shape.channels {
            1 => png::ColorType::Grayscale,
            3 => png::ColorType::Rgb,
            4 => png::ColorType::Rgba,
            n => return Err(Error::failure(format!("a PNG has 1, 3 or 4 channels, not {n}"))),
        };
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(Error::failure)?;
        writer.write_image_data(&self.pixels).map_err(Error::failure)?;
        writer.finish().map_err(Error::failure)?;
        Ok(bytes)
    }

    /// The bytes of a WebP without loss.
    pub fn to_webp(&self) -> Result<Vec<u8>> {
        let colour = match self.shape.channels {
            1 => ExtendedColorType::L8,
            3 => ExtendedColorType::Rgb8,
            4 => ExtendedColorType::Rgba8,
            n => return Err(Error::failure(format!("a WebP has 1, 3 or 4 channels, not {n}"))),
        };
        const LONGEST: usize = 16_384;
        let ImageShape { height, width, .. } = self.shape;
        if height.max(width) > LONGEST {
            return Err(Error::failure(format!(
                "a WebP has at most {LONGEST} pixels along a side, this picture is {width}x{height}; a PNG may be larger"
            )));
        }
        let mut bytes = Vec::new();
        let encoder = WebPEncoder::new_lossless(&mut bytes);
        encoder.write_image(&self.pixels, width as u32, height as u32, colour).map_err(Error::failure)?;
        Ok(bytes)
    }

    /// Writes a PNG to `path`, all or nothing.
    pub fn save_png(&self, path: &Path) -> Result<()> {
        self.write_png(PendingFile::create(path)?)
    }
}

/// Images of four channels, whose colours are multiplied by their alpha, on light and dark squares.
fn on_chequers(images: &[u8], shape: ImageShape) -> Vec<u8> {
    let side = (shape.height.min(shape.width) / 8).clamp(1, 8);
    let mut pixels = Vec::with_capacity(images.len() / 4 * 3);
    for (n, pixel) in images.chunks_exact(4).enumerate() {
        let (y, x) = (n / shape.width % shape.height, n % shape.width);
        let ground = if (y / side + x / side).is_multiple_of(2) { 204 } else { 153 };
        let rest = (ground * (255 - u32::from(pixel[3])) + 127) / 255;
        pixels.extend(pixel[..3].iter().map(|&value| (u32::from(value) + rest).min(255) as u8));
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparency_is_undone_in_a_picture_and_shown_in_a_grid() {
        let shape = ImageShape { height: 1, width: 2, channels: 4 };
        // Half transparent red, multiplied by its alpha, and nothing at all.
        let image = [0.0, -1.0, -1.0, 0.0, -1.0, -1.0, -1.0, -1.0];
        let picture = Picture::single(&image, shape);
        assert_eq!(picture.pixels, [255, 0, 0, 128, 0, 0, 0, 0]);
        let bytes = picture.to_png().unwrap();
        assert_eq!(bytes[25], 6, "the colour type of a PNG with alpha");
        let grid = Picture::grid(&image, shape, 1);
        assert_eq!(grid.shape.channels, 3);
        let row = &grid.pixels[2 * grid.shape.width * 3..][6..12];
        assert_eq!(row, [230, 102, 102, 153, 153, 153]);
    }

    const TINY: ImageShape = ImageShape { height: 1, width: 2, channels: 1 };

    #[test]
    fn values_are_mapped_as_they_are() {
        let values = [-1.0, 1.0, 0.0, -2.0, 7.0, -0.99, f32::NAN, 0.5];
        let picture = Picture::single(&values, ImageShape { height: 2, width: 4, channels: 1 });
        assert_eq!(picture.pixels, [0, 255, 128, 0, 255, 1, 0, 191]);
    }

    #[test]
    fn a_grid_fills_rows_in_order() {
        let grid = Picture::grid(&[1.0, -1.0, 0.0, 1.0, -1.0, 1.0], TINY, 2);
        assert_eq!((grid.shape.height, grid.shape.width), (2 * 3 + 2, 2 * 4 + 2));
        let row = |y: usize| &grid.pixels[y * 10..(y + 1) * 10];
        assert_eq!(row(2), [0, 0, 255, 0, 0, 0, 128, 255, 0, 0]);
        assert_eq!(row(5), [0, 0, 0, 255, 0, 0, 0, 0, 0, 0]);
        assert!([0, 1, 3, 4, 6, 7].iter().all(|&y| row(y).iter().all(|&p| p == 0)));
    }

    #[test]
    fn a_colour_grid_keeps_channels_together() {
        let grid = Picture::grid(&[1.0, 0.0, -1.0], ImageShape { height: 1, width: 1, channels: 3 }, 1);
        assert_eq!(grid.shape, ImageShape { height: 5, width: 5, channels: 3 });
        assert_eq!(grid.pixels[(2 * 5 + 2) * 3..][..3], [255, 128, 0]);
    }

    #[test]
    fn a_png_reads_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        let grid = Picture::grid(&[1.0, -1.0, 0.0, 1.0, -1.0, 1.0], TINY, 2);
        grid.save_png(&path).unwrap();
        assert_eq!(Picture::load_png(&path).unwrap(), grid);
        let colour = Picture::grid(&[1.0, 0.0, -1.0], ImageShape { height: 1, width: 1, channels: 3 }, 1);
        colour.save_png(&path).unwrap();
        assert_eq!(Picture::load_png(&path).unwrap(), colour);
    }

    #[test]
    fn what_is_transparent_comes_back_as_it_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let shape = ImageShape { height: 1, width: 3, channels: 4 };
        // Multiplied by alpha: half red, nothing, opaque blue.
        let made = [128, 0, 0, 128, 0, 0, 0, 0, 0, 0, 200, 255];
        let values: Vec<f32> = made.iter().map(|&byte| f32::from(byte) / 127.5 - 1.0).collect();
        let picture = Picture::single(&values, shape);
        picture.save_png(&path).unwrap();
        assert_eq!(Picture::load_png_with_alpha(&path).unwrap().pixels, made);
        let webp = image::load_from_memory(&picture.to_webp().unwrap()).unwrap();
        assert_eq!(webp.into_rgba8().into_raw(), picture.pixels);
        Picture { shape: TINY, pixels: vec![3, 4] }.save_png(&path).unwrap();
        assert_eq!(Picture::load_png_with_alpha(&path).unwrap().pixels, [3, 3, 3, 255, 4, 4, 4, 255]);
    }

    #[test]
    fn files_that_are_no_png_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        let refused = || Picture::load_png(&path).unwrap_err().to_string();
        assert!(refused().contains("cannot read") && refused().contains("grid.png"));
        Picture::grid(&[1.0; 200], TINY, 10).save_png(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for end in [0, 8, 20, whole.len() / 2] {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(refused().contains("grid.png: "), "{}", refused());
        }
    }
}
