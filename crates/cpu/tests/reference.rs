//! Every kernel of the CPU against the reference loops in f64, through whole programs, for every
//! instruction set of the machine and several numbers of threads.

use gannet_cpu::{Cpu, Isa};
use gannet_tensor::{Backend, Element, Graph, Padding, Plan, Program, Reference, Shape, Var, Variables};

/// Numbers in [-1, 1) that depend on a seed and a position.
fn numbers(len: usize, seed: usize) -> Vec<f64> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Exact in f32.
            (state >> 44) as f64 / f64::from(1 << 19) - 1.0
        })
        .collect()
}

fn run<B: Backend>(backend: &B, plan: &Plan) -> Vec<f64> {
    let mut program = Program::new(backend, plan.clone(), &Variables::new()).unwrap();
    let inputs: Vec<(String, Shape)> = plan.inputs().map(|(name, shape)| (name.into(), shape)).collect();
    for (i, (name, shape)) in inputs.iter().enumerate() {
        let values: Vec<_> = numbers(shape.len(), i).into_iter().map(B::Element::of).collect();
        program.write(name, &values).unwrap();
    }
    // Twice: nothing may depend on what a run leaves behind.
    program.run().unwrap();
    program.run().unwrap();
    program.read("y").unwrap().into_iter().map(Element::to_f64).collect()
}

/// Compares f on the CPU with f on the reference, relative to the size of the result's numbers.
fn check(name: &str, tolerance: f64, f: impl for<'g> Fn(&'g Graph) -> Var<'g>) {
    for fusion in [true, false] {
        let graph = Graph::new();
        let y = f(&graph);
        let plan = graph.plan().output("y", y).fusion(fusion).build().unwrap();
        let want = run(&Reference::<f64>::new(), &plan);
        let scale = want.iter().fold(1e-3_f64, |scale, x| scale.max(x.abs()));
        for isa in Isa::available() {
            let one = run(&Cpu::with(isa, 1).unwrap(), &plan);
            for (i, (got, want)) in one.iter().zip(&want).enumerate() {
                let error = (got - want).abs() / scale;
                assert!(error <= tolerance, "{name} on {isa}: element {i} is {got} instead of {want}");
            }
            for threads in [2, 3] {
                let more = run(&Cpu::with(isa, threads).unwrap(), &plan);
                assert!(one == more, "{name} on {isa}: {threads} threads change bits");
            }
        }
    }
}

fn x<'g>(graph: &'g Graph, dims: impl Into<Shape>) -> Var<'g> {
    graph.input("x", dims)
}

fn a<'g>(graph: &'g Graph, dims: impl Into<Shape>) -> Var<'g> {
    graph.input("a", dims)
}

/// Tells the compiler that a closure takes graphs of any lifetime.
fn of_any_graph<F: for<'g> Fn(&'g Graph) -> Var<'g>>(f: F) -> F {
    f
}

const TIGHT: f64 = 1e-6;

#[test]
fn functions_of_one_element() {
    for len in [1, 7, 16, 17, 65, 40_000] {
        check("affine", TIGHT, |g| x(g, [len]).affine(-2.5, 0.25));
        check("exp", TIGHT, |g| (x(g, [len]) * 5.0).exp());
        check("log", TIGHT, |g| (x(g, [len]).square() + 1e-3).log());
        check("sqrt", TIGHT, |g| x(g, [len]).abs().sqrt());
        check("reciprocal", TIGHT, |g| (x(g, [len]) + 1.5).reciprocal());
        check("clamp", TIGHT, |g| x(g, [len]).clamp(-0.5, 0.25));
        check("leaky_relu", TIGHT, |g| x(g, [len]).leaky_relu(0.2));
        check("tanh", TIGHT, |g| (x(g, [len]) * 3.0).tanh());
        check("sigmoid", TIGHT, |g| (x(g, [len]) * 9.0).sigmoid());
        check("softplus", TIGHT, |g| (x(g, [len]) * 9.0).softplus());
        check("dropout", TIGHT, |g| x(g, [len]).dropout(g.fill([1], 3.0), 0.3, 7));
    }
}

