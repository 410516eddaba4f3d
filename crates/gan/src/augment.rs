//! Differentiable augmentation of what the discriminator sees.

use gannet_tensor::{Element, Program, Shape, Var};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::names;
use crate::random::Stream;

/// DiffAugment (Zhao et al. 2020): real and generated images alike are shifted, partly blanked, and changed in brightness,
/// saturation and contrast before the discriminator sees them, and the generator's gradient goes through. For data sets that
/// are small: without it the discriminator learns them by heart.
///
/// The random numbers are drawn on the host, so every device sees the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Augment {
    /// A number is added to each image, drawn evenly from plus and minus half of this. 1 in the paper.
    pub brightness: f64,
    /// How far a pixel's colours lie from their mean is multiplied by a number drawn evenly from 1 minus this to 1 plus this,
    /// one for each image. 1 in the paper. Grey images stay as they are, and so does transparency.
    pub saturation: f64,
    /// The same of how far an image's numbers lie from their mean. 0.5 in the paper.
    pub contrast: f64,
    /// Images are shifted by up to this share of their size, down and across; zeros come in. 0.125 in the paper.
    pub translation: f64,
    /// A rectangle of this share of the height and width is set to zero. 0.5 in the paper.
    pub cutout: f64,
}

/// The channels of an image that are its colours.
const COLOURS: usize = 3;

/// The largest whole number up to which f32 holds all.
const EXACT: usize = 1 << 24;

/// The random numbers for a batch.
#[derive(Default)]
pub(crate) struct Draws {
    /// What is added to each image `[n]`.
    brightness: Vec<f64>,
    /// What the distances of its colours from their mean are multiplied by `[n]`.
    saturation: Vec<f64>,
    /// What the distances of its numbers from their mean are multiplied by `[n]`.
    contrast: Vec<f64>,
    /// For each pixel of the batch [n h w] the number of the pixel that it shows; n h w is a blank one.
    sources: Vec<f64>,
}

impl Augment {
    /// What the paper uses.
    pub fn paper() -> Augment {
        Augment { brightness: 1.0, saturation: 1.0, contrast: 0.5, translation: 0.125, cutout: 0.5 }
    }

    /// A number is added to each image, drawn evenly from plus and minus half of this.
    #[must_use]
    pub fn brightness(mut self, brightness: f64) -> Augment {
        self.brightness = brightness;
        self
    }

    /// The distances of a pixel's colours from their mean are multiplied by a number from 1 minus to 1 plus this.
    #[must_use]
    pub fn saturation(mut self, saturation: f64) -> Augment {
        self.saturation = saturation;
        self
    }

    /// The distances of an image's numbers from their mean are multiplied by a number from 1 minus to 1 plus this.
    #[must_use]
    pub fn contrast(mut self, contrast: f64) -> Augment {
        self.contrast = contrast;
        self
    }

    /// Images are shifted by up to this share of their size.
    #[must_use]
    pub fn translation(mut self, translation: f64) -> Augment {
        self.translation = translation;
        self
    }

    /// A rectangle of this share of the height and width is set to zero.
    #[must_use]
    pub fn cutout(mut self, cutout: f64) -> Augment {
        self.cutout = cutout;
        self
    }

    pub(crate) fn check(&self, image: Shape, batch: usize) -> Result<()> {
        for (name, x, largest) in [
            ("brightness", self.brightness, 2.0),
            ("saturation", self.saturation, 1.0),
            ("contrast", self.contrast, 1.0),
            ("translation", self.translation, 1.0),
            ("cutout", self.cutout, 1.0),
        ] {
            if !(0.0..=largest).contains(&x) {
                return Err(Error::invalid(format!("augment: {name} must lie in 0 to {largest}, got {x}")));
            }
        }
        let [h, w, _] = size(image)?;
        if batch * h * w >= EXACT {
            return Err(Error::invalid(format!(
                "augment: a batch may have at most {EXACT} pixels, got {batch} images of {h} x {w}"
            )));
        }
        Ok(())
    }

