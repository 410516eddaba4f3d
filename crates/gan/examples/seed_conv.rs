//! A convolutional GAN for images of 28 x 28 x 3, after an introductory Keras article.
//!
//! Corrections to what was printed there:
//! - The Dense must give as many numbers as the Reshape takes.
//! - The generator made images of 7 x 7 x 3 for a discriminator of 28 x 28 x 3: here it starts at 7 x 7 x 256, with `same`
//!   padding and the transposed convolution twice.
//! - A sigmoid in front of a loss with `from_logits=True` squashes twice: the last Dense gives logits.
//! - Adam with the same rate for both, and its usual first moment of 0.9, lets the discriminator win within 300 steps, after
//!   which every image is black: here it learns at a fifth of the generator's rate, both with a first moment of 0.5.
//! - There was no training loop; this is the usual one. The digits are MNIST's, in three equal channels or, with
//!   `--colours`, each in a colour of its own on a ground of another.
//!
//! ```text
//! cargo run --release -p gannet --example seed_conv [-- --steps N | --epochs N] [--colours]
//! ```

mod common;

use gannet::layers::{Conv2d, ConvTranspose2d, Dense, Flatten, MaxPool2d, Reshape};
use gannet::{Activation, Adam, Cpu, Objective, Padding, Sequential, Stacked, Stream, noise, set_seed};

const BATCH: usize = 32;
const LATENTS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    set_seed(42);
    let mut digits = common::Digits::new(42)?;
    let (relu, same) = (Activation::Relu, Padding::Same);

    let generator = Sequential::new("generator", [LATENTS])
        .add(Dense::new(7 * 7 * 256).activation(relu))
        .add(Reshape::new([7, 7, 256]))
        .add(ConvTranspose2d::new(256, [3, 3]).stride([2, 2]).padding(same).activation(relu))
        .add(ConvTranspose2d::new(256, [3, 3]).stride([2, 2]).padding(same).activation(relu))
        .add(Conv2d::new(3, [3, 3]).padding(same).activation(Activation::Tanh));

    let discriminator = Sequential::new("discriminator", [28, 28, 3])
        .add(Conv2d::new(256, [3, 3]).activation(relu))
        .add(MaxPool2d::new([2, 2]))
        .add(Flatten::new())
        .add(Dense::new(1));

    let backend = Cpu::new()?;
    let loss = Objective::BinaryCrossentropy { from_logits: true };
    let mut generator = generator.compile(&backend, loss, Adam::new(5e-4).betas(0.5, 0.999))?;
    let mut discriminator = discriminator.compile(&backend, loss, Adam::new(1e-4).betas(0.5, 0.999))?;
    let mut gan = Stacked::new(&generator, &discriminator)?;
    println!("{}\n{}", generator.summary(), discriminator.summary());

    let (steps, colours) = common::steps(20, BATCH, Some("--colours"))?;
    let mut palette = Stream::new(42, "colours", 0);
    let (ones, zeros) = ([1.0; BATCH], [0.0; BATCH]);
    for step in 1..=steps {
        let real = match (colours, digits.batch(BATCH)) {
            (true, grey) => common::coloured(&grey, &mut palette),
            (false, grey) => common::in_three_channels(grey),
        };
        let fake = generator.predict(&noise(BATCH * LATENTS))?;
        let d_real = discriminator.train_on_batch(&real, &ones)?;
        let d_fake = discriminator.train_on_batch(&fake, &zeros)?;
        let g = gan.train_on_batch(&noise(BATCH * LATENTS), &ones)?;
        println!("Step {step}: D_real loss={d_real:.4}, D_fake loss={d_fake:.4}, G loss={g:.4}");
    }
    common::show(&generator.predict(&noise(4 * LATENTS))?, 4);
    Ok(())
}
