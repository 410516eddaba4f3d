//! matmul and the three maps of a convolution, with their epilogues, as products.

use crate::context::{Context, Workspace};
use crate::conv;
use crate::gemm::microkernel::{Activation, Epilogue};
use crate::gemm::pack::{Left, Right};
use crate::gemm::{Gemm, Operands, Product, Target};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
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
    } else if let Some(op) = op.downcast::<ops::Conv2d>() {
        (vec![conv::conv2d(&op.geometry)], op.geometry.out_c, None)
    } else if let Some(op) = op.downcast::<ops::FusedConv2d>() {
        (vec![conv::conv2d(&op.geometry)], op.geometry.out_c, Some(op.epilogue))
    } else if let Some(op) = op.downcast::<ops::ConvTranspose2d>() {
        (conv::conv_transpose2d(&op.geometry), op.geometry.in_c, None)
    } else if let Some(op) = op.downcast::<ops::FusedConvTranspose2d>() {
        (conv::conv_transpose2d(&op.geometry), op.geometry.in_c, Some(op.epilogue))
    } else if let Some(op) = op.downcast::<ops::Conv2dWeightGrad>() {
        (vec![conv::conv2d_weight_grad(&op.geometry)], op.geometry.out_c, None)
    } else {
        return None;
    };
    let gemm = Gemm::new(isa, products, columns, stats_groups);
    let workspace = gemm.workspace(isa);
    Some(Box::new(Products { gemm, workspace, epilogue }))
}

fn matmul(instruction: &Instruction, op: &ops::MatMul) -> Product {
    let a = instruction.inputs[0].shape.dims();
    let [rows, columns] = [instruction.output.shape.dims()[0], instruction.output.shape.dims()[1]];
    let k = if op.trans_a { a[0] } else { a[1] };
    Product {
        rows,
        k,
        left: if op.trans_a { Left::ColumnMajor { stride: rows } } else { Left::RowMajor { stride: k } },
        right: if op.trans_b { Right::transposed(k) } else { Right::RowMajor { stride: columns } },
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
