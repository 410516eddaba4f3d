//! What the examples print, run as users run them. `cargo test -p gannet`, of which this is a part, builds them.

use std::path::PathBuf;
use std::process::Command;

/// The lines that an example prints. It is looked for where cargo puts it, beside the folder of this test.
#[track_caller]
fn printed(name: &str, arguments: &[&str]) -> Vec<String> {
    let test = std::env::current_exe().expect("the path of this test");
    let example: PathBuf = test.ancestors().nth(2).expect("a folder of builds").join("examples").join(name);
    let example = example.with_extension(std::env::consts::EXE_EXTENSION);
    let output = Command::new(&example).args(arguments).output();
    let output = output.unwrap_or_else(|e| {
        panic!("{}: {e}; cargo build -p gannet --examples builds it", example.display());
    });
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{name}: {stdout}\n{stderr}");
    stdout.lines().map(String::from).collect()
}

/// The numbers in a line.
fn numbers(line: &str) -> Vec<f64> {
    let number = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    line.split(|c| !number(c)).filter_map(|word| word.trim_end_matches('.').parse().ok()).collect()
}

#[test]
fn a_function_is_fitted() {
    let lines = printed("fit_function", &[]);
    let errors: Vec<f64> = lines.iter().filter(|l| l.starts_with("step")).map(|l| numbers(l)[1]).collect();
    assert!(errors.len() > 2 && errors[errors.len() - 1] < 1e-3 && errors[0] > 0.1, "{lines:#?}");
    let predicted: Vec<_> = lines.iter().filter(|l| l.starts_with("sin")).map(|l| numbers(l)).collect();
    assert!(!predicted.is_empty());
    for row in predicted {
        assert!((row[1] - row[2]).abs() < 0.1, "{row:?}");
    }
}

#[test]
fn all_modes_of_a_ring_are_found() {
    let lines = printed("ring", &[]);
    assert!(lines.iter().any(|line| line == "loaded at step 3000: the same samples"), "{lines:#?}");
    for own in ["maxout", "two_sided", "ada_belief"] {
        assert!(lines.iter().any(|line| line.contains(own)), "{own}: {lines:#?}");
    }
    let found = lines.iter().find(|line| line.contains("modes")).expect("a line on modes");
    assert!(numbers(found)[0] == 8.0, "{lines:#?}");
}

#[test]
fn a_classifier_learns_digits() {
    let lines = printed("classifier", &["--epochs", "3", "--digits", "500"]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("Epoch")).count(), 3, "{lines:#?}");
    let last = lines.last().expect("a last line");
    assert!(last.starts_with("saved, loaded again") && numbers(last)[0] > 60.0, "{last}");
}
