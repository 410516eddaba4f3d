//! Where a task's numbers lie: the kernel at the points, its tiles, and their products.

use super::map::{Direction, Map};
use super::transform::{POINTS, WINDOW, outputs};
use crate::gemm::microkernel::{KC, ROW_STRIDE};

/// Elements between neighbouring points beyond what they hold: points that lie a power of two apart would
/// share cache sets.
pub(super) const GAP: usize = 16;

/// The layout of a convolution's workspaces.
pub(super) struct Layout {
    pub(super) map: Map,
    /// Terms of each product, and its columns.
    pub(super) k: usize,
    pub(super) columns: usize,
    /// Columns of a panel.
    pub(super) nr: usize,
    /// Tiles of the largest task.
    pub(super) height: usize,
}

impl Layout {
    /// Elements from one point of the transformed kernel to the next: ranges of k, each in panels.
    pub(super) fn kernel_stride(&self) -> usize {
        self.k * self.columns.next_multiple_of(self.nr) + GAP
    }

    /// Elements from one point of a task's tiles to the next: ranges of k, each in rows of ROW_STRIDE, and
    /// one row that a tile of an odd height reads too much.
    pub(super) fn source_stride(&self) -> usize {
        (self.k.div_ceil(KC) * self.height + 1) * ROW_STRIDE + GAP
    }

    /// Elements from one row of a task's products to the next.
    pub(super) fn row_stride(&self) -> usize {
        self.columns + GAP
    }

    pub(super) fn product_stride(&self) -> usize {
        self.height * self.row_stride() + GAP
    }

    /// Elements of the transformed kernel.
    pub(super) fn kernel_len(&self) -> usize {
        POINTS * self.kernel_stride()
    }

    /// Elements of what tiles leave to their neighbours: see [`TransformOutputs::with_neighbours`].
    pub(super) fn edges_len(&self) -> usize {
        let cells = self.map.features.image[1] + 1;
        if self.map.direction == Direction::Transposed {
            (WINDOW + cells + outputs(self.map.taps)) * self.columns
        } else {
            0
        }
    }

    /// Channels of the result.
    pub(super) fn channels(&self) -> usize {
        self.map.target().image[2]
    }
}
