//! A model whose shapes are known: what it keeps, where, and its graph.

use std::fmt::Write as _;
use std::sync::Arc;

use gannet_tensor::{Graph, Shape, Var};

use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layer::{Context, Inputs, Layer, Parameter, Pass, State, States};
use crate::outputs::Outputs;
use crate::parameters::Parameters;
use crate::random::Stream;

/// Parameters begin at multiples of this many elements in their model's vector: 256 bytes of `f32`, the
/// alignment that devices ask of a tensor.
pub const ALIGNMENT: usize = 64;

/// The most numbers that a sample may have anywhere in a model.
const MAX_SAMPLE: usize = 1 << 28;

/// A layer with its place in a model.
#[derive(Clone, Debug)]
struct Placed {
    /// `2.batch_norm`.
    name: String,
    layer: Arc<dyn Layer>,
    output: Shape,
    parameters: usize,
    untrained: usize,
}

/// A trained tensor of a model and where it lies in the model's vector of parameters.
#[derive(Clone, Debug)]
pub struct ParameterSlot {
    /// `2.batch_norm/gamma`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Its first element in the vector; a multiple of [`ALIGNMENT`].
    pub offset: usize,
    /// Whether training changes it: false where its layer is [frozen](crate::Sequential::freeze).
    pub trained: bool,
    pub(crate) initialiser: Initialiser,
}

/// A tensor of a model that is kept but not trained.
#[derive(Clone, Debug)]
pub struct StateSlot {
    /// `2.batch_norm/moving`.
    pub name: String,
    /// The layer's name, `2.batch_norm`.
    pub layer: String,
    /// Its rows: the name of each in files, and how it starts.
    pub rows: Vec<(String, Initialiser)>,
    /// The length of a row.
    pub len: usize,
}

impl StateSlot {
    /// The shape in a graph: [rows, len].
    pub fn shape(&self) -> Shape {
        Shape::from([self.rows.len(), self.len])
    }
}

/// A model whose shapes are known: made by [`Sequential::build`](crate::Sequential::build).
///
/// All parameters lie in one vector, so that an optimiser updates a model in one operation; running statistics
/// and the like are tensors of their own.
#[derive(Clone, Debug)]
pub struct Model {
    name: String,
    input: Shape,
    output: Shape,
    layers: Vec<Placed>,
    parameters: Vec<ParameterSlot>,
    states: Vec<StateSlot>,
    len: usize,
    classes: Option<usize>,
    inputs: Vec<(String, Shape)>,
}

/// What a model is built from: layers in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blueprint<'a> {
    pub(crate) name: &'a str,
    pub(crate) input: &'a [usize],
    pub(crate) layers: &'a [Arc<dyn Layer>],
    pub(crate) initialiser: Initialiser,
    /// Layers whose parameters are not trained.
    pub(crate) frozen: &'a [String],
}

/// A layer of a model: by its position from 0, or by its name, `2.batch_norm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerAt<'a> {
    /// Its position.
    Index(usize),
    /// Its name.
    Name(&'a str),
}

impl From<usize> for LayerAt<'_> {
    fn from(index: usize) -> Self {
        LayerAt::Index(index)
    }
}

impl<'a> From<&'a str> for LayerAt<'a> {
    fn from(name: &'a str) -> Self {
        LayerAt::Name(name)
    }
}

