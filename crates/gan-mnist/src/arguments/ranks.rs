//! The flags of processes that share a run.

use clap::Args;

use super::numbers::whole_number;

/// The flags of processes that share a run.
#[derive(Debug, Clone, Default, Args)]
pub struct RankArgs {
    /// Share each step with the other processes that mpirun or srun has started (a program built with --features mpi).
    /// --accumulate is then of each process
    #[arg(long)]
    pub distributed: bool,
    /// Go on where processes compute on other devices or instruction sets than the first: their results agree but for
    /// rounding, and the run does not repeat bit for bit
    #[arg(long, requires = "distributed")]
    pub mixed: bool,
    /// Seconds that a process waits for the others before it ends the run; the first evaluates and saves meanwhile [default: 1800]
    #[arg(long, value_name = "SECONDS", requires = "distributed", value_parser = whole_number(1, 1_000_000), allow_negative_numbers = true)]
    pub timeout: Option<u64>,
}
