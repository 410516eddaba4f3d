//! Generative adversarial networks, trained by kernels written by hand.
