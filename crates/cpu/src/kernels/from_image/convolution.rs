//! `conv2d` from the image, and with a stride of 1 `conv_transpose2d`, whose image the features then are.

use super::padded::{SPARE, pad, padded};
use crate::context::{Context, Workspace};
use crate::gemm::microkernel::{Block, Epilogue, Panels, TileLayout};
use crate::gemm::pack::Right;
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::kernels::product::resolve;
use gannet_tensor::{Conv2dGeometry, ops};

/// Elements of a window up to which this way is taken.
const MOST_ELEMENTS: usize = 64;

/// Windows along the width up to which this way is taken.
const MOST_WINDOWS: usize = 256;

/// Features up to which this way is taken in any case. With more, packed windows are read often enough to pay for
/// themselves: unless their rows are no higher than a tile, and the image is the image, packing is as fast or faster.
const FEATURES: usize = 64;

pub(super) struct Convolution {
    pub(super) g: Conv2dGeometry,
    /// The kernel [kernel_h * kernel_w * in_c, out_c].
    pub(super) right: Right,
    pub(super) epilogue: Option<ops::Epilogue>,
    nr: usize,
}

impl Convolution {
    /// None if a window is too large, or there are too few features.
    pub(super) fn new(
        isa: Isa,
        g: Conv2dGeometry,
        right: Right,
        epilogue: Option<ops::Epilogue>,
    ) -> Option<Convolution> {
        let (mr, nr) = isa.sizes();
        let low = g.kernel_w * g.in_c <= mr.min(14) && matches!(right, Right::RowMajor { .. });
        let fits = g.in_c > 0
            && (low || g.out_c <= FEATURES)
            && g.kernel_h * g.kernel_w * g.in_c <= MOST_ELEMENTS
            && g.stride_w * g.in_c <= SPARE
            && g.out_w <= MOST_WINDOWS
            && g.out_c >= isa.lanes();
        fits.then_some(Convolution { g, right, epilogue, nr })
    }
}

impl Kernel for Convolution {
    fn workspace(&self) -> Workspace {
        let g = &self.g;
        let shared = g.kernel_h * g.kernel_w * g.in_c * g.out_c.next_multiple_of(self.nr);
        Workspace { shared, own: padded(g).1 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (g, tensors, isa, panels) = (&self.g, &tensors, context.isa, context.shared());
        let epilogue = resolve(self.epilogue, tensors);
        let epilogue: &Epilogue = &epilogue;
        let run = g.kernel_w * g.in_c;
        let k = g.kernel_h * run;
        // SAFETY: Kernel::run's contract; the workspace holds whole panels.
        unsafe { self.right.pack(isa, tensors.input(1), 0..k, 0..g.out_c, panels.at(0)) };
        context.threads.run(g.batch, &|worker, image| {
            let (line, _) = padded(g);
            let own = context.own(worker);
            // SAFETY: Kernel::run's contract; the workspace holds a padded image.
            unsafe { pad(g, tensors.input(0).wrapping_add(image * g.in_h * g.in_w * g.in_c), own) };
            for i in 0..g.out_h {
                let y = tensors.output.wrapping_add((image * g.out_h + i) * g.out_w * g.out_c);
                let mut rows = [std::ptr::null_mut(); MOST_WINDOWS];
                for (j, row) in rows.iter_mut().enumerate().take(g.out_w) {
                    *row = y.wrapping_add(j * g.out_c);
                }
                // SAFETY: Kernel::run's contract; the workspace holds the panels and the padded image.
                unsafe {
                    isa.run(Block {
                        a: own.wrapping_add(i * g.stride_h * line),
                        layout: TileLayout::Windows { step: g.stride_w * g.in_c, line, run },
                        b: Panels::packed(panels.at(0), k, self.nr),
                        kc: k,
                        columns: g.out_c,
                        rows: &rows[..g.out_w],
                        accumulate: false,
                        epilogue: Some(*epilogue),
                        next: None,
                    })
                };
            }
        });
    }
}
