//! Runs that several ranks share, which are threads here.

use std::thread;
use std::time::Duration;

use gannet::collective::Threads;

use super::super::follower;
use super::*;
use crate::ranks::{Control, Link};

/// Long enough for any test, short enough that one that fails ends.
const PATIENCE: Duration = Duration::from_secs(100);

/// A run whose steps of four micro-batches so many ranks share: how it ended, and what the other ranks came to.
fn shared(run: &Run, mut config: GanConfig, count: usize, script: Script) -> (Result<End>, Vec<Result<()>>) {
    config.accumulate = 4;
    let mut settings = settings(&config, "5");
    (settings.accumulate, settings.images) = (4, 16 * settings.steps);
    let ranks = |rank: Threads<f32>| Ranks::of(Link::new(Box::new(rank), (0, 1), false));
    let mut threads = Threads::new(count, PATIENCE).into_iter();
    let first = threads.next().unwrap();
    thread::scope(|scope| {
        let follow = |rank| {
            let settings = &settings;
            scope.spawn(move || {
                let ranks = ranks(rank);
                let Control::Begin(_) = ranks.hear()? else { panic!("a run begins otherwise") };
                let state = ranks.receive()?;
                ranks.close(follower::train(&ranks, settings, &CPU, &DATA, &state))
            })
        };
        let others: Vec<_> = threads.map(follow).collect();
        let ranks = ranks(first);
        let lead = || -> Result<End> {
            let directory = RunDirectory::create(&run.path)?;
            directory.write_config(&settings)?;
            let mut gan = Gan::new(&*CPU, config.clone())?;
            ranks.begin(&settings, &mut gan, &DATA, &CPU)?;
            let mut setup = run.setup(&directory, &Os, (settings.clone(), gan), script);
            setup.batches = ranks.batches(setup.batches);
            setup.ranks = ranks.clone();
            Session::begin(setup)?.run()
        };
        let end = lead();
        let closed = ranks.close(end.as_ref().map(|_| ()).map_err(Clone::clone));
        assert_eq!(closed.is_ok(), end.is_ok());
        (end, others.into_iter().map(|thread| thread.join().unwrap()).collect())
    })
}

/// Goes back once, after that step.
fn back_in(step: u64) -> Script {
    let mut been = false;
    Box::new(move |at| {
        if at.number != step || std::mem::replace(&mut been, true) {
            return Ok(Next::GoOn);
        }
        Ok(Next::RollBack { reason: "for the test".into(), learning_rate: 0.5 })
    })
}

#[test]
fn ranks_leave_the_run_of_one_and_go_back_together() {
    let begins: [fn() -> Script; 2] = [go_on, || back_in(9)];
    for script in begins {
        let alone = Run::new();
        assert_eq!(shared(&alone, config(12), 1, script()).0.unwrap().outcome, Outcome::Finished);
        for count in [2, 4] {
            let run = Run::new();
            let (end, others) = shared(&run, config(12), count, script());
            assert_eq!(end.unwrap().outcome, Outcome::Finished);
            assert_eq!(others, vec![Ok(()); count - 1]);
            // Metrics are among them: scores of the discriminator are those of all ranks.
            assert_same(&run.results(), &alone.results());
        }
    }
}

#[test]
fn a_step_that_diverges_is_left_by_all_ranks() {
    let mut config = config(12);
    let rate = config.generator_optimiser.with_learning_rate(1e38);
    (config.generator_optimiser, config.discriminator_optimiser) = (rate.clone(), rate);
    let (alone, run) = (Run::new(), Run::new());
    shared(&alone, config.clone(), 1, go_on()).0.unwrap();
    let (end, others) = shared(&run, config, 2, go_on());
    assert_eq!((end.unwrap().outcome, others), (Outcome::Finished, vec![Ok(())]));
    assert_same(&run.results(), &alone.results());
}

#[test]
fn ranks_end_together() {
    let run = Run::new();
    let script = interrupt_in(&run, 7);
    let (end, others) = shared(&run, config(12), 2, script);
    let end = end.unwrap();
    assert_eq!((end.step, end.outcome, others), (7, Outcome::Interrupted, vec![Ok(())]));
    // What goes wrong between two steps is the first rank's own affair.
    let run = Run::new();
    let (end, others) = shared(&run, config(12), 4, crash_in(7));
    assert!(end.unwrap_err().to_string().starts_with("crashed; what was trained until step 5 is saved"));
    assert_eq!(others, vec![Ok(()); 3]);
}

/// What goes wrong on another rank ends the run, which says what it was and how to go on.
#[test]
fn a_rank_that_fails_ends_the_run_with_its_message() {
    let run = Run::new();
    let settings = settings(&config(12).accumulate(2), "5");
    let mut threads = Threads::new(2, PATIENCE).into_iter();
    let ranks = |rank: Threads<f32>| Ranks::of(Link::new(Box::new(rank), (0, 1), false));
    let (first, second) = (threads.next().unwrap(), threads.next().unwrap());
    let (end, other) = thread::scope(|scope| {
        let settings = &settings;
        let other = scope.spawn(move || {
            let ranks = ranks(second);
            let Control::Begin(_) = ranks.hear()? else { panic!("a run begins otherwise") };
            let state = TensorFile::parse(&ranks.receive()?).map_err(Error::failure)?;
            let gan = Gan::from_file(&*CPU, &state)?;
            ranks.report(Ok(crate::ranks::Fingerprint::of(&gan, &DATA, &CPU)?))?;
            assert_eq!(ranks.hear()?, Control::Step(0));
            ranks.close(Err(Error::failure("image 5 is broken")))
        });
        let ranks = ranks(first);
        let directory = RunDirectory::create(&run.path).unwrap();
        directory.write_config(settings).unwrap();
        let mut gan = Gan::new(&*CPU, config(12).accumulate(2)).unwrap();
        ranks.begin(settings, &mut gan, &DATA, &CPU).unwrap();
        let mut setup = run.setup(&directory, &Os, (settings.clone(), gan), go_on());
        setup.ranks = ranks.clone();
        let end = Session::begin(setup).unwrap().run();
        let end = ranks.close(end.map(|_| ()));
        (end, other.join().unwrap())
    });
    let message = end.unwrap_err().to_string();
    assert!(
        message.starts_with("rank 1: error: image 5 is broken; what was trained until step 0 is saved"),
        "{message}"
    );
    assert_eq!(other.unwrap_err().to_string(), "image 5 is broken");
}