#[test]
fn functions_of_two_elements() {
    let shapes: [(&[usize], &[usize]); 8] = [
        (&[5, 7], &[5, 7]),
        (&[33, 17], &[17]),
        (&[33, 17], &[33, 1]),
        (&[2, 5, 1, 7], &[1, 5, 9, 1]),
        (&[130, 300], &[1]),
        (&[1], &[40, 65]),
        (&[1, 70_000], &[1, 70_000]),
        (&[64, 16, 16, 3], &[16, 1, 3]),
    ];
    for (left, right) in shapes {
        let (left, right) = (Shape::new(left).unwrap(), Shape::new(right).unwrap());
        check("add", TIGHT, |g| x(g, left) + a(g, right));
        check("sub", TIGHT, |g| x(g, left) - a(g, right));
        check("mul", TIGHT, |g| x(g, left) * a(g, right));
        check("div", TIGHT, |g| x(g, left) / (a(g, right) + 1.5));
        check("maximum", TIGHT, |g| x(g, left).maximum(a(g, right)));
    }
    check("leaky_relu_grad", TIGHT, |g| x(g, [1000]).leaky_relu_grad(a(g, [1000]), 0.2));
    check("tanh_grad", TIGHT, |g| x(g, [1000]).tanh_grad(a(g, [1000])));
    check("sigmoid_grad", TIGHT, |g| x(g, [1000]).sigmoid_grad(a(g, [1000])));
    check("bce_logits", TIGHT, |g| (x(g, [1000]) * 9.0).bce_logits(a(g, [1000])));
    check("lerp", TIGHT, |g| x(g, [1000]).lerp(a(g, [1000]), g.fill([1], 0.3)));
}

#[test]
fn sums() {
    for (dims, axes) in [
        (&[70_000][..], &[0][..]),
        (&[300, 33], &[0]),
        (&[300, 33], &[1]),
        (&[7, 300, 40], &[1]),
        (&[7, 1, 300, 40], &[0, 2]),
        (&[5, 6, 7], &[0, 2]),
        (&[3, 20_000, 2], &[1]),
        (&[4, 1, 3], &[1]),
    ] {
        let shape = Shape::new(dims).unwrap();
        check("sum", TIGHT, |g| (x(g, shape) + 0.5).sum(axes));
    }
}

#[test]
fn movements() {
    check("slice", 0.0, |g| x(g, [6, 7, 8]).slice(1, 2, 5));
    check("slice of channels", 0.0, |g| x(g, [600, 33]).slice(1, 7, 30));
    check("concat", 0.0, |g| Var::concat(&[x(g, [5, 3, 4]), a(g, [5, 2, 4])], 1));
    check("concat of channels", 0.0, |g| Var::concat(&[x(g, [500, 33]), a(g, [500, 10])], 1));
    check("permute", 0.0, |g| x(g, [6, 7, 8]).permute(&[2, 0, 1]));
    check("broadcast_to", 0.0, |g| x(g, [7, 1]).broadcast_to([5, 7, 300]));
    check("pad", 0.0, |g| {
        let x = x(g, [6, 9]);
        gannet_tensor::grad(x.slice(1, 2, 6).square().sum_all(), &[x]).unwrap()[0]
    });
}

#[test]
fn products_of_a_batch() {
    for (batch, m, n, k) in
        [(3, 1, 1, 300), (2, 9, 33, 17), (4, 65, 1, 70), (2, 256, 40, 256), (3, 20, 256, 1), (2, 4, 5, 3000)]
    {
        check("batch_matmul", TIGHT, |g| x(g, [batch, m, k]).batch_matmul(a(g, [batch, k, n])));
        for wanted in 0..2 {
            check("batch_matmul of transposes", TIGHT, |g| {
                let operands = [x(g, [batch, m, k]), a(g, [batch, k, n])];
                let loss = (operands[0].batch_matmul(operands[1]) * g.input("dy", [batch, m, n])).sum_all();
                gannet_tensor::grad(loss, &[operands[wanted]]).unwrap()[0]
            });
        }
    }
}

