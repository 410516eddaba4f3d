//! The file of programs: what is written is read again, and what is not sound is refused with a reason.

use std::collections::BTreeMap;

use gannet_dispatch::{
    BufferKind, Dispatches, Layout, Limits, ProgramFile, Region, Tiles, VERSION, supports,
};
use gannet_shaders::Access;
use gannet_tensor::{Graph, Plan, Var, grad};

/// A step with a variable of which rows are moments, inputs large and small, constants of both kinds, sums that wait and
/// copies.
fn plan() -> Plan {
    let graph = Graph::new();
    let (x, scalars) = (graph.input("x", [40, 8]), graph.input("scalars", [2]));
    let state = graph.variable("state", [3, 1024]);
    let part = |start: usize, len: usize| state.slice(0, 0, 1).reshape([1024]).slice(0, start, start + len);
    let (w, bias) = (part(0, 24).reshape([8, 3]), part(64, 3));
    let shift = graph.constant([3], &[0.5, -1.0, 2.0]);
    let y = x.matmul(w) + (bias + shift).reshape([1, 3]);
    let loss = y.softplus().mean_all();
    let gradients = grad(loss, &[w, bias]).expect("both are differentiable");
    let packed = Var::pack(&gradients, &[0, 64], 1024);
    graph
        .plan()
        .output("loss", loss)
        .output("y", y)
        .assign(state, state.adam(packed, scalars, 0.5, 0.9))
        .build()
        .and_then(|plan| plan.lowered(supports))
        .expect("a plan")
}

fn file() -> ProgramFile {
    let plan = plan();
    let program = Dispatches::new(&plan, &Layout::new(&plan), Limits::default()).expect("shaders for all");
    let values = (0..3 * 1024).map(|i| i as f32 * 0.25).collect();
    let variables = BTreeMap::from([("state".to_owned(), values)]);
    ProgramFile::new(BTreeMap::from([("step".to_owned(), program)]), variables).expect("it is sound")
}

/// What is wrong with a file after `change`, whose checksum is right.
fn complaint(change: impl FnOnce(&mut Dispatches)) -> String {
    let mut file = file();
    change(file.programs.get_mut("step").expect("it is there"));
    ProgramFile::parse(&file.to_bytes().expect("it is written"))
        .map(drop)
        .expect_err("it is not sound")
        .to_string()
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let file = file();
    let bytes = file.to_bytes().expect("it is written");
    let again = ProgramFile::parse(&bytes).expect("it is whole");
    assert_eq!(again, file);
    assert_eq!(again.to_bytes().expect("it is written"), bytes);
    let program = &again.programs["step"];
    let names = |tensors: &[gannet_dispatch::Named]| -> Vec<String> {
        tensors.iter().map(|tensor| format!("{} {:?}", tensor.name, tensor.shape)).collect()
    };
    assert_eq!(names(&program.inputs), ["x [40, 8]", "scalars [2]"]);
    assert_eq!(names(&program.outputs), ["loss []", "y [40, 3]"]);
    assert_eq!(names(&program.variables), ["state [3, 1024]"]);
    for dispatch in &program.dispatches {
        let shader = gannet_shaders::find(&dispatch.shader).expect("a shader of the engine");
        assert_eq!(again.shaders[shader.name].source, shader.source);
    }
    let kinds: Vec<BufferKind> = program.buffers.iter().map(|buffer| buffer.kind).collect();
    for kind in [BufferKind::Variable, BufferKind::Input, BufferKind::SmallInputs, BufferKind::Constant] {
        assert!(kinds.contains(&kind), "{kind:?} is not among {kinds:?}");
    }
    assert!(program.contents.iter().any(|contents| contents.values == [0.5, -1.0, 2.0]));
}

#[test]
fn a_file_that_is_cut_off_or_changed_anywhere_is_refused() {
    let bytes = file().to_bytes().expect("it is written");
    let ends = (0..64).chain((64..bytes.len()).step_by(97)).chain([bytes.len() - 1]);
    for end in ends {
        let error = ProgramFile::parse(&bytes[..end]).expect_err("it is not whole").to_string();
        let parts = ["is damaged", "is not whole", "is no file of Gannet programs"];
        assert!(parts.iter().any(|part| error.contains(part)), "{end}: {error}");
    }
    for at in (0..64).chain((64..bytes.len()).step_by(97)) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(ProgramFile::parse(&changed).is_err(), "byte {at} is not looked at");
    }
}

