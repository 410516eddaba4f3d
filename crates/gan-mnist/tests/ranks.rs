//! Runs that several processes share, started by `mpirun`.
//!
//! Without an MPI they say so and pass; `REQUIRE_MPI=1` makes that a failure. Ranks have one thread each, and may be more than
//! there are cores.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gannet::tensor_file::TensorFile;
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gan-mnist");

/// How long a test waits for what comes in a moment.
const PATIENCE: Duration = Duration::from_secs(300);

/// What processes came to.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    #[track_caller]
    fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// The message of a failure.
    #[track_caller]
    fn failure(self) -> String {
        assert!(self.code.is_none_or(|code| code != 0), "{self:?}");
        self.stderr
    }
}

/// One test after the other: each has more ranks than there may be cores.
static TURN: Mutex<()> = Mutex::new(());

/// This test's turn, if there is an MPI to start ranks with.
fn mpi() -> Option<MutexGuard<'static, ()>> {
    let found = Command::new("mpirun").arg("--version").output().is_ok_and(|output| output.status.success());
    let required = std::env::var("REQUIRE_MPI").is_ok_and(|value| value == "1");
    assert!(found || !required, "there is no mpirun, and REQUIRE_MPI=1");
    if !found {
        eprintln!("there is no mpirun: nothing is tested");
    }
    // A test that failed is no reason for others to.
    found.then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A command in `folder`, with what lets Open MPI run anywhere: as root in a container, with more ranks than cores.
fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_hwloc_base_binding_policy", "none")
        .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
        .env("PRTE_MCA_hwloc_default_binding_policy", "none")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts the program on so many ranks and does not wait for it.
fn start(folder: &Path, ranks: usize, line: &str) -> Child {
    let mut command = command(folder, "mpirun");
    command.args(["-n", &ranks.to_string(), PROGRAM]).args(line.split_whitespace());
    command.spawn().expect("mpirun starts")
}

fn wait(child: Child) -> Outcome {
    let output = child.wait_with_output().expect("it ends");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the program on so many ranks; on one without MPI.
fn run(folder: &Path, ranks: usize, line: &str) -> Outcome {
    match ranks {
        1 => wait(command(folder, PROGRAM).args(line.split_whitespace()).spawn().expect("it starts")),
        ranks => wait(start(folder, ranks, &format!("{line} --distributed"))),
    }
}

/// What has to be the same of two runs.
fn results(run: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let read =
        |name| (name, fs::read(run.join(name)).unwrap_or_else(|e| panic!("{}/{name}: {e}", run.display())));
    ["losses.csv", "model.safetensors", "samples.png"].map(read).into()
}

#[track_caller]
fn assert_same(run: &Path, expected: &Path) {
    for ((name, found), (_, expected)) in results(run).into_iter().zip(results(expected)) {
        assert!(found == expected, "{name} of {} differs", run.display());
    }
}

/// The step of the newest checkpoint.
fn newest(run: &Path) -> Option<u64> {
    let names = fs::read_dir(run.join("checkpoints")).ok()?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|n| n.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()).max()
}

#[track_caller]
fn wait_for_checkpoint(child: &mut Child, run: &Path, step: u64) {
    let began = Instant::now();
    while newest(run).is_none_or(|found| found < step) {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before step {step}");
        assert!(began.elapsed() < PATIENCE, "there is no checkpoint of step {step}");
        sleep(Duration::from_millis(5));
    }
}

/// The process of a rank of this `mpirun`: its children know their ranks from their environment.
fn process_of(child: &Child, rank: usize) -> String {
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let children = fs::read_to_string(children).expect("Linux");
    let name = [format!("OMPI_COMM_WORLD_RANK={rank}"), format!("PMI_RANK={rank}")];
    let is_rank = |process: &&str| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| name.iter().any(|name| name.as_bytes() == variable))
    };
    children.split_whitespace().find(is_rank).unwrap_or_else(|| panic!("no rank {rank} in {children}")).into()
}

fn signal(process: &str, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), process]).status();
    assert!(status.expect("kill").success());
}

/// A preset with layers of a few channels, as a model file.
fn narrow(folder: &Path, preset: &str) -> PathBuf {
    let mut text = run(folder, 1, &format!("presets {preset}")).success().stdout;
    for (from, to) in [
        ("units = 6272", "units = 196"),
        ("[7, 7, 128]", "[7, 7, 4]"),
        ("filters = 128", "filters = 4"),
        ("filters = 64", "filters = 4"),
    ] {
        text = text.replace(from, to);
    }
    let path = folder.join(format!("{preset}.toml"));
    fs::write(&path, text).unwrap();
    path
}

