//! Pictures one after another, as a GIF.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gannet_data::ImageShape;
use gannet_data::files::PendingFile;

use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::run::sample_grids;

/// The colours of a palette.
const COLOURS: usize = 256;

/// Bits of a channel that colours are told apart by while a palette is chosen.
const BITS: u32 = 5;

/// The frames of the animation of a run, at most; of more grids, some are left out.
const MOST_FRAMES: usize = 120;

/// How long an animation of a run is to take without its last frame, and the times that a frame may take.
const LENGTH: Duration = Duration::from_secs(8);
const SHORTEST: Duration = Duration::from_millis(60);
const LONGEST: Duration = Duration::from_millis(500);

/// How long the last frame is held.
const HELD: Duration = Duration::from_secs(3);

/// Writes `frames`, each with how long it is shown, into `file` as a GIF that begins again and again, and finishes
/// it. Grey pictures keep every level; those in colour share one palette of 256 colours, chosen for all of them by
/// median cut. Errors when there is no frame, or when they differ in size.
pub fn write_gif(frames: &[(Picture, Duration)], mut file: PendingFile) -> Result<()> {
    let path = file.target().to_path_buf();
    let cannot = |why: String| Error::failure(format!("cannot write {}: {why}", path.display()));
    let Some((first, _)) = frames.first() else { return Err(cannot("there is no frame".into())) };
    let shape = first.shape;
    if frames.iter().any(|(frame, _)| frame.shape != shape) {
        return Err(cannot("its frames differ in size".into()));
    }
    let (Ok(width), Ok(height)) = (u16::try_from(shape.width), u16::try_from(shape.height)) else {
        let ImageShape { height, width, .. } = shape;
        return Err(cannot(format!("a GIF has at most 65535 by 65535 pixels, not {width} by {height}")));
    };
    let palette = match shape.channels {
        1 => Palette::grey(),
        3 => Palette::of(frames.iter().flat_map(|(frame, _)| frame.pixels.as_chunks().0)),
        n => return Err(cannot(format!("a GIF has 1 or 3 channels, not {n}"))),
    };
    let failed = |e: gif::EncodingError| cannot(e.to_string());
    let mut encoder = gif::Encoder::new(&mut file, width, height, &palette.bytes()).map_err(failed)?;
    encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
    for (picture, shown) in frames {
        let frame = gif::Frame {
            delay: u16::try_from(shown.as_millis() / 10).unwrap_or(u16::MAX),
            width,
            height,
            buffer: palette.indices(picture).into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).map_err(failed)?;
    }
    drop(encoder);
    Ok(file.finish()?)
}

/// At most `most` of `items`, evenly spread, the first and the last among them.
pub fn spread<T: Clone>(items: &[T], most: usize) -> Vec<T> {
    let n = items.len();
    match most {
        _ if n <= most => items.to_vec(),
        0 | 1 => items.last().cloned().into_iter().collect(),
        _ => (0..most).map(|k| items[k * (n - 1) / (most - 1)].clone()).collect(),
    }
}

/// Writes samples.gif from the grids that the run directory holds: the fixed latents through training, with the last
/// frame held. What was resumed or repeated is in the grids, so the animation is always that of the files. Does
/// nothing before there is a grid.
pub fn write_samples_gif(run: &Path) -> Result<()> {
    let grids = spread(&sample_grids(run)?, MOST_FRAMES);
    if grids.is_empty() {
        return Ok(());
    }
    let shown = (LENGTH / grids.len() as u32).clamp(SHORTEST, LONGEST);
    let mut frames = Vec::with_capacity(grids.len());
    for (_, path) in &grids {
        frames.push((Picture::load_png(path)?, shown));
    }
    if let Some((_, shown)) = frames.last_mut() {
        *shown = HELD;
    }
    write_gif(&frames, PendingFile::create(&run.join("samples.gif"))?)
}

/// Up to 256 colours.
struct Palette {
    colours: Vec<[u8; 3]>,
    /// For each colour of 3 times [`BITS`] bits the nearest of the palette; none for grey levels, which are their own
    /// indices.
    nearest: Option<Vec<u8>>,
}

