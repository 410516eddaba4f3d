//! A plan as a table.

use std::fmt::Write as _;

use super::{BufferKind, Plan, View};

impl Plan {
    /// The plan as a table: operation, shapes, buffers, bytes and FLOPs (for 4-byte elements).
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let place = |v: &View| match &self.buffers[v.buffer].kind {
            BufferKind::Variable(name) | BufferKind::Input(name) => {
                format!(
                    "{name}{}{}",
                    if v.offset > 0 { format!("+{}", v.offset) } else { String::new() },
                    v.shape
                )
            }
            BufferKind::Fill(value) => format!("{value}{}", v.shape),
            BufferKind::Constant(_) => format!("constant{}", v.shape),
            BufferKind::Temporary => {
                format!(
                    "b{}{}{}",
                    v.buffer,
                    if v.offset > 0 { format!("+{}", v.offset) } else { String::new() },
                    v.shape
                )
            }
        };
        let _ =
            writeln!(text, "{:>4}  {:<24} {:>10} {:>10}  output <- inputs", "", "operation", "kFLOP", "kB");
        for (i, instruction) in self.instructions.iter().enumerate() {
            let inputs: Vec<String> = instruction.inputs.iter().map(place).collect();
            let _ = writeln!(
                text,
                "{i:>4}  {:<24} {:>10.1} {:>10.1}  {} <- {}  ({})",
                instruction.op.name(),
                instruction.flops() as f64 / 1e3,
                instruction.traffic() as f64 * 4.0 / 1e3,
                place(&instruction.output),
                inputs.join(", "),
                instruction.scope,
            );
        }
        let bytes = |wanted: fn(&BufferKind) -> bool| {
            self.buffers.iter().filter(|b| wanted(&b.kind)).map(|b| b.elements * 4).sum::<usize>() as f64
                / 1e6
        };
        let _ = writeln!(
            text,
            "{} instructions, {:.3} GFLOP; memory: {:.2} MB of variables, {:.2} MB of inputs, {:.2} MB of temporaries in {} buffers",
            self.instructions.len(),
            self.flops() as f64 / 1e9,
            bytes(|k| matches!(k, BufferKind::Variable(_))),
            bytes(|k| matches!(k, BufferKind::Input(_))),
            bytes(|k| matches!(k, BufferKind::Temporary)),
            self.buffers.iter().filter(|b| b.kind == BufferKind::Temporary).count(),
        );
        text
    }
}