    /// The augmented images of a batch `x` [n, h, w, c]; `pass` names the inputs with their random numbers.
    pub(crate) fn trace<'g>(&self, x: Var<'g>, pass: &str) -> Result<Var<'g>> {
        let (graph, shape) = (x.graph(), x.shape());
        let n = shape.dims()[0];
        let [h, w, c] = size(Shape::new(&shape.dims()[1..])?)?;
        let mut y = x;
        if self.brightness > 0.0 {
            y = y + graph.input(&names::augment(pass, names::BRIGHTNESS), [n, 1, 1, 1]);
        }
        // A fourth channel is transparency, which has no colour.
        if self.saturation > 0.0 && c >= COLOURS {
            let colours = y.slice(3, 0, COLOURS);
            let strayed = away_from(
                colours.mean(&[3]),
                colours,
                graph.input(&names::augment(pass, names::SATURATION), [n, 1, 1, 1]),
            );
            y = if c == COLOURS { strayed } else { Var::concat(&[strayed, y.slice(3, COLOURS, c)], 3) };
        }
        if self.contrast > 0.0 {
            y = away_from(
                y.mean(&[1, 2, 3]),
                y,
                graph.input(&names::augment(pass, names::CONTRAST), [n, 1, 1, 1]),
            );
        }
        if self.moves() {
            // A gather of pixels: its adjoint is the scatter that the gradient needs.
            let table = Var::concat(&[y.reshape([n * h * w, c]), graph.fill([1, c], 0.0)], 0);
            y = table
                .embedding(graph.input(&names::augment(pass, names::SOURCES), [n * h * w]))
                .reshape(shape);
        }
        Ok(y)
    }

    fn moves(&self) -> bool {
        self.translation > 0.0 || self.cutout > 0.0
    }

    /// Random numbers for `n` images [h, w, ..].
    pub(crate) fn draw(&self, image: Shape, n: usize, stream: &mut Stream) -> Draws {
        let (h, w) = (image.dims()[0], image.dims()[1]);
        let mut draws = Draws { sources: Vec::with_capacity(n * h * w), ..Draws::default() };
        for i in 0..n {
            draws.brightness.push(stream.uniform(-0.5, 0.5) * self.brightness);
            // A shift, and the first pixel and the end of what is cut out, for one axis.
            let mut axis = |length: usize| {
                let most = (length as f64 * self.translation).round() as i64;
                let shift = (stream.uniform(-(most as f64), most as f64 + 1.0).floor() as i64).min(most);
                let cut = (length as f64 * self.cutout).round() as i64;
                // The centre lies anywhere in the image, so a part of the rectangle may lie outside.
                let start = stream.uniform(0.0, length as f64).floor() as i64 - cut / 2;
                (shift, start..start + cut)
            };
            let ((down, rows), (across, columns)) = (axis(h), axis(w));
            // Drawn where they are wanted only: runs of before go on with the numbers that they had.
            let mut factor =
                |most: f64| if most > 0.0 { stream.uniform(1.0 - most, 1.0 + most) } else { 1.0 };
            draws.saturation.push(factor(self.saturation));
            draws.contrast.push(factor(self.contrast));
            for y in 0..h as i64 {
                for x in 0..w as i64 {
                    let (from_y, from_x) = (y - down, x - across);
                    let inside = (0..h as i64).contains(&from_y) && (0..w as i64).contains(&from_x);
                    let cut = rows.contains(&y) && columns.contains(&x);
                    draws.sources.push(match inside && !cut {
                        true => (i * h * w) as f64 + (from_y * w as i64 + from_x) as f64,
                        false => (n * h * w) as f64,
                    });
                }
            }
        }
        draws
    }
}

impl Draws {
    /// The numbers of one batch made of `parts`: of `count` images, or of as many real images followed by as many generated
    /// ones, whatever the parts are of.
    pub(crate) fn joined(parts: &[Draws], count: usize) -> Draws {
        let images: usize = parts.iter().map(|part| part.brightness.len()).sum();
        let halves = images / count;
        let mut joined = Draws::default();
        for half in 0..halves {
            for part in parts {
                let n = part.brightness.len() / halves;
                let pixels = part.sources.len() / part.brightness.len();
                let blank = part.sources.len() as f64;
                // From where the images lie in the part to where they lie in the whole.
                let moved = (joined.brightness.len() as f64 - (half * n) as f64) * pixels as f64;
                let images_of_half = half * n..(half + 1) * n;
                joined.brightness.extend(&part.brightness[images_of_half.clone()]);
                joined.saturation.extend(&part.saturation[images_of_half.clone()]);
                joined.contrast.extend(&part.contrast[images_of_half]);
                let sources = &part.sources[half * n * pixels..(half + 1) * n * pixels];
                joined.sources.extend(sources.iter().map(|&source| match source < blank {
                    true => source + moved,
                    false => (images * pixels) as f64,
                }));
            }
        }
        joined
    }

    /// Writes the numbers to the inputs of `pass`.
    pub(crate) fn write<B: gannet_tensor::Backend>(
        &self,
        program: &mut Program<B>,
        pass: &str,
    ) -> Result<()> {
        for (name, values) in [
            (names::BRIGHTNESS, &self.brightness),
            (names::SATURATION, &self.saturation),
            (names::CONTRAST, &self.contrast),
            (names::SOURCES, &self.sources),
        ] {
            let name = names::augment(pass, name);
            if program.has_input(&name) {
                let values: Vec<B::Element> = values.iter().map(|x| B::Element::of(*x)).collect();
                program.write(&name, &values)?;
            }
        }
        Ok(())
    }
}

/// `mean` plus `factor` times the distance of `x` from it.
fn away_from<'g>(mean: Var<'g>, x: Var<'g>, factor: Var<'g>) -> Var<'g> {
    mean + (x - mean) * factor
}

fn size(image: Shape) -> Result<[usize; 3]> {
    image.dims().try_into().map_err(|_| {
        Error::invalid(format!("augment: expected images of shape [height, width, channels], got {image}"))
    })
}

#[cfg(test)]
mod tests {
    use gannet_tensor::{Graph, Reference, Variables, grad};

    use super::*;