impl Palette {
    fn grey() -> Self {
        Palette { colours: (0..=u8::MAX).map(|level| [level; 3]).collect(), nearest: None }
    }

    /// Median cut (Heckbert 1982): the box of colours with the largest sum of squared distances from its mean along
    /// one channel is cut at that mean, until there are 256; each then stands for its mean.
    fn of<'a>(pixels: impl Iterator<Item = &'a [u8; 3]>) -> Self {
        let mut cells: BTreeMap<usize, Cell> = BTreeMap::new();
        for pixel in pixels {
            let cell = cells.entry(cell(*pixel)).or_default();
            cell.count += 1;
            cell.sums.iter_mut().zip(pixel).for_each(|(sum, &byte)| *sum += u64::from(byte));
        }
        let mut boxes = vec![ColourBox::of(cells.into_values().collect())];
        while boxes.len() < COLOURS {
            let widest = boxes.iter().enumerate().max_by(|(_, a), (_, b)| a.spread.total_cmp(&b.spread));
            let Some((at, _)) = widest.filter(|(_, widest)| widest.spread > 0.0) else { break };
            let [low, high] = boxes.swap_remove(at).cut();
            boxes.extend([low, high]);
        }
        let colours: Vec<[u8; 3]> =
            boxes.iter().map(|colours| colours.mean.map(|x| x.round() as u8)).collect();
        let middle = |k: usize, channel: u32| {
            let value = (k >> (BITS * channel)) & ((1 << BITS) - 1);
            (value << (8 - BITS)) as i32 + (1 << (7 - BITS))
        };
        let nearest = (0..1usize << (3 * BITS)).map(|k| {
            let own = [middle(k, 2), middle(k, 1), middle(k, 0)];
            let distance = |colour: &[u8; 3]| -> i32 {
                colour.iter().zip(own).map(|(&c, own)| (i32::from(c) - own).pow(2)).sum()
            };
            let found = colours.iter().enumerate().min_by_key(|(_, colour)| distance(colour));
            found.map_or(0, |(index, _)| index as u8)
        });
        let nearest = Some(nearest.collect());
        Palette { colours, nearest }
    }

    fn bytes(&self) -> Vec<u8> {
        self.colours.concat()
    }

    fn indices(&self, picture: &Picture) -> Vec<u8> {
        match &self.nearest {
            None => picture.pixels.clone(),
            Some(nearest) => picture.pixels.as_chunks().0.iter().map(|pixel| nearest[cell(*pixel)]).collect(),
        }
    }
}

/// The cell of a colour: the first bits of red, green and blue.
fn cell(pixel: [u8; 3]) -> usize {
    pixel.into_iter().fold(0, |cell, byte| cell << BITS | usize::from(byte >> (8 - BITS)))
}

/// The pixels whose colours agree in their first bits.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    count: u64,
    sums: [u64; 3],
}

impl Cell {
    fn mean(&self, channel: usize) -> f64 {
        self.sums[channel] as f64 / self.count as f64
    }
}

/// Colours that one of the palette is to stand for.
struct ColourBox {
    cells: Vec<Cell>,
    mean: [f64; 3],
    /// The channel that it spreads along most, and the sum of squared distances from the mean there.
    channel: usize,
    spread: f64,
}

impl ColourBox {
    fn of(cells: Vec<Cell>) -> Self {
        let count: f64 = cells.iter().map(|cell| cell.count as f64).sum();
        let mean = [0, 1, 2]
            .map(|channel| cells.iter().map(|cell| cell.sums[channel] as f64).sum::<f64>() / count.max(1.0));
        let spreads = [0, 1, 2].map(|channel| -> f64 {
            cells.iter().map(|cell| cell.count as f64 * (cell.mean(channel) - mean[channel]).powi(2)).sum()
        });
        let widest = (0..3).max_by(|&a, &b| spreads[a].total_cmp(&spreads[b])).unwrap_or(0);
        ColourBox { cells, mean, channel: widest, spread: spreads[widest] }
    }

