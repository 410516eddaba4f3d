//! Compiled pipelines that outlast the process.

use gannet_gpu::{Options, Wgpu};
use gannet_tensor::{Graph, Program, Variables};

use super::device::own_device;

#[test]
fn compiled_pipelines_are_kept_and_a_damaged_file_is_made_anew() {
    let Some(gpu) = own_device() else { return };
    let folder = std::env::temp_dir().join(format!("gannet-pipelines-{}", std::process::id()));
    let graph = Graph::new();
    let plan = graph.plan().output("y", graph.input("x", [8]).exp().tanh()).build().expect("a plan");
    let described = gannet_gpu::adapters();
    let adapter = described.iter().find(|adapter| adapter.name == gpu.name()).expect("the one in use");
    let kept = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
    };
    let run_again = || {
        let options = Options {
            adapter: Some(adapter.index.to_string()),
            cache: Some(folder.clone()),
            default_limits: true,
            ..Options::default()
        };
        let again = Wgpu::new(&options).expect("the same device");
        let mut program = Program::new(&again, plan.clone(), &Variables::new()).expect("a program");
        program.write("x", &[0.5, -0.25, 0.0, 1.0, 2.0, -3.0, 0.125, 4.0]).expect("written");
        program.run().expect("run");
        program.read("y").expect("read")
    };
    let expected = run_again();
    let first = kept();
    if !adapter.features.contains(&"pipeline cache") || adapter.backend != "vulkan" {
        assert!(first.is_empty(), "no cache, but files");
        return;
    }
    let [(path, bytes)] = &first[..] else { panic!("not one file: {}", first.len()) };
    assert!(bytes.starts_with(b"GANNETPC"));
    let written = || std::fs::metadata(path).and_then(|metadata| metadata.modified()).expect("a time");
    let before = written();
    assert_eq!(run_again(), expected);
    assert_eq!((kept(), written()), (first.clone(), before), "what is known is not written again");
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    for damaged in [&damaged[..], &bytes[..bytes.len() / 2], b"", b"something else"] {
        std::fs::write(path, damaged).expect("written");
        assert_eq!(run_again(), expected);
        let after = kept();
        assert_eq!(after.len(), 1);
        assert!(after[0].1.starts_with(b"GANNETPC") && after[0].1.len() == bytes.len(), "it is whole again");
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
}