impl Model {
    pub(crate) fn new(blueprint: Blueprint<'_>) -> Result<Model> {
        let name = blueprint.name.to_owned();
        blueprint.initialiser.check().map_err(|e| Error::invalid(format!("{name}: {e}")))?;
        let input = Shape::new(blueprint.input).map_err(|e| e.context(&name))?;
        check_size(input).map_err(|e| e.context(format!("{name}, input")))?;
        if blueprint.layers.is_empty() {
            return Err(Error::invalid(format!("{name}: a model needs at least one layer")));
        }
        let mut model = Model {
            name,
            input,
            output: input,
            layers: Vec::new(),
            parameters: Vec::new(),
            states: Vec::new(),
            len: 0,
            classes: None,
            inputs: Vec::new(),
        };
        let names = blueprint.layers.iter().enumerate().flat_map(|(index, layer)| {
            layer.keeps().into_iter().map(move |name| (name, layer_name(index, layer.as_ref())))
        });
        let mut outputs = Outputs::new(names.collect());
        for (index, layer) in blueprint.layers.iter().enumerate() {
            let refused = |message: String| Error::Layer {
                model: blueprint.name.to_owned(),
                index,
                kind: layer.kind().into(),
                message,
            };
            let input = model.output;
            let bound = layer.bind(input, &mut outputs).map_err(|e| refused(e.to_string()))?;
            let layer = bound.as_ref().unwrap_or(layer);
            let output =
                layer.output_shape(input).and_then(check_size).map_err(|e| refused(e.to_string()))?;
            let parameters = layer.parameters(input);
            let states = layer.states(input);
            for parameter in &parameters {
                let initialiser = parameter.initialiser.unwrap_or(blueprint.initialiser);
                let here = |e: String| refused(format!("'{}': {e}", parameter.name));
                initialiser.check().map_err(here)?;
                check_size(parameter.shape).map_err(|e| here(e.to_string()))?;
            }
            if let (Some(classes), Some(others)) = (layer.classes(), model.classes)
                && classes != others
            {
                return Err(refused(format!("{classes} classes, but a layer before it has {others}")));
            }
            model.classes = model.classes.or(layer.classes());
            for (name, shape) in layer.inputs() {
                check_size(shape).map_err(|e| refused(format!("the input '{name}': {e}")))?;
                match model.inputs.iter().find(|(other, _)| *other == name) {
                    Some((_, other)) if *other != shape => {
                        let message = format!(
                            "the input '{name}' has the shape {shape}, but a layer before it takes it as {other}"
                        );
                        return Err(refused(message));
                    }
                    Some(_) => {}
                    None => model.inputs.push((name, shape)),
                }
            }
            let layer_name = layer_name(index, layer.as_ref());
            model.layers.push(Placed {
                name: layer_name.clone(),
                layer: layer.clone(),
                output,
                parameters: parameters.iter().map(|p| p.shape.len()).sum(),
                untrained: states.iter().map(|s| s.rows.len() * s.len).sum(),
            });
            model.place(&layer_name, parameters, states, blueprint.initialiser);
            model.output = output;
        }
        for frozen in blueprint.frozen {
            model.freeze(frozen)?;
        }
        Ok(model)
    }

