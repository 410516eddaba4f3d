//! Trains generative adversarial networks on images from the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    quieten_drivers();
    gan_mnist::run(std::env::args_os())
}

/// Where no session runs (a container, a batch job), Vulkan's layers complain on stderr that there is no
/// XDG_RUNTIME_DIR, even of a run on the CPU that only looked whether there is a GPU. They find no window system there
/// either way.
#[cfg(target_os = "linux")]
fn quieten_drivers() {
    const RUNTIME: &str = "XDG_RUNTIME_DIR";
    if !std::env::var_os(RUNTIME).is_some_and(|folder| std::path::Path::new(&folder).is_dir()) {
        // SAFETY: nothing has started a thread yet that could read the environment meanwhile.
        unsafe { std::env::set_var(RUNTIME, std::env::temp_dir()) };
    }
}
