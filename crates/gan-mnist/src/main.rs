//! Trains generative adversarial networks on images from the command line.
fn main() {}
