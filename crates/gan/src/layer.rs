//! What a layer is: the shapes it maps between, the tensors it keeps, and its part of a graph.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use gannet_tensor::{Graph, Shape, Var};

use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::options::Options;
use crate::outputs::Outputs;
use crate::parameters::Parameters;
use crate::random::fnv1a;

/// A trained tensor of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name within the layer: `kernel`, `bias`, `gamma`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// How it starts; `None` for the model's default.
    pub initialiser: Option<Initialiser>,
}

impl Parameter {
    /// A parameter of a layer.
    pub fn new(
        name: impl Into<String>,
        shape: impl Into<Shape>,
        initialiser: impl Into<Option<Initialiser>>,
    ) -> Parameter {
        Parameter { name: name.into(), shape: shape.into(), initialiser: initialiser.into() }
    }
}

/// A tensor that a layer keeps from step to step but does not train: running statistics, the vectors of a power
/// iteration. In a graph it is one tensor [rows, len]; in a file each row is a tensor `[len]` of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its name within the layer.
    pub name: String,
    /// Its rows: the name of each in files, and how it starts.
    pub rows: Vec<(String, Initialiser)>,
    /// The length of a row.
    pub len: usize,
}

/// How a model is traced.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'g> {
    /// Training or inference.
    pub mode: Mode,
    /// The class of each image of the batch `[N]`, if there are classes.
    pub labels: Option<Var<'g>>,
    /// Where images lie between two classes: the other one.
    pub blend: Option<Blend<'g>>,
    /// A number (one element) that differs from step to step: the counter of dropout masks and other noise.
    /// Without it there is none.
    pub counter: Option<Var<'g>>,
    /// Tells several passes of one step apart, so that each has noise of its own.
    pub index: u32,
}

/// Classes on the way to which images are.
#[derive(Clone, Copy, Debug)]
pub struct Blend<'g> {
    /// The class at the end of each image's way `[N]`.
    pub labels: Var<'g>,
    /// How far it has come `[N]`, from 0 to 1.
    pub share: Var<'g>,
}

/// Whether a model is trained or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics and dropout; running statistics are updated.
    Training {
        /// Equal shares of the batch, each with batch statistics of its own: 2 where real and generated images
        /// go through a discriminator in one batch.
        groups: usize,
    },
    /// Running statistics, no dropout.
    Inference,
}

impl<'g> Pass<'g> {
    /// A training pass over a batch that is one group.
    pub fn training() -> Pass<'g> {
        Pass { mode: Mode::Training { groups: 1 }, labels: None, blend: None, counter: None, index: 0 }
    }

    /// An inference pass.
    pub fn inference() -> Pass<'g> {
        Pass { mode: Mode::Inference, ..Pass::training() }
    }
}

/// The states of a model in a graph, by name.
pub type States<'g> = BTreeMap<String, Var<'g>>;

/// The inputs of a model beside the first in a graph, by name: [N, shape] each.
pub type Inputs<'g> = BTreeMap<String, Var<'g>>;

/// What a layer is traced with: its parameters, its states, and the kind of pass.
#[derive(Debug)]
pub struct Context<'a, 'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) pass: Pass<'g>,
    /// The layer's name with those of the layers around it, `3.residual/0.conv2d`.
    pub(crate) path: String,
    pub(crate) parameters: &'a Parameters<'g>,
    pub(crate) states: &'a mut States<'g>,
    pub(crate) inputs: &'a Inputs<'g>,
    /// The outputs that layers before keep, by name.
    pub(crate) kept: &'a mut Inputs<'g>,
}

