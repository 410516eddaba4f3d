//! The page: what is in it, and what people read.

use std::collections::BTreeMap;

use gannet::export::Sampler;
use gannet::{Backend, Gan};
use gannet_data::ImageShape;
use gannet_dispatch::ProgramFile;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::forward::Forward;
use super::packed::{packed, planes};
use super::sampler::BrowserSampler;
use super::training::BrowserTrainer;
use super::training_page::{scripts, section};
use super::training_set::TrainingSet;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::report::STYLE;
use crate::report::html::{PictureKind, picture_address, printable, script_json};
use crate::terminal::counted;
use crate::training::{classes_in_turn, columns, image_shape};

/// The seed that the page begins with, and that of the pictures for browsers without WebGPU: the one of `generate`.
const SEED: u64 = 42;

/// Tiles in a row of the grid, on a wide page and on a narrow one, for pictures up to so many pixels wide.
const TILES: [(usize, [usize; 2]); 3] = [(64, [10, 6]), (160, [6, 3]), (usize::MAX, [3, 2])];

/// Pictures of a batch side by side, real ones and generated ones each.
const BESIDE: usize = 4;

const HINT: &str = "Choose two pictures to see the way between them.";

/// The style of the page, beside that of a report, and its scripts, wherever its pictures come from.
pub(super) const EXPLORER_STYLE: &str = include_str!("explorer.css");
pub(super) const RANDOM: &str = include_str!("random.js");
pub(super) const EXPLORER: &str = include_str!("explorer.js");

/// What the page may do: run what is in it, and nothing that comes from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; \
                      worker-src blob:; base-uri 'none'; form-action 'none'";

/// What the script has to know of a model.
#[derive(Serialize)]
pub(super) struct Model<'a> {
    name: &'a str,
    /// Height, width, channels.
    shape: [usize; 3],
    /// Latents of an image.
    z: usize,
    /// Images of one run.
    count: usize,
    classes: Option<usize>,
    class_names: &'a [String],
    clusters: usize,
    bounds: &'a [f32],
    directions: &'a [Vec<f32>],
    hint: &'a str,
    /// What a process that draws for the page is told, in this order, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Vec<&'a str>>,
}

impl<'a> Model<'a> {
    /// That of a generator which draws `count` images at once, by the page itself or by a process that `serves` it.
    pub(super) fn of<B: Backend<Element = f32>>(
        gan: &'a Gan<B>,
        sampler: &'a Sampler,
        count: usize,
        class_names: &'a [String],
        serves: bool,
    ) -> Result<Model<'a>> {
        let shape = image_shape(gan)?;
        Ok(Model {
            name: &gan.config().name,
            shape: [shape.height, shape.width, shape.channels],
            z: gan.generator().input().len(),
            count,
            classes: sampler.signature.labels,
            class_names,
            clusters: sampler.signature.clusters,
            bounds: &sampler.bounds,
            directions: &sampler.directions,
            hint: HINT,
            inputs: serves.then(|| sampler.plan.inputs().map(|(name, _)| name).collect()),
        })
    }

    /// As it stands in a page.
    pub(super) fn json(&self) -> Result<PreEscaped<String>> {
        let json = serde_json::to_string(self).map_err(Error::failure)?;
        Ok(PreEscaped(script_json(&json)))
    }
}

/// A page, and why it does not train where it does not.
pub(crate) struct Page {
    pub(crate) html: String,
    pub(crate) untrained: Option<String>,
}