    #[test]
    fn pixels_move_and_blank_and_their_gradients_go_back() {
        let augment = Augment::default().brightness(1.0).translation(0.25).cutout(0.25);
        let graph = Graph::new();
        let image = Shape::from([8, 8, 1]);
        let x = graph.input("x", [6, 8, 8, 1]);
        let y = augment.trace(x, "t").unwrap();
        let weights = graph.input("weights", [6, 8, 8, 1]);
        let dx = grad((y * weights).sum_all(), &[x]).unwrap()[0];
        let plan = graph.plan().output("y", y).output("dx", dx).build().unwrap();
        let mut program = Program::new(&Reference::<f64>::new(), plan, &Variables::new()).unwrap();
        let draws = augment.draw(image, 6, &mut Stream::new(1, "augment", 0));
        draws.write(&mut program, "t").unwrap();
        let values: Vec<f64> = (0..384).map(|i| 1.0 + f64::from(i)).collect();
        let cotangent: Vec<f64> = (0..384).map(|i| f64::from(i * i % 97)).collect();
        program.write("x", &values).unwrap();
        program.write("weights", &cotangent).unwrap();
        program.run().unwrap();
        let (y, dx) = (program.read("y").unwrap(), program.read("dx").unwrap());
        // By the definition, pixel by pixel.
        let mut expected = vec![0.0; 384];
        let mut blank = 0;
        for (i, &source) in draws.sources.iter().enumerate() {
            if source < 384.0 {
                let source = source as usize;
                assert_eq!(source / 64, i / 64, "a pixel stays in its image");
                assert!((y[i] - values[source] - draws.brightness[i / 64]).abs() < 1e-12);
                expected[source] += cotangent[i];
            } else {
                assert_eq!(y[i], 0.0);
                blank += 1;
            }
        }
        assert_eq!(dx, expected);
        assert!(blank > 6 && blank < 300, "{blank} of 384 blank");
        assert!(draws.brightness.iter().any(|b| b.abs() > 0.1));
    }

    /// Colours by the paper's definition, one image after the other, and their gradients by differences.
    #[test]
    fn colours_stray_from_their_means() {
        let augment = Augment::default().brightness(1.0).saturation(1.0).contrast(0.5);
        for channels in [1, 3, 4] {
            let (graph, dims) = (Graph::new(), [3, 2, 2, channels]);
            let len = dims.iter().product::<usize>();
            let x = graph.input("x", dims);
            let y = augment.trace(x, "t").unwrap();
            let dx = grad((y * y * y).sum_all(), &[x]).unwrap()[0];
            let plan = graph.plan().output("y", y).output("dx", dx).build().unwrap();
            let mut program = Program::new(&Reference::<f64>::new(), plan, &Variables::new()).unwrap();
            let draws = augment.draw([2, 2, channels].into(), 3, &mut Stream::new(1, "augment", 0));
            draws.write(&mut program, "t").unwrap();
            let values: Vec<f64> = (0..len).map(|i| ((i * 37 % 101) as f64) / 50.0 - 1.0).collect();
            let mut run = |values: &[f64]| {
                program.write("x", values).unwrap();
                program.run().unwrap();
                (program.read("y").unwrap(), program.read("dx").unwrap())
            };
            let (y, dx) = run(&values);
            let mut expected = Vec::new();
            for (i, image) in values.chunks(len / 3).enumerate() {
                let mut image: Vec<f64> = image.iter().map(|x| x + draws.brightness[i]).collect();
                if channels >= 3 {
                    for pixel in image.chunks_mut(channels) {
                        let mean = pixel[..3].iter().sum::<f64>() / 3.0;
                        pixel[..3].iter_mut().for_each(|x| *x = mean + (*x - mean) * draws.saturation[i]);
                    }
                }
                let mean = image.iter().sum::<f64>() / image.len() as f64;
                expected.extend(image.iter().map(|x| mean + (x - mean) * draws.contrast[i]));
            }
            assert!(y.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{y:?} {expected:?}");
            for i in 0..len {
                let mut loss = |by: f64| {
                    let mut values = values.clone();
                    values[i] += by;
                    run(&values).0.iter().map(|y| y.powi(3)).sum::<f64>()
                };
                let difference = (loss(1e-5) - loss(-1e-5)) / 2e-5;
                assert!((difference - dx[i]).abs() < 1e-6, "{channels} channels: {difference} {}", dx[i]);
            }
            assert!(draws.contrast.iter().all(|x| (0.5..1.5).contains(x)));
            assert!(draws.saturation.iter().any(|x| (x - 1.0).abs() > 0.5), "{:?}", draws.saturation);
        }
    }

    #[test]
    fn shifts_reach_both_ends_evenly() {
        let augment = Augment { translation: 0.25, ..Augment::default() };
        let draws = augment.draw([8, 8, 1].into(), 500, &mut Stream::new(1, "augment", 0));
        let mut counts = [0; 5];
        for image in 0..500 {
            // Where pixel (4, 4) comes from.
            let source = draws.sources[image * 64 + 36] as usize - image * 64;
            counts[source / 8 - 2] += 1;
        }
        assert!(counts.iter().all(|n| (60..140).contains(n)), "{counts:?}");
    }
}
