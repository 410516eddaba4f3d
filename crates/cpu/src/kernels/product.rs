//! matmul and the three maps of a convolution, with their epilogues, as products.

use super::convolution_of::ConvolutionOf;
use crate::context::{Context, Shared, Workspace};
use crate::conv;
use crate::gemm::microkernel::{Activation, Epilogue};
use crate::gemm::pack::{Left, Right};
use crate::gemm::{Gemm, Operands, Product, Target};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors, in_chunks};
use crate::simd::{Job, Simd};
use gannet_tensor::{Instruction, ops};

struct Products {
    gemm: Gemm,
    workspace: Workspace,
    epilogue: Option<ops::Epilogue>,
}

pub(super) fn prepare(isa: Isa, instruction: &Instruction, stats_groups: usize) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    let (products, columns, epilogue) = if let Some(op) = op.downcast::<ops::MatMul>() {
        (vec![matmul(instruction, op)], instruction.output.shape.last(), None)
    } else if let Some(op) = op.downcast::<ops::FusedMatMul>() {
        (vec![matmul(instruction, &op.product())], instruction.output.shape.last(), Some(op.epilogue))
    } else if let Some(op) = op.downcast::<ops::Conv2dWeightGrad>() {
        (vec![conv::conv2d_weight_grad(&op.geometry)], op.geometry.out_c, None)
    } else {
        let ConvolutionOf { geometry: g, transposed, epilogue } = ConvolutionOf::operation(op)?;
        if transposed {
            (conv::conv_transpose2d(&g), g.in_c, epilogue)
        } else {
            (vec![conv::conv2d(&g)], g.out_c, epilogue)
        }
    };
    let turned = if stats_groups == 0 { turned(isa, &products) } else { None };
    if let Some(product) = turned {
        let rows = products[0].rows;
        let gemm = Gemm::new(isa, vec![product], rows, 0);
        let workspace = gemm.workspace(isa);
        return Some(Box::new(Turned { gemm, workspace, rows, columns, epilogue }));
    }
    let gemm = Gemm::new(isa, products, columns, stats_groups);
    let workspace = gemm.workspace(isa);
    Some(Box::new(Products { gemm, workspace, epilogue }))
}

/// C^T = B^T^T A^T for few rows and a large B^T that lies row by row: what would be the right operand is then read
/// as it lies, and the small one is transposed.
fn turned(isa: Isa, products: &[Product]) -> Option<Product> {
    let [product] = products else { return None };
    let (
        Left::RowMajor { .. },
        Right::ColumnMajor { segments, stride, .. },
        Target::Rows { stride: columns },
    ) = (&product.left, &product.right, &product.target)
    else {
        return None;
    };
    let few = product.rows <= 2 * isa.sizes().1 && 8 * product.rows <= *columns;
    (few && segments.len() == 1).then(|| Product {
        rows: *columns,
        k: product.k,
        left: Left::RowMajor { stride: *stride },
        right: Right::transposed(product.k),
        target: Target::Rows { stride: product.rows },
    })
}

/// See [`turned`].
struct Turned {
    gemm: Gemm,
    /// What the product needs; its result comes after that.
    workspace: Workspace,
    rows: usize,
    columns: usize,
    epilogue: Option<ops::Epilogue>,
}

impl Kernel for Turned {
    fn workspace(&self) -> Workspace {
        let before = self.workspace.shared.next_multiple_of(16);
        Workspace { shared: before + self.rows * self.columns, own: self.workspace.own }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let turned = context.shared().at(self.workspace.shared.next_multiple_of(16));
        let operands = Operands {
            a: tensors.input(1),
            b: tensors.input(0),
            c: turned,
            epilogue: Epilogue::NONE,
            stats: std::ptr::null_mut(),
        };
        // SAFETY: the product was prepared for these shapes; the workspace has room for its result.
        unsafe { self.gemm.run(context, operands) };
        let epilogue = resolve(self.epilogue, &tensors);
        let (turned, y, epilogue) = (Shared(turned), Shared(tensors.output), &epilogue);
        in_chunks(context, self.columns, 256, |range| {
            let (turned, y) = (turned.at(0), y.at(0));
            // SAFETY: the product was computed above; each task has columns of its own.
            unsafe {
                context.isa.run(TurnBack {
                    turned,
                    y,
                    rows: self.rows,
                    columns: self.columns,
                    range,
                    epilogue,
                })
            };
        });
    }
}

/// y[row, column] = epilogue(turned[column, row]) for a range of columns.
struct TurnBack<'a> {
    turned: *const f32,
    y: *mut f32,
    rows: usize,
    columns: usize,
    range: std::ops::Range<usize>,
    epilogue: &'a Epilogue,
}

impl Job for TurnBack<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for column in self.range.clone().step_by(V::LANES) {
            let lanes = V::LANES.min(self.range.end - column);
            for row in 0..self.rows {
                let mut sums = [0.0; 16];
                for (lane, sum) in sums.iter_mut().enumerate().take(lanes) {
                    // SAFETY: both have rows x columns elements.
                    *sum = unsafe { *self.turned.wrapping_add((column + lane) * self.rows + row) };
                }
                let p = self.y.wrapping_add(row * self.columns + column);
                // SAFETY: see above; a vector has at most 16 lanes; the epilogue belongs to y.
                unsafe {
                    let sum = V::load_first(sums.as_ptr(), lanes);
                    self.epilogue.apply(sum, column, p, lanes).store_first(p, lanes);
                }
            }
        }
    }
}

fn matmul(instruction: &Instruction, op: &ops::MatMul) -> Product {
    let a = instruction.inputs[0].shape.dims();
    let [rows, columns] = [instruction.output.shape.dims()[0], instruction.output.shape.dims()[1]];
    let k = if op.trans_a { a[0] } else { a[1] };
    matrices([rows, columns, k], [op.trans_a, op.trans_b])
}

/// The product of two matrices that lie row by row, each of which may be given transposed.
pub(super) fn matrices([rows, columns, k]: [usize; 3], [trans_a, trans_b]: [bool; 2]) -> Product {
    Product {
        rows,
        k,
        left: if trans_a { Left::ColumnMajor { stride: rows } } else { Left::RowMajor { stride: k } },
        right: if trans_b { Right::transposed(k) } else { Right::RowMajor { stride: columns } },
        target: Target::Rows { stride: columns },
    }
}

/// The epilogue with the addresses of a run.
pub(super) fn resolve(epilogue: Option<ops::Epilogue>, tensors: &Tensors<'_>) -> Epilogue {
    let Some(epilogue) = epilogue else { return Epilogue::NONE };
    let extra = tensors.inputs.get(2).copied();
    let distance = |y: *const f32| (y as isize - tensors.output as isize) / size_of::<f32>() as isize;
    Epilogue {
        bias: extra.filter(|_| epilogue.has_bias()).unwrap_or(std::ptr::null()),
        activation: epilogue.activation().map_or(Activation::Identity, Activation::from),
        grad: epilogue.activation_grad().zip(extra).map(|(f, y)| (distance(y), f.into())),
    }
}

impl Kernel for Products {
    fn workspace(&self) -> Workspace {
        self.workspace
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let operands = Operands {
            a: tensors.input(0),
            b: tensors.input(1),
            c: tensors.output,
            epilogue: resolve(self.epilogue, &tensors),
            stats: tensors.stats,
        };
        // SAFETY: the products were prepared for these shapes.
        unsafe { self.gemm.run(context, operands) };
    }
}
