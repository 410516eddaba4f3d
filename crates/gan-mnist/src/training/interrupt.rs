//! Ctrl-C, SIGTERM and SIGHUP.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, INTERRUPTED, Result};
use crate::terminal::{has_bar, note};

/// Whether someone asked the run to end. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on, which a process does once. The second signal ends the process at once.
    pub fn listen(quiet: bool) -> Result<Self> {
        let interrupt = Interrupt::default();
        let asked = interrupt.clone();
        let handler = move || {
            if asked.0.swap(true, Ordering::SeqCst) {
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
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether someone asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
