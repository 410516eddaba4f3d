//! A GAN of dense layers for handwritten digits, after an introductory Keras article; line by line what that meant.
//!
//! Corrections to what was printed there:
//! - `add.BatchNormalization` was a typo for `add(BatchNormalization())`.
//! - A Flatten was missing in the discriminator before its last Dense, which would have given a number per pixel.
//! - The generator's 784 numbers need a Reshape to (28, 28, 1), the discriminator's input.
//! - The 'real' digits were random noise; these are MNIST's.
//! - The generator was trained by itself against ones and never saw the discriminator; here it is trained through it.
//!
//! The hundred epochs of the article are a hundred batches of 32, so a few digits: `--epochs` here means all of them.
//!
//! ```text
//! cargo run --release -p gannet --example seed_dense [-- --steps N | --epochs N]
//! ```

mod common;

use gannet::layers::{BatchNorm, Dense, Flatten, LeakyRelu, Reshape};
use gannet::{Activation, Adam, Cpu, Objective, Sequential, Stacked, noise, set_seed};

const BATCH: usize = 32;
const LATENTS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    set_seed(42);
    let mut digits = common::Digits::new(42)?;

    let generator = Sequential::new("generator", [LATENTS])
        .add(Dense::new(7 * 7 * 128).activation(Activation::Relu))
        .add(Reshape::new([7, 7, 128]))
        .add(BatchNorm::new())
        .add(LeakyRelu::new(0.2))
        .add(Flatten::new())
        .add(Dense::new(28 * 28).activation(Activation::Tanh))
        .add(Reshape::new([28, 28, 1]));

    let discriminator = Sequential::new("discriminator", [28, 28, 1])
        .add(Flatten::new())
        .add(Dense::new(7 * 7 * 128).activation(Activation::Relu))
        .add(Reshape::new([7, 7, 128]))
        .add(LeakyRelu::new(0.2))
        .add(BatchNorm::new())
        .add(Flatten::new())
        .add(Dense::new(1).activation(Activation::Sigmoid));

    let backend = Cpu::new()?;
    let loss = Objective::BinaryCrossentropy { from_logits: false };
    let mut generator = generator.compile(&backend, loss, Adam::default())?;
    let mut discriminator = discriminator.compile(&backend, loss, Adam::default())?;
    let mut gan = Stacked::new(&generator, &discriminator)?;
    println!("{}\n{}", generator.summary(), discriminator.summary());

    let (ones, zeros) = ([1.0; BATCH], [0.0; BATCH]);
    let (steps, _) = common::steps(100, BATCH, None)?;
    for epoch in 1..=steps {
        let fake = generator.predict(&noise(BATCH * LATENTS))?;
        let d_real = discriminator.train_on_batch(&digits.batch(BATCH), &ones)?;
        let d_fake = discriminator.train_on_batch(&fake, &zeros)?;
        let g = gan.train_on_batch(&noise(BATCH * LATENTS), &ones)?;
        println!("Epoch {epoch}: D_real loss={d_real:.4}, D_fake loss={d_fake:.4}, G loss={g:.4}");
    }
    common::show(&generator.predict(&noise(4 * LATENTS))?, 4);
    Ok(())
}
