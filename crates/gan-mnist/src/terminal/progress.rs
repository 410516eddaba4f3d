//! What is said while a run goes on.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use gannet::Losses;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::duration::duration;
use super::output::{begin_bar, end_bar, note};
use super::time_left::TimeLeft;
use crate::arguments::Every;

/// How often a bar is redrawn, and how often a plain line is printed.
const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(10);

/// A bar on a terminal, a line every ten seconds elsewhere, or nothing; on stderr.
#[derive(Debug)]
pub struct Progress {
    out: Out,
    total: u64,
    sample_every: u64,
    checkpoint_every: Every,
    /// The periods of those who look at the model, each once.
    periods: Vec<u64>,
    step: u64,
    left: TimeLeft,
    /// When, if anything was said since the run began or went on.
    last_said: Option<Instant>,
}

#[derive(Debug)]
enum Out {
    /// Notes go above it as long as it stands.
    Bar(ProgressBar),
    Lines,
    Silence,
}

impl Progress {
    /// For a run of `total` steps with a sample grid every `sample_every`, checkpoints, and both at the end.
    pub fn new(total: u64, sample_every: u64, checkpoint_every: Every, quiet: bool) -> Self {
        let out = if quiet {
            Out::Silence
        } else if std::io::stderr().is_terminal() {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(total), target);
            // The template is a literal that the first test builds.
            bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("a valid template"));
            begin_bar(&bar);
            Out::Bar(bar)
        } else {
            Out::Lines
        };
        Progress {
            out,
            total,
            sample_every,
            checkpoint_every,
            periods: Vec::new(),
            step: 0,
            left: TimeLeft::default(),
            last_said: None,
        }
    }

    /// The run goes on from this step.
    pub fn seek(&mut self, step: u64) {
        self.step = step;
        self.last_said = None;
        if let Out::Bar(bar) = &self.out {
            bar.set_position(step);
        }
    }

    /// A step is done; these are the latest losses that are known.
    pub fn stepped(&mut self, took: Duration, losses: Option<Losses>) {
        self.step += 1;
        self.left.steps.push(took);
        let interval = match self.out {
            Out::Bar(_) => REDRAW,
            Out::Lines => LINE,
            Out::Silence => return,
        };
        if self.step < self.total && self.last_said.is_some_and(|last| last.elapsed() < interval) {
            return;
        }
        self.last_said = Some(Instant::now());
        let text = self.text(losses);
        match &self.out {
            Out::Bar(bar) => {
                bar.set_position(self.step);
                bar.set_message(text);
            }
            _ => note(&format!("step {}/{}  {text}", self.step, self.total)),
        }
    }

    /// A sample grid is done.
    pub fn sampled(&mut self, took: Duration) {
        self.left.worked(Every::Steps(self.sample_every), 0, took);
    }

    /// A checkpoint is done.
    pub fn saved(&mut self, took: Duration) {
        self.left.worked(self.checkpoint_every, 1, took);
    }

    /// Someone looked at the model, which happens every `period` steps.
    pub fn examined(&mut self, period: u64, took: Duration) {
        let at = self.periods.iter().position(|p| *p == period).unwrap_or_else(|| {
            self.periods.push(period);
            self.periods.len() - 1
        });
        self.left.worked(Every::Steps(period), 2 + at, took);
    }

    /// How fast it is, in words; `None` before the first step.
    pub fn speed(&self) -> Option<String> {
        self.left.steps_per_second().map(|rate| match rate < 1.0 {
            true => format!("{:.1} s/step", 1.0 / rate),
            false => format!("{rate:.1} steps/s"),
        })
    }

    /// How long the run will still take; `None` before the first step and after the last.
    pub fn time_left(&self) -> Option<Duration> {
        if self.step < self.total { self.left.estimate(self.step, self.total) } else { None }
    }

    /// Leaves the bar where it stands; what is printed next goes below it.
    pub fn finish(&mut self) {
        if let Out::Bar(_) = std::mem::replace(&mut self.out, Out::Silence) {
            end_bar();
        }
    }

    fn text(&self, losses: Option<Losses>) -> String {
        let mut text = self.speed().unwrap_or_else(|| "0.0 steps/s".into());
        if let Some(Losses { d_real, d_fake, g }) = losses {
            let [d_real, d_fake, g] = [d_real, d_fake, g].map(loss);
            text.push_str(&format!("  d_real {d_real}  d_fake {d_fake}  g {g}"));
        }
        if let Some(left) = self.time_left() {
            text.push_str(&format!("  {} left", duration(left)));
        }
        text
    }
}

/// A run that fails leaves no bar behind.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

const TEMPLATE: &str = "{wide_bar} {pos}/{len}  {msg}";

/// A loss in a few characters, however large.
fn loss(value: f64) -> String {
    if value.abs() < 1e4 { format!("{value:.2}") } else { format!("{value:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn the_text_counts_steps_and_samples_that_are_left() {
        let mut progress = Progress::new(20, 10, Every::Steps(8), true);
        let losses = Some(Losses { d_real: 0.5, d_fake: 0.25, g: 1.0 });
        for _ in 0..10 {
            progress.stepped(Duration::from_millis(500), losses);
        }
        progress.sampled(Duration::from_secs(2));
        progress.saved(Duration::from_secs(3));
        // Ten steps of half a second, the grid at the end, checkpoints after steps 16 and 20.
        let text = progress.text(losses);
        assert_eq!(text, "2.0 steps/s  d_real 0.50  d_fake 0.25  g 1.00  13 s left");
        progress.examined(15, Duration::from_secs(1));
        progress.examined(15, Duration::from_secs(1));
        assert!(progress.text(losses).ends_with("15 s left"));
        for _ in 0..200 {
            progress.left.steps.push(Duration::from_millis(2500));
        }
        assert!(progress.text(losses).starts_with("2.5 s/step  "));
    }
}
