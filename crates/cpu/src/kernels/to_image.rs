//! Transposed convolution to an image of one channel whose taps fill panels, or of more than are few dot products
//! (`to_few.rs`). By phases its tiles would be one or a few columns wide. Instead all taps of a pixel are the columns
//! of one product, features [pixels, C_in] times [C_in, taps * C_out], an image at a time into scratch memory, and each
//! pixel of the image gathers its terms from there.

use super::convolution_of::ConvolutionOf;
use super::product::resolve;
use crate::context::{Context, Workspace};
use crate::gemm::k_ranges;
use crate::gemm::microkernel::steps;
use crate::gemm::microkernel::{Block, Epilogue, Panels, TileLayout};
use crate::gemm::pack::{Left, Right};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::simd::{Job, Simd};
use gannet_tensor::{Conv2dGeometry, Instruction, ops};

/// Columns of the product up to which this way is taken.
const MAX_COLUMNS: usize = 128;

/// Rows of features that are packed at a time.
const ROWS: usize = 112;

struct ToImage {
    geometry: Conv2dGeometry,
    epilogue: Option<ops::Epilogue>,
    /// Taps times channels of the image, and the same rounded up to whole panels.
    columns: usize,
    stride: usize,
    /// w [taps * C_out, C_in] is the transpose of the right operand.
    right: Right,
    mr: usize,
    nr: usize,
}

pub(super) fn prepare(isa: Isa, instruction: &Instruction, stats_groups: usize) -> Option<Box<dyn Kernel>> {
    let ConvolutionOf { geometry, transposed: true, epilogue } = ConvolutionOf::operation(&*instruction.op)?
    else {
        return None;
    };
    let (mr, nr) = isa.sizes();
    let columns = geometry.kernel_h * geometry.kernel_w * geometry.in_c;
    if geometry.in_c > nr / 4 || columns > MAX_COLUMNS || stats_groups > 0 {
        return None;
    }
    let stride = columns.next_multiple_of(nr);
    let right = Right::transposed(geometry.out_c);
    Some(Box::new(ToImage { geometry, epilogue, columns, stride, right, mr, nr }))
}

impl ToImage {
    fn pixels(&self) -> usize {
        self.geometry.out_h * self.geometry.out_w
    }

    /// Elements of the scratch memory for packed features.
    fn packed(&self) -> usize {
        Left::packed_len(ROWS, self.mr).next_multiple_of(16)
    }
}

impl Kernel for ToImage {
    fn workspace(&self) -> Workspace {
        let row = self.geometry.in_w * self.geometry.in_c;
        let own = self.packed() + (self.pixels() * self.stride).next_multiple_of(16) + row + 16;
        Workspace { shared: self.geometry.out_c * self.stride, own }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (g, tensors, isa) = (&self.geometry, &tensors, context.isa);
        let epilogue = resolve(self.epilogue, tensors);
        let epilogue = &epilogue;
        let (k, pixels) = (g.out_c, self.pixels());
        let panels = context.shared();
        for ks in k_ranges(0..k) {
            let target = panels.at(ks.start * self.stride);
            // SAFETY: Kernel::run's contract; the workspace holds k rows of whole panels.
            unsafe { self.right.pack(isa, tensors.input(1), ks, 0..self.columns, target) };
        }
        let left = Left::RowMajor { stride: k };
        context.threads.run(g.batch, &|worker, image| {
            let packed = context.own(worker);
            let terms = packed.wrapping_add(self.packed());
            for rows in steps(pixels, ROWS) {
                let mut pointers = [std::ptr::null_mut(); ROWS];
                for (pointer, row) in pointers.iter_mut().zip(rows.clone()) {
                    *pointer = terms.wrapping_add(row * self.stride);
                }
                let source = image * pixels + rows.start..image * pixels + rows.end;
                for ks in k_ranges(0..k) {
                    // Features are read where they lie, unless a tile of even height would read beyond them.
                    let (a, layout) = if pixels.is_multiple_of(2) {
                        let a = tensors.input(0).wrapping_add(source.start * k + ks.start);
                        (a, TileLayout::Windows { step: k, line: 0, run: ks.len() })
                    } else {
                        // SAFETY: Kernel::run's contract; the workspace holds ROWS packed rows.
                        unsafe { left.pack(isa, tensors.input(0), source.clone(), ks.clone(), packed) };
                        (packed.cast_const(), TileLayout::RowMajor)
                    };
                    // SAFETY: Kernel::run's contract; the workspace holds the panels, and the terms of an image.
                    unsafe {
                        isa.run(Block {
                            a,
                            layout,
                            b: Panels::packed(panels.at(ks.start * self.stride), ks.len(), self.nr),
                            kc: ks.len(),
                            columns: self.columns,
                            rows: &pointers[..rows.len()],
                            accumulate: ks.start > 0,
                            epilogue: None,
                            next: None,
                        })
                    };
                }
            }
            let y = tensors.output.wrapping_add(image * g.in_h * g.in_w * g.in_c);
            // SAFETY: Kernel::run's contract; the terms of the image were computed above.
            unsafe { isa.run(Gather { kernel: self, terms, y, epilogue }) };
        });
    }
}

