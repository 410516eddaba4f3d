//! The kernels of the operations, and the choice among them.

mod adam;
mod add_parts;
mod batch_norm;
mod batch_product;
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
mod way;
mod winograd;

use crate::isa::Isa;
use crate::kernel::Kernel;
use convolution_of::ConvolutionOf;
use gannet_tensor::{Instruction, Operation, ops};
pub(crate) use way::Taken;
pub use way::Way;

/// The kernel of an instruction. What has none of its own is evaluated by its reference loops. With
/// `stats_groups`, a product that also writes the batch statistics of its result; see [`gives_stats`]. `asked` is the way to
/// be taken for convolutions wherever it can be, if not the one that is worth it.
pub(crate) fn prepare(
    isa: Isa,
    instruction: &Instruction,
    stats_groups: usize,
    asked: Option<Way>,
) -> Box<dyn Kernel> {
    vector_product::prepare(instruction)
        .or_else(|| by(asked?, Taken::IfPossible, isa, instruction, stats_groups))
        .or_else(|| {
            Way::ALL.into_iter().find_map(|way| by(way, Taken::IfWorthIt, isa, instruction, stats_groups))
        })
        .or_else(|| batch_product::prepare(isa, instruction))
        .or_else(|| elementwise::prepare(instruction))
        .or_else(|| batch_norm::prepare(instruction))
        .or_else(|| adam::prepare(instruction))
        .or_else(|| sum::prepare(instruction))
        .or_else(|| movement::prepare(instruction))
        .or_else(|| pooling::prepare(instruction))
        .or_else(|| rows::prepare(instruction))
        .unwrap_or_else(|| Box::new(reference::ByReference::new(instruction)))
}

/// The kernel of a product or a convolution by this way.
pub(crate) fn by(
    way: Way,
    taken: Taken,
    isa: Isa,
    instruction: &Instruction,
    stats_groups: usize,
) -> Option<Box<dyn Kernel>> {
    match way {
        Way::ToFew => to_few::prepare(instruction, stats_groups, taken),
        Way::ToImage => to_image::prepare(isa, instruction, stats_groups),
        Way::Winograd => winograd::prepare(isa, instruction, stats_groups, taken),
        Way::FromImage => from_image::prepare(isa, instruction, stats_groups),
        Way::Product => product::prepare(isa, instruction, stats_groups),
    }
}

/// Whether an operation is a convolution, a transposed one, or the gradient of a kernel.
pub(crate) fn is_convolution(op: &dyn Operation) -> bool {
    ConvolutionOf::operation(op).is_some() || op.downcast::<ops::Conv2dWeightGrad>().is_some()
}

/// Whether the kernel of an operation can take the batch statistics of its result on the way.
pub(crate) fn gives_stats(op: &dyn Operation) -> bool {
    ConvolutionOf::operation(op).is_some()
}