#[test]
fn a_file_of_another_version_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("newer.gannet");
    let mut bytes = file().to_bytes().expect("it is written");
    bytes[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
    std::fs::write(&path, &bytes).expect("written");
    let error = ProgramFile::read(&path).expect_err("it is newer").to_string();
    for part in ["newer.gannet", "of version 2", "reads version 1"] {
        assert!(error.contains(part), "{part} is missing: {error}");
    }
    let missing = ProgramFile::read(folder.path().join("none")).expect_err("there is none").to_string();
    assert!(missing.contains("cannot read") && missing.contains("none"), "{missing}");
    let other = ProgramFile::parse(b"\x89PNG\r\n\x1a\n").expect_err("a picture").to_string();
    assert!(other.contains("no file of Gannet programs"), "{other}");
}

#[test]
fn what_a_device_could_not_run_is_refused_with_the_reason() {
    let far = Region { buffer: 0, offset: 1 << 40, bytes: 16 };
    assert!(complaint(|p| p.dispatches[0].bindings[0].buffer = 99).contains("there is no buffer 99"));
    assert!(complaint(|p| p.dispatches[0].bindings[0] = far).contains("are no numbers of the buffer"));
    assert!(
        complaint(|p| p.dispatches[0].bindings[0] = Region { buffer: 0, offset: 4, bytes: 16 })
            .contains("cannot be bound")
    );
    assert!(complaint(|p| p.dispatches[0].bindings[0].bytes = 0).contains("cannot be bound"));
    assert!(complaint(|p| p.dispatches[0].bindings.truncate(1)).contains("bindings"));
    assert!(complaint(|p| p.dispatches[0].workgroups = [1, 0, 1]).contains("workgroups"));
    assert!(complaint(|p| p.dispatches[0].workgroups = [65_536, 1, 1]).contains("workgroups"));
    assert!(complaint(|p| p.dispatches[0].params = usize::MAX).contains("bytes of parameters"));
    assert!(complaint(|p| p.dispatches[0].params += 16).contains("bytes of parameters"));
    assert!(complaint(|p| p.params.truncate(16)).contains("bytes of parameters"));
    let unknown = |p: &mut Dispatches| p.dispatches[0].shader = "nosuch".into();
    assert!(complaint(unknown).contains("the shader 'nosuch' is missing"));
    assert!(complaint(|p| p.buffers[0].bytes = 20).contains("no multiple of 16"));
    assert!(complaint(|p| p.contents[0].values.extend([1.0; 7])).contains("values for"));
    assert!(complaint(|p| p.inputs[0].shape = vec![41, 8]).contains("the input 'x'"));
    assert!(complaint(|p| p.outputs[1].region = far).contains("the output 'y'"));
    assert!(complaint(|p| p.variables[0].name = "other".into()).contains("lies in the buffer 'state'"));
    assert!(complaint(|p| p.limits.storage_alignment = 0).contains("no power of two"));
    // Twice the same buffer, once of them to write.
    let both = |p: &mut Dispatches| {
        let dispatch = &mut p.dispatches[0];
        let bindings = gannet_shaders::find(&dispatch.shader).expect("a shader of the engine").bindings;
        let of = |access| bindings.iter().position(|binding| binding.access == access).expect("there is one");
        dispatch.bindings[of(Access::Read)] = dispatch.bindings[of(Access::ReadWrite)];
    };
    assert!(complaint(both).contains("bound to be written and once more"));
    let mut short = file();
    short.variables.clear();
    let error =
        ProgramFile::parse(&short.to_bytes().expect("it is written")).expect_err("no values").to_string();
    assert!(error.contains("the program 'step': the variable 'state' has no values"), "{error}");
    let mut long = file();
    long.variables.insert("state".into(), vec![0.0; 3 * 1024 + 1]);
    let error =
        ProgramFile::parse(&long.to_bytes().expect("it is written")).expect_err("too many").to_string();
    assert!(error.contains("3073 values for the variable 'state'"), "{error}");
}

/// A generator reads the first row of its optimiser's state: the moments stay at home.
#[test]
fn what_no_program_reads_of_a_variable_is_left_out() {
    let graph = Graph::new();
    let state = graph.variable("state", [3, 1024]);
    let w = state.slice(0, 0, 1).reshape([1024]).slice(0, 64, 72).reshape([2, 4]);
    let y = graph.input("x", [5, 2]).matmul(w).tanh();
    let plan = graph.plan().output("y", y).build().and_then(|plan| plan.lowered(supports)).expect("a plan");
    let program = Dispatches::new(&plan, &Layout::new(&plan), Limits::default()).expect("shaders for all");
    let variables =
        BTreeMap::from([("state".to_owned(), vec![1.0; 3072]), ("more".to_owned(), vec![1.0; 9])]);
    let file = ProgramFile::new(BTreeMap::from([("run".to_owned(), program)]), variables).expect("sound");
    assert_eq!(file.variables["state"].len(), 72);
    assert!(file.variables["more"].is_empty());
}

