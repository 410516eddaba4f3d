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
}