    /// Leaves the parameters of the layer of that name as they are, or a single parameter.
    fn freeze(&mut self, name: &str) -> Result<()> {
        let mut found = false;
        for slot in &mut self.parameters {
            let rest = slot.name.strip_prefix(name);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                slot.trained = false;
                found = true;
            }
        }
        if found {
            return Ok(());
        }
        let known: Vec<&str> = self.layers.iter().filter(|l| l.parameters > 0).map(|l| &*l.name).collect();
        Err(Error::invalid(format!(
            "{}: there is no layer '{name}' with parameters to freeze; there are: {}",
            self.name,
            known.join(", ")
        )))
    }

    fn place(&mut self, layer: &str, parameters: Vec<Parameter>, states: Vec<State>, default: Initialiser) {
        for parameter in parameters {
            self.parameters.push(ParameterSlot {
                name: format!("{layer}/{}", parameter.name),
                shape: parameter.shape,
                offset: self.len,
                trained: true,
                initialiser: parameter.initialiser.unwrap_or(default),
            });
            self.len += parameter.shape.len().next_multiple_of(ALIGNMENT);
        }
        for state in states {
            let name = format!("{layer}/{}", state.name);
            // A layer inside of another has its own name in front of the state's.
            let owner = name.rsplit_once('/').map_or(layer, |(owner, _)| owner).to_owned();
            self.states.push(StateSlot { name, layer: owner, rows: state.rows, len: state.len });
        }
    }

    /// The name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of an input sample.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// The shape of an output sample.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// The classes that its layers have room for, if one of them needs to know the class of each image.
    pub fn classes(&self) -> Option<usize> {
        self.classes
    }

    /// The inputs that layers take beside the first, by name, each with the shape of a sample.
    pub fn inputs(&self) -> &[(String, Shape)] {
        &self.inputs
    }

    /// The names of the layers, `2.batch_norm`, and the shapes of their outputs.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&str, Shape)> {
        self.layers.iter().map(|layer| (layer.name.as_str(), layer.output))
    }

    /// The layers as they are in this model: those that read outputs of others know their shapes.
    pub(crate) fn placed(&self) -> impl Iterator<Item = &dyn Layer> {
        self.layers.iter().map(|placed| placed.layer.as_ref())
    }

    /// The position of a layer. Errors, naming those that there are, when there is no such layer.
    pub fn layer_index<'a>(&self, layer: impl Into<LayerAt<'a>>) -> Result<usize> {
        let (found, wanted) = match layer.into() {
            LayerAt::Index(index) => ((index < self.layers.len()).then_some(index), index.to_string()),
            LayerAt::Name(name) => (self.layers.iter().position(|l| l.name == name), format!("'{name}'")),
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.layers.iter().map(|layer| layer.name.as_str()).collect();
            let name = &self.name;
            Error::invalid(format!("{name}: there is no layer {wanted}; there are: {}", known.join(", ")))
        })
    }

    /// The length of the vector that all parameters lie in, gaps included: a multiple of [`ALIGNMENT`].
    pub fn vector_len(&self) -> usize {
        self.len
    }

    /// The trained tensors.
    pub fn parameters(&self) -> &[ParameterSlot] {
        &self.parameters
    }

    /// The tensors kept without training.
    pub fn states(&self) -> &[StateSlot] {
        &self.states
    }

    /// How many numbers its parameters have, frozen ones included.
    pub fn parameter_count(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// How many numbers are trained.
    pub fn trained_count(&self) -> usize {
        self.parameters.iter().filter(|slot| slot.trained).map(|slot| slot.shape.len()).sum()
    }

    /// The vector of initial parameters, gaps zero. A parameter's values depend on the seed, the model's name and
    /// its own name only.
    pub fn initial_vector(&self, seed: u64) -> Vec<f64> {
        let mut vector = vec![0.0; self.len];
        for slot in &self.parameters {
            let mut stream = Stream::new(seed, &format!("{}/{}", self.name, slot.name), 0);
            let values = slot.initialiser.values(slot.shape, &mut stream);
            vector[slot.offset..slot.offset + values.len()].copy_from_slice(&values);
        }
        vector
    }

    /// The initial values [rows, len] of a state.
    pub fn initial_state(&self, slot: &StateSlot, seed: u64) -> Vec<f64> {
        let rows = slot.rows.iter().flat_map(|(row, initialiser)| {
            let mut stream = Stream::new(seed, &format!("{}/{}/{row}", self.name, slot.layer), 0);
            initialiser.values(Shape::from([slot.len]), &mut stream)
        });
        rows.collect()
    }

    /// The parameters as views of their vector [`vector_len`](Model::vector_len).
    ///
    /// # Panics
    /// When the vector has another length.
    #[track_caller]
    pub fn views<'g>(&self, vector: Var<'g>) -> Parameters<'g> {
        let view = |slot: &ParameterSlot| {
            vector.slice(0, slot.offset, slot.offset + slot.shape.len()).reshape(slot.shape)
        };
        self.parameters.iter().map(|slot| (slot.name.clone(), view(slot))).collect()
    }

    /// Inputs of a graph under the names of the states, for a model that is traced by itself.
    pub fn state_inputs<'g>(&self, graph: &'g Graph) -> States<'g> {
        self.states.iter().map(|slot| (slot.name.clone(), graph.input(&slot.name, slot.shape()))).collect()
    }

    /// The gradient of the scalar `loss` with respect to each parameter that is trained. Errors when `loss` is not a
    /// scalar or does not depend on one of them.
    pub fn gradients<'g>(&self, loss: Var<'g>, parameters: &Parameters<'g>) -> Result<Parameters<'g>> {
        let trained = self.parameters.iter().filter(|slot| slot.trained);
        let trained: Result<Parameters<'g>> =
            trained.map(|slot| Ok((slot.name.clone(), self.tensor_of(slot, parameters)?))).collect();
        trained?.gradients(loss)
    }

    /// Gradients of the parameters as one vector like the parameters' own; zeros for frozen ones. Errors when the
    /// gradient of one that is trained is missing or has another shape.
    pub fn pack<'g>(&self, gradients: &Parameters<'g>) -> Result<Var<'g>> {
        let (pieces, offsets) = self.pieces(gradients)?;
        if pieces.is_empty() {
            return Err(Error::invalid(format!("{}: the model has no parameters to train", self.name)));
        }
        Ok(Var::pack(&pieces, &offsets, self.len))
    }

    /// The tensors that [`pack`](Model::pack) puts into the vector, and where each begins.
    pub(crate) fn pieces<'g>(&self, gradients: &Parameters<'g>) -> Result<(Vec<Var<'g>>, Vec<usize>)> {
        let (mut pieces, mut offsets) = (Vec::new(), Vec::new());
        for slot in &self.parameters {
            if slot.trained || gradients.get(&slot.name).is_some() {
                pieces.push(self.tensor_of(slot, gradients)?);
                offsets.push(slot.offset);
            }
        }
        Ok((pieces, offsets))
    }

    /// The tensor of a parameter. Errors when there is none or it has another shape.
    fn tensor_of<'g>(&self, slot: &ParameterSlot, tensors: &Parameters<'g>) -> Result<Var<'g>> {
        let tensor = tensors.get(&slot.name).ok_or_else(|| {
            Error::invalid(format!("{}: the tensor of the parameter '{}' is missing", self.name, slot.name))
        })?;
        if tensor.shape() != slot.shape {
            return Err(Error::invalid(format!(
                "{}: the parameter '{}' has the shape {}, got {tensor:?}",
                self.name, slot.name, slot.shape
            )));
        }
        Ok(tensor)
    }

    /// An optimiser's state [rows, n] after an update with what belongs to frozen parameters as it was `before`.
    pub(crate) fn keep_frozen<'g>(&self, before: Var<'g>, after: Var<'g>) -> Var<'g> {
        // Runs of parameters of a kind: where each begins, and whether it is trained.
        let mut runs: Vec<(usize, bool)> = Vec::new();
        for slot in &self.parameters {
            if runs.last().is_none_or(|(_, trained)| *trained != slot.trained) {
                runs.push((slot.offset, slot.trained));
            }
        }
        if runs.iter().all(|(_, trained)| *trained) {
            return after;
        }
        let ends = runs.iter().skip(1).map(|(start, _)| *start).chain([self.len]);
        let pieces: Vec<Var<'g>> = runs
            .iter()
            .zip(ends)
            .map(|((start, trained), end)| if *trained { after } else { before }.slice(1, *start, end))
            .collect();
        Var::concat(&pieces, 1)
    }

    /// The output for a batch `x` [N, input], with the given parameters. `states` are read, and hold the next
    /// values afterwards. Errors when the batch does not fit, or when a layer takes a further input
    /// ([`trace_with`](Model::trace_with) gives it).
    pub fn trace<'g>(
        &self,
        x: Var<'g>,
        parameters: &Parameters<'g>,
        states: &mut States<'g>,
        pass: Pass<'g>,
    ) -> Result<Var<'g>> {
        self.trace_with(x, &Inputs::new(), parameters, states, pass)
    }

    /// [`trace`](Model::trace) with the further inputs [N, shape] that layers take, by name; others are left aside. Errors as
    /// that does, and when an input is missing or does not fit.
    pub fn trace_with<'g>(
        &self,
        x: Var<'g>,
        inputs: &Inputs<'g>,
        parameters: &Parameters<'g>,
        states: &mut States<'g>,
        pass: Pass<'g>,
    ) -> Result<Var<'g>> {
        let outputs = self.trace_layers(x, inputs, parameters, states, pass)?;
        outputs.last().copied().ok_or_else(|| Error::invalid("a model needs at least one layer"))
    }

    /// [`trace_with`](Model::trace_with), but gives the output of every layer, in order. Only what a plan asks for is computed.
    pub fn trace_layers<'g>(
        &self,
        x: Var<'g>,
        inputs: &Inputs<'g>,
        parameters: &Parameters<'g>,
        states: &mut States<'g>,
        pass: Pass<'g>,
    ) -> Result<Vec<Var<'g>>> {
        let graph: &'g Graph = x.graph();
        let dims = x.shape();
        if dims.dims().is_empty() || dims.dims()[1..] != *self.input.dims() {
            return Err(Error::invalid(format!(
                "{}: expected a batch of samples of shape {}, got {dims}",
                self.name, self.input
            )));
        }
        for (name, shape) in &self.inputs {
            let Some(input) = inputs.get(name) else {
                return Err(Error::invalid(format!(
                    "{}: a layer takes the input '{name}' of shape {shape}, which was not given",
                    self.name
                )));
            };
            if input.shape().dims().first() != dims.dims().first()
                || input.shape().dims().get(1..) != Some(shape.dims())
            {
                return Err(Error::invalid(format!(
                    "{}: expected as many samples of shape {shape} as there are in {dims} for the input '{name}', got \
                     {input:?}",
                    self.name
                )));
            }
        }
        let mut outputs = Vec::with_capacity(self.layers.len());
        graph.scoped(&self.name, || {
            let kept = &mut Inputs::new();
            let mut cx = Context { graph, pass, path: String::new(), parameters, states, inputs, kept };
            let mut x = x;
            for placed in &self.layers {
                x = cx
                    .within(&placed.name, |cx| placed.layer.trace(x, cx))
                    .map_err(|e| e.context(format!("{}, layer {}", self.name, placed.name)))?;
                outputs.push(x);
            }
            Ok(outputs)
        })
    }

    /// A table of the layers, their output shapes and their numbers of parameters, as Keras prints it.
    pub fn summary(&self) -> String {
        let rows: Vec<[String; 3]> = self
            .layers
            .iter()
            .map(|layer| {
                let parameters = layer.parameters + layer.untrained;
                [layer.name.clone(), batch_shape(layer.output), grouped(parameters)]
            })
            .collect();
        let titles = ["Layer", "Output shape", "Parameters"];
        let mut widths = titles.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.len());
            }
        }
        let [a, b, c] = widths;
        let rule = "─".repeat(a + b + c + 4);
        let mut text = format!("Model: {}, input {}\n{rule}\n", self.name, batch_shape(self.input));
        let _ = writeln!(text, "{:<a$}  {:<b$}  {:>c$}\n{rule}", titles[0], titles[1], titles[2]);
        for [layer, shape, parameters] in &rows {
            let _ = writeln!(text, "{layer:<a$}  {shape:<b$}  {parameters:>c$}");
        }
        let trained = self.trained_count();
        let total: usize = self.layers.iter().map(|layer| layer.parameters + layer.untrained).sum();
        let _ = writeln!(
            text,
            "{rule}\nTotal parameters: {}\nTrainable: {}\nNon-trainable: {}",
            grouped(total),
            grouped(trained),
            grouped(total - trained)
        );
        text
    }
}