/// The page of a model. `class_names` may be empty; `set` are the pictures that it is trained on there, at first.
pub(crate) fn page<B: Backend<Element = f32>>(
    gan: &mut Gan<B>,
    class_names: &[String],
    set: Option<&TrainingSet>,
) -> Result<Page> {
    let BrowserSampler { program, sampler, count } = BrowserSampler::of(gan)?;
    let (trainer, untrained) = match BrowserTrainer::of(gan)? {
        Ok(trainer) => (Some(trainer), None),
        Err(reason) => (None, Some(reason)),
    };
    let forward = Forward::of(gan)?.map(|forward| serde_json::to_string(&forward)).transpose();
    let forward = forward.map_err(Error::failure)?;
    let absent = absent(gan, count, image_shape(gan)?)?;
    let model = Model::of(gan, &sampler, count, class_names, false)?;
    let mut programs = BTreeMap::from([("generate".to_owned(), program)]);
    let mut variables = sampler.variables.clone();
    let mut steps = None;
    if let Some(trainer) = trainer {
        programs.extend(trainer.programs);
        variables.extend(trainer.variables);
        steps = Some(trainer.steps);
    }
    let file = ProgramFile::new(programs, variables).map_err(Error::failure)?;
    let (bytes, first) = file.to_bytes().map(with_data_start).map_err(Error::failure)?;
    let program = packed(&planes(bytes, first))?;
    let names: Vec<String> =
        (0..gan.classes().unwrap_or(0)).map(|number| class_name(class_names, number)).collect();
    let training = match (&steps, &untrained) {
        (Some(steps), _) => section(steps, &names, BESIDE),
        (None, Some(reason)) => html! { p.note { (reason) } },
        (None, None) => html! {},
    };
    let training_scripts = steps.as_ref().map(|steps| scripts(steps, set)).transpose()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(&model)) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) (PreEscaped(EXPLORER_STYLE)) (PreEscaped(include_str!("training.css"))) }
            }
            body {
                main {
                    (explorer(&model, gan.step(), &absent))
                    (training)
                    noscript { p { "This page computes its pictures, and needs JavaScript for it." } }
                    footer {
                        "Made by gan-mnist " (env!("CARGO_PKG_VERSION"))
                        ". The model is in this file and runs in your browser; no network is used."
                    }
                }
                script type="application/json" id="model" { (model.json()?) }
                script type="text/plain" id="program" { (PreEscaped(program)) }
                @if let Some(forward) = forward {
                    script type="application/json" id="forward" { (PreEscaped(script_json(&forward))) }
                    script type="text/plain" id="forward-worker" { (PreEscaped(include_str!("forward.js"))) }
                }
                script { (PreEscaped(include_str!("packed.js"))) }
                script { (PreEscaped(RANDOM)) }
                script { (PreEscaped(include_str!("program.js"))) }
                script { (PreEscaped(include_str!("forward_program.js"))) }
                script { (PreEscaped(EXPLORER)) }
                (training_scripts.unwrap_or_default())
            }
        }
    };
    Ok(Page { html: printable(&page.into_string()), untrained })
}

/// The title of the page of a model.
pub(super) fn title(model: &Model<'_>) -> String {
    format!("{}: an explorer", model.name)
}

/// What the page of a model after so many training steps shows and asks, wherever its pictures come from. `notice` stands
/// above it.
pub(super) fn explorer(model: &Model<'_>, step: u64, notice: &Markup) -> Markup {
    let [height, width, channels] = model.shape;
    let about = format!(
        "After {}. {} of {width} x {height} pixels{}, drawn from {} numbers each.",
        counted(step, "training step"),
        match channels {
            1 => "Grey pictures",
            3 => "Colour pictures",
            _ => "Colour pictures with transparency",
        },
        model.classes.map_or(String::new(), |classes| format!(" in {}", counted(classes as u64, "class"))),
        model.z
    );
    let columns = TILES.iter().find(|(widest, _)| width <= *widest).map_or([1, 1], |(_, columns)| *columns);
    let [wide, narrow] = columns.map(|columns| columns.min(model.count));
    html! {
        h1 { (model.name) }
        p.lead { (about) }
        (notice)
        p #status role="status" { "Starting." }
        div #explorer .explorer {
            div.controls { (controls(model)) }
            div.pictures {
                div #samples .see-through[channels == 4] style={ "--wide: " (wide) "; --narrow: " (narrow) } {}
                h2 { "From one to another" }
                p #way-hint .note { (HINT) }
                div #way .see-through[channels == 4] hidden {}
            }
        }
    }
}

