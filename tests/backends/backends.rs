//! Every backend against the reference in f64: outputs and gradients of first and second order of all rows.

use gannet_tensor::Reference;
use gannet_tests::{agrees_with_reference, for_each_row, rows};

mod reference_f32 {
    use super::*;

    macro_rules! tests {
        ($($name:ident)*) => {
            $(
                #[test]
                fn $name() {
                    agrees_with_reference(&Reference::<f32>::new(), &rows::$name(), 16);
                }
            )*
        };
    }
    for_each_row!(tests);
}

/// The fast CPU backend with every instruction set that this machine has, on two threads.
mod cpu {
    use gannet_cpu::{Cpu, Isa};
    use gannet_tensor::{Graph, Program, Variables};
    use gannet_tests::{Trial, check};

    use super::*;

    macro_rules! tests {
        ($($name:ident)*) => {
            $(
                #[test]
                fn $name() {
                    for isa in Isa::available() {
                        eprintln!("on {isa}");
                        agrees_with_reference(&Cpu::with(isa, 2).expect("a CPU"), &rows::$name(), 24);
                    }
                }
            )*
        };
    }
    for_each_row!(tests);

    /// No operation, and none of its derivatives, is left to the loops of the reference.
    #[test]
    fn every_operation_has_a_kernel() {
        let cpu = Cpu::new().expect("a CPU");
        for row in rows::all() {
            let (cpu, derivative) = (cpu.clone(), row.derivative);
            check(&row, 8, move |case, mut random| {
                let graph = Graph::new();
                let trial = Trial::new(&graph, case, derivative, &mut random).map_err(|e| e.to_string())?;
                let outputs = trial.outputs();
                let plan = outputs.iter().fold(graph.plan(), |plan, (name, var)| plan.output(name, *var));
                let plan = plan.build().map_err(|e| e.to_string())?;
                let mut program = Program::new(&cpu, plan, &Variables::new()).map_err(|e| e.to_string())?;
                let slow: Vec<usize> = program.executable().by_reference().collect();
                let slow = slow.into_iter().map(|i| format!("{:?}", program.plan().instructions()[i].op));
                match slow.collect::<Vec<_>>() {
                    slow if slow.is_empty() => Ok(()),
                    slow => Err(format!("these run by their reference loops: {}", slow.join(", "))),
                }
            });
        }
    }
}