/// `2.batch_norm`.
fn layer_name(index: usize, layer: &dyn Layer) -> String {
    format!("{index}.{}", layer.kind())
}

/// What layers of either model take beside latents and images, by name, with the shape of a sample.
pub(crate) fn inputs_of(generator: &Model, discriminator: &Model) -> Vec<(String, Shape)> {
    let mut inputs: Vec<(String, Shape)> = Vec::new();
    for (name, shape) in generator.inputs().iter().chain(discriminator.inputs()) {
        if inputs.iter().all(|(known, _)| known != name) {
            inputs.push((name.clone(), *shape));
        }
    }
    inputs
}

fn check_size(shape: Shape) -> Result<Shape> {
    // One axis is left for the batch.
    if shape.rank() >= gannet_tensor::MAX_RANK {
        return Err(Error::invalid(format!(
            "a sample has at most {} axes, got {shape}",
            gannet_tensor::MAX_RANK - 1
        )));
    }
    if shape.len() == 0 || shape.len() > MAX_SAMPLE {
        return Err(Error::invalid(format!(
            "the shape {shape} has {} numbers; expected 1 to {MAX_SAMPLE}",
            shape.len()
        )));
    }
    Ok(shape)
}

/// `(None, 7, 7, 128)`.
fn batch_shape(shape: Shape) -> String {
    let dims: Vec<String> = shape.dims().iter().map(usize::to_string).collect();
    format!("(None, {})", dims.join(", "))
}

/// 1234567 as 1,234,567.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
