//! The page of a run in the process that trains it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::inbox::{Inbox, News};
use super::site::{Controls, LiveSite};
use super::view::{Phase, View};
use crate::error::{Error, Result};
use crate::report::Run;
use crate::run::metrics_file::Point;
use crate::run::{Config, RunDirectory};
use crate::server::{Listener, Server};
use crate::terminal::{Progress, duration, note, resume_command};
use crate::training::{End, Interrupt, Next, Observer, Outcome, Samples, Step};

/// How often the inbox is looked into.
const TICK: Duration = Duration::from_millis(250);

/// How long the end of a run waits for pages to take the last news.
const GRACE: Duration = Duration::from_secs(1);

/// Shows a run on a page.
#[derive(Debug)]
pub(crate) struct Live {
    inbox: Arc<Inbox>,
    telling: Option<JoinHandle<()>>,
    server: Option<Server>,
    /// When the speed was told last.
    paced: Instant,
}

impl Live {
    /// Begins to show a run that is about to begin or to go on, and says where. The page can ask for a checkpoint and for the end
    /// through `interrupt`.
    pub(crate) fn start(
        listener: Listener,
        run: &RunDirectory,
        settings: &Config,
        interrupt: &Interrupt,
        quiet: bool,
    ) -> Result<Live> {
        let shown = Run::read_with(run.path(), &settings.to_toml()?)?;
        let view = View::new(shown, Phase::Training);
        let controls = Controls { interrupt: interrupt.clone(), quiet };
        let site = LiveSite::new(view.run(), view.broadcast(), Some(controls));
        let address = listener.address();
        let server = Server::start(listener, Arc::new(site))?;
        let inbox = Arc::new(Inbox::default());
        let (news, resume) = (inbox.clone(), resume_command(run.path()));
        let telling = thread::Builder::new()
            .name("live".into())
            .spawn(move || tell(view, &news, &resume))
            .map_err(|e| Error::failure(format!("cannot start a thread for --live: {e}")))?;
        note(&format!("live: {address}"));
        Ok(Live { inbox, telling: Some(telling), server: Some(server), paced: Instant::now() })
    }
}

/// Makes of the news what pages are told, until the end.
fn tell(mut view: View, inbox: &Inbox, resume: &str) {
    loop {
        let (news, closed) = inbox.take(TICK);
        for news in news {
            take(&mut view, news, resume);
        }
        if closed {
            view.tell();
            view.broadcast().end();
            return;
        }
        view.tell_if_due();
    }
}

fn take(view: &mut View, news: News, resume: &str) {
    match news {
        News::Losses(row) => view.change().add_losses(row),
        News::Measured(point) => view.change().add_point(*point),
        News::Sampled(step) => view.change().add_grid(step),
        News::Pace { speed, left } => view.set_pace(speed, left),
        News::Saved(step) => view.set_saved(step),
        News::WentBack(step) => view.change().go_back(step),
        News::Ended(end) => {
            let (step, steps) = (end.step, end.steps);
            let status = match &end.outcome {
                Outcome::Finished => "The run is finished.".into(),
                Outcome::Interrupted => {
                    format!("Stopped and saved after step {step} of {steps}. It goes on with: {resume}")
                }
                Outcome::Stopped(reason) => {
                    format!("Stopped and saved after step {step} of {steps}: {reason}.")
                }
                Outcome::Failed(message) => format!("The run failed: {message}."),
            };
            view.set_pace(None, None);
            view.set_phase(Phase::Ended, status);
        }
    }
}

impl Observer for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn stepped(&mut self, step: &Step) -> Result<Next> {
        // As they stand in losses.csv.
        let [d_real, d_fake, g] =
            [step.losses.d_real, step.losses.d_fake, step.losses.g].map(|x| f64::from(x as f32));
        self.inbox.add(News::Losses([step.number as f64, d_real, d_fake, g]));
        Ok(Next::GoOn)
    }

    fn sampled(&mut self, samples: &Samples<'_>) -> Result<Next> {
        self.inbox.add(News::Sampled(samples.step));
        Ok(Next::GoOn)
    }

    fn measured(&mut self, point: &Point) -> Result<()> {
        self.inbox.add(News::Measured(Box::new(point.clone())));
        Ok(())
    }

    fn progressed(&mut self, progress: &Progress) {
        if self.paced.elapsed() >= TICK {
            self.paced = Instant::now();
            let left = progress.time_left().map(duration);
            self.inbox.add(News::Pace { speed: progress.speed(), left });
        }
    }

    fn saved(&mut self, step: u64) {
        self.inbox.add(News::Saved(step));
    }

    fn restored(&mut self, step: u64, _: &Value) -> Result<()> {
        self.inbox.add(News::WentBack(step));
        Ok(())
    }

    fn ended(&mut self, end: &End) -> Result<()> {
        self.inbox.add(News::Ended(Box::new(end.clone())));
        self.finish();
        Ok(())
    }
}

