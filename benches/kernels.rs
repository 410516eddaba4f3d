//! The kernels at the shapes of the reference step with a batch of 128, and at some larger ones.
//!
//! The discriminator sees real and generated images in one pass, so its batch is 256.

use gannet_benches::{Devices, Peak, Table, Work, gradient_program, measure, program};
use gannet_tensor::{Backend, Conv2dGeometry, Element, Padding, Program, Result, Shape};
use gannet_tests::{Case, rows};

/// More than this takes the plain loops too long.
const REFERENCE_LIMIT: u64 = 2_000_000_000;

struct Benchmark {
    name: String,
    case: Case,
    gradient: bool,
}

fn forward(name: impl Into<String>, case: Case) -> Benchmark {
    Benchmark { name: name.into(), case, gradient: false }
}

fn backward(name: impl Into<String>, case: Case) -> Benchmark {
    Benchmark { name: name.into(), case, gradient: true }
}

fn convolution(x: [usize; 4], w: [usize; 4], stride: usize) -> Conv2dGeometry {
    Conv2dGeometry::forward(Shape::from(x), Shape::from(w), [stride; 2], Padding::Same)
        .unwrap_or_else(|error| unreachable!("{error}"))
}

fn benchmarks() -> Vec<Benchmark> {
    let mut list = Vec::new();
    // M, N, K: the generator's first layer with both gradients, then squares.
    for (name, sizes, trans) in [
        ("matmul, 128x6272x100, generator", [128, 6272, 100], [false, false]),
        ("matmul, 100x6272x128, weight gradient", [100, 6272, 128], [true, false]),
        ("matmul, 256x1x6272, discriminator", [256, 1, 6272], [false, false]),
        ("matmul, 512x512x512", [512; 3], [false, false]),
        ("matmul, 512x512x512, B transposed", [512; 3], [false, true]),
        ("matmul, 1024x1024x1024", [1024; 3], [false, false]),
    ] {
        list.push(forward(name, rows::matmul_case(sizes, trans)));
    }
    // Attention on maps of 16 x 16 with 64 channels, a batch of 32: scores of queries and keys, and what they weigh.
    for (name, sizes, trans) in [
        ("batch_matmul, 32 x 256x256x8, B transposed", [256, 256, 8], [false, true]),
        ("batch_matmul, 32 x 256x32x256", [256, 32, 256], [false, false]),
    ] {
        list.push(forward(name, rows::batch_matmul_case(32, sizes, trans)));
    }
    // A convolution, its input gradient (a transposed convolution), and its weight gradient share a geometry.
    for (layer, geometry) in [
        ("14x14x64 of 7x7x128, 4x4/2, N 128", convolution([128, 14, 14, 64], [4, 4, 64, 128], 2)),
        ("28x28x1 of 14x14x64, 4x4/2, N 128", convolution([128, 28, 28, 1], [4, 4, 1, 64], 2)),
        ("14x14x64 of 7x7x128, 4x4/2, N 256", convolution([256, 14, 14, 64], [4, 4, 64, 128], 2)),
        ("32x32x128 of 32x32x128, 3x3/1, N 16", convolution([16, 32, 32, 128], [3, 3, 128, 128], 1)),
        ("64x64x64 of 32x32x128, 4x4/2, N 16", convolution([16, 64, 64, 64], [4, 4, 64, 128], 2)),
        // Few channels at the features, as in the last layer of a generator, and at the image.
        ("28x28x256 of 28x28x3, 3x3/1, N 32", convolution([32, 28, 28, 256], [3, 3, 256, 3], 1)),
        ("64x64x16 of 64x64x3, 3x3/1, N 32", convolution([32, 64, 64, 16], [3, 3, 16, 3], 1)),
        ("28x28x16 of 28x28x1, 3x3/1, N 32", convolution([32, 28, 28, 16], [3, 3, 16, 1], 1)),
        ("64x64x3 of 32x32x32, 4x4/2, N 32", convolution([32, 64, 64, 3], [4, 4, 3, 32], 2)),
        ("32x32x4 of 32x32x64, 3x3/1, N 32", convolution([32, 32, 32, 4], [3, 3, 4, 64], 1)),
    ] {
        list.push(forward(format!("conv2d, {layer}"), rows::conv2d_case(geometry)));
        list.push(forward(format!("conv_transpose2d, {layer}"), rows::conv_transpose2d_case(geometry)));
        list.push(forward(format!("conv2d_weight_grad, {layer}"), rows::conv2d_weight_grad_case(geometry)));
    }
    for shape in [[128, 7, 7, 128], [128, 14, 14, 64], [32, 64, 64, 128]] {
        let x = Shape::from(shape);
        list.push(forward(format!("batch_norm, training, {x}"), rows::batch_norm_train_case(x, 1, 1e-3)));
        list.push(backward(format!("batch_norm, gradients, {x}"), rows::batch_norm_train_case(x, 1, 1e-3)));
        list.push(forward(format!("leaky_relu, {x}"), rows::leaky_relu_case(x, 0.2)));
        list.push(backward(format!("leaky_relu, gradient, {x}"), rows::leaky_relu_case(x, 0.2)));
    }
    for n in [758_000, 8_000_000] {
        list.push(forward(format!("adam, {n} parameters"), rows::adam_case(n, (0.5, 0.999))));
    }
    list
}

fn run<B: Backend>(
    table: &Table,
    benchmark: &Benchmark,
    device: &str,
    backend: &B,
    peak: Option<Peak>,
    most: u64,
) -> Result<()> {
    if !table.wants(&benchmark.name, device) {
        return Ok(());
    }
    let build = if benchmark.gradient { gradient_program } else { program };
    let (mut program, work): (Program<B>, Work) = build(backend, &benchmark.case)?;
    if work.flops > most {
        return Ok(());
    }
    let mut done = [B::Element::ZERO];
    let times = measure(|count| {
        for _ in 0..count {
            program.run()?;
        }
        program.read_into("done", &mut done)
    })?;
    table.line(&benchmark.name, device, times, work, peak);
    Ok(())
}

fn main() -> Result<()> {
    let devices = Devices::open()?;
    let table = Table::from_arguments();
    table.heading(&devices);
    let peak = Some(devices.peak);
    for benchmark in benchmarks() {
        run(&table, &benchmark, "cpu", &devices.cpu, peak, u64::MAX)?;
        if let Some((gpu, peak)) = &devices.gpu {
            run(&table, &benchmark, "gpu", gpu, Some(*peak), u64::MAX)?;
        }
        run(&table, &benchmark, "reference", &devices.reference, peak, REFERENCE_LIMIT)?;
    }
    Ok(())
}
