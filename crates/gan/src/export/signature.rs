//! What an exported model takes and gives.

use gannet_tensor::Backend;

use super::{Part, channels_first};
use crate::gan::Gan;

/// What an exported part of a GAN takes and gives: names and shapes of its inputs and its output. As text it is the line
/// that says so to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the input: `latents` or `images`.
    pub input: &'static str,
    /// The shape of one of them: `[z]` or [C, H, W].
    pub input_shape: Vec<usize>,
    /// How many labels there are for the second input, `labels`, if the model takes it. Those of a generator are
    /// classes of the data; a discriminator is told class times clusters plus cluster.
    pub labels: Option<usize>,
    /// How many clusters each class of the data has, or all of it without classes; 1 for none. A generator draws the
    /// cluster from the last of the latents, as [`Gan::generate`](crate::Gan::generate) does.
    pub clusters: usize,
    /// The name of the output: `images` or `scores`.
    pub output: &'static str,
    /// The shape of one of them: [C, H, W] or `[1]`.
    pub output_shape: Vec<usize>,
    part: Part,
}

impl Signature {
    /// That of a part of a GAN.
    pub fn of<B: Backend>(gan: &Gan<B>, part: Part) -> Signature {
        let model = part.model(gan);
        let told = model.classes();
        let clusters = told.map_or(1, |_| gan.config().clusters);
        Signature {
            input: part.input(),
            input_shape: channels_first(model.input()),
            labels: match part {
                Part::Generator => told.and_then(|told| gan.config().classes_among(told)),
                Part::Discriminator => told,
            },
            clusters,
            output: part.output(),
            output_shape: channels_first(model.output()),
            part,
        }
    }

    /// `latents [N, 100]`.
    pub(super) fn input_text(&self) -> String {
        format!("{} {}", self.input, batch(&self.input_shape))
    }

    /// `images [N, 1, 28, 28]`.
    pub(super) fn output_text(&self) -> String {
        format!("{} {}", self.output, batch(&self.output_shape))
    }

    /// `labels [N], whole numbers from 0 to 9`, if there are any.
    pub(super) fn labels_text(&self) -> Option<String> {
        let labels = self.labels?;
        let meaning = match (self.part, self.clusters) {
            (Part::Generator, _) | (Part::Discriminator, 1) => String::new(),
            (Part::Discriminator, clusters) if labels == clusters => ": the cluster".into(),
            (Part::Discriminator, clusters) => format!(": the class times {clusters} plus the cluster"),
        };
        Some(format!("labels [N], whole numbers from 0 to {}{meaning}", labels - 1))
    }

    /// What the last of the latents does, if it does more than the others.
    pub(super) fn clusters_text(&self) -> Option<String> {
        let of = if self.labels.is_some() { "the class" } else { "the data" };
        let (clusters, latents) = (self.clusters, self.input_shape.iter().product::<usize>());
        (self.part == Part::Generator && clusters > 1)
            .then(|| format!("the last of the {latents} latents chooses one of {clusters} clusters of {of}"))
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "takes {}", self.input_text())?;
        if let Some(labels) = self.labels_text() {
            write!(f, " and {labels}")?;
        }
        write!(f, "; gives {}", self.output_text())?;
        self.clusters_text().map_or(Ok(()), |clusters| write!(f, "; {clusters}"))
    }
}

/// `[N, 1, 28, 28]`.
fn batch(sample: &[usize]) -> String {
    sample.iter().fold("[N".to_owned(), |text, dim| format!("{text}, {dim}")) + "]"
}