impl Live {
    /// Tells pages the last news, if they take it soon.
    fn finish(&mut self) {
        self.inbox.close();
        if let Some(telling) = self.telling.take() {
            // If it panicked, it said so; the run is not affected.
            let _ = telling.join();
        }
        if let Some(server) = self.server.take() {
            server.finish(GRACE);
        }
    }
}

/// A run that does not begin has no end that it would be told.
impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::run::metrics_file::{Event, EventKind};

    #[test]
    fn a_page_goes_back_with_its_run_and_is_told_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir(path.join("samples")).unwrap();
        std::fs::write(path.join("config.toml"), "preset = \"tiny\"\nsteps = 9\nbatch_size = 2\n").unwrap();
        for step in [2, 4] {
            std::fs::write(path.join(format!("samples/step-00000{step}.png")), "a picture").unwrap();
        }
        let mut view = View::new(Run::read(path).unwrap(), Phase::Training);
        let told = |view: &mut View, news: Vec<News>| -> Value {
            news.into_iter().for_each(|news| take(view, news, "resume it"));
            view.tell();
            serde_json::from_str(&view.state()).unwrap()
        };
        let losses = |step: f64| News::Losses([step, 0.5, 0.25, 1.0]);
        let mut news: Vec<News> = (1..=5).map(|step| losses(f64::from(step))).collect();
        news.push(News::Pace { speed: Some("2.0 steps/s".into()), left: Some("2 s".into()) });
        news.push(News::Saved(4));
        let state = told(&mut view, news);
        assert_eq!(
            (&state["phase"], &state["step"], &state["steps"]),
            (&"training".into(), &5.into(), &9.into())
        );
        assert_eq!(
            (&state["speed"], &state["left"], &state["saved"]),
            (&"2.0 steps/s".into(), &"2 s".into(), &4.into())
        );
        assert_eq!(state["grids"], serde_json::json!([2, 4]));
        assert_eq!(state["report"]["charts"][0]["title"], "Losses");
        assert_eq!(
            state["report"]["charts"][0]["hover"]["series"][2]["y"],
            serde_json::json!([1.0, 1.0, 1.0, 1.0, 1.0])
        );

        std::fs::remove_file(path.join("samples/step-000004.png")).unwrap();
        let event = Event { kind: EventKind::Rollback, message: "went back".into() };
        let point = Point { step: 5, event: Some(event), ..Point::default() };
        let state = told(&mut view, vec![News::WentBack(3), News::Measured(Box::new(point)), losses(4.0)]);
        assert_eq!(state["grids"], serde_json::json!([2]));
        assert_eq!(
            state["report"]["charts"][0]["hover"]["series"][0]["x"],
            serde_json::json!([1.0, 2.0, 3.0, 4.0])
        );
        assert_eq!(state["report"]["events"], serde_json::json!(["step 5, rollback: went back"]));

        let end = |outcome| End {
            began_at_step: 0,
            step: 7,
            steps: 9,
            outcome,
            took: Duration::ZERO,
            elapsed: Duration::ZERO,
            before_collapse: None,
        };
        for (outcome, parts) in [
            (Outcome::Finished, ["is finished", "."]),
            (Outcome::Interrupted, ["after step 7 of 9", "resume it"]),
            (Outcome::Stopped("all alike".into()), ["after step 7 of 9", "all alike"]),
            (Outcome::Failed("no room".into()), ["failed", "no room"]),
        ] {
            let state = told(&mut view, vec![News::Ended(Box::new(end(outcome)))]);
            assert_eq!((&state["phase"], &state["left"]), (&"ended".into(), &Value::Null));
            let status = state["status"].as_str().unwrap();
            assert!(parts.iter().all(|part| status.contains(part)), "{status}");
        }
    }
}
