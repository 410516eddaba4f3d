//! What the jobs of `gpu.sh` have come to so far: `report.json`, all of it, and `report.md`, a table, which is printed too.
//!
//! `cargo run --release -p gannet-benches --bin gpu-report -- FOLDER`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Map, Value, json};

/// A job of the script.
struct Job {
    name: String,
    /// Its exit status, or that it was left out.
    status: String,
    seconds: u64,
    command: String,
    output: String,
    errors: String,
}

impl Job {
    /// The lines of its output that are JSON objects.
    fn figures(&self) -> Vec<Value> {
        let objects = self.output.lines().filter(|line| line.starts_with('{'));
        objects.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn jobs(folder: &Path) -> Result<Vec<Job>, Box<dyn Error>> {
    let list = folder.join("jobs.tsv");
    let text = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let parsed = text.lines().map(|line| {
        let mut parts = line.splitn(4, '\t');
        let mut part = || parts.next().ok_or_else(|| format!("{}: '{line}' is no job", list.display()));
        let (name, status, seconds, command) = (part()?, part()?, part()?, part()?);
        let read = |ending: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            // What there is of it: a job may say nothing, or bytes that are no text.
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        Ok(Job {
            name: name.into(),
            status: status.into(),
            seconds: seconds.parse().map_err(|_| format!("{}: '{line}' is no job", list.display()))?,
            command: command.into(),
            output: read("txt"),
            errors: read("err"),
        })
    });
    parsed.collect()
}

/// All jobs with what they printed: figures as such, anything else as text.
fn json_of(jobs: &[Job]) -> Value {
    let entry = |job: &Job| {
        let mut entry = Map::new();
        entry.insert("job".into(), job.name.clone().into());
        entry.insert("status".into(), job.status.clone().into());
        entry.insert("seconds".into(), job.seconds.into());
        entry.insert("command".into(), job.command.clone().into());
        let figures = job.figures();
        match figures.is_empty() {
            false => entry.insert("figures".into(), figures.into()),
            true => entry.insert("output".into(), job.output.clone().into()),
        };
        if !job.errors.is_empty() {
            entry.insert("errors".into(), job.errors.clone().into());
        }
        Value::Object(entry)
    };
    json!({ "version": env!("CARGO_PKG_VERSION"), "jobs": jobs.iter().map(entry).collect::<Vec<_>>() })
}

/// How PyTorch's modes are called in the table, and what their names have in common. The first that fits counts.
const PEERS: [(&str, &[&str]); 5] = [
    ("tf32", &["-tf32"]),
    ("bf16", &["-bf16"]),
    ("eager", &["eager"]),
    ("graph", &["graph"]),
    ("compile", &["compile"]),
];

/// Median milliseconds of PyTorch's modes, the best of both memory formats.
fn peers_of(job: &Job) -> BTreeMap<&'static str, f64> {
    let mut best = BTreeMap::new();
    for figures in job.figures() {
        let mode = figures["mode"].as_str().unwrap_or_default();
        let peer = PEERS.iter().find(|(_, parts)| parts.iter().any(|part| mode.contains(part)));
        if let (Some((peer, _)), Some(ms)) = (peer, figures["step_ms"]["median"].as_f64()) {
            let least: &mut f64 = best.entry(*peer).or_insert(f64::INFINITY);
            *least = least.min(ms);
        }
    }
    best
}

fn table_of(jobs: &[Job]) -> String {
    let mut text = String::from("# A GPU, measured\n\n");
    for job in jobs.iter().filter(|job| job.status != "0") {
        text.push_str(&match job.status.as_str() {
            "left out" => format!("- {} was left out: the time was over.\n", job.name),
            "124" => format!("- **{} took longer than it may**: `{}`\n", job.name, job.command),
            status => format!("- **{} failed** with exit status {status}: `{}`\n", job.name, job.command),
        });
    }
    text.push_str("\n## Steps\n\n| network, images | ms | of the host | images/s | GFLOP/s | of the FMA peak | dispatches, submissions |");
    let peers = ["eager", "graph", "compile", "tf32", "bf16"];
    peers.iter().for_each(|peer| text.push_str(&format!(" PyTorch {peer} |")));
    text.push_str(&format!("\n|{}\n", "---|".repeat(7 + peers.len())));
    for job in jobs {
        let Some(name) = job.name.strip_prefix("step-") else { continue };
        let Some(ours) = job.figures().into_iter().next() else { continue };
        let number = |key: &str| ours[key].as_f64().unwrap_or(f64::NAN);
        let ms = ours["step_ms"]["median"].as_f64().unwrap_or(f64::NAN);
        let host = |part: &str| ours["host_ms"][part].as_f64().unwrap_or(f64::NAN);
        text.push_str(&format!(
            "| {name} | {ms:.3} | {:.3} | {:.0} | {:.0} | {:.0} % | {:.0}, {:.0} |",
            ["write", "record", "submit"].map(host).iter().sum::<f64>(),
            number("images_per_s"),
            number("gflops"),
            100.0 * number("gflops") / number("fma_peak_gflops"),
            number("dispatches"),
            number("submits_per_step"),
        ));
        let theirs =
            jobs.iter().find(|other| other.name == format!("torch-{name}")).map(peers_of).unwrap_or_default();
        for peer in peers {
            text.push_str(&match theirs.get(peer) {
                Some(theirs) => format!(" {theirs:.3} ({:.2} x) |", theirs / ms),
                None => " |".into(),
            });
        }
        text.push('\n');
    }
    text.push_str(
        "\nIn brackets: how many times as long as ours. Of the host: what it takes to write the inputs of a step, to record and to submit it. Tuned: in the tiles \
         that `tune` has chosen.\n",
    );
    for job in jobs {
        if job.name.starts_with("step-") || job.name.starts_with("torch-") || job.output.trim().is_empty() {
            continue;
        }
        text.push_str(&format!(
            "\n## {}, {} s\n\n```text\n{}\n```\n",
            job.name,
            job.seconds,
            job.output.trim()
        ));
    }
    text
}

/// Writes a file whole: a run may be cut off at any time.
fn write(path: PathBuf, text: &str) -> Result<(), Box<dyn Error>> {
    let beside = path.with_extension("part");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(())
}

fn report(folder: &Path) -> Result<String, Box<dyn Error>> {
    let jobs = jobs(folder)?;
    write(folder.join("report.json"), &serde_json::to_string_pretty(&json_of(&jobs))?)?;
    let table = table_of(&jobs);
    write(folder.join("report.md"), &table)?;
    Ok(table)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("gpu-report takes the folder of gpu.sh")?;
    println!("{}", report(Path::new(&folder))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_become_rows_with_their_peers() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "jobs.tsv",
            "devices\t0\t1\tgan-mnist devices\nstep-dcgan-128\t0\t3\tbench\ntorch-dcgan-128\t0\t9\tpython3\n\
             step-wide-32\t124\t60\tbench wide\nkernels\tleft out\t0\tbench kernels\n",
        );
        write("devices.txt", "gpu  a card\n");
        write(
            "step-dcgan-128.txt",
            r#"{"step_ms":{"min":1.9,"median":2.0},"images_per_s":64000,"gflops":300,"fma_peak_gflops":400,"dispatches":55,"submits_per_step":1,"host_ms":{"write":0.0,"record":0.25,"submit":0.125}}"#,
        );
        write(
            "torch-dcgan-128.txt",
            "{\"mode\":\"eager\",\"step_ms\":{\"median\":9}}\n{\"mode\":\"eager-channels-last\",\"step_ms\":{\"median\":8}}\n\
             {\"mode\":\"graph-tf32-channels-last\",\"step_ms\":{\"median\":3}}\n",
        );
        write("step-wide-32.err", "slow");
        let table = report(folder.path()).unwrap();
        let row = "| dcgan-128 | 2.000 | 0.375 | 64000 | 300 | 75 % | 55, 1 | 8.000 (4.00 x) | | | 3.000 (1.50 x) | |\n";
        for part in [
            row,
            "**step-wide-32 took longer",
            "kernels was left out",
            "## devices, 1 s\n\n```text\ngpu  a card\n```",
        ] {
            assert!(table.contains(part), "{part}: {table}");
        }
        let text = fs::read_to_string(folder.path().join("report.json")).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all["jobs"][1]["figures"][0]["gflops"], 300);
        assert_eq!(
            (&all["jobs"][0]["output"], &all["jobs"][3]["errors"]),
            (&"gpu  a card\n".into(), &"slow".into())
        );
        assert!(report(Path::new("/nowhere")).unwrap_err().to_string().starts_with("/nowhere/jobs.tsv: "));
    }
}
