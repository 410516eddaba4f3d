//! The ways to compute a convolution.

/// A way to compute a convolution, a transposed one, or the gradient of a kernel. Which one is taken for which shape is
/// decided by limits that each way states, in its file, with what was measured; the first of [`Way::ALL`] that is worth it
/// is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// To few channels: dot products, with lanes along the windows.
    ToFew,
    /// To an image of few channels: one product for all taps, whose results are added where they belong.
    ToImage,
    /// By Winograd's algorithm: fewer products, of transformed tiles.
    Winograd,
    /// From few channels, or few pixels: windows are read where they lie, in a padded copy of the image.
    FromImage,
    /// As products of packed windows. Every convolution can be computed so.
    Product,
}

impl Way {
    /// All ways, in the order in which they are asked whether they are worth it.
    pub const ALL: [Way; 5] = [Way::ToFew, Way::ToImage, Way::Winograd, Way::FromImage, Way::Product];
}

/// Whether a way is to be taken only where it was measured to be worth it, or wherever it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    IfWorthIt,
    IfPossible,
}
