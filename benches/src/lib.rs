//! Kernel and training-step benchmarks of Gannet.