/// `--accumulate 4` alone, two ranks of two micro-batches, four of one.
#[track_caller]
fn assert_ranks_do_not_matter(folder: &Path, recipe: &str, steps: u64) {
    let train = format!(
        "train {recipe} --batch-size 4 --steps {steps} --sample-every {} --threads 1 --device cpu",
        steps.div_ceil(2)
    );
    run(folder, 1, &format!("{train} --accumulate 4 --out alone")).success();
    for (ranks, each) in [(2, 2), (4, 1)] {
        let out = format!("ranks-{ranks}");
        let outcome = run(folder, ranks, &format!("{train} --accumulate {each} --out {out}")).success();
        // The first rank alone speaks.
        let begins = outcome
            .stdout
            .matches(&format!("16 images in 4 micro-batches on {ranks} ranks, each on"))
            .count();
        assert_eq!(begins, 1, "{outcome:?}");
        assert_same(&folder.join(out), &folder.join("alone"));
    }
}

#[test]
fn ranks_of_cdcgan_come_to_the_same_bytes() {
    let Some(_turn) = mpi() else { return };
    assert_ranks_do_not_matter(folder().path(), "--preset cdcgan", 8);
}

#[test]
fn ranks_of_wgan_gp_and_acgan_come_to_the_same_bytes() {
    let Some(_turn) = mpi() else { return };
    for preset in ["wgan-gp", "acgan"] {
        let folder = folder();
        let model = narrow(folder.path(), preset);
        assert_ranks_do_not_matter(folder.path(), &format!("--model {}", model.display()), 12);
    }
}

/// The files of a run that are there are whole.
fn assert_whole(run: &Path) {
    let mut whole = 0;
    for entry in fs::read_dir(run.join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "safetensors")
            && !path.file_name().unwrap().to_str().unwrap().starts_with('.')
        {
            TensorFile::read(&path).unwrap();
            whole += 1;
        }
    }
    assert!(whole > 0, "{} has no checkpoint", run.display());
    if run.join("model.safetensors").exists() {
        TensorFile::read(run.join("model.safetensors")).unwrap();
    }
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert_eq!(config.parse::<toml::Table>().unwrap()["accumulate"].as_integer(), Some(4));
}

const LONG: &str = "train --preset dcgan --batch-size 2 --steps 400 --sample-every 200 --checkpoint-every 5 --threads 1 \
                    --device cpu --quiet";

#[test]
fn a_run_whose_ranks_are_killed_or_stopped_goes_on_with_others() {
    let Some(_turn) = mpi() else { return };
    let folder = folder();
    let at = folder.path().join("run");
    run(folder.path(), 1, &format!("{LONG} --accumulate 4 --out never")).success();

    // Begun by four.
    let mut child = start(folder.path(), 4, &format!("{LONG} --accumulate 1 --out run --distributed"));
    wait_for_checkpoint(&mut child, &at, 10);
    let killed = Instant::now();
    signal(&process_of(&child, 2), "KILL");
    let message = wait(child).failure();
    eprintln!("the others ended {:.1} s after rank 2 was killed", killed.elapsed().as_secs_f64());
    assert!(message.contains("rank 2") && message.contains("signal 9"), "{message}");
    assert_whole(&at);

    // On by two, until rank 0 is killed.
    let mut child = start(folder.path(), 2, "resume run --quiet --threads 1 --distributed");
    wait_for_checkpoint(&mut child, &at, newest(&at).unwrap() + 10);
    signal(&process_of(&child, 0), "KILL");
    wait(child).failure();
    assert_whole(&at);

    // On by four with steps as they are, until rank 3 hears and says nothing any more, as if a cable had been cut.
    let line = "resume run --quiet --threads 1 --accumulate 1 --distributed --timeout 2";
    let mut child = start(folder.path(), 4, line);
    wait_for_checkpoint(&mut child, &at, newest(&at).unwrap() + 10);
    let silent = process_of(&child, 3);
    signal(&silent, "STOP");
    let outcome = wait(child);
    // The job ends by itself; what is left of the silent rank is this test's.
    let _ = Command::new("kill").args(["-KILL", &silent]).stderr(Stdio::null()).status();
    let message = outcome.failure();
    assert!(message.contains("error: waited 2s for the other ranks"), "{message}");
    assert_whole(&at);

    // Rank 0 is asked for the end: all end, and it is saved.
    let mut child = start(folder.path(), 2, "resume run --threads 1 --distributed");
    wait_for_checkpoint(&mut child, &at, newest(&at).unwrap() + 10);
    signal(&process_of(&child, 0), "INT");
    let outcome = wait(child);
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    let message = outcome.failure();
    let saved = format!("interrupted and saved after step {} of 400", newest(&at).unwrap());
    assert!(message.contains(&saved), "{message}");

    // To its end by one, without MPI.
    run(folder.path(), 1, "resume run --quiet --threads 1").success();
    assert_same(&at, &folder.path().join("never"));
}

