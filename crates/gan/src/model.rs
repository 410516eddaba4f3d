//! A model whose shapes are known: what it keeps, where, and its graph.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use gannet_tensor::{Graph, Shape, Var};

use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layer::{Context, Layer, Parameter, Pass, State};
use crate::random::Stream;
use crate::sequential::Sequential;

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

/// A model whose shapes are known: made by [`Sequential::build`].
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
}

/// The parameters of a model in a graph, by name.
pub type Parameters<'g> = BTreeMap<String, Var<'g>>;

/// The states of a model in a graph, by name.
pub type States<'g> = BTreeMap<String, Var<'g>>;

impl Model {
    pub(crate) fn new(sequential: &Sequential) -> Result<Model> {
        let name = sequential.name.clone();
        sequential.initialiser.check().map_err(|e| Error::invalid(format!("{name}: {e}")))?;
        let input = Shape::new(&sequential.input).map_err(|e| e.context(&name))?;
        check_size(input).map_err(|e| e.context(format!("{name}, input")))?;
        if sequential.layers.is_empty() {
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
        };
        for (index, layer) in sequential.layers.iter().enumerate() {
            let refused = |message: String| Error::Layer {
                model: model.name.clone(),
                index,
                kind: layer.kind().into(),
                message,
            };
            let input = model.output;
            let output =
                layer.output_shape(input).and_then(check_size).map_err(|e| refused(e.to_string()))?;
            let parameters = layer.parameters(input);
            let states = layer.states(input);
            for parameter in &parameters {
                let initialiser = parameter.initialiser.unwrap_or(sequential.initialiser);
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
            let layer_name = format!("{index}.{}", layer.kind());
            model.layers.push(Placed {
                name: layer_name.clone(),
                layer: layer.clone(),
                output,
                parameters: parameters.iter().map(|p| p.shape.len()).sum(),
                untrained: states.iter().map(|s| s.rows.len() * s.len).sum(),
            });
            model.place(&layer_name, parameters, states, sequential.initialiser);
            model.output = output;
        }
        Ok(model)
    }

    fn place(&mut self, layer: &str, parameters: Vec<Parameter>, states: Vec<State>, default: Initialiser) {
        for parameter in parameters {
            self.parameters.push(ParameterSlot {
                name: format!("{layer}/{}", parameter.name),
                shape: parameter.shape,
                offset: self.len,
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

    /// How many numbers are trained.
    pub fn parameter_count(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
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

    /// Gradients of the parameters, in their order, as one vector like the parameters'.
    ///
    /// # Panics
    /// When there are not as many as parameters, or of other shapes.
    #[track_caller]
    pub fn pack<'g>(&self, gradients: &[Var<'g>]) -> Var<'g> {
        let offsets: Vec<usize> = self.parameters.iter().map(|slot| slot.offset).collect();
        Var::pack(gradients, &offsets, self.len)
    }

    /// The output for a batch `x` [N, input], with the given parameters. `states` are read, and hold the next
    /// values afterwards.
    pub fn trace<'g>(
        &self,
        x: Var<'g>,
        parameters: &Parameters<'g>,
        states: &mut States<'g>,
        pass: Pass<'g>,
    ) -> Result<Var<'g>> {
        let graph: &'g Graph = x.graph();
        let dims = x.shape();
        if dims.dims().is_empty() || dims.dims()[1..] != *self.input.dims() {
            return Err(Error::invalid(format!(
                "{}: expected a batch of samples of shape {}, got {dims}",
                self.name, self.input
            )));
        }
        graph.scoped(&self.name, || {
            let mut cx = Context { graph, pass, path: String::new(), parameters, states };
            self.layers.iter().try_fold(x, |x, placed| {
                cx.within(&placed.name, |cx| placed.layer.trace(x, cx))
                    .map_err(|e| e.context(format!("{}, layer {}", self.name, placed.name)))
            })
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
        let trained = self.parameter_count();
        let untrained: usize = self.layers.iter().map(|layer| layer.untrained).sum();
        let _ = writeln!(
            text,
            "{rule}\nTotal parameters: {}\nTrainable: {}\nNon-trainable: {}",
            grouped(trained + untrained),
            grouped(trained),
            grouped(untrained)
        );
        text
    }
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