#[test]
fn zeros_at_the_end_are_left_out_and_what_is_the_same_is_there_once() {
    let graph = Graph::new();
    let (a, b) = (graph.variable("a", [1024]), graph.variable("b", [2048]));
    let plan = graph.plan().output("y", a.sum_all() + b.sum_all());
    let plan = plan.build().and_then(|plan| plan.lowered(supports)).expect("a plan");
    let program = Dispatches::new(&plan, &Layout::new(&plan), Limits::default()).expect("shaders for all");
    let bytes = |last: f32| {
        let a: Vec<f32> = (0..1024).map(|i| i as f32).collect();
        let b = [&a[..], &[0.0; 1023], &[last]].concat();
        let variables = BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        let programs = BTreeMap::from([("run".to_owned(), program.clone())]);
        let file = ProgramFile::new(programs, variables).expect("sound");
        assert_eq!(ProgramFile::parse(&file.to_bytes().expect("written")).expect("sound"), file);
        (file.variables["b"].len(), file.to_bytes().expect("written").len())
    };
    let ((short, once), (long, twice)) = (bytes(0.0), bytes(-0.0));
    assert_eq!((short, long), (1024, 2048));
    assert!(once + 8000 < twice, "{once} {twice}");
}

#[test]
fn a_program_is_a_function_of_the_plan_and_the_limits() {
    let plan = plan();
    let layout = Layout::new(&plan);
    let made = |alignment: usize| {
        let limits = Limits { storage_alignment: alignment, uniform_alignment: alignment };
        Dispatches::new(&plan, &layout, limits).expect("shaders for all")
    };
    assert_eq!(made(256), made(256));
    for alignment in [16, 32, 256] {
        let program = made(alignment);
        for dispatch in &program.dispatches {
            let offsets = dispatch.bindings.iter().map(|region| region.offset).chain([dispatch.params]);
            assert!(offsets.into_iter().all(|offset| offset.is_multiple_of(alignment)), "{dispatch:?}");
        }
    }
    assert!(made(16).params.len() < made(256).params.len());
}

/// Sums that enter one vector are one dispatch; one by one, each dispatch belongs to one instruction.
#[test]
fn dispatches_are_joined_or_belong_to_one_instruction_each() {
    let graph = Graph::new();
    let sum = |name: &str| graph.input(name, [3, 70]).sum(&[0]).reshape([70]);
    let plan = graph.plan().output("y", Var::concat(&[sum("a"), sum("b")], 0)).build();
    let plan = plan.and_then(|plan| plan.lowered(supports)).expect("a plan");
    let layout = Layout::new(&plan);
    let joined = Dispatches::new(&plan, &layout, Limits::default()).expect("shaders for all");
    let apart =
        Dispatches::one_by_one(&plan, &layout, Limits::default(), &Tiles::new()).expect("shaders for all");
    let instructions = |program: &Dispatches| -> Vec<Vec<usize>> {
        program.dispatches.iter().map(|dispatch| dispatch.instructions.clone()).collect()
    };
    assert_eq!(instructions(&joined).len(), 1);
    assert!(instructions(&joined)[0].len() > 1);
    assert!(instructions(&apart).len() > 1 && instructions(&apart).iter().all(|own| own.len() == 1));
}

#[test]
fn small_inputs_and_constants_share_buffers_and_lie_apart() {
    let graph = Graph::new();
    let (a, b, c) = (graph.input("a", [3]), graph.input("b", [64]), graph.input("c", [65]));
    let (d, e) = (graph.constant([2], &[1.0, 2.0]), graph.constant([64], &[3.0; 64]));
    let plan = graph.plan().output("y", Var::concat(&[a, b, c, d, e], 0)).build();
    let plan = plan.and_then(|plan| plan.lowered(supports)).expect("a plan");
    let program = Dispatches::new(&plan, &Layout::new(&plan), Limits::default()).expect("shaders for all");
    let [a, b, c] = [0, 1, 2].map(|i| program.inputs[i].region);
    assert_eq!(a.buffer, b.buffer);
    assert_ne!(a.buffer, c.buffer);
    assert_eq!(program.buffers[a.buffer].kind, BufferKind::SmallInputs);
    let [d, e] = [0, 1].map(|i| program.contents[i].region);
    assert_eq!(d.buffer, e.buffer);
    for (first, second) in [(a, b), (d, e)] {
        let apart =
            first.offset + first.bytes <= second.offset || second.offset + second.bytes <= first.offset;
        assert!(apart, "{first:?} {second:?}");
        assert!([first, second].iter().all(|region| region.offset.is_multiple_of(256)));
    }
}
