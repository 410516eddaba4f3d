//! The part of the page that trains.

use gannet::Schedule;
use gannet::export::Steps;
use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::packed::packed;
use super::training_set::{About, TrainingSet};
use crate::error::{Error, Result};
use crate::report::html::script_json;

/// Curves: names and colours.
const LOSSES: [&str; 3] = ["discriminator, real", "discriminator, generated", "generator"];

/// What the script has to know.
#[derive(Serialize)]
struct Data<'a> {
    steps: &'a Steps,
    set: Option<&'a About>,
}

/// The controls of training and what they show. `classes` are the names of the classes, where the model is told any.
pub(super) fn section(steps: &Steps, classes: &[String], beside: usize) -> Markup {
    let folder = match classes {
        [] => "Add a folder of pictures",
        _ => "Add a folder of pictures; folders in it that are called as a class are of that class",
    };
    html! {
        section #training hidden {
            h2 { "Training" }
            p.note {
                "The steps are those of gan-mnist, on this computer's GPU. They begin with what the model has learnt, as "
                code { "train --from" } " does; to go on with a run, drop its " code { "model.safetensors" } " on this page."
            }
            div.row {
                button #train-start type="button" { "Start" }
                button #train-step type="button" { "Step" }
            }
            p #training-status role="status" {}
            div.explorer {
                div.controls {
                    @for (player, name) in ["generator", "discriminator"].into_iter().enumerate() {
                        div {
                            label.name for={ "rate-" (player) } { "Learning rate of the " (name) }
                            div.row {
                                input id={ "rate-" (player) } inputmode="decimal" autocomplete="off"
                                    value=(steps.learning_rates[player]);
                            }
                        }
                    }
                    @if let (false, Some(length)) = (steps.schedule == Schedule::Constant, steps.length) {
                        div {
                            label.name for="length" { "Steps over which they fall to zero" }
                            div.row { input #length inputmode="numeric" autocomplete="off" value=(length); }
                        }
                    }
                    fieldset {
                        legend { "Training pictures" }
                        p #set .note {}
                        @if !classes.is_empty() {
                            label.name for="add-class" { "Class of pictures that you add" }
                            select #add-class {
                                @for (number, name) in classes.iter().enumerate() { option value=(number) { (name) } }
                            }
                        }
                        div.file {
                            label.name for="add" { "Add pictures, or drop them on this page" }
                            input #add type="file" accept="image/*" multiple;
                        }
                        div.file {
                            label.name for="add-folder" { (folder) }
                            input #add-folder type="file" webkitdirectory;
                        }
                        button #back type="button" hidden { "Back to those of this file" }
                    }
                    fieldset {
                        legend { "Weights" }
                        div.row { button #save-weights type="button" { "Save as safetensors" } }
                        div.file {
                            label.name for="load-weights" { "Load, or drop them on this page" }
                            input #load-weights type="file" accept=".safetensors";
                        }
                    }
                }
                div.pictures {
                    dl.figures {
                        @for (id, name, value) in
                            [("at-step", "Step", "0"), ("speed", "Steps per second", "-"), ("seen", "Pictures seen", "0")]
                        {
                            div { dt { (name) } dd id=(id) { (value) } }
                        }
                    }
                    div #batch .batch hidden style={ "--beside: " (beside) } {
                        @for (id, name) in [("real", "Real, the last batch"), ("generated", "Generated, from its latents")] {
                            div { h3 { (name) } div id=(id) .grid {} }
                        }
                    }
                    div #losses .chart hidden {
                        h3 { "Losses" }
                        ul.legend {
                            @for (k, name) in LOSSES.iter().enumerate() {
                                li { i class={ "s" (k) } {} (name) output id={ "loss-" (k) "-value" } {} }
                            }
                        }
                        div.plot {
                            svg viewBox="0 0 1000 300" preserveAspectRatio="none" aria-hidden="true" {
                                path.grid d="M0 0H1000M0 150H1000M0 300H1000" {}
                                @for k in 0..LOSSES.len() { path id={ "loss-" (k) } class={ "line s" (k) } {} }
                            }
                            span #loss-high .y style="top: 0" {}
                            span #loss-low .y style="top: 100%" {}
                            span #loss-first .x style="left: 0" {}
                            span #loss-last .x style="left: 100%" {}
                        }
                    }
                }
            }
        }
    }
}

/// What travels for training, and the scripts that train.
pub(super) fn scripts(steps: &Steps, set: Option<&TrainingSet>) -> Result<Markup> {
    let data = Data { steps, set: set.map(|set| &set.about) };
    let data = serde_json::to_string(&data).map_err(Error::failure)?;
    let pictures = set.map(|set| packed(&set.bytes)).transpose()?;
    Ok(html! {
        script type="application/json" id="training-data" { (PreEscaped(script_json(&data))) }
        @if let Some(pictures) = pictures {
            script type="text/plain" id="pictures" { (PreEscaped(pictures)) }
        }
        @for script in [
            include_str!("step.js"),
            include_str!("pictures.js"),
            include_str!("tensors.js"),
            include_str!("training.js"),
        ] {
            script { (PreEscaped(script)) }
        }
    })
}
