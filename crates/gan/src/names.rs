//! Names of the programs' inputs and outputs, and of variables.

pub(crate) const REAL: &str = "real";
pub(crate) const LATENTS: &str = "latents";
pub(crate) const LABELS: &str = "labels";
/// The classes at the end of a way, and how far along it an image is.
pub(crate) const OTHER_LABELS: &str = "other_labels";
pub(crate) const SHARE: &str = "share";
pub(crate) const COUNTER: &str = "counter";
/// The counter of a step is its number modulo this: whole numbers that f32 holds exactly.
pub(crate) const COUNTERS: u64 = 1 << 24;
/// The stream of the numbers that name clusters: the name is that of the first runs.
pub(crate) const CLUSTER_STREAM: &str = "parts";
/// The inputs of an augmentation.
pub(crate) const BRIGHTNESS: &str = "brightness";
pub(crate) const SATURATION: &str = "saturation";
pub(crate) const CONTRAST: &str = "contrast";
pub(crate) const SOURCES: &str = "sources";
/// How far between a generated image (0) and a real one (1) the gradient penalty looks.
pub(crate) const MIX: &str = "mix";
pub(crate) const EMA_RATE: &str = "ema_rate";
pub(crate) const LOSSES: &str = "losses";
pub(crate) const SCORES: &str = "scores";
pub(crate) const IMAGES: &str = "images";

/// What layers take beside samples, by the name that they give it.
pub(crate) fn further(input: &str) -> String {
    format!("input/{input}")
}

/// An input of an augmentation in a pass.
pub(crate) fn augment(pass: &str, what: &str) -> String {
    format!("augment/{pass}/{what}")
}

/// The numbers of an optimiser's update.
pub(crate) fn scalars(model: &str) -> String {
    format!("{model}/scalars")
}

/// The numbers of the second update of a model in a step.
pub(crate) fn second_scalars(model: &str) -> String {
    format!("{model}/second_scalars")
}

/// The variable that sums up what the micro-batches of a step give a model.
pub(crate) fn sum(model: &str) -> String {
    format!("{model}/sum")
}

/// The variable with the losses of a phase of a step.
pub(crate) fn phase_losses(phase: &str) -> String {
    format!("losses/{phase}")
}

/// The variable with the scores that a phase gave the images of a step.
pub(crate) fn phase_scores(phase: &str) -> String {
    format!("scores/{phase}")
}

/// The variable with a model's parameters and moments.
pub(crate) fn state(model: &str) -> String {
    format!("{model}/state")
}

/// The variable of a layer's state.
pub(crate) fn kept(model: &str, slot: &str) -> String {
    format!("{model}/{slot}")
}

/// The variable of the average of another.
pub(crate) fn average(name: &str) -> String {
    format!("ema/{name}")
}
