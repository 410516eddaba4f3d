//! batch_matmul as one product after another, each by all threads.

use super::product::matrices;
use crate::context::{Context, Workspace};
use crate::gemm::microkernel::Epilogue;
use crate::gemm::{Gemm, Operands};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use gannet_tensor::{Instruction, ops};

struct BatchProducts {
    /// A single product of the batch.
    gemm: Gemm,
    workspace: Workspace,
    batch: usize,
    /// Elements of a matrix of each operand, and of a result.
    lens: [usize; 3],
}

pub(super) fn prepare(isa: Isa, instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let op = instruction.op.downcast::<ops::BatchMatMul>()?;
    let &[batch, rows, columns] = instruction.output.shape.dims() else { return None };
    let k = instruction.inputs[0].shape.len() / (batch * rows);
    let product = matrices([rows, columns, k], [op.trans_a, op.trans_b]);
    let gemm = Gemm::new(isa, vec![product], columns, 0);
    let workspace = gemm.workspace(isa);
    let lens = [rows * k, k * columns, rows * columns];
    Some(Box::new(BatchProducts { gemm, workspace, batch, lens }))
}

impl Kernel for BatchProducts {
    fn workspace(&self) -> Workspace {
        self.workspace
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let [a, b, c] = self.lens;
        for i in 0..self.batch {
            let operands = Operands {
                a: tensors.input(0).wrapping_add(i * a),
                b: tensors.input(1).wrapping_add(i * b),
                c: tensors.output.wrapping_add(i * c),
                epilogue: Epilogue::NONE,
                stats: std::ptr::null_mut(),
            };
            // SAFETY: the product was prepared for these shapes; the matrices of a batch lie behind one another.
            unsafe { self.gemm.run(context, operands) };
        }
    }
}
