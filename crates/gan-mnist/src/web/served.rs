//! The page of a model whose pictures this process draws.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use gannet::export::Sampler;
use gannet::{Backend, Gan, Program, Variables};
use maud::{DOCTYPE, html};

use super::page::{EXPLORER, EXPLORER_STYLE, Model, RANDOM, explorer, title};
use super::sampler::DIRECTIONS;
use crate::error::{Error, Result};
use crate::report::STYLE;
use crate::report::html::printable;
use crate::server::{Answer, Listener, Method, Reply, Request, Server, Site};
use crate::terminal::say;
use crate::training::{Interrupt, image_shape};

/// Images of a page, for pictures up to so many pixels wide.
const COUNTS: [(usize, usize); 2] = [(160, 30), (usize::MAX, 6)];

/// How often it is asked whether the end has come.
const TICK: Duration = Duration::from_millis(250);

/// Pictures that are asked for and not drawn yet, at most.
const MOST_WAITING: usize = 8;

/// How long the last answers have to be taken.
const GRACE: Duration = Duration::from_millis(500);

/// A drawing that a page waits for.
struct Asked {
    /// The values of the inputs, one after another.
    values: Vec<f32>,
    answer: SyncSender<Result<Vec<f32>>>,
}

/// Serves the page of a model, drawn on `device`, until `interrupt` asks for the end. `class_names` may be empty.
pub(crate) fn serve<B: Backend<Element = f32>>(
    listener: Listener,
    gan: &Gan<B>,
    class_names: &[String],
    device: &str,
    interrupt: &Interrupt,
) -> Result<()> {
    let width = image_shape(gan)?.width;
    let count = COUNTS.iter().find(|(widest, _)| width <= *widest).map_or(1, |(_, count)| *count);
    let sampler = Sampler::of(gan, count, DIRECTIONS)?;
    let model = Model::of(gan, &sampler, count, class_names, true)?;
    let page = page(&model, gan.step(), device)?;
    let mut drawing = Drawing::new(gan, &sampler)?;
    // What cannot be drawn is known before someone waits for it.
    drawing.draw(&vec![0.0; drawing.numbers])?;
    let (ask, asked) = sync_channel::<Asked>(MOST_WAITING);
    let address = listener.address();
    let site = ExplorerSite { page, numbers: drawing.numbers, ask };
    let server = Server::start(listener, Arc::new(site))?;
    say(&format!("explorer: {address}"));
    while !interrupt.is_requested() {
        match asked.recv_timeout(TICK) {
            Ok(Asked { values, answer }) => {
                // Whoever has gone away wants no answer.
                let _ = answer.send(drawing.draw(&values));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(asked);
    server.finish(GRACE);
    Ok(())
}

/// A generator's program, which is given its inputs one after another.
struct Drawing<B: Backend> {
    program: Program<B>,
    /// Names of the inputs, and the numbers of each.
    inputs: Vec<(String, usize)>,
    /// All of them together.
    numbers: usize,
    /// Labels are below it.
    labels: usize,
}

impl<B: Backend<Element = f32>> Drawing<B> {
    fn new(gan: &Gan<B>, sampler: &Sampler) -> Result<Drawing<B>> {
        let inputs: Vec<_> =
            sampler.plan.inputs().map(|(name, shape)| (name.to_owned(), shape.len())).collect();
        let mut variables = Variables::new();
        for (name, shape) in sampler.plan.variables() {
            let values = sampler.variables.get(name).map_or(&[][..], Vec::as_slice);
            variables.insert(gan.backend(), name, shape, values).map_err(Error::failure)?;
        }
        let program =
            Program::new(gan.backend(), sampler.plan.clone(), &variables).map_err(Error::failure)?;
        let labels = sampler.signature.labels.unwrap_or(1) * sampler.signature.clusters;
        Ok(Drawing { program, numbers: inputs.iter().map(|(_, length)| length).sum(), inputs, labels })
    }

    /// Images of the values of all inputs. Errors where one of them cannot be, or when the device fails.
    fn draw(&mut self, values: &[f32]) -> Result<Vec<f32>> {
        let mut rest = values;
        for (name, length) in &self.inputs {
            let Some((own, others)) = rest.split_at_checked(*length) else {
                return Err(Error::failure(format!("the numbers of '{name}' are missing")));
            };
            rest = others;
            let is_valid = |x: f32| match name.as_str() {
                "labels" | "other_labels" => x.fract() == 0.0 && (0.0..self.labels as f32).contains(&x),
                "share" => (0.0..=1.0).contains(&x),
                _ => x.is_finite(),
            };
            if let Some(wrong) = own.iter().find(|x| !is_valid(**x)) {
                return Err(Error::failure(format!("{wrong} cannot be one of '{name}'")));
            }
            self.program.write(name, own).map_err(Error::failure)?;
        }
        self.program.run().map_err(Error::failure)?;
        self.program.read("images").map_err(Error::failure)
    }
}

struct ExplorerSite {
    page: String,
    /// Numbers that a drawing takes.
    numbers: usize,
    ask: SyncSender<Asked>,
}

impl ExplorerSite {
    /// Has the images drawn that the numbers in a request ask for.
    fn draw(&self, body: &[u8]) -> Answer {
        let (words, rest) = body.as_chunks::<4>();
        if words.len() != self.numbers || !rest.is_empty() {
            return Answer::refusal(
                400,
                format!("A drawing takes {} numbers of four bytes each.", self.numbers),
            );
        }
        let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let (answer, answered) = sync_channel(1);
        if self.ask.try_send(Asked { values, answer }).is_err() {
            return Answer::refusal(503, "Too many pictures are asked for already.");
        }
        match answered.recv() {
            Ok(Ok(images)) => Answer::bytes(images.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Ok(Err(error)) => Answer::refusal(400, error.line()),
            Err(_) => Answer::refusal(503, "The program ends."),
        }
    }
}

impl Site for ExplorerSite {
    fn longest_body(&self) -> usize {
        4 * self.numbers
    }

    fn answer(&self, request: &Request) -> Reply {
        let answer = match (request.method, request.path.as_str()) {
            (Method::Get, "") => Answer::html(&self.page),
            (Method::Get, "page.css") => Answer::style(STYLE),
            (Method::Get, "explorer.css") => Answer::style(EXPLORER_STYLE),
            (Method::Get, "random.js") => Answer::script(RANDOM),
            (Method::Get, "served.js") => Answer::script(include_str!("served.js")),
            (Method::Get, "explorer.js") => Answer::script(EXPLORER),
            (Method::Post, "draw") => self.draw(&request.body),
            _ => Answer::nothing(),
        };
        answer.into()
    }
}

fn page(model: &Model<'_>, step: u64, device: &str) -> Result<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(model)) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="page.css";
                link rel="stylesheet" href="explorer.css";
            }
            body {
                main {
                    (explorer(model, step, &html! {}))
                    noscript { p { "This page asks for its pictures by JavaScript." } }
                    footer {
                        "Served by gan-mnist " (env!("CARGO_PKG_VERSION")) " to this machine alone, and drawn on " (device) "."
                    }
                }
                script type="application/json" id="model" { (model.json()?) }
                script src="random.js" {}
                script src="served.js" {}
                script src="explorer.js" {}
            }
        }
    };
    Ok(printable(&page.into_string()))
}
