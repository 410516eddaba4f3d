//! The engine around the kernels: repeatability, memory, submissions, faults, and a whole GAN.

use gannet::layers::Dense;
use gannet::{Gan, GanConfig, LATE_LOSSES, Sequential, StepLosses, presets};
use gannet_gpu::{Options, Verifier, Wgpu, launches};
use gannet_shaders::{Argument, Dispatch, Launch, SIGMOID, UnaryParams};
use gannet_tensor::{
    Backend, Graph, Operation, Plan, Program, Reference, Shape, TensorMut, TensorRef, Var, Variables, grad,
};
use gannet_tests::Random;

use super::device::{device, device_with_its_limits, own_device};

/// A step of a small network with everything that sums in parts: products whose k is split, statistics and sums of
/// several chunks, and Adam.
fn network() -> (Plan, Variables<Wgpu>, Program<Wgpu>) {
    let gpu = device(false).expect("called with a device");
    let graph = Graph::new();
    let x = graph.input("x", [4, 24, 23, 2]);
    let state = graph.variable("state", [3, 1024]);
    let first = |start: usize, shape: Shape| {
        state.slice(0, 0, 1).reshape([1024]).slice(0, start, start + shape.len()).reshape(shape)
    };
    let w = first(0, Shape::from([3, 3, 2, 16]));
    let (gamma, beta) = (first(320, Shape::from([16])), first(384, Shape::from([16])));
    let v = first(448, Shape::from([16, 2]));
    let y = x.conv2d(w, [1, 1], gannet_tensor::Padding::Same);
    let y = y.batch_norm_train(gamma, beta, 1e-3, 2).0.leaky_relu(0.2);
    let loss = y.reshape([4 * 24 * 23, 16]).matmul(v).square().mean_all();
    let gradients = grad(loss, &[w, gamma, beta, v]).expect("all are differentiable");
    let packed = Var::pack(&gradients, &[0, 320, 384, 448], 1024);
    let scalars = graph.constant([2], &[1e-3, 1e-7]);
    let plan = graph
        .plan()
        .output("loss", loss)
        .output("gradients", packed)
        .assign(state, state.adam(packed, scalars, 0.9, 0.999))
        .build()
        .expect("a plan");
    let mut random = Random::new(7);
    let mut values: Vec<f32> = random.vector(3 * 1024).iter().map(|v| *v as f32).collect();
    values[1024..].fill(0.0);
    let mut variables = Variables::new();
    variables.insert(gpu, "state", Shape::from([3, 1024]), &values).expect("room for 12 KiB");
    let mut program = Program::new(gpu, plan.clone(), &variables).expect("a program");
    let x: Vec<f32> = random.vector(4 * 24 * 23 * 2).iter().map(|v| *v as f32).collect();
    program.write("x", &x).expect("written");
    (plan, variables, program)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_hundred_repeated_steps_give_the_same_bits() {
    let Some(gpu) = device(false) else { return };
    let (_, variables, mut program) = network();
    let start = variables.read(gpu, "state").expect("read");
    let mut first = None;
    for step in 0..100 {
        variables.write(gpu, "state", &start).expect("written");
        program.run().expect("run");
        let found = [
            bits(&program.read("loss").expect("read")),
            bits(&program.read("gradients").expect("read")),
            bits(&variables.read(gpu, "state").expect("read")),
        ];
        let first = first.get_or_insert_with(|| found.clone());
        assert!(*first == found, "step {step} differs from the first");
    }
    assert_ne!(bits(&start), first.expect("a hundred steps")[2], "the step changed nothing");
}

#[test]
fn memory_does_not_grow_over_two_thousand_steps() {
    let Some(gpu) = own_device() else { return };
    let graph = Graph::new();
    let (x, state) = (graph.input("x", [4, 8]), graph.variable("state", [3, 64]));
    let w = state.slice(0, 0, 1).reshape([64]).slice(0, 0, 8).reshape([8, 1]);
    let loss = x.matmul(w).softplus().mean_all();
    let g = Var::pack(&grad(loss, &[w]).expect("a gradient"), &[0], 64);
    let scalars = graph.input("scalars", [2]);
    let plan = graph.plan().output("loss", loss).assign(state, state.adam(g, scalars, 0.5, 0.9)).build();
    let mut variables = Variables::new();
    variables.insert(&gpu, "state", Shape::from([3, 64]), &[0.0; 192]).expect("room");
    let mut program = Program::new(&gpu, plan.expect("a plan"), &variables).expect("a program");
    program.write("x", &[0.5; 32]).expect("written");
    let mut before = None;
    for step in 0..2000 {
        program.write("scalars", &[1e-3 / (1.0 + step as f32), 1e-7]).expect("written");
        program.request("loss").expect("requested");
        program.run().expect("run");
        let mut loss = [0.0];
        while program.collect("loss", false, &mut loss).expect("collected") {
            assert!(loss[0] > 0.0 && loss[0] < 1.0, "{loss:?}");
        }
        let now = gpu.counters();
        assert!(now.queued <= 3, "{} submissions wait", now.queued);
        if step == 200 {
            before = Some(now);
        }
    }
    let (before, after) = (before.expect("a count"), gpu.counters());
    assert_eq!((after.buffers, after.bytes), (before.buffers, before.bytes), "buffers grew");
    assert_eq!((after.bind_groups, after.pipelines), (before.bind_groups, before.pipelines));
    assert_eq!(after.submissions - before.submissions, 1799, "one submission per step");
    drop(program);
    drop(variables);
    assert_eq!((gpu.counters().buffers, gpu.counters().bytes), (0, 0), "everything is freed");
}

#[test]
fn requested_outputs_arrive_in_order_with_the_values_of_their_runs() {
    let Some(gpu) = device(false) else { return };
    let graph = Graph::new();
    let x = graph.input("x", [3]);
    let plan = graph.plan().output("double", x * 2.0).output("square", x.square()).build().expect("a plan");
    let mut program = Program::new(gpu, plan, &Variables::new()).expect("a program");
    for run in 0..10 {
        program.write("x", &[run as f32, 0.5, -1.0]).expect("written");
        if run % 3 == 0 {
            program.request("square").expect("requested");
            program.request("double").expect("requested");
        }
        program.run().expect("run");
    }
    let mut arrived = |name: &str| {
        let mut out = [0.0; 3];
        let mut values = Vec::new();
        while program.collect(name, true, &mut out).expect("collected") {
            values.push(out[0]);
        }
        values
    };
    assert_eq!(arrived("double"), [0.0, 6.0, 12.0, 18.0]);
    assert_eq!(arrived("square"), [0.0, 9.0, 36.0, 81.0]);
    assert!(arrived("square").is_empty());
}

#[test]
fn every_steps_losses_arrive_late_in_order_and_no_step_waits() {
    let Some(gpu) = own_device() else { return };
    let config = small();
    let mut gan = Gan::new(&gpu, config.clone()).expect("a GAN");
    let mut waiting = Gan::new(&gpu, config).expect("a GAN");
    let real: Vec<f32> = Random::new(3).vector(8).iter().map(|v| *v as f32).collect();
    let mut found = Vec::new();
    let mut before = gpu.counters();
    for step in 0..60 {
        gan.train_step(&real, None).expect("a step");
        while let Some(of) = gan.next_losses().expect("finite losses") {
            found.push(of);
        }
        assert!(gan.step() - found.len() as u64 <= LATE_LOSSES as u64, "step {step}: {} came", found.len());
        if step == 9 {
            before = gpu.counters();
        }
    }
    let after = gpu.counters();
    assert_eq!(after.waits, before.waits, "a step waited for its numbers");
    assert_eq!((after.buffers, after.submissions), (before.buffers, before.submissions + 50));
    while let Some(of) = gan.awaited_losses().expect("finite losses") {
        found.push(of);
    }
    let expected: Vec<StepLosses> = (1..=60)
        .map(|step| StepLosses { step, losses: waiting.train_on_batch(&real, None).expect("finite losses") })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(gan.losses().expect("the last ones"), expected[59].losses);
}

/// The dispatches of a plan, one per line.
fn listed(plan: &Plan) -> String {
    let mut lines = String::new();
    for (instruction, launch) in plan.instructions().iter().zip(launches(plan).expect("launches")) {
        for dispatch in launch.dispatches {
            let (name, scope) = (instruction.op.name(), &instruction.scope);
            lines += &format!("{:<24} {name} {} {scope}\n", dispatch.shader.name, instruction.output.shape);
        }
    }
    lines
}

#[test]
fn a_step_of_dcgan_is_one_submission_of_few_dispatches() {
    let Some(gpu) = device_with_its_limits() else { return };
    let mut config = presets::get("dcgan").expect("the preset");
    config.batch_size = 8;
    let mut gan = Gan::new(&gpu, config.clone()).expect("a GAN");
    let reference = Reference::<f32>::new();
    let mut expected = Gan::new(&reference, config).expect("a GAN");
    let mut random = Random::new(3);
    let mut before = gpu.counters();
    for step in 0..3 {
        let real: Vec<f32> = random.vector(8 * 28 * 28).iter().map(|v| *v as f32).collect();
        gan.train_step(&real, None).expect("a step");
        let after = gpu.counters();
        if step > 0 {
            let dispatches = after.dispatches - before.dispatches;
            assert!(dispatches <= 60, "{dispatches} dispatches:\n{}", listed(gan.prepare().expect("a plan")));
            assert_eq!(after.submissions - before.submissions, 1);
            assert_eq!((after.buffers, after.bind_groups), (before.buffers, before.bind_groups));
            assert_eq!(after.pipelines, before.pipelines);
        }
        expected.train_step(&real, None).expect("a step");
        let (found, losses) = (gan.losses().expect("losses"), expected.losses().expect("losses"));
        for (a, b) in [(found.d_real, losses.d_real), (found.d_fake, losses.d_fake), (found.g, losses.g)] {
            assert!((a - b).abs() <= 1e-3 * b.abs(), "step {step}: {found:?}, the reference has {losses:?}");
        }
        before = gpu.counters();
    }
}

#[test]
fn a_step_of_dcgan_takes_few_dispatches_at_every_batch_size() {
    let Some(gpu) = device_with_its_limits() else { return };
    // The more images, the more sums take two passes.
    for batch_size in [8, 32, 128, 256] {
        let mut config = presets::get("dcgan").expect("the preset");
        config.batch_size = batch_size;
        let mut gan = Gan::new(&gpu, config).expect("a GAN");
        let program = gan.executable().expect("a program");
        let dispatches = program.dispatches();
        assert!(dispatches <= 60, "{dispatches} dispatches of {batch_size}:\n{}", program.explain());
        assert_eq!(program.submissions(), 1);
    }
}

#[test]
fn an_adapter_that_is_not_there_is_an_error_that_names_those_that_are() {
    if device(false).is_none() {
        return;
    }
    let options = Options { adapter: Some("no such adapter".into()), ..Options::default() };
    let error = Wgpu::new(&options).err().expect("there is none").to_string();
    let first = &gannet_gpu::adapters()[0].name;
    assert!(error.contains("no such adapter") && error.contains(first.as_str()), "{error}");
}

#[test]
fn a_tensor_over_the_binding_limit_is_refused_by_name() {
    let Some(gpu) = device(false) else { return };
    let graph = Graph::new();
    let y = graph
        .scoped("generator", || graph.input("x", [1, 1]).broadcast_to(Shape::from([40_000, 1000])).exp());
    let plan = graph.plan().output("y", y).build().expect("a plan");
    let error = Program::new(gpu, plan, &Variables::new()).err().expect("160 MB are too large").to_string();
    for part in ["broadcast_to [40000, 1000]", "generator", "152.6 MiB", "128.0 MiB"] {
        assert!(error.contains(part), "{part} is missing: {error}");
    }
}

#[test]
fn full_memory_is_an_error_and_the_device_lives_on() {
    let Some(gpu) = own_device() else { return };
    let state = gpu.allocate("state", 1000).expect("room for 4 KiB");
    gpu.limit_memory(8_000);
    let error = gpu.allocate("images", 2000).err().expect("no room").to_string();
    assert!(
        error.contains("out of memory") && error.contains("images") && error.contains("7.8 KiB"),
        "{error}"
    );
    gpu.write(&state, &[2.0; 1000]).expect("written");
    gpu.limit_memory(u64::MAX);
    let mut out = [0.0; 1000];
    gpu.read(&state, &mut out).expect("what was there before is still there");
    assert_eq!(out, [2.0; 1000]);
    gpu.allocate("images", 2000).expect("there is room again");
}

#[test]
fn a_lost_device_is_an_error_in_every_call() {
    let Some(gpu) = own_device() else { return };
    let mut config = presets::get("dcgan").expect("the preset");
    config.batch_size = 1;
    let mut gan = Gan::new(&gpu, config).expect("a GAN");
    let real = [0.5; 28 * 28];
    gan.train_step(&real, None).expect("a step");
    gpu.lose_device();
    let errors = [
        gan.train_step(&real, None).err().map(|e| e.to_string()),
        gan.losses().err().map(|e| e.to_string()),
        gpu.allocate("x", 10).err().map(|e| e.to_string()),
        gan.read_tensor(gan.tensors().next().expect("a tensor").0).err().map(|e| e.to_string()),
    ];
    for error in errors {
        let error = error.expect("the device is lost");
        assert!(error.contains("was lost") && error.contains(gpu.name()), "{error}");
    }
}

/// A small GAN whose generator is updated in every second step, so that there are two programs.
fn small() -> GanConfig {
    let generator = Sequential::new("generator", [2]).add(Dense::new(5)).add(Dense::new(2));
    let discriminator = Sequential::new("discriminator", [2]).add(Dense::new(5)).add(Dense::new(1));
    let mut config = GanConfig::new(generator, discriminator).batch_size(4);
    config.discriminator_steps = 2;
    config
}

fn batch(step: u64) -> Vec<f32> {
    Random::new(step).vector(8).iter().map(|v| *v as f32).collect()
}

#[test]
fn a_run_whose_device_is_lost_goes_on_from_what_was_saved() {
    let (Some(gpu), Some(other)) = (own_device(), own_device()) else { return };
    let file = std::env::temp_dir().join(format!("gannet-lost-{}.safetensors", std::process::id()));
    let mut gan = Gan::new(&gpu, small()).expect("a GAN");
    let mut taken = Vec::new();
    let error = loop {
        let step = gan.step();
        let result = gan.train_step(&batch(step), None).and_then(|()| {
            while let Some(of) = gan.next_losses()? {
                taken.push(of);
            }
            if gan.step() == 4 {
                gan.save(&file)?;
            }
            Ok(())
        });
        if let Err(error) = result {
            break error.to_string();
        }
        assert!(step < 7, "the device was lost after step 7");
        if gan.step() == 7 {
            gpu.lose_device();
        }
    };
    for part in ["was lost", gpu.name(), "what was saved is safe", "start again"] {
        assert!(error.contains(part), "{part} is missing: {error}");
    }
    assert!(gan.save(&file).expect_err("there is nothing to read").to_string().contains("was lost"));
    drop(gan);

    let mut again = Gan::load(&other, &file).expect("the file is whole");
    std::fs::remove_file(&file).expect("it was there");
    assert_eq!(again.step(), 4);
    let mut expected = Gan::new(&other, small()).expect("a GAN");
    for step in 0..10 {
        let losses = expected.train_on_batch(&batch(step), None).expect("finite losses");
        if let Some(of) = taken.get(step as usize) {
            assert_eq!((of.step, of.losses), (step + 1, losses), "before the device was lost");
        }
        if step >= 4 {
            let found = again.train_on_batch(&batch(step), None).expect("finite losses");
            assert_eq!(found, losses, "step {step}, after going on");
        }
    }
}

#[test]
fn full_memory_in_mid_training_is_an_error_and_training_goes_on_when_there_is_room() {
    let Some(gpu) = own_device() else { return };
    let mut gan = Gan::new(&gpu, small()).expect("a GAN");
    let mut expected = Gan::new(&gpu, small()).expect("a GAN");
    gan.train_step(&batch(0), None).expect("a step");
    // The second step is of another kind: its program has to be made, and there is no room for its buffers.
    gpu.limit_memory(gpu.counters().bytes);
    let before = gpu.counters();
    let error = gan.train_step(&batch(1), None).expect_err("no room").to_string();
    for part in ["out of memory", gpu.name(), "a smaller batch"] {
        assert!(error.contains(part), "{part} is missing: {error}");
    }
    assert_eq!(gpu.counters().bytes, before.bytes, "what was made for the step is freed");
    assert_eq!(gan.step(), 1, "the step was not taken");
    gpu.limit_memory(u64::MAX);
    expected.train_step(&batch(0), None).expect("a step");
    for step in 1..4 {
        let found = gan.train_on_batch(&batch(step), None).expect("room again");
        assert_eq!(found, expected.train_on_batch(&batch(step), None).expect("room again"), "step {step}");
    }
}

#[test]
fn an_invalid_call_is_an_error_of_the_next_one() {
    let Some(gpu) = own_device() else { return };
    let mut gan = Gan::new(&gpu, small()).expect("a GAN");
    gan.train_step(&batch(0), None).expect("a step");
    gpu.misuse_device();
    let error = gan.train_step(&batch(1), None).expect_err("the device was misused").to_string();
    for part in ["reported an error", gpu.name(), "what was saved is safe", "start again"] {
        assert!(error.contains(part), "{part} is missing: {error}");
    }
}

#[test]
fn peaks_are_of_right_numbers_and_leave_nothing_behind() {
    let Some(gpu) = own_device() else { return };
    let before = gpu.counters();
    // That the numbers are right it looks after itself.
    let peak = gpu.measure_peak().expect("peaks");
    assert!(peak.fma_gflops.is_finite() && peak.fma_gflops > 0.1, "{peak:?}");
    assert!(peak.copy_gb_s.is_finite() && peak.copy_gb_s > 0.01, "{peak:?}");
    let after = gpu.counters();
    assert_eq!((after.buffers, after.bytes), (before.buffers, before.bytes));
    gpu.limit_memory(1 << 20);
    assert!(gpu.measure_peak().expect_err("no memory").to_string().contains("out of memory"));
}

#[test]
fn profiles_name_every_dispatch() {
    let Some(gpu) = device(false) else { return };
    let (_, _, mut program) = network();
    if !gpu.has_timestamps() {
        assert!(gpu.profile(program.executable()).is_err());
        return;
    }
    let times = gpu.profile(program.executable()).expect("times");
    assert_eq!(times.len(), program.executable().dispatches());
    assert!(times.iter().all(|time| time.seconds >= 0.0 && time.seconds < 60.0), "{times:?}");
    assert!(times.iter().map(|time| time.flops).sum::<u64>() == program.plan().flops());
}

#[test]
fn a_trustworthy_driver_is_verified_in_every_operation_of_a_gan() {
    let Some(gpu) = own_device() else { return };
    let verifier = Verifier::new(gpu);
    let mut config = presets::get("dcgan").expect("the preset");
    config.batch_size = 2;
    let mut gan = Gan::new(&verifier, config).expect("a GAN");
    for step in 0..2 {
        let real: Vec<f32> = Random::new(step).vector(2 * 28 * 28).iter().map(|v| *v as f32).collect();
        gan.train_step(&real, None).expect("a step");
    }
    let report = verifier.report();
    assert_eq!((report.failure.clone(), report.runs), (None, 2), "{report}");
    for name in ["adam", "batch_norm_grad", "conv2d_weight_grad", "fused_conv_transpose2d"] {
        let verdict = &report.operations[name];
        assert!(verdict.checks > 0 && verdict.worst > 0.0 && verdict.worst < 1.0, "{name}: {verdict:?}");
    }
}

/// The hyperbolic tangent, with a shader that computes something else.
#[derive(Debug)]
struct BrokenTanh;

impl Operation for BrokenTanh {
    fn name(&self) -> &'static str {
        "broken_tanh"
    }

    fn shape(&self, inputs: &[Shape]) -> gannet_tensor::Result<Shape> {
        Ok(inputs[0])
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let params = UnaryParams { count: output.len() as u32, alpha: 0.0, beta: 0.0 };
        Some(Dispatch::new(SIGMOID, &params, [1, 1, 1], &[Argument::Input(0), Argument::Output]).into())
    }

    fn eval_f32(&self, inputs: &[TensorRef<'_, f32>], output: TensorMut<'_, f32>) {
        output.data.iter_mut().zip(inputs[0].data).for_each(|(y, x)| *y = x.tanh());
    }

    fn eval_f64(&self, inputs: &[TensorRef<'_, f64>], output: TensorMut<'_, f64>) {
        output.data.iter_mut().zip(inputs[0].data).for_each(|(y, x)| *y = x.tanh());
    }
}

#[test]
fn a_broken_kernel_is_named() {
    let Some(gpu) = device(false) else { return };
    let verifier = Verifier::new(gpu.clone());
    let graph = Graph::new();
    let y = graph.scoped("generator", || {
        let x = graph.input("x", [5]).exp();
        graph.apply(BrokenTanh, &[x]).expect("it has a shape").sum_all()
    });
    let plan = graph.plan().output("y", y).build().expect("a plan");
    let mut program = Program::new(&verifier, plan, &Variables::new()).expect("a program");
    program.write("x", &[0.1, 0.2, 0.3, -0.4, 0.5]).expect("written");
    program.run().expect("run");
    let failure = verifier.report().failure.expect("sigmoid is not tanh");
    assert!(failure.contains("broken_tanh of generator [5]"), "{failure}");
}