#[test]
fn matmuls_with_epilogues() {
    for (m, n, k) in [(1, 1, 300), (9, 33, 17), (65, 1, 3000), (100, 130, 70), (128, 2000, 100), (1, 700, 40)]
    {
        check("matmul", TIGHT, |g| x(g, [m, k]).matmul(a(g, [k, n])));
        for wanted in 0..2 {
            check("matmul of transposes", TIGHT, |g| {
                let operands = [x(g, [m, k]), a(g, [k, n])];
                let loss = (operands[0].matmul(operands[1]) * g.input("dy", [m, n])).sum_all();
                gannet_tensor::grad(loss, &[operands[wanted]]).unwrap()[0]
            });
        }
        check("matmul, bias, tanh", 2e-5, |g| {
            (x(g, [m, k]).matmul(a(g, [k, n])) + g.input("bias", [n])).tanh()
        });
        check("matmul, sigmoid", 2e-5, |g| x(g, [m, k]).matmul(a(g, [k, n])).sigmoid());
        check("matmul, vjp of tanh", 2e-5, |g| {
            g.input("out", [m, n]).tanh_grad(x(g, [m, k]).matmul(a(g, [k, n])))
        });
    }
}

/// Winograd's transforms amplify roundings: by F(3, 3) in both dimensions 5.8 times in the root mean square, from the
/// squares of A, G and B.
const AMPLIFIED: f64 = 6.0 * TIGHT;

/// Sizes and channels from which on these layers go by Winograd's algorithm.
#[test]
fn blocks_of_3x3_convolutions_and_their_gradients() {
    for [batch, size, in_c, out_c] in [[3, 13, 32, 48], [1, 37, 48, 32], [8, 7, 80, 16]] {
        let (image, w) = ([batch, size, size + 2, in_c], [3, 3, in_c, out_c]);
        let conv = &of_any_graph(move |g| x(g, image).conv2d(a(g, w), [1, 1], Padding::Same));
        check("conv2d", AMPLIFIED, conv);
        check("conv2d, bias, leaky_relu", AMPLIFIED, |g| {
            (conv(g) + g.input("bias", [out_c])).leaky_relu(0.2)
        });
        check("conv2d and its statistics", 1e-5, |g| conv(g).batch_stats(1));
        for wanted in 0..2 {
            check("gradients of conv2d", AMPLIFIED, |g| {
                let (x, w) = (x(g, image), a(g, w));
                let y = x.conv2d(w, [1, 1], Padding::Same);
                let loss = (y * g.input("dy", y.shape())).sum_all();
                gannet_tensor::grad(loss, &[[x, w][wanted]]).unwrap()[0]
            });
        }
    }
}

#[test]
fn convolutions_with_epilogues() {
    let cases: [[usize; 5]; 4] = [[3, 28, 1, 17, 4], [2, 13, 5, 9, 3], [2, 14, 20, 33, 5], [4, 7, 3, 1, 4]];
    for [batch, size, in_c, out_c, kernel] in cases {
        let image = [batch, size, size + 2, in_c];
        let w = [kernel, kernel, in_c, out_c];
        let features = [batch, size.div_ceil(2), (size + 2).div_ceil(2), out_c];
        let conv = &of_any_graph(move |g| x(g, image).conv2d(a(g, w), [2, 2], Padding::Same));
        check("conv2d", TIGHT, conv);
        check("conv2d, bias, leaky_relu", TIGHT, |g| (conv(g) + g.input("bias", [out_c])).leaky_relu(0.2));
        check("conv2d and its statistics", 1e-5, |g| conv(g).batch_stats(1));
        let transposed =
            &of_any_graph(move |g| x(g, features).conv_transpose2d(a(g, w), [2, 2], Padding::Same, None));
        check("conv_transpose2d", TIGHT, transposed);
        check("conv_transpose2d, bias, tanh", 4e-6, |g| (transposed(g) + g.input("bias", [in_c])).tanh());
        check("conv_transpose2d, vjp of leaky_relu", TIGHT, |g| {
            let y = transposed(g);
            g.input("out", y.shape()).leaky_relu_grad(y, 0.1)
        });
        check("conv2d_weight_grad", TIGHT, |g| {
            let w = a(g, w);
            let y = x(g, image).conv2d(w, [2, 2], Padding::Same);
            gannet_tensor::grad((y * g.input("dy", y.shape())).sum_all(), &[w]).unwrap()[0]
        });
    }
}

