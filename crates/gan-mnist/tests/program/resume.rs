//! Runs that are interrupted, killed, broken, made longer.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use gannet::Stream;

use crate::program::{Outcome, folder, names, run};

const TRAIN: &str =
    "train --preset dcgan --batch-size 2 --steps 30 --sample-every 10 --checkpoint-every 3 --threads 1";

/// Starts the program and does not wait for it.
pub(crate) fn start(folder: &Path, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_gan-mnist"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// What a started program came to.
fn wait(child: Child) -> Outcome {
    let output = child.wait_with_output().expect("it ends");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// The step of the newest checkpoint.
pub(crate) fn newest(run: &Path) -> Option<u64> {
    let names = fs::read_dir(run.join("checkpoints")).ok()?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|n| n.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()).max()
}

/// Waits until there is a checkpoint of `step` or a later one, or the program has ended.
pub(crate) fn wait_for_checkpoint(child: &mut Child, run: &Path, step: u64) {
    while newest(run).is_none_or(|found| found < step) && child.try_wait().expect("a child").is_none() {
        sleep(Duration::from_millis(1));
    }
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

/// What has to be the same of two runs: every result.
fn results(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<String> = ["losses.csv", "model.safetensors", "samples.png"].map(String::from).into();
    files.extend(names(&run.join("samples")).into_iter().map(|name| format!("samples/{name}")));
    files.into_iter().map(|name| (name.clone(), fs::read(run.join(name)).unwrap())).collect()
}

#[track_caller]
fn assert_same(run: &Path, expected: &Path) {
    let (found, expected) = (results(run), results(expected));
    let name = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(name(&found), name(&expected));
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        assert!(found == expected, "{name} differs");
    }
}

#[test]
fn a_run_that_was_killed_five_times_ends_with_the_same_bytes() {
    let folder = folder();
    let (killed, never) = (folder.path().join("killed"), folder.path().join("never"));
    run(folder.path(), &format!("{TRAIN} --out never")).success();
    let mut moments = Stream::new(5, "kill", 0);
    for (kill, after) in [0, 4, 12, 17, 24].into_iter().enumerate() {
        let line =
            if kill == 0 { format!("{TRAIN} --out killed") } else { "resume killed --threads 2".into() };
        let mut child = start(folder.path(), &line);
        wait_for_checkpoint(&mut child, &killed, after);
        sleep(Duration::from_micros(u64::from(moments.below(30_000))));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        // A machine that is very slow to look lets the run come to its end: then this says nothing.
        if newest(&killed) == Some(30) {
            return;
        }
    }
    let outcome = run(folder.path(), "resume killed").success();
    assert!(outcome.stdout.contains("on from step "), "{outcome:?}");
    assert_same(&killed, &never);
    // What the kills left half-written is gone.
    for folder in [killed.clone(), killed.join("samples"), killed.join("checkpoints")] {
        assert!(names(&folder).iter().all(|name| !name.ends_with(".part")), "{:?}", names(&folder));
    }
}

#[cfg(unix)]
#[test]
fn signals_save_and_say_how_to_go_on() {
    let folder = folder();
    let at = folder.path().join("run");
    let train = "train --preset dcgan --batch-size 2 --steps 60 --sample-every 20 --threads 1";
    run(folder.path(), &format!("{train} --out never")).success();
    for (line, name, after) in [
        (format!("{train} --out run"), "INT", 0),
        ("resume run --checkpoint-every 9 --quiet".into(), "TERM", 9),
    ] {
        let mut child = start(folder.path(), &line);
        wait_for_checkpoint(&mut child, &at, after);
        signal(&child, name);
        let outcome = wait(child);
        if newest(&at) == Some(60) {
            return;
        }
        assert_eq!(outcome.code, 130, "{outcome:?}");
        if line.contains("--quiet") {
            assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("run\n", ""));
        } else {
            let step = newest(&at).unwrap();
            assert!(outcome.stderr.contains("saving after this step"), "{outcome:?}");
            let message = format!("interrupted and saved after step {step} of 60; go on with `");
            assert!(
                outcome.stderr.contains(&message) && outcome.stderr.ends_with("resume run`\n"),
                "{outcome:?}"
            );
            // What was saved is a model, too.
            run(folder.path(), "generate run --count 1 --out one.png").success();
        }
    }
    run(folder.path(), "resume run").success();
    assert_same(&at, &folder.path().join("never"));
}

