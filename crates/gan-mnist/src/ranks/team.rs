//! The ranks of a run, as rank 0 and the others see them.

use std::cell::RefCell;
use std::env;
use std::rc::Rc;
use std::time::Duration;

use gannet::collective::Collective;
use gannet::tensor_file::TensorFile;
use gannet::{Backend, Gan, GanConfig, MicroBatches};
use gannet_data::{Batches, DataSet};

use super::checks::{Fingerprint, Said, check};
use super::control::{Begin, Control};
use super::link::Link;
use super::local;
use crate::arguments::{DeviceArgs, RankArgs};
use crate::data::{Feed, StepError};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::run::Config;
use crate::terminal::note;

/// The processes that share a run, this one among them. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Ranks(Rc<RefCell<Link>>);

impl Ranks {
    /// Those that the flags ask for: this process alone, or all that MPI has started. Errors when this program was built
    /// without MPI.
    pub fn open(args: &RankArgs) -> Result<Self> {
        if !args.distributed {
            if let Some(count) = started() {
                note(&format!(
                    "{count} processes were started, and each does all of this by itself; --distributed shares it among them"
                ));
            }
            return Ok(Ranks::default());
        }
        open_mpi(args)
    }

    /// By another way.
    pub fn of(link: Link) -> Self {
        Ranks(Rc::new(RefCell::new(link)))
    }

    /// The number of this process among them, from 0.
    pub fn rank(&self) -> usize {
        self.0.borrow().rank()
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.borrow().ranks()
    }

    /// The flags of this rank's device: several on a machine share its GPUs and its cores.
    pub fn device(&self, args: &DeviceArgs) -> DeviceArgs {
        local::device(args, self.0.borrow().local)
    }

    /// Where a step runs, for people: `device`, or so many ranks that each have one.
    pub fn on(&self, device: &str) -> String {
        match self.count() {
            1 => device.into(),
            count => format!("{count} ranks, each on {device}"),
        }
    }

    /// The micro-batches of a step: `each` for every rank, where that is said; else as many as the recipe has, if those are
    /// several, or one for every rank. Errors when ranks cannot share them evenly.
    pub fn micro_batches(&self, each: Option<u64>, recipe: u64) -> Result<u64> {
        let ranks = self.count() as u64;
        match (each, recipe) {
            (Some(each), _) => Ok(ranks * each),
            (None, 1) => Ok(ranks),
            (None, several) => self.check_shares(several).map(|()| several),
        }
    }

    /// Errors unless ranks can share the micro-batches of a step evenly.
    pub fn check_shares(&self, micro_batches: u64) -> Result<()> {
        let ranks = self.count() as u64;
        if micro_batches.is_multiple_of(ranks) {
            return Ok(());
        }
        let fitting: Vec<String> = (1..=micro_batches)
            .filter(|ranks| micro_batches.is_multiple_of(*ranks))
            .map(|n| n.to_string())
            .collect();
        Err(Error::Usage(format!(
            "a step has {micro_batches} micro-batches, which {ranks} ranks cannot share evenly; start {} of them",
            fitting.join(" or ")
        )))
    }

    /// A recipe whose steps take as long as this rank's part of those of `config`.
    pub fn part_of(&self, config: &GanConfig) -> GanConfig {
        config.clone().accumulate((config.accumulate / self.count() as u64).max(1))
    }

    /// Batches of which this rank takes its own.
    pub fn batches(&self, batches: Batches) -> Batches {
        batches.in_turn(self.count() as u64)
    }

    /// Rank 0: the run begins, or goes on, in this state. Errors unless all ranks can take part and compute the same.
    pub fn begin<B: Backend>(
        &self,
        settings: &Config,
        gan: &mut Gan<B>,
        data: &DataSet,
        device: &Device,
    ) -> Result<()> {
        let mut link = self.0.borrow_mut();
        if link.ranks() == 1 {
            return Ok(());
        }
        let manifest = data.manifest();
        let begin = Begin {
            version: env!("CARGO_PKG_VERSION").into(),
            settings: settings.to_toml()?,
            listed: manifest.is_some(),
        };
        let state = gan.to_file()?.to_bytes().map_err(Error::failure)?;
        let own = Fingerprint::of(gan, data, device)?;
        link.tell(&Control::Begin(Box::new(begin)))?;
        link.share(state)?;
        if let Some(manifest) = manifest {
            link.share(manifest.to_bytes())?;
        }
        let mixed = link.mixed;
        check(&say(&mut link, &Ok(own))?, mixed)
    }

    /// Another rank: says what this one is, or why it cannot take part.
    pub fn report(&self, own: std::result::Result<Fingerprint, String>) -> Result<()> {
        say(&mut self.0.borrow_mut(), &own)?;
        Ok(())
    }

    /// Another rank: what rank 0 says comes next.
    pub fn hear(&self) -> Result<Control> {
        self.0.borrow_mut().hear()
    }