#[test]
fn batch_norm_forward_and_backward() {
    for (dims, groups) in [
        (&[6, 700][..], 1),
        (&[6, 700], 2),
        (&[12, 7, 9, 33], 1),
        (&[12, 7, 9, 33], 3),
        (&[64, 16, 16, 5], 2),
    ] {
        let shape = Shape::new(dims).unwrap();
        let channels = shape.last();
        check("batch_stats", 1e-5, |g| (x(g, shape) * 2.0 + 3.0).batch_stats(groups));
        fn norm(g: &Graph, shape: Shape, groups: usize) -> Var<'_> {
            let [gamma, beta] = ["gamma", "beta"].map(|name| g.input(name, [shape.last()]));
            (x(g, shape) * 2.0 + 3.0).batch_norm_train(gamma, beta, 1e-3, groups).0
        }
        check("batch_norm", 1e-5, |g| norm(g, shape, groups));
        check("batch_norm, leaky_relu", 1e-5, |g| norm(g, shape, groups).leaky_relu(0.2));
        for wanted in 0..3 {
            check("gradients of batch_norm", 2e-5, |g| {
                let x = g.input("x", shape);
                let (gamma, beta) = (g.input("gamma", [channels]), g.input("beta", [channels]));
                // Smooth: at a kink, rounding may choose the other side.
                let y = x.batch_norm_train(gamma, beta, 1e-3, groups).0.sigmoid();
                let loss = (y * g.input("dy", shape)).sum_all();
                gannet_tensor::grad(loss, &[[x, gamma, beta][wanted]]).unwrap()[0]
            });
        }
    }
}

#[test]
fn optimisers_update_in_place() {
    for isa in Isa::available() {
        let graph = Graph::new();
        let n = 10_007;
        let state = graph.variable("state", [3, n]);
        let scalars = graph.constant([2], &[0.01, 1e-7]);
        let new = state.adam(graph.input("g", [n]), scalars, 0.5, 0.999);
        let plan = graph.plan().assign(state, new).build().unwrap();
        let start: Vec<f64> = numbers(3 * n, 1).into_iter().map(f64::abs).collect();
        let g = numbers(n, 2);
        fn steps<B: Backend>(backend: &B, plan: &Plan, start: &[f64], g: &[f64]) -> Vec<f64> {
            let convert = |x: &[f64]| x.iter().map(|&x| B::Element::of(x)).collect::<Vec<_>>();
            let mut variables = Variables::new();
            let shape = Shape::from([3, g.len()]);
            variables.insert(backend, "state", shape, &convert(start)).unwrap();
            let mut program = Program::new(backend, plan.clone(), &variables).unwrap();
            program.write("g", &convert(g)).unwrap();
            for _ in 0..3 {
                program.run().unwrap();
            }
            variables.read(backend, "state").unwrap().into_iter().map(Element::to_f64).collect()
        }
        let want = steps(&Reference::<f64>::new(), &plan, &start, &g);
        let got = steps(&Cpu::with(isa, 2).unwrap(), &plan, &start, &g);
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() <= 2e-6 * want.abs().max(0.1), "{isa}: {got} instead of {want}");
        }
    }
}