#[cfg(unix)]
#[test]
fn a_second_signal_stops_at_once_and_a_run_in_use_is_left_alone() {
    let folder = folder();
    let at = folder.path().join("run");
    // A step takes minutes.
    let mut child =
        start(folder.path(), "train --preset dcgan --batch-size 512 --steps 2 --device reference --out run");
    wait_for_checkpoint(&mut child, &at, 0);
    let message = run(folder.path(), "resume run").error(1);
    assert!(message.contains("run is in use: another process trains this run"), "{message}");
    signal(&child, "INT");
    sleep(Duration::from_millis(100));
    signal(&child, "INT");
    let outcome = wait(child);
    assert_eq!((outcome.code, newest(&at)), (130, Some(0)), "{outcome:?}");
}

/// A limit on the size of a file stands for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_that_says_how_to_go_on() {
    let folder = folder();
    let limited = |line: &str| {
        let program = env!("CARGO_BIN_EXE_gan-mnist");
        let script = format!("trap '' XFSZ; ulimit -f 64; exec '{program}' {line}");
        let child = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        (child.status.code(), String::from_utf8(child.stderr).unwrap())
    };
    let train = "train --preset dcgan --batch-size 2 --steps 4 --sample-every 2 --threads 1";
    run(folder.path(), &format!("{train} --out never")).success();
    let (code, message) = limited(&format!("{train} --quiet --out full"));
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("cannot save full/checkpoints/step-000000.safetensors"), "{message}");
    assert!(message.contains("the run has not begun, and nothing of it is kept"), "{message}");
    assert!(!folder.path().join("full").exists(), "it is not in the way of the next try");

    run(
        folder.path(),
        "train --preset dcgan --batch-size 2 --steps 2 --sample-every 2 --threads 1 --out run",
    )
    .success();
    let (code, message) = limited("resume run --steps 2 --quiet");
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("cannot save run/checkpoints/step-000002.safetensors"), "{message}");
    assert!(message.contains("until step 2 is saved") && message.contains("resume run`"), "{message}");
    // The run is what it was, and goes on when there is room.
    run(folder.path(), "resume run --steps 2").success();
    assert_same(&folder.path().join("run"), &folder.path().join("never"));
}