/// A file of programs, and where its data begins: the header's length is the number before it.
fn with_data_start(bytes: Vec<u8>) -> (Vec<u8>, usize) {
    let length = bytes.get(16..24).and_then(|length| length.try_into().ok()).map_or(0, u64::from_le_bytes);
    let first = 24 + length as usize;
    (bytes, first)
}

/// The name of a class: its number, where it has no other.
fn class_name(names: &[String], number: usize) -> String {
    names.get(number).cloned().unwrap_or(number.to_string())
}

fn controls(model: &Model<'_>) -> Markup {
    html! {
        div {
            label.name for="seed" { "Seed" }
            div.row {
                input #seed inputmode="numeric" autocomplete="off" value=(SEED);
                button #another type="button" { "Another" }
            }
        }
        @if let Some(classes) = model.classes {
            fieldset {
                legend { "Class" }
                div.classes {
                    (class("all", "all in turn", true))
                    @for number in 0..classes {
                        (class(&number.to_string(), &class_name(model.class_names, number), false))
                    }
                }
            }
        }
        (slider("truncation", "Truncation: fewer odd ones", ["0.05", "1", "0.05", "1"], None))
        @if !model.directions.is_empty() {
            fieldset {
                legend { "Directions along which pictures change most" }
                @for k in 0..model.directions.len() {
                    (slider(&format!("direction-{k}"), &format!("Direction {}", k + 1), ["-6", "6", "0.1", "0"], Some(k)))
                }
            }
        }
        div.row {
            button #reset type="button" { "Reset sliders" }
            button #save type="button" { "Save as PNG" }
        }
    }
}

fn class(value: &str, name: &str, checked: bool) -> Markup {
    html! {
        label { input type="radio" name="class" value=(value) checked[checked]; span { (name) } }
    }
}

/// A slider with its name and value.
fn slider(id: &str, name: &str, [min, max, step, value]: [&str; 4], direction: Option<usize>) -> Markup {
    html! {
        div {
            div.name { label for=(id) { (name) } output id={ (id) "-value" } for=(id) { (value) } }
            input id=(id) type="range" min=(min) max=(max) step=(step) value=(value) data-direction=[direction];
        }
    }
}

/// What a browser without WebGPU is told, and the pictures that were drawn when the page was made: all that such a browser
/// shows where JavaScript does not know the generator's operations, and in other browsers what is seen until the first
/// pictures are drawn.
fn absent<B: Backend<Element = f32>>(gan: &mut Gan<B>, count: usize, shape: ImageShape) -> Result<Markup> {
    let labels = gan.classes().map(|classes| classes_in_turn(count, classes));
    let images = gan.generate(&gan.latents(count, SEED), labels.as_deref())?;
    let columns = columns(count, labels.as_deref(), gan.classes());
    let picture = Picture::grid(&images, shape, columns);
    let (width, height) = (picture.shape.width, picture.shape.height);
    let address = picture_address(PictureKind::Png, &picture.to_png()?);
    // Small pixels are shown as squares of two or three.
    let width = width * (900 / width.max(height)).clamp(1, 3);
    Ok(html! {
        section #absent .absent hidden {
            p {
                span #reason { "This browser has no WebGPU" }
                ". "
                span #computed {
                    "JavaScript computes the pictures instead, which takes longer; training, which would take too long, is \
                     missing."
                }
                span #not-computed hidden {
                    "Without it the generator in this page cannot run: nothing is drawn anew, and seed, classes, sliders, the \
                     way between two pictures and training are missing."
                }
                " Chrome and Edge have WebGPU from version 113 on, Safari from 26, Firefox from 141."
            }
            div #drawn hidden {
                p { "These pictures were drawn when the page was made, from the seed " (SEED) ":" }
                img #first src=(address) width=(width) data-columns=(columns)
                    alt={ (counted(count as u64, "generated picture")) };
            }
        }
    })
}