impl<'g> Context<'_, 'g> {
    /// The graph that is traced into.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// The kind of pass.
    pub fn pass(&self) -> Pass<'g> {
        self.pass
    }

    /// The layer's parameter of that name. Errors when the layer did not declare it.
    pub fn parameter(&self, name: &str) -> Result<Var<'g>> {
        let key = format!("{}/{name}", self.path);
        self.parameters.get(&key).ok_or_else(|| Error::invalid(format!("no parameter '{key}'")))
    }

    /// The present value [rows, len] of the layer's state of that name. Errors when the layer did not declare it.
    pub fn state(&self, name: &str) -> Result<Var<'g>> {
        let key = format!("{}/{name}", self.path);
        self.states.get(&key).copied().ok_or_else(|| Error::invalid(format!("no state '{key}'")))
    }

    /// Gives a state its next value, of the same shape.
    pub fn set_state(&mut self, name: &str, value: Var<'g>) {
        self.states.insert(format!("{}/{name}", self.path), value);
    }

    /// The class of each image `[N]`. Errors when the model has no classes.
    pub fn labels(&self) -> Result<Var<'g>> {
        self.pass.labels.ok_or_else(|| {
            Error::invalid("this layer needs the class of each image, but the model was given no classes")
        })
    }

    /// What a layer looks up for the class of each image, `look(labels)` [N, n]; between two classes, the blend of both.
    /// Errors when the model has no classes.
    pub fn by_class(&self, look: impl Fn(Var<'g>) -> Var<'g>) -> Result<Var<'g>> {
        let y = look(self.labels()?);
        let Some(Blend { labels, share }) = self.pass.blend else { return Ok(y) };
        let share = share.reshape([share.shape().len(), 1]);
        Ok(y * share.affine(-1.0, 1.0) + look(labels) * share)
    }

    /// The model's further input of that name [N, shape]. Errors when the layer did not declare it.
    pub fn input(&self, name: &str) -> Result<Var<'g>> {
        self.inputs.get(name).copied().ok_or_else(|| Error::invalid(format!("no input '{name}'")))
    }

    /// Keeps a batch [N, shape] for later layers, under a name that the layer says it [keeps](Layer::keeps).
    pub fn keep(&mut self, name: &str, output: Var<'g>) {
        self.kept.insert(name.to_owned(), output);
    }

    /// The output that an earlier layer keeps under that name [N, shape]. Errors when there is none, which
    /// [`Layer::bind`] sees before.
    pub fn kept(&self, name: &str) -> Result<Var<'g>> {
        self.kept.get(name).copied().ok_or_else(|| Error::invalid(format!("no output '{name}'")))
    }

    /// A number for this layer in this pass, to seed its noise with.
    pub fn noise_seed(&self) -> u32 {
        let hash = fnv1a(&format!("{} {}", self.path, self.pass.index));
        (hash ^ (hash >> 32)) as u32
    }

    /// The context of the layer at `path`, with parameters of its own.
    pub(crate) fn at<'b>(&'b mut self, path: String, parameters: &'b Parameters<'g>) -> Context<'b, 'g> {
        let (graph, pass, inputs) = (self.graph, self.pass, self.inputs);
        Context { graph, pass, path, parameters, states: &mut *self.states, inputs, kept: &mut *self.kept }
    }

    /// Runs `trace` for a layer `name` inside of this one.
    pub(crate) fn within<R>(&mut self, name: &str, trace: impl FnOnce(&mut Context<'_, 'g>) -> R) -> R {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        let parameters = self.parameters;
        self.graph.scoped(name, || trace(&mut self.at(path, parameters)))
    }
}

/// A layer of a model. Shapes are those of one sample: the batch axis is not part of them.
///
/// A layer of your own says how it maps shapes and how it is traced. For models with it to be written to files and read
/// again it also says its [`options`](Layer::options), and its kind is [registered](crate::layers::register).
pub trait Layer: Any + Debug + Send + Sync {
    /// The kind of layer, as in model files: `conv2d`. A model with a layer of another type by a kind that is taken is not
    /// written to a file.
    fn kind(&self) -> &'static str;

    /// The shape of the output for an input of the given shape. Errors, naming both shapes, when the input does
    /// not fit or an option is impossible.
    fn output_shape(&self, input: Shape) -> Result<Shape>;

    /// The trained tensors, for an input of a shape that [`output_shape`](Layer::output_shape) accepts.
    fn parameters(&self, _input: Shape) -> Vec<Parameter> {
        Vec::new()
    }

    /// The tensors kept from step to step without training, for an input of the given shape.
    fn states(&self, _input: Shape) -> Vec<State> {
        Vec::new()
    }

    /// The classes that the layer has room for, if it needs to know the class of each image.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// The inputs of the model that the layer takes beside what the layer before it gives: names, and shapes of a
    /// sample.
    fn inputs(&self) -> Vec<(String, Shape)> {
        Vec::new()
    }

    /// The names under which the layer keeps outputs for later ones.
    fn keeps(&self) -> Vec<String> {
        Vec::new()
    }

    /// The layer as it is behind these outputs of earlier ones, for an input of the given shape: one that reads outputs by
    /// name finds their shapes here, and [`Context::kept`] gives it what they are; one that keeps an output says its shape.
    /// All that a model asks of a layer later, it asks of the one that this gives; nothing stands for the layer itself.
    /// Errors, saying what would fit, when an output is not there or does not fit.
    fn bind(&self, _input: Shape, _outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        Ok(None)
    }

    /// The output for a batch `x` [N, input shape].
    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>>;

    /// The options of the layer as they stand in a model file: [`Options::of`] of the layer itself, where it is plain
    /// data. Errors, and the model is not written to a file, where they cannot be told.
    fn options(&self) -> Result<Options> {
        Err(Error::invalid(format!("the layer '{}' does not say its options (Layer::options)", self.kind())))
    }
}
