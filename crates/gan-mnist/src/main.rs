//! Trains generative adversarial networks on images from the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    gan_mnist::run(std::env::args_os())
}
