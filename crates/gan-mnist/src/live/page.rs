//! The page: what stays of it. What moves comes by events.

use maud::{DOCTYPE, html};

use crate::report::html::printable;
use crate::report::{Run, still_parts};

/// The page of a run; with `controls` it has buttons that ask for a checkpoint and for the end.
pub(super) fn page(run: &Run, controls: bool) -> String {
    let (about, columns, rest) = still_parts(run);
    let title = format!("Run {}", run.name());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="page.css";
                link rel="stylesheet" href="live.css";
                script src="charts.js" defer {}
                script src="live.js" defer {}
            }
            body {
                main {
                    h1 { (title) }
                    p.lead { (about) }
                    p #status role="status" { "Connecting." }
                    div.way {
                        progress #progress max="1" value="0" aria-label="Progress of training" {}
                        span #place {}
                    }
                    @if controls {
                        div.buttons {
                            button #checkpoint type="button" disabled { "Save a checkpoint" }
                            button #stop type="button" disabled { "Stop and save" }
                            span #said role="status" {}
                        }
                    }
                    dl #figures .figures {}
                    section #events .events hidden { h2 { "What happened" } ul {} }
                    section.samples {
                        h2 { "Samples through training" }
                        div.grids {
                            figure #samples {
                                img alt="Samples from fixed latents" hidden;
                                figcaption {
                                    span #sampled { "No samples yet." }
                                    @if let Some(columns) = columns { "; columns in turn: " (columns) }
                                }
                            }
                            figure #real hidden {
                                img alt="Training images";
                                figcaption { "training images" }
                            }
                        }
                        div #slider .slider hidden {
                            button #play type="button" { "Play" }
                            input #time type="range" min="0" max="0" value="0" aria-label="Progress of training";
                        }
                    }
                    section #curves hidden { h2 { "Curves" } div #charts .charts {} }
                    section #evaluations {}
                    (rest)
                    noscript { p { "This page moves, and needs JavaScript for it." } }
                    footer {
                        "Shown by gan-mnist " (env!("CARGO_PKG_VERSION"))
                        " to this machine alone. What it shows stays in report.html of the run directory."
                    }
                }
            }
        }
    };
    printable(&page.into_string())
}