#[test]
fn ranks_that_cannot_share_a_step_say_how_many_can() {
    let Some(_turn) = mpi() else { return };
    let folder = folder();
    let train = "train --preset dcgan --batch-size 2 --threads 1 --device cpu --quiet";
    run(folder.path(), 1, &format!("{train} --steps 1 --accumulate 4 --out run")).success();
    let outcome = run(folder.path(), 3, "resume run --steps 1 --threads 1");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let message = outcome.failure();
    let expected = "a step has 4 micro-batches, which 3 ranks cannot share evenly; start 1 or 2 or 4 of them";
    assert_eq!(message.matches(expected).count(), 1, "{message}");
    // Who forgets the flag trains twice, and is told once.
    let outcome = wait(start(folder.path(), 2, &format!("{train} --steps 1")));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let message = "2 processes were started, and each does all of this by itself; --distributed shares it";
    assert_eq!(outcome.stderr.matches(message).count(), 1, "{outcome:?}");
    // A file that is there is not written over, and rank 0 alone says so.
    let message = run(folder.path(), 2, &format!("{train} --steps 1 --out run")).failure();
    assert_eq!(message.matches("run exists and is not empty").count(), 1, "{message}");
}

#[test]
fn a_rank_with_other_instructions_is_named_and_goes_on_with_mixed() {
    let Some(_turn) = mpi() else { return };
    let folder = folder();
    // The second rank by portable loops, on a machine whose CPU has something better.
    let both = |line: &str| {
        let mut command = command(folder.path(), "mpirun");
        command.args(["-n", "1", PROGRAM]).args(line.split_whitespace());
        command.args([":", "-n", "1", "env", "GANNET_ISA=portable", PROGRAM]).args(line.split_whitespace());
        wait(command.spawn().expect("mpirun starts"))
    };
    let bench = "bench --preset dcgan --batch-size 1 --steps 1 --device cpu --threads 1 --json";
    let report: Value = serde_json::from_str(&run(folder.path(), 1, bench).success().stdout).unwrap();
    if report["isa"] == "portable" {
        return;
    }
    let train = "train --preset dcgan --batch-size 2 --steps 6 --checkpoint-every 2 --threads 1 --device cpu --quiet --distributed";
    let message = both(&format!("{train} --out strict")).failure();
    assert!(
        message.contains("error: rank 1 computes on the CPU by portable, and rank 0 the CPU by "),
        "{message}"
    );
    assert!(message.contains("--mixed"), "{message}");
    assert!(!folder.path().join("strict").exists(), "it is not in the way of the next try");
    both(&format!("{train} --mixed --out mixed")).success();
    run(
        folder.path(),
        2,
        "train --preset dcgan --batch-size 2 --steps 6 --threads 1 --device cpu --quiet --out same",
    )
    .success();
    let losses = |run: &str| -> Vec<f64> {
        let text = fs::read_to_string(folder.path().join(run).join("losses.csv")).unwrap();
        text.lines()
            .skip(1)
            .flat_map(|line| line.split(',').map(|x| x.parse().unwrap()).collect::<Vec<_>>())
            .collect()
    };
    for (mixed, same) in losses("mixed").into_iter().zip(losses("same")) {
        assert!((mixed - same).abs() < 1e-3 * same.abs().max(1.0), "{mixed}, {same}");
    }
}

