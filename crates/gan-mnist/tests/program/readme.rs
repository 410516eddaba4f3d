//! The commands of the README.

use std::fs;
use std::path::Path;

use crate::program::{folder, run};
use crate::serving::Serving;

/// Every `gan-mnist` command line of the README, in order, without the part that starts the program.
fn commands() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(readme).unwrap();
    let mut in_block = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            in_block = language == "sh";
        } else if let Some(rest) = line.strip_prefix("cargo run -p gan-mnist").filter(|_| in_block) {
            let rest = rest.split('#').next().unwrap_or_default().trim();
            commands.push(rest.strip_prefix("-- ").unwrap_or(rest).to_string());
        }
    }
    commands
}

#[test]
fn every_command_of_the_readme_works() {
    let folder = folder();
    let commands = commands();
    assert!(commands.len() > 3 && commands[0].is_empty(), "{commands:?}");
    for command in commands {
        // What serves a page does so until someone ends it.
        if let Some(name @ ("explore" | "live")) = command.split_whitespace().next() {
            let said = if name == "live" { "live" } else { "explorer" };
            let serving = Serving::start(folder.path(), &command, said);
            assert_eq!(serving.ask("GET", "", b"").0, 200, "{command}");
            continue;
        }
        // The same commands in the same order, with less to train.
        let less = match command.split_whitespace().next() {
            None => "--steps 2 --batch-size 4",
            Some("train") => {
                &command.replace("--epochs 2", "--steps 2").replace("--batch-size 64", "--batch-size 4")
            }
            Some("resume") => &command.replace("--epochs 1", "--steps 1"),
            Some("evaluate") => &format!("{command} --count 1000"),
            Some("bench") => &command.replace("--batch-size 128", "--batch-size 2"),
            _ => &command,
        };
        run(folder.path(), less).success();
    }
}
