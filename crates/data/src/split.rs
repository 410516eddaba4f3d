//! The parts of a set.

/// One of the two parts of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Images to train on.
    Train,
    /// Images that no training sees.
    Test,
}
