//! Ctrl-C, SIGTERM and SIGHUP, and what a page asks for.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, INTERRUPTED, Result};
use crate::terminal::{has_bar, note};

/// Whether someone asked the run to end, or for a checkpoint. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    end: AtomicBool,
    checkpoint: AtomicBool,
}

impl Interrupt {
    /// Listens from now on, which a process does once. The second signal ends the process at once.
    pub fn listen(quiet: bool) -> Result<Self> {
        let interrupt = Interrupt::default();
        let asked = interrupt.clone();
        let handler = move || {
            if asked.0.end.swap(true, Ordering::SeqCst) {
                if std::io::stderr().is_terminal() {
                    // What comes next begins a line of its own. The bar is left as it is: this must not wait for anything.
                    let _ = writeln!(std::io::stderr());
                }
                std::process::exit(i32::from(INTERRUPTED));
            }
            if !quiet {
                // On a terminal the cursor stands behind ^C, unless there is a bar, which is drawn anew.
                let line = if std::io::stderr().is_terminal() && !has_bar() { "\n" } else { "" };
                note(&format!("{line}saving after this step; again, to stop at once without saving"));
            }
        };
        ctrlc::set_handler(handler).map_err(|e| Error::failure(format!("cannot listen for Ctrl-C: {e}")))?;
        Ok(interrupt)
    }

    /// Asks for the end, as Ctrl-C does.
    pub fn request(&self) {
        self.0.end.store(true, Ordering::SeqCst);
    }

    /// Whether someone asked.
    pub fn is_requested(&self) -> bool {
        self.0.end.load(Ordering::SeqCst)
    }

    /// Asks for a checkpoint after this step.
    pub fn request_checkpoint(&self) {
        self.0.checkpoint.store(true, Ordering::SeqCst);
    }

    /// Whether someone asked for a checkpoint since the last call.
    pub(super) fn takes_checkpoint_request(&self) -> bool {
        self.0.checkpoint.swap(false, Ordering::SeqCst)
    }
}
