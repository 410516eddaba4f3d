//! Generated images as PNG.

use std::path::Path;

use crate::error::{Error, Result};
use crate::files::PendingFile;

/// Black pixels between the tiles of a grid.
const GAP: usize = 2;

/// The format of a batch of images: rows, columns, channels (1 is grey, 3 is RGB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Numbers per pixel.
    pub channels: usize,
}

impl ImageShape {
    /// Numbers in one image.
    pub fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether an image has no pixels.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// An 8-bit picture, row-major, channels last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its size.
    pub shape: ImageShape,
    /// `shape.len()` bytes.
    pub pixels: Vec<u8>,
}

/// The byte of a value in [-1, 1]: -1 is 0, 1 is 255, the nearest in between; what lies outside is
/// clamped. The same for every picture, so that grids can be compared with one another.
pub fn to_byte(value: f32) -> u8 {
    // A float-to-integer `as` saturates and takes NaN to 0.
    ((value + 1.0) * 127.5).round() as u8
}

impl Picture {
    /// One image [height, width, channels] with values in [-1, 1].
    pub fn single(image: &[f32], shape: ImageShape) -> Self {
        assert_eq!(image.len(), shape.len());
        Picture { shape, pixels: image.iter().copied().map(to_byte).collect() }
    }

    /// Images [N, height, width, channels] with values in [-1, 1], `columns` to a row, in order; two
    /// black pixels between them and around, black where the last row ends early.
    pub fn grid(images: &[f32], shape: ImageShape, columns: usize) -> Self {
        assert!(columns > 0 && !shape.is_empty() && images.len().is_multiple_of(shape.len()));
        let rows = (images.len() / shape.len()).div_ceil(columns);
        let (tile_h, tile_w) = (shape.height + GAP, shape.width + GAP);
        let size = ImageShape { height: rows * tile_h + GAP, width: columns * tile_w + GAP, ..shape };
        let mut pixels = vec![0; size.len()];
        for (n, image) in images.chunks_exact(shape.len()).enumerate() {
            let (top, left) = (GAP + n / columns * tile_h, GAP + n % columns * tile_w);
            for (y, row) in image.chunks_exact(shape.width * shape.channels).enumerate() {
                let start = ((top + y) * size.width + left) * shape.channels;
                for (pixel, &value) in pixels[start..].iter_mut().zip(row) {
                    *pixel = to_byte(value);
                }
            }
        }
        Picture { shape: size, pixels }
    }

    /// Writes a PNG into `file` and finishes it.
    pub fn write_png(&self, mut file: PendingFile) -> Result<()> {
        let path = file.target().to_path_buf();
        let describe =
            |e: png::EncodingError| Error::failure(format!("cannot write {}: {e}", path.display()));
        let (Ok(width), Ok(height)) = (u32::try_from(self.shape.width), u32::try_from(self.shape.height))
        else {
            return Err(Error::failure(format!("cannot write {}: the picture is too large", path.display())));
        };
        let color = match self.shape.channels {
            1 => png::ColorType::Grayscale,
            3 => png::ColorType::Rgb,
            n => {
                let path = path.display();
                return Err(Error::failure(format!(
                    "cannot write {path}: a PNG has 1 or 3 channels, not {n}"
                )));
            }
        };
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(describe)?;
        writer.write_image_data(&self.pixels).map_err(describe)?;
        writer.finish().map_err(describe)?;
        file.finish()
    }

    /// Writes a PNG to `path`, all or nothing.
    pub fn save_png(&self, path: &Path) -> Result<()> {
        self.write_png(PendingFile::create(path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: ImageShape = ImageShape { height: 1, width: 2, channels: 1 };

    #[test]
    fn values_are_mapped_as_they_are() {
        for (value, byte) in
            [(-1.0, 0), (1.0, 255), (0.0, 128), (-2.0, 0), (7.0, 255), (-0.99, 1), (f32::NAN, 0)]
        {
            assert_eq!(to_byte(value), byte, "{value}");
        }
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
        let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (10, 8, png::ColorType::Grayscale));
        assert_eq!(pixels, grid.pixels);
    }
}
