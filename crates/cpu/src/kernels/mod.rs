//! The kernels of the operations, and the choice among them.

mod adam;
mod add_parts;
mod batch_norm;
mod convolution_of;
mod elementwise;
mod from_image;
mod movement;
mod pooling;
mod product;
mod reference;
mod rows;
mod sum;
mod to_few;
mod to_image;
mod vector_product;
mod winograd;

use crate::isa::Isa;
use crate::kernel::Kernel;
use convolution_of::ConvolutionOf;
use gannet_tensor::{Instruction, Operation};

/// The kernel of an instruction. What has none of its own is evaluated by its reference loops. With
/// `stats_groups`, a product that also writes the batch statistics of its result; see [`gives_stats`].
pub(crate) fn prepare(isa: Isa, instruction: &Instruction, stats_groups: usize) -> Box<dyn Kernel> {
    vector_product::prepare(instruction)
        .or_else(|| to_few::prepare(instruction, stats_groups))
        .or_else(|| to_image::prepare(isa, instruction, stats_groups))
        .or_else(|| winograd::prepare(isa, instruction, stats_groups))
        .or_else(|| from_image::prepare(isa, instruction, stats_groups))
        .or_else(|| product::prepare(isa, instruction, stats_groups))
        .or_else(|| elementwise::prepare(instruction))
        .or_else(|| batch_norm::prepare(instruction))
        .or_else(|| adam::prepare(instruction))
        .or_else(|| sum::prepare(instruction))
        .or_else(|| movement::prepare(instruction))
        .or_else(|| pooling::prepare(instruction))
        .or_else(|| rows::prepare(instruction))
        .unwrap_or_else(|| Box::new(reference::ByReference::new(instruction)))
}

/// Whether the kernel of an operation can take the batch statistics of its result on the way.
pub(crate) fn gives_stats(op: &dyn Operation) -> bool {
    ConvolutionOf::operation(op).is_some()
}
