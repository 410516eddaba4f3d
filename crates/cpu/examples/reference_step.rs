//! Times the reference step (DCGAN on 28x28 images, one update of D and one of G) and each of its kernels
//! against the measured FMA peak:
//!
//! ```text
//! cargo run --release -p gannet-cpu --example reference_step -- [batch] [threads]
//! ```

use gannet_cpu::Cpu;
use gannet_tensor::{Backend, Graph, Padding, Program, Result, Shape, Var, Variables, grad};
use std::time::Instant;

/// Parameters of one model, one after another in the first row of an optimiser's state.
struct Parameters<'g> {
    row: Var<'g>,
    offsets: Vec<usize>,
    shapes: &'static [&'static [usize]],
}

const GENERATOR: &[&[usize]] =
    &[&[100, 6272], &[6272], &[6272], &[4, 4, 64, 128], &[64], &[64], &[4, 4, 1, 64], &[1]];
const DISCRIMINATOR: &[&[usize]] =
    &[&[4, 4, 1, 64], &[64], &[4, 4, 64, 128], &[128], &[128], &[6272, 1], &[1]];

/// Where each parameter starts, on multiples of 64, and the length of all.
fn layout(shapes: &[&[usize]]) -> (Vec<usize>, usize) {
    let mut len = 0;
    let offsets = shapes
        .iter()
        .map(|shape| {
            let at = len;
            len += shape.iter().product::<usize>().next_multiple_of(64);
            at
        })
        .collect();
    (offsets, len)
}

impl<'g> Parameters<'g> {
    fn of(state: Var<'g>, shapes: &'static [&'static [usize]]) -> Parameters<'g> {
        let (offsets, len) = layout(shapes);
        Parameters { row: state.slice(0, 0, 1).reshape([len]), offsets, shapes }
    }

    fn all(&self) -> Vec<Var<'g>> {
        let parts = self.offsets.iter().zip(self.shapes);
        parts
            .map(|(&at, dims)| {
                let shape = Shape::new(dims).expect("a shape of the table above");
                self.row.slice(0, at, at + shape.len()).reshape(shape)
            })
            .collect()
    }
}

fn generator<'g>(p: &[Var<'g>], z: Var<'g>) -> Var<'g> {
    let batch = z.shape().dims()[0];
    let norm = |x: Var<'g>, gamma, beta| x.batch_norm_train(gamma, beta, 1e-3, 1).0.leaky_relu(0.2);
    let x = norm(z.matmul(p[0]), p[1], p[2]).reshape([batch, 7, 7, 128]);
    let x = norm(x.conv_transpose2d(p[3], [2, 2], Padding::Same, None), p[4], p[5]);
    (x.conv_transpose2d(p[6], [2, 2], Padding::Same, None) + p[7]).tanh()
}

fn discriminator<'g>(p: &[Var<'g>], x: Var<'g>, groups: usize) -> Var<'g> {
    let batch = x.shape().dims()[0];
    let x = (x.conv2d(p[0], [2, 2], Padding::Same) + p[1]).leaky_relu(0.2);
    let x = x.conv2d(p[2], [2, 2], Padding::Same);
    let x = x.batch_norm_train(p[3], p[4], 1e-3, groups).0.leaky_relu(0.2);
    x.reshape([batch, 6272]).matmul(p[5]) + p[6]
}