struct Gather<'a> {
    kernel: &'a ToImage,
    terms: *mut f32,
    y: *mut f32,
    epilogue: &'a Epilogue,
}

impl Job for Gather<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let (g, stride) = (&self.kernel.geometry, self.kernel.stride);
        let width = g.in_w * g.in_c;
        let pixels = self.kernel.pixels() * stride;
        let sums = self.terms.wrapping_add(pixels.next_multiple_of(16));
        for row in 0..g.in_h {
            // SAFETY: the workspace holds a row of the image after the terms.
            let line = unsafe {
                sums.write_bytes(0, width);
                std::slice::from_raw_parts_mut(sums, width)
            };
            for u in 0..g.kernel_h {
                let Some(i) = window(row, u, g.pad_top, g.stride_h, g.out_h) else { continue };
                for v in 0..g.kernel_w {
                    // Columns x = j * stride + v - pad of the image, as far as they lie in it.
                    let first = g.pad_left.saturating_sub(v).div_ceil(g.stride_w);
                    let end = (g.in_w + g.pad_left).saturating_sub(v).div_ceil(g.stride_w).min(g.out_w);
                    if first >= end {
                        continue;
                    }
                    let x = first * g.stride_w + v - g.pad_left;
                    let at = (i * g.out_w + first) * stride + (u * g.kernel_w + v) * g.in_c;
                    for c in 0..g.in_c {
                        // SAFETY: the terms of windows first..end of row i.
                        let terms = unsafe {
                            std::slice::from_raw_parts(self.terms.add(at + c), (end - first - 1) * stride + 1)
                        };
                        let to = line[x * g.in_c + c..].iter_mut().step_by(g.stride_w * g.in_c);
                        for (sum, term) in to.zip(terms.iter().step_by(stride)) {
                            *sum += term;
                        }
                    }
                }
            }
            for column in (0..width).step_by(V::LANES) {
                let lanes = (width - column).min(V::LANES);
                let p = self.y.wrapping_add(row * width + column);
                // SAFETY: Kernel::run's contract; a bias has one element per channel.
                unsafe {
                    let mut sum = V::load_first(sums.add(column), lanes);
                    if !self.epilogue.bias.is_null() {
                        let mut bias = [0.0; 16];
                        for (lane, bias) in bias.iter_mut().enumerate().take(lanes) {
                            *bias = *self.epilogue.bias.add((column + lane) % g.in_c);
                        }
                        sum = sum.add(V::load(bias.as_ptr()));
                    }
                    self.epilogue.activate(sum, p, lanes).store_first(p, lanes);
                }
            }
        }
    }
}

/// The window that sees image row `row` with tap `tap`, if there is one: row = window * stride + tap - pad.
#[inline(always)]
fn window(row: usize, tap: usize, pad: usize, stride: usize, windows: usize) -> Option<usize> {
    let distance = (row + pad).checked_sub(tap)?;
    (distance.is_multiple_of(stride) && distance / stride < windows).then_some(distance / stride)
}
