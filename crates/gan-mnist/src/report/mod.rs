//! report.html: what happened in a run, or in several, as one file that needs nothing else.
//!
//! Curves are drawn as SVG while the page is made; its script only shows values on hover and moves the slider.

mod chart;
mod charts;
pub(crate) mod html;
mod moving;
mod page;
mod pictures;
mod run;

pub(crate) use moving::{MovingReport, still_parts};
pub(crate) use page::{CHARTS, STYLE};
pub use page::{REPORT, page, write};
pub use run::Run;