    fn cut(self) -> [ColourBox; 2] {
        let (low, high) =
            self.cells.into_iter().partition(|cell| cell.mean(self.channel) < self.mean[self.channel]);
        [ColourBox::of(low), ColourBox::of(high)]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn picture(channels: usize, pixels: Vec<u8>) -> Picture {
        let shape = ImageShape { height: 4, width: pixels.len() / channels / 4, channels };
        Picture { shape, pixels }
    }

    /// Each frame of a GIF as RGB, with the hundredths of a second that it is shown.
    fn read(path: &Path) -> Vec<(Vec<u8>, u16)> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(fs::File::open(path).unwrap()).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            let rgb = frame.buffer.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect();
            frames.push((rgb, frame.delay));
        }
        assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
        frames
    }

    #[test]
    fn grey_levels_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gif");
        let (first, second): (Vec<u8>, Vec<u8>) = ((0..=255).collect(), (0..=255).rev().collect());
        let frames = [(first.clone(), 70), (second.clone(), 2000)]
            .map(|(pixels, millis)| (picture(1, pixels), Duration::from_millis(millis)));
        write_gif(&frames, PendingFile::create(&path).unwrap()).unwrap();
        let rgb = |levels: Vec<u8>| levels.into_iter().flat_map(|level| [level; 3]).collect::<Vec<_>>();
        assert!(read(&path) == [(rgb(first), 7), (rgb(second), 200)]);
    }

    #[test]
    fn few_colours_are_kept_and_many_come_near() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gif");
        let write = |pixels: &[u8]| {
            let frame = (picture(3, pixels.to_vec()), Duration::from_secs(1));
            write_gif(&[frame], PendingFile::create(&path).unwrap()).unwrap();
            read(&path).remove(0).0
        };
        let few: Vec<u8> = [[255, 0, 0], [0, 255, 0], [10, 20, 200], [0, 0, 0]].concat().repeat(4);
        assert_eq!(write(&few), few);
        let mut stream = gannet::Stream::new(1, "colours", 0);
        let many: Vec<u8> = (0..3 * 4096).map(|_| stream.below(256) as u8).collect();
        let found = write(&many);
        let squared: f64 = many.iter().zip(&found).map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2)).sum();
        // A cube of 256 colours that fill the space evenly is 40 levels wide: 11.6 from its middle.
        assert!((squared / many.len() as f64).sqrt() < 16.0, "{squared}");
    }

    #[test]
    fn frames_that_do_not_fit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gif");
        let frame = |pixels| (picture(1, vec![0; pixels]), Duration::ZERO);
        for (frames, complaint) in [
            (vec![], "no frame"),
            (vec![frame(4), frame(8)], "differ in size"),
            (vec![frame(4 * 70_000)], "65535"),
        ] {
            let message = write_gif(&frames, PendingFile::create(&path).unwrap()).unwrap_err().to_string();
            assert!(message.contains("x.gif") && message.contains(complaint), "{message}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn an_animation_has_the_grids_of_its_run_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        write_samples_gif(run).unwrap();
        fs::create_dir(run.join("samples")).unwrap();
        for (step, level) in [(1_000_000, 30), (20, 10), (300, 20)] {
            let name = format!("samples/step-{step:06}.png");
            picture(1, vec![level; 16]).save_png(&run.join(name)).unwrap();
        }
        fs::write(run.join("samples/notes.txt"), "no grid").unwrap();
        write_samples_gif(run).unwrap();
        let frames = read(&run.join("samples.gif"));
        assert_eq!(frames.iter().map(|(rgb, _)| rgb[0]).collect::<Vec<_>>(), [10, 20, 30]);
        assert_eq!(frames.iter().map(|(_, shown)| *shown).collect::<Vec<_>>(), [50, 50, 300]);
        fs::write(run.join("samples/step-000020.png"), "cut").unwrap();
        assert!(write_samples_gif(run).unwrap_err().to_string().contains("step-000020.png"));
    }

    #[test]
    fn what_is_left_out_is_spread_evenly() {
        let items: Vec<usize> = (0..=100).collect();
        assert_eq!(spread(&items, 5), [0, 25, 50, 75, 100]);
        assert_eq!(spread(&items[..3], 5), [0, 1, 2]);
        assert_eq!((spread(&items, 1), spread(&items[..0], 3)), (vec![100], vec![]));
    }
}
