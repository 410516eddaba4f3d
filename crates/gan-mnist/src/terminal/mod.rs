//! What people see while the program works.

mod duration;
mod listener;
mod output;
mod progress;
mod time_left;

pub use duration::duration;
pub use listener::Listening;
pub(crate) use output::has_bar;
pub use output::{counted, note, program, resume_command, say, shell_word};
pub use progress::Progress;