    /// Another rank: the bytes that follow what was heard.
    pub fn receive(&self) -> Result<Vec<u8>> {
        Ok(self.0.borrow_mut().share(Vec::new())?)
    }

    /// A training step of all ranks, on the next of these batches. Rank 0 tells the others.
    pub fn step<B: Backend<Element = f32>>(
        &self,
        gan: &mut Gan<B>,
        batches: &mut Batches,
    ) -> std::result::Result<(), StepError> {
        let mut link = self.0.borrow_mut();
        if link.ranks() > 1 && link.rank() == 0 {
            link.tell(&Control::Step(gan.step())).map_err(|e| gannet::Error::Ranks(e.to_string()))?;
        }
        link.in_step = true;
        let mut feed = Feed::new(gan, batches);
        let result = gan.train_step_among(&mut *link, &mut feed);
        if matches!(result, Ok(()) | Err(StepError::Training(gannet::Error::Diverged(_)))) {
            feed.end();
            link.in_step = false;
        }
        result
    }

    /// A step of all ranks on other batches than those of a run; every rank takes it by itself.
    pub fn step_on<B: Backend<Element = f32>, M: MicroBatches<f32>>(
        &self,
        gan: &mut Gan<B>,
        batches: &mut M,
    ) -> std::result::Result<(), M::Error> {
        gan.train_step_among(&mut *self.0.borrow_mut(), batches)
    }

    /// Rank 0: all go back to a state, with learning rates times a factor.
    pub fn rewind(&self, state: &TensorFile, learning_rate: f64) -> Result<()> {
        self.send(&Control::Rewind(learning_rate), state)
    }

    /// Rank 0: where ranks round differently, all go on from its state, so that they do not drift apart.
    pub fn align(&self, state: &TensorFile) -> Result<()> {
        if !self.0.borrow().mixed {
            return Ok(());
        }
        self.send(&Control::Take, state)
    }

    fn send(&self, control: &Control, state: &TensorFile) -> Result<()> {
        let mut link = self.0.borrow_mut();
        if link.ranks() == 1 {
            return Ok(());
        }
        let state = state.to_bytes().map_err(Error::failure)?;
        link.tell(control)?;
        link.share(state)?;
        Ok(())
    }

    /// How long gradients have been under way between ranks so far, and the bytes that this one has sent.
    pub fn account(&self) -> (Duration, u64) {
        let link = self.0.borrow();
        (link.spent, link.sent)
    }

    /// The run has come to this on this rank: the others are told, if they do not know. Where they wait for a part of a step
    /// that does not come, the run ends for all here, with the message of the error.
    pub fn close(&self, result: Result<()>) -> Result<()> {
        let mut link = self.0.borrow_mut();
        if link.ranks() == 1 {
            return result;
        }
        let failed = match &result {
            Ok(()) | Err(Error::Interrupted(_) | Error::Stopped(_)) => None,
            Err(error) => Some(format!("error: {}", error.line())),
        };
        match failed {
            Some(message) if link.in_step || link.rank() > 0 => link.abort(&message),
            // They listen for what comes next. If not all do any more, what went wrong before says why.
            _ if link.rank() == 0 => return result.and(link.tell(&Control::End)),
            _ => {}
        }
        result
    }
}

/// How many processes `mpirun` has started, if those are several and this is the first: Open MPI and MPICH say so.
fn started() -> Option<u64> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let of = |rank, count| (number(rank) == Some(0)).then(|| number(count)).flatten();
    of("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")
        .or(of("PMI_RANK", "PMI_SIZE"))
        .filter(|&count| count > 1)
}

/// What all ranks say of themselves.
fn say(link: &mut Link, own: &Said) -> Result<Vec<Said>> {
    let own = serde_json::to_vec(own).map_err(Error::failure)?;
    let all = link.gather(&own)?;
    let unknown = || "said something unknown: all ranks have to be the same program".to_owned();
    Ok(all.iter().map(|said| serde_json::from_slice(said).unwrap_or_else(|_| Err(unknown()))).collect())
}

/// How long a rank waits where nothing else is said, in seconds: longer than evaluations of rank 0 take.
#[cfg(feature = "mpi")]
const PATIENCE: u64 = 1800;

#[cfg(feature = "mpi")]
fn open_mpi(args: &RankArgs) -> Result<Ranks> {
    let mpi = gannet_mpi::Mpi::start(Duration::from_secs(args.timeout.unwrap_or(PATIENCE)))?;
    let local = mpi.local();
    Ok(Ranks::of(Link::new(Box::new(mpi), local, args.mixed)))
}

#[cfg(not(feature = "mpi"))]
fn open_mpi(_: &RankArgs) -> Result<Ranks> {
    Err(Error::Usage(
        "--distributed needs a program that was built with MPI: `cargo build --release -p gan-mnist --features mpi`, with an \
         MPI installed (on Debian libopenmpi-dev, openmpi-bin and libclang-dev)"
            .into(),
    ))
}