#[test]
fn a_finished_run_can_be_made_longer_and_a_broken_one_says_what_is_wrong() {
    let folder = folder();
    let at = folder.path().join("run");
    let train = "train --preset dcgan --batch-size 4 --sample-every 2 --threads 1";
    run(folder.path(), &format!("{train} --steps 4 --out never")).success();
    run(folder.path(), &format!("{train} --steps 2 --out run")).success();
    let message = run(folder.path(), "resume run").error(2);
    assert!(message.contains("finished: all its 2 steps") && message.contains("--epochs"), "{message}");

    let config = at.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    for (from, to, parts) in [
        ("batch_size = 4", "batch_size = 8", &["batch_size is 8, but in this run it is 4", "delete it"][..]),
        ("seed = 42", "", &["seed is missing, but in this run it is 42"]),
        ("steps = 2", "steps = 9", &["steps is 9, but the run takes 2", "resume --steps"]),
        ("steps = 2", "steps = ", &["config.toml"]),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        fs::write(&config, text.replacen(from, to, 1)).unwrap();
        let message = run(folder.path(), "resume run --steps 2").error(1);
        assert!(
            message.contains("run/config.toml: ") && parts.iter().all(|p| message.contains(p)),
            "{message}"
        );
    }
    // Missing, it is written anew.
    fs::remove_file(&config).unwrap();
    let outcome = run(folder.path(), "resume run --images 5").success();
    assert!(outcome.stdout.contains("on from step 2 to 4"), "{outcome:?}");
    assert_same(&at, &folder.path().join("never"));
    let config: toml::Table = fs::read_to_string(&config).unwrap().parse().unwrap();
    assert_eq!((config["steps"].as_integer(), config["images"].as_integer()), (Some(4), Some(16)));
    assert_eq!(config["model"]["steps"].as_integer(), Some(4));

    // A checkpoint is a model, too.
    run(folder.path(), "generate run/checkpoints/step-000004.safetensors --count 2 --out a.png").success();
    run(folder.path(), "generate run --count 2 --out b.png").success();
    assert_eq!(
        fs::read(folder.path().join("a.png")).unwrap(),
        fs::read(folder.path().join("b.png")).unwrap()
    );

    // A log that is gone begins anew; a checkpoint that is cut short gives way to the one before.
    fs::remove_file(at.join("losses.csv")).unwrap();
    let newest = at.join("checkpoints/step-000004.safetensors");
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let outcome = run(folder.path(), "resume run").success();
    for part in ["step-000004.safetensors is damaged: ", "goes on from ", "losses.csv is missing: begun anew"]
    {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:?}");
    }
    let rows = fs::read_to_string(at.join("losses.csv")).unwrap();
    assert!(rows.starts_with("step,d_real,d_fake,g\n3,") && rows.lines().count() == 3, "{rows}");

    fs::remove_dir_all(at.join("checkpoints")).unwrap();
    let message = run(folder.path(), "resume run --steps 1").error(1);
    assert!(message.contains("has no folder 'checkpoints'"), "{message}");
}

#[test]
fn a_run_goes_on_with_another_batch_and_learning_rate() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let config = |run: &str| -> toml::Table {
        fs::read_to_string(at(run).join("config.toml")).unwrap().parse().unwrap()
    };
    let flags = "--batch-size 3 --learning-rate 0.001 --threads 1";
    for name in ["at-once", "in-two", "same"] {
        run(
            folder.path(),
            &format!(
                "train --preset dcgan --batch-size 2 --sample-every 50 --threads 1 --steps 4 --out {name}"
            ),
        )
        .success();
    }
    let begun = fs::read_to_string(at("in-two/config.toml")).unwrap();
    run(folder.path(), &format!("resume at-once --steps 4 {flags}")).success();
    run(folder.path(), &format!("resume in-two --steps 2 {flags}")).success();
    // As if it had been killed before the settings were written for people.
    fs::write(at("in-two/config.toml"), begun).unwrap();
    run(folder.path(), "resume in-two --steps 2 --threads 1").success();
    for file in ["losses.csv", "model.safetensors"] {
        assert!(
            fs::read(at("at-once").join(file)).unwrap() == fs::read(at("in-two").join(file)).unwrap(),
            "{file}"
        );
    }
    run(folder.path(), "resume same --steps 4 --threads 1").success();
    assert_ne!(fs::read(at("same/losses.csv")).unwrap(), fs::read(at("at-once/losses.csv")).unwrap());

    let config = config("in-two");
    let change = &config["changes"].as_array().unwrap()[0];
    let whole = |table: &toml::Value, key: &str| table[key].as_integer().unwrap();
    assert_eq!((whole(change, "step"), whole(change, "images"), whole(change, "batch_size")), (4, 8, 2));
    assert_eq!(config["batch_size"].as_integer(), Some(3));
    assert_eq!(config["images"].as_integer(), Some(4 * 2 + 4 * 3));
    assert_eq!(config["model"]["batch_size"].as_integer(), Some(3));
    let rate = config["model"]["generator"]["optimiser"]["adam"]["learning_rate"].as_float();
    assert_eq!((config["learning_rate"].as_float(), rate), (Some(0.001), Some(0.001)));
    let metrics = fs::read_to_string(at("in-two/metrics.jsonl")).unwrap();
    assert!(metrics.lines().last().unwrap().contains("\"step\":8,\"images\":20"), "{metrics}");
}
