//! A classifier of handwritten digits, trained with `fit` as in Keras: a thousand digits, or all of them.
//!
//! ```text
//! cargo run --release -p gannet --example classifier [-- --epochs N] [--digits N]
//! ```

use std::io::Read;
use std::ops::ControlFlow;

use flate2::read::GzDecoder;
use gannet::layers::{BatchNorm, Conv2d, Dense, Dropout, Flatten, LeakyRelu};
use gannet::{
    Adam, Compiled, Cpu, EarlyStopping, Epoch, Fit, Objective, Padding, Schedule, Sequential, set_seed,
};
use gannet_mnist_train::{IMAGES, LABELS};

const PIXELS: usize = 28 * 28;
const VALIDATION: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (epochs, digits) = arguments()?;
    set_seed(42);
    let images: Vec<f32> = unpacked(IMAGES, 16)?.iter().map(|b| f32::from(*b) / 127.5 - 1.0).collect();
    let labels: Vec<f32> = unpacked(LABELS, 8)?.iter().map(|b| f32::from(*b)).collect();
    let digits = digits.min(labels.len() - VALIDATION);
    let (x, x_validation) = (&images[..digits * PIXELS], &images[digits * PIXELS..][..VALIDATION * PIXELS]);
    let (t, t_validation) = (&labels[..digits], &labels[digits..][..VALIDATION]);

    let mut model = Sequential::new("classifier", [28, 28, 1])
        .add(Conv2d::new(16, [3, 3]).stride([2, 2]).padding(Padding::Same))
        .add(LeakyRelu::new(0.1))
        .add(Conv2d::new(32, [3, 3]).stride([2, 2]).padding(Padding::Same))
        .add(BatchNorm::new().momentum(0.9))
        .add(LeakyRelu::new(0.1))
        .add(Flatten::new())
        .add(Dropout::new(0.2))
        .add(Dense::new(10))
        .compile(&Cpu::new()?, Objective::SparseCategoricalCrossentropy, Adam::new(2e-3))?;
    println!("{}", model.summary());

    let fit = Fit::new(epochs).batch_size(50).validation(x_validation, t_validation);
    model.set_schedule(Schedule::Cosine, fit.updates(digits))?;
    let mut print = |_: &mut Compiled<Cpu>, epoch: &Epoch| {
        let percent = |share: Option<f64>| 100.0 * share.unwrap_or(0.0);
        let validation = epoch.validation.unwrap_or(epoch.training);
        println!(
            "Epoch {}: loss {:.4}, right {:.1} %; validation: loss {:.4}, right {:.1} %",
            epoch.epoch,
            epoch.training.loss,
            percent(epoch.training.accuracy),
            validation.loss,
            percent(validation.accuracy),
        );
        Ok(ControlFlow::Continue(()))
    };
    model.fit(x, t, &fit, &mut [&mut print, &mut EarlyStopping::new(3)])?;

    let path = std::env::temp_dir().join(format!("gannet-classifier-{}.safetensors", std::process::id()));
    model.save(&path)?;
    let mut again = Compiled::load(&Cpu::new()?, &path)?;
    std::fs::remove_file(&path)?;
    let right = again.evaluate(x_validation, t_validation)?.accuracy.unwrap_or(0.0);
    println!("saved, loaded again: {:.1} % right", 100.0 * right);
    Ok(())
}

/// What stands behind the header of an IDX file.
fn unpacked(file: &[u8], header: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    Ok(bytes.split_off(header))
}

/// `--epochs N` and `--digits N`, whole numbers from 1.
fn arguments() -> Result<(usize, usize), String> {
    let (mut epochs, mut digits) = (5, 1000);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--epochs" => &mut epochs,
            "--digits" => &mut digits,
            _ => return Err(format!("expected [--epochs N] [--digits N], got {word}")),
        };
        let number = words.next().and_then(|word| word.parse().ok()).filter(|number| *number > 0);
        *place = number.ok_or_else(|| format!("expected a whole number from 1 after {word}"))?;
    }
    Ok((epochs, digits))
}
