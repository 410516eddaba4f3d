//! Outputs of layers that later layers read by name.

use gannet_tensor::Shape;

use crate::error::{Error, Result};

/// The outputs that layers keep under names for later ones, while a model is put together: those of the layers before the
/// one that asks. See [`Layer::bind`](crate::Layer::bind).
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    kept: Vec<(String, Shape)>,
    /// Every name that a layer of the model keeps an output under, with the layer.
    announced: Vec<(String, String)>,
}

impl Outputs {
    /// No outputs yet, for a model whose layers keep these names, each with the name of its layer.
    pub(crate) fn new(announced: Vec<(String, String)>) -> Outputs {
        Outputs { kept: Vec::new(), announced }
    }

    /// Keeps an output of samples of this shape under a name. Errors when the name is empty or taken.
    pub fn keep(&mut self, name: &str, shape: Shape) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid("a name for an output has at least one letter, got \"\""));
        }
        if self.kept.iter().any(|(other, _)| other == name) {
            let first = self.announced.iter().find(|(other, _)| other == name);
            let by = first.map_or(String::new(), |(_, layer)| format!(" by layer {layer}"));
            return Err(Error::invalid(format!(
                "the output \"{name}\" is kept already{by}: an output has a name of its own; {}",
                self.list()
            )));
        }
        self.kept.push((name.to_owned(), shape));
        Ok(())
    }

    /// The shape of a sample of the output of that name. Errors, naming those that there are, when no layer before keeps it.
    pub fn shape(&self, name: &str) -> Result<Shape> {
        if let Some((_, shape)) = self.kept.iter().find(|(other, _)| other == name) {
            return Ok(*shape);
        }
        let later = self.announced.iter().find(|(other, _)| other == name);
        let why = match later {
            Some((_, layer)) => {
                format!("the output \"{name}\" is kept by layer {layer}, behind the one that reads it")
            }
            None => format!("there is no output \"{name}\""),
        };
        Err(Error::invalid(format!("{why}; {}", self.list())))
    }

    /// Whether no layer so far keeps an output.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The outputs so far whose shapes fit, by name.
    pub fn fitting(&self, fits: impl Fn(Shape) -> bool) -> impl Iterator<Item = &str> {
        self.kept.iter().filter(move |(_, shape)| fits(*shape)).map(|(name, _)| name.as_str())
    }

    /// The outputs so far in words.
    fn list(&self) -> String {
        if self.kept.is_empty() {
            return "there are none before this layer: { keep = { as = \"..\" } } keeps what the layer in front of it gives"
                .into();
        }
        let list: Vec<String> = self.kept.iter().map(|(name, shape)| format!("\"{name}\" {shape}")).collect();
        format!("there are: {}", list.join(", "))
    }
}