#[test]
fn bench_says_what_the_reduction_takes() {
    let Some(_turn) = mpi() else { return };
    let folder = folder();
    let line = "bench --preset dcgan --batch-size 2 --accumulate 3 --steps 2 --device cpu --threads 1";
    let report = run(folder.path(), 2, &format!("{line} --json")).success().stdout;
    assert_eq!(report.lines().count(), 1, "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["ranks"], &report["accumulate"]), (&2.into(), &6.into()), "{report}");
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
    assert!(number("reduction_ms") > 0.0, "{report}");
    // Half of the gradients of both models, for each of three micro-batches and for the sum.
    let parameters = 898_370.0;
    let ratio = number("sent_mb") * 1e6 / (4.0 * parameters / 2.0 * 4.0);
    assert!((1.0..1.01).contains(&ratio), "{ratio}: {report}");
    let text = run(folder.path(), 2, line).success().stdout;
    assert!(text.contains("on 2 ranks, each on") && text.contains("reduction  "), "{text}");
    let alone: Value =
        serde_json::from_str(&run(folder.path(), 1, &format!("{line} --json")).success().stdout).unwrap();
    assert!(alone["reduction_ms"].is_null() && alone["ranks"] == 1, "{alone}");
}

/// Two machines on one cable, as network namespaces; they go when this is dropped.
struct Cable(u32);

impl Cable {
    /// `None` where namespaces cannot be made: it takes root, and `ip`.
    fn new() -> Option<Cable> {
        let cable = Cable(std::process::id());
        let (first, second) = (cable.machine(0), cable.machine(1));
        let made = ip(&format!("netns add {first}")) && ip(&format!("netns add {second}"));
        let made = made
            && ip(&format!("-n {first} link add cable type veth peer name cable netns {second}"))
            && (0..2).all(|i| {
                let machine = cable.machine(i);
                ip(&format!("-n {machine} addr add {}/30 dev cable", address(i)))
                    && ip(&format!("-n {machine} link set cable up"))
                    && ip(&format!("-n {machine} link set lo up"))
            });
        made.then_some(cable)
    }

    fn machine(&self, number: usize) -> String {
        format!("gannet-{}-{number}", self.0)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for number in 0..2 {
            let machine = self.machine(number);
            // Whatever still runs there.
            if let Ok(pids) = Command::new("ip").args(["netns", "pids", &machine]).output() {
                String::from_utf8_lossy(&pids.stdout).split_whitespace().for_each(|pid| signal(pid, "KILL"));
            }
            ip(&format!("netns del {machine}"));
        }
    }
}

fn ip(line: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(line.split_whitespace()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The address of a machine; of those for documentation, so that it is nobody's.
fn address(number: usize) -> String {
    format!("192.0.2.{}", number + 1)
}

#[test]
fn a_machine_whose_cable_is_cut_ends_the_job() {
    let Some(_turn) = mpi() else { return };
    // The parameters below are of this one.
    let version = Command::new("mpirun").arg("--version").output().expect("mpirun").stdout;
    if !String::from_utf8_lossy(&version).contains("(Open MPI) 4.") {
        eprintln!("this is no Open MPI 4: nothing is tested");
        return;
    }
    let Some(cable) = Cable::new() else {
        eprintln!("network namespaces cannot be made here: nothing is tested");
        return;
    };
    let folder = folder();
    // What starts processes elsewhere: of machine i in namespace i.
    let agent = folder.path().join("agent");
    let cases: String = (0..2).map(|i| format!("{}) machine={};; ", address(i), cable.machine(i))).collect();
    let script = format!(
        "#!/bin/sh\nhost=$1; shift\ncase $host in {cases}esac\nexec ip netns exec $machine sh -c \"$*\"\n"
    );
    fs::write(&agent, script).unwrap();
    fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).unwrap();

    let mut command = command(folder.path(), "ip");
    command.args(["netns", "exec", &cable.machine(0), "mpirun"]);
    let parameters = [
        ("plm_rsh_agent", agent.to_str().unwrap()),
        ("orte_keep_fqdn_hostnames", "1"),
        ("pml", "ob1"),
        ("btl", "tcp,self"),
        ("btl_tcp_if_include", "192.0.2.0/30"),
        ("oob_tcp_if_include", "192.0.2.0/30"),
        // mpirun asks after its other machines every two seconds, not after five minutes, and so before a rank gives up: one
        // that does has mpirun ask the machine that cannot be reached to end the others, and wait for its answer.
        ("oob_tcp_keepalive_time", "2"),
        ("oob_tcp_keepalive_intvl", "1"),
        ("oob_tcp_keepalive_probes", "3"),
    ];
    for (name, value) in parameters {
        command.args(["--mca", name, value]);
    }
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.args(["-x", name]);
    }
    let hosts = format!("{}:1,{}:1", address(0), address(1));
    command.args(["--host", &hosts, "-n", "2", PROGRAM]);
    let line = format!("{LONG} --accumulate 2 --out run --distributed --timeout 60");
    let mut child = command.args(line.split_whitespace()).spawn().expect("ip starts");
    let at = folder.path().join("run");
    wait_for_checkpoint(&mut child, &at, 5);

    let cut = Instant::now();
    assert!(ip(&format!("-n {} link set cable down", cable.machine(1))));
    let message = wait(child).failure();
    eprintln!("the job ended {:.1} s after the cable was cut", cut.elapsed().as_secs_f64());
    assert!(message.contains("lost communication with a remote daemon"), "{message}");
    assert_whole(&at);
}