/// The state after a step of Adam on `loss`.
fn update<'g>(
    state: Var<'g>,
    parameters: &Parameters<'g>,
    views: &[Var<'g>],
    loss: Var<'g>,
) -> Result<Var<'g>> {
    let gradients = grad(loss, views)?;
    let len = parameters.row.shape().len();
    let packed = Var::pack(&gradients, &parameters.offsets, len);
    Ok(state.adam(packed, state.graph().constant([2], &[2e-4, 1e-7]), 0.5, 0.999))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let batch = number(128)?;
    let threads = number(std::thread::available_parallelism()?.get())?;
    let cpu = Cpu::with_threads(threads)?;

    let graph = Graph::new();
    let g_state = graph.variable("generator", [3, layout(GENERATOR).1]);
    let d_state = graph.variable("discriminator", [3, layout(DISCRIMINATOR).1]);
    let g = Parameters::of(g_state, GENERATOR);
    let d = Parameters::of(d_state, DISCRIMINATOR);
    let (g_views, d_views) = (g.all(), d.all());

    let fake = generator(&g_views, graph.input("z", [batch, 100]));
    let real = graph.input("real", [batch, 28, 28, 1]);
    let logits = discriminator(&d_views, Var::concat(&[real, fake.stop_gradient()], 0), 2);
    let half = |value| graph.fill([batch, 1], value);
    let d_loss = logits.bce_logits(Var::concat(&[half(1.0), half(0.0)], 0)).mean_all();
    let new_d = update(d_state, &d, &d_views, d_loss)?;
    let judged = discriminator(&Parameters::of(new_d.stop_gradient(), DISCRIMINATOR).all(), fake, 1);
    let g_loss = judged.bce_logits(half(1.0)).mean_all();
    let new_g = update(g_state, &g, &g_views, g_loss)?;
    let plan = graph
        .plan()
        .output("d_loss", d_loss)
        .output("g_loss", g_loss)
        .assign(d_state, new_d)
        .assign(g_state, new_g)
        .build()?;
    if std::env::var_os("EXPLAIN").is_some() {
        println!("{}", plan.explain());
    }

    let mut variables = Variables::new();
    let mut noise = 1_u32;
    let mut random = move || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    for (name, shapes) in [("generator", GENERATOR), ("discriminator", DISCRIMINATOR)] {
        let len = layout(shapes).1;
        let mut state: Vec<f32> = (0..3 * len).map(|i| if i < len { 0.05 * random() } else { 0.0 }).collect();
        state[len..].fill(0.0);
        variables.insert(&cpu, name, Shape::from([3, len]), &state)?;
    }
    let mut program = Program::new(&cpu, plan, &variables)?;
    let z: Vec<f32> = (0..batch * 100).map(|_| random()).collect();
    let real: Vec<f32> = (0..batch * 784).map(|_| random()).collect();
    program.write("z", &z)?;
    program.write("real", &real)?;

    let peak = cpu.measure_fma_peak();
    for _ in 0..3 {
        program.run()?;
    }
    let steps = 20;
    let mut best = f64::INFINITY;
    for _ in 0..steps {
        let start = Instant::now();
        program.run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let flops = program.plan().flops() as f64;
    println!(
        "{}: FMA peak {peak:.0} GFLOP/s; buffers {:.1} MB",
        cpu.describe(),
        program.executable().bytes() as f64 / 1e6
    );
    println!(
        "step: {:.2} ms, {:.0} GFLOP/s = {:.2} of peak; losses {:?} {:?}",
        best * 1e3,
        flops / best / 1e9,
        flops / best / 1e9 / peak,
        program.read("d_loss")?,
        program.read("g_loss")?
    );

    let mut times = Vec::new();
    for step in 0..steps {
        let timings = cpu.run_timed(program.executable());
        if step == 0 {
            times = timings;
        } else {
            for (time, timing) in times.iter_mut().zip(timings) {
                time.seconds = time.seconds.min(timing.seconds);
            }
        }
    }
    let total: f64 = times.iter().map(|time| time.seconds).sum();
    println!("{:>9} {:>6} {:>6} {:>7}", "us", "share", "peak", "GB/s");
    for time in &times {
        let instruction = &program.plan().instructions()[time.instruction];
        let shapes: Vec<String> = instruction.inputs.iter().map(|view| view.shape.to_string()).collect();
        println!(
            "{:>9.1} {:>6.3} {:>6.2} {:>7.1}  {} {} <- {}",
            time.seconds * 1e6,
            time.seconds / total,
            instruction.flops() as f64 / time.seconds / 1e9 / peak,
            instruction.traffic() as f64 * 4.0 / time.seconds / 1e9,
            instruction.op.name(),
            instruction.output.shape,
            shapes.join(" ")
        );
    }
    Ok(())
}
