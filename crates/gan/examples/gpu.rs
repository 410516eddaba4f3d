//! A GAN of points on a ring, trained on a GPU: the best adapter that there is, or the one whose name holds a word.
//!
//! ```text
//! cargo run --release -p gannet --features gpu --example gpu [-- ADAPTER]
//! ```

use gannet::gpu::Options;
use gannet::layers::{Dense, LeakyRelu};
use gannet::{Adam, Backend, Gan, GanConfig, Sequential, Stream, Wgpu};

const BATCH: usize = 256;
const STEPS: u64 = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options { adapter: std::env::args().nth(1), ..Options::default() };
    let backend = Wgpu::new(&options)?;
    println!("{}", backend.describe());

    let hidden =
        |model: Sequential| (0..2).fold(model, |model, _| model.add(Dense::new(64)).add(LeakyRelu::new(0.2)));
    let generator = hidden(Sequential::new("generator", [4])).add(Dense::new(2));
    let discriminator = hidden(Sequential::new("discriminator", [2])).add(Dense::new(1));
    let config = GanConfig::new(generator, discriminator)
        .optimiser(Adam::new(1e-3).betas(0.5, 0.999))
        .batch_size(BATCH);
    let mut gan = Gan::new(&backend, config)?;
    for step in 0..STEPS {
        gan.train_step(&ring(step), None)?;
        // The device goes on with the next steps meanwhile: losses come a few steps late.
        while let Some(of) = gan.next_losses()? {
            if of.step.is_multiple_of(50) {
                println!("step {}: {:?}", of.step, of.losses);
            }
        }
    }
    let samples = gan.generate(&gan.latents(1000, 0), None)?;
    let radii = samples.chunks_exact(2).map(|point| point[0].hypot(point[1]));
    println!("mean distance from the centre: {:.3} (1 on the ring)", radii.sum::<f32>() / 1000.0);
    Ok(())
}

/// Points near the circle of radius 1.
fn ring(step: u64) -> Vec<f32> {
    let mut stream = Stream::new(1, "ring", step);
    let point = |_| {
        let (sin, cos) = stream.uniform(0.0, std::f64::consts::TAU).sin_cos();
        let radius = 1.0 + 0.05 * stream.normal();
        [radius * cos, radius * sin].map(|x| x as f32)
    };
    (0..BATCH).flat_map(point).collect()
}
