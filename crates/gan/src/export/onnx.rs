//! ONNX: a part of a GAN as a graph that onnxruntime and others run.
//!
//! The generator takes `latents` [N, z] and gives `images` [N, C, H, W]; the discriminator takes `images` and gives
//! `scores` [N, 1]. A model with classes also takes `labels` `[N]` int64; [`Signature`](super::Signature) says which, and
//! the metadata of the file does. N is free. The message numbers are those of
//! onnx.proto, the operators those of the standard's set [`OPSET`].

use std::collections::BTreeMap;
use std::ops::Range;

use gannet_tensor::{Backend, Shape};

use super::network::{
    Known, Network, Step, Transposed, Window, conv_windows, pool_windows, square, transposed_windows,
};
use super::protobuf::Message;
use super::{Channels, Kept, Part, Weights, channels_first};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::layers::{Taps, Way, windows};

/// The version of the standard's set of operators that models are written in (ONNX 1.12 and later).
pub const OPSET: i64 = 17;

/// The version of the file format that goes with it.
const IR_VERSION: i64 = 8;

/// The most bytes of a protocol buffer.
const MAX_BYTES: usize = i32::MAX as usize;

/// TensorProto.DataType.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// A part of a GAN as an ONNX model; the generator's weights are those of its average where there is one. Errors, naming
/// the layer, when one has no counterpart, and when the file would be larger than the format allows (2 GiB).
pub fn export<B: Backend>(gan: &Gan<B>, part: Part) -> Result<Vec<u8>> {
    let network = Network::of(gan, part)?;
    let weights = Weights::of(gan, part)?;
    let mut graph = Graph {
        nodes: Vec::new(),
        initialisers: Vec::new(),
        x: part.input().into(),
        channels: Channels::outside(network.input),
        labels: "labels".into(),
        kept: BTreeMap::new(),
        serial: 0,
    };
    for weight in &network.weights {
        // The vectors of power iterations and the strength of noise are for training alone.
        if !weight.name.ends_with("weight_u") && !weight.name.ends_with("_strength") {
            graph.floats(&weight.name, &weight.shape, &weight.values(&weights)?);
        }
    }
    graph.choose_clusters(&network);
    graph.steps(&network.steps)?;
    graph.turn(Channels::outside(network.output), network.output);
    graph.name_output(part.output());

    let mut message = Message::new().messages(1, &graph.nodes).text(2, &part.to_string());
    message = message.messages(5, &graph.initialisers);
    message = message.message(11, &value(part.input(), FLOAT, &channels_first(network.input)));
    let signature = &network.signature;
    if signature.labels.is_some() {
        message = message.message(11, &value("labels", INT64, &[]));
    }
    message = message.message(12, &value(part.output(), FLOAT, &channels_first(network.output)));
    let config = gan.config();
    let mut model = Message::new()
        .integer(1, IR_VERSION)
        .text(2, "Gannet")
        .text(3, env!("CARGO_PKG_VERSION"))
        .text(6, &format!("{} of {}: {}", part, config.name, config.description))
        .message(7, &message)
        .message(8, &Message::new().text(1, "").integer(2, OPSET));
    let number = |name: &'static str, number: Option<usize>| Some((name, number?.to_string()));
    let (generator, labels) = (part == Part::Generator, signature.labels);
    let inputs = std::iter::once(signature.input_text()).chain(signature.labels_text());
    let facts = [
        Some(("recipe", config.name.clone())),
        Some(("step", gan.step().to_string())),
        Some(("inputs", inputs.collect::<Vec<_>>().join("; "))),
        Some(("outputs", signature.output_text())),
        number("latents", generator.then(|| network.input.len())),
        number(
            "classes",
            if generator { labels } else { labels.and_then(|told| config.classes_among(told)) },
        ),
        number("clusters", (signature.clusters > 1).then_some(signature.clusters)),
        signature.clusters_text().map(|text| ("cluster", text)),
    ];
    for (key, fact) in facts.into_iter().flatten() {
        model = model.message(14, &Message::new().text(1, key).text(2, &fact));
    }
    let bytes = model.into_bytes();
    if bytes.len() > MAX_BYTES {
        return Err(Error::invalid(format!(
            "the {part} takes {} bytes as ONNX, whose files hold {MAX_BYTES} at most; safetensors-torch has no such \
             limit",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// ValueInfoProto: a batch [N, sample].
fn value(name: &str, data_type: i64, sample: &[usize]) -> Message {
    let batch = Message::new().text(2, "N");
    let dims = sample.iter().map(|dim| Message::new().integer(1, *dim as i64)).collect::<Vec<_>>();
    let shape = Message::new().message(1, &batch).messages(1, &dims);
    let tensor = Message::new().integer(1, data_type).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}

/// AttributeProto: a whole number, or a list of them, or a float.
fn integer(name: &str, value: i64) -> Message {
    Message::new().text(1, name).integer(3, value).integer(20, 2)
}

fn integers(name: &str, values: impl IntoIterator<Item = usize>) -> Message {
    Message::new().text(1, name).integers(8, values.into_iter().map(|value| value as i64)).integer(20, 7)
}

fn float(name: &str, value: f64) -> Message {
    Message::new().text(1, name).float(2, value as f32).integer(20, 1)
}

fn string(name: &str, value: &str) -> Message {
    Message::new().text(1, name).text(4, value).integer(20, 3)
}

/// A graph while it is written.
struct Graph {
    nodes: Vec<Message>,
    initialisers: Vec<Message>,
    /// The value that the next layer takes.
    x: String,
    channels: Channels,
    /// The value with the labels that layers are told.
    labels: String,
    /// Outputs by the names that layers keep them under.
    kept: BTreeMap<String, Kept>,
    /// How many values were named.
    serial: usize,
}

impl Graph {
    /// A constant of floats.
    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(name, shape, FLOAT, &bytes);
    }

    /// A constant list of whole numbers, by its name.
    fn list(&mut self, what: &str, values: &[i64]) -> String {
        let name = self.fresh(what);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(&name, &[values.len()], INT64, &bytes);
        name
    }

    /// A constant number, by its name.
    fn number(&mut self, what: &str, value: f64) -> String {
        let name = self.fresh(what);
        self.floats(&name, &[], &[value as f32]);
        name
    }

    fn constant(&mut self, name: &str, shape: &[usize], data_type: i64, bytes: &[u8]) {
        let dims = shape.iter().map(|dim| *dim as i64);
        let tensor = Message::new().integers(1, dims).integer(2, data_type).text(8, name).bytes(9, bytes);
        self.initialisers.push(tensor);
    }

    /// A name that no other value has: those of weights have no slash.
    fn fresh(&mut self, what: &str) -> String {
        self.serial += 1;
        format!("{what}/{}", self.serial)
    }

    /// A node of the given values; its output's name.
    fn node(&mut self, what: &str, operator: &str, inputs: &[&str], attributes: &[Message]) -> String {
        let output = self.fresh(what);
        let mut node = Message::new();
        for input in inputs {
            node = node.text(1, input);
        }
        node = node.text(2, &output).text(3, &output).text(4, operator).messages(5, attributes);
        self.nodes.push(node);
        output
    }

    /// Makes the labels that layers are told from the classes and from the cluster that the last of the latents chooses.
    fn choose_clusters(&mut self, network: &Network) {
        if network.bounds.is_empty() {
            return;
        }
        let x = self.x.clone();
        let flat = self.node("latents", "Flatten", &[&x], &[integer("axis", 1)]);
        let last = self.list("last", &[network.input.len() as i64 - 1]);
        let last = self.node("latents", "Gather", &[&flat, &last], &[integer("axis", 1)]);
        let bounds = self.fresh("cluster_bounds");
        self.floats(&bounds, &[1, network.bounds.len()], &network.bounds);
        let above = self.node("cluster", "GreaterOrEqual", &[&last, &bounds], &[]);
        let above = self.node("cluster", "Cast", &[&above], &[integer("to", INT64)]);
        let axes = self.list("axes", &[1]);
        let cluster = self.node("cluster", "ReduceSum", &[&above, &axes], &[integer("keepdims", 0)]);
        self.labels = match network.signature.labels {
            None => cluster,
            Some(_) => {
                let clusters = self.list("clusters", &[network.signature.clusters as i64]);
                let first = self.node("label", "Mul", &["labels", &clusters], &[]);
                self.node("label", "Add", &[&first, &cluster], &[])
            }
        };
    }

    /// A node that x goes through, with further inputs.
    fn through(&mut self, what: &str, operator: &str, inputs: &[&str], attributes: &[Message]) {
        let x = std::mem::take(&mut self.x);
        let all: Vec<&str> = std::iter::once(x.as_str()).chain(inputs.iter().copied()).collect();
        self.x = self.node(what, operator, &all, attributes);
    }

    fn name_output(&mut self, name: &str) {
        let identity = Message::new().text(1, &self.x).text(2, name).text(3, name).text(4, "Identity");
        self.nodes.push(identity);
    }

    /// Brings a sample of this shape into an order of its axes.
    fn turn(&mut self, channels: Channels, sample: Shape) {
        if let Some(axes) = self.channels.permutation(channels, sample) {
            self.through("transpose", "Transpose", &[], &[integers("perm", axes)]);
        }
        self.channels = channels;
    }

    /// x under another shape; the batch stays.
    fn reshape(&mut self, what: &str, sample: &[usize]) {
        // 0: as it was.
        let shape: Vec<i64> = std::iter::once(0).chain(sample.iter().map(|dim| *dim as i64)).collect();
        let shape = self.list("shape", &shape);
        self.through(what, "Reshape", &[&shape], &[]);
    }

    fn activation(&mut self, name: &str, activation: Activation) {
        match activation {
            Activation::Linear => {}
            Activation::Relu => self.through(name, "Relu", &[], &[]),
            Activation::LeakyRelu { negative_slope } => {
                self.through(name, "LeakyRelu", &[], &[float("alpha", negative_slope)]);
            }
            Activation::Tanh => self.through(name, "Tanh", &[], &[]),
            Activation::Sigmoid => self.through(name, "Sigmoid", &[], &[]),
            Activation::Softplus => self.through(name, "Softplus", &[], &[]),
            Activation::Elu { alpha } => self.through(name, "Elu", &[], &[float("alpha", alpha)]),
            Activation::Silu => {
                let x = self.x.clone();
                let gate = self.node(name, "Sigmoid", &[&x], &[]);
                self.through(name, "Mul", &[&gate], &[]);
            }
            Activation::Gelu => {
                let x = self.x.clone();
                let [scale, one, half] =
                    [std::f64::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|value| self.number("gelu", value));
                let scaled = self.node(name, "Mul", &[&x, &scale], &[]);
                let erf = self.node(name, "Erf", &[&scaled], &[]);
                let gate = self.node(name, "Add", &[&erf, &one], &[]);
                let gate = self.node(name, "Mul", &[&gate, &half], &[]);
                self.through(name, "Mul", &[&gate], &[]);
            }
        }
    }

    fn steps(&mut self, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        use Channels::{First, Last};
        let Step { name, layer, input, output } = step;
        let (input, output) = (*input, *output);
        let channels = input.dims().last().copied().unwrap_or(1);
        let [weight, bias] = ["weight", "bias"].map(|tensor| format!("{name}.{tensor}"));
        let labels = self.labels.clone();
        let weights = |use_bias: bool| if use_bias { vec![&*weight, &*bias] } else { vec![&*weight] };
        match layer {
            Known::Dense(l) => {
                self.through(name, "Gemm", &weights(l.use_bias), &[integer("transB", 1)]);
                self.activation(name, l.activation);
            }
            Known::Conv2d(l) => {
                self.turn(First, input);
                let attributes = window_attributes(conv_windows(l, input)?);
                self.through(name, "Conv", &weights(l.use_bias), &attributes);
                self.activation(name, l.activation);
            }
            Known::ConvTranspose2d(l) => {
                self.turn(First, input);
                let attributes = transposed_attributes(transposed_windows(l, input)?);
                self.through(name, "ConvTranspose", &weights(l.use_bias), &attributes);
                self.activation(name, l.activation);
            }
            Known::BatchNorm(l) => {
                self.turn(First, input);
                let moving = ["running_mean", "running_var"].map(|row| format!("{name}.{row}"));
                let inputs = [&*weight, &*bias, &*moving[0], &*moving[1]];
                self.through(name, "BatchNormalization", &inputs, &[float("epsilon", l.eps)]);
            }
            Known::ConditionalBatchNorm(l) => {
                self.turn(First, input);
                let [one, zero] = [("one", 1.0), ("zero", 0.0)].map(|(what, value)| {
                    let constant = self.fresh(what);
                    self.floats(&constant, &[channels], &vec![value; channels]);
                    constant
                });
                let moving = ["running_mean", "running_var"].map(|row| format!("{name}.{row}"));
                let inputs = [&*one, &*zero, &*moving[0], &*moving[1]];
                self.through(name, "BatchNormalization", &inputs, &[float("epsilon", l.batch_norm.eps)]);
                // One row for each image, the same at every pixel.
                let row: Vec<i64> =
                    [0, channels as i64].into_iter().chain(vec![1; input.rank() - 1]).collect();
                let row = self.list("shape", &row);
                let [gamma, beta] = ["gamma", "beta"].map(|what| {
                    let table = format!("{name}_{what}.weight");
                    let rows = self.node(name, "Gather", &[&table, &labels], &[]);
                    self.node(name, "Reshape", &[&rows, &row], &[])
                });
                self.through(name, "Mul", &[&gamma], &[]);
                self.through(name, "Add", &[&beta], &[]);
            }
            Known::GroupNorm(l) => self.group_norm(name, input, l.groups, l.eps),
            Known::InstanceNorm(l) => self.group_norm(name, input, channels, l.eps),
            Known::LayerNorm(l) => {
                self.turn(Last, input);
                let attributes = [integer("axis", -1), float("epsilon", l.eps)];
                self.through(name, "LayerNormalization", &[&weight, &bias], &attributes);
            }
            Known::PixelNorm => {
                let axes =
                    Message::new().text(1, "axes").integers(8, [self.channel_axis(input)]).integer(20, 7);
                let x = self.x.clone();
                let square = self.node(name, "Mul", &[&x, &x], &[]);
                let mean = self.node(name, "ReduceMean", &[&square], &[axes]);
                let eps = self.number("eps", 1e-8);
                let sum = self.node(name, "Add", &[&mean, &eps], &[]);
                let root = self.node(name, "Sqrt", &[&sum], &[]);
                self.through(name, "Div", &[&root], &[]);
            }
            Known::MinibatchStd => {
                let x = self.x.clone();
                let mean = self.node(name, "ReduceMean", &[&x], &[integers("axes", [0])]);
                let centred = self.node(name, "Sub", &[&x, &mean], &[]);
                let square = self.node(name, "Mul", &[&centred, &centred], &[]);
                let variance = self.node(name, "ReduceMean", &[&square], &[integers("axes", [0])]);
                let eps = self.number("eps", 1e-8);
                let sum = self.node(name, "Add", &[&variance, &eps], &[]);
                let root = self.node(name, "Sqrt", &[&sum], &[]);
                // One number, over all axes, spread over a channel.
                let std = self.node(name, "ReduceMean", &[&root], &[]);
                let axis = self.channel_axis(input);
                let mut rest: Vec<i64> = input.dims().iter().map(|dim| *dim as i64).collect();
                rest.pop();
                rest.insert(if axis == 1 { 0 } else { rest.len() }, 1);
                let shape = self.batch_of(name, &x, &rest);
                let channel = self.node(name, "Expand", &[&std, &shape], &[]);
                self.through(name, "Concat", &[&channel], &[integer("axis", axis)]);
            }
            Known::Label(l) => {
                let rows = self.fresh("one_hot");
                let row = |class| {
                    (0..l.classes).map(move |other| if other == class { l.scale as f32 } else { 0.0 })
                };
                let table: Vec<f32> = (0..l.classes).flat_map(row).collect();
                self.floats(&rows, &[l.classes, l.classes], &table);
                let hot = self.node(name, "Gather", &[&rows, &labels], &[]);
                self.through(name, "Concat", &[&hot], &[integer("axis", 1)]);
            }
            Known::Embedding(_) => {
                self.turn(Last, input);
                self.through(name, "Cast", &[], &[integer("to", INT64)]);
                let numbers = std::mem::take(&mut self.x);
                self.x = self.node(name, "Gather", &[&weight, &numbers], &[]);
            }
            Known::Projection(_) => {
                let x = self.x.clone();
                let table = format!("{name}_embeddings.weight");
                let rows = self.node(name, "Gather", &[&table, &labels], &[]);
                let product = self.node(name, "Mul", &[&x, &rows], &[]);
                let axes = self.list("axes", &[1]);
                let class = self.node(name, "ReduceSum", &[&product, &axes], &[]);
                self.through(name, "Gemm", &[&weight, &bias], &[integer("transB", 1)]);
                self.through(name, "Add", &[&class], &[]);
            }
            Known::MaxPool2d(l) => {
                self.turn(First, input);
                let windows = pool_windows(input, l.size, l.stride, l.padding)?;
                self.through(name, "MaxPool", &[], &window_attributes(windows));
            }
            Known::AvgPool2d(l) => {
                self.turn(First, input);
                // Padding takes no part where it is not asked for.
                let windows = pool_windows(input, l.size, l.stride, l.padding)?;
                self.through(name, "AveragePool", &[], &window_attributes(windows));
            }
            Known::GlobalAvgPool2d => {
                self.turn(First, input);
                let attributes = [integers("axes", [2, 3]), integer("keepdims", 0)];
                self.through(name, "ReduceMean", &[], &attributes);
            }
            Known::UpsampleNearest(l) => {
                self.turn(First, input);
                let scales = self.fresh("scales");
                self.floats(&scales, &[4], &[1.0, 1.0, l.factor[0] as f32, l.factor[1] as f32]);
                let attributes = [
                    string("mode", "nearest"),
                    string("coordinate_transformation_mode", "asymmetric"),
                    string("nearest_mode", "floor"),
                ];
                self.through(name, "Resize", &["", &scales], &attributes);
            }
            Known::Glu => {
                let x = self.x.clone();
                let axes = self.list("axes", &[self.channel_axis(input)]);
                let half = channels as i64 / 2;
                let [a, b] = [0, half].map(|start| {
                    let (start, end) = (self.list("start", &[start]), self.list("end", &[start + half]));
                    self.node(name, "Slice", &[&x, &start, &end, &axes], &[])
                });
                self.x = self.node(name, "Sigmoid", &[&b], &[]);
                self.through(name, "Mul", &[&a], &[]);
            }
            Known::Flatten | Known::Reshape => {
                self.turn(Last, input);
                self.reshape(name, output.dims());
            }
            // In inference they hand their input on.
            Known::Dropout(_) | Known::Noise => {}
            Known::LeakyRelu(l) => {
                self.activation(name, Activation::LeakyRelu { negative_slope: l.negative_slope });
            }
            Known::Relu => self.activation(name, Activation::Relu),
            Known::Sigmoid => self.activation(name, Activation::Sigmoid),
            Known::Tanh => self.activation(name, Activation::Tanh),
            Known::Softplus => self.activation(name, Activation::Softplus),
            Known::Gelu => self.activation(name, Activation::Gelu),
            Known::Silu => self.activation(name, Activation::Silu),
            Known::Elu(l) => self.activation(name, Activation::Elu { alpha: l.alpha }),
            Known::Constant(l) => {
                let x = std::mem::take(&mut self.x);
                let rest: Vec<i64> = l.shape.iter().map(|dim| *dim as i64).collect();
                let shape = self.batch_of(name, &x, &rest);
                self.x = self.node(name, "Expand", &[&format!("{name}_constant"), &shape], &[]);
                self.channels = Last;
            }
            Known::ModulatedConv2d(l) => {
                self.turn(First, input);
                let vector = self.kept(l.from.name())?.value;
                let inputs = [vector, format!("{name}_style.weight"), format!("{name}_style.bias")];
                let style =
                    self.node(name, "Gemm", &inputs.each_ref().map(String::as_str), &[integer("transB", 1)]);
                // One number for each channel of each image, the same at every pixel.
                let pixels = |channels: usize| [0, channels as i64, 1, 1];
                let shape = self.list("shape", &pixels(channels));
                let factor = self.node(name, "Reshape", &[&style, &shape], &[]);
                self.through(name, "Mul", &[&factor], &[]);
                let attributes = window_attributes(conv_windows(&l.conv2d(), input)?);
                self.through(name, "Conv", &[&weight], &attributes);
                if l.demodulate {
                    let square = self.node(name, "Mul", &[&weight, &weight], &[]);
                    let axes = self.list("axes", &[2, 3]);
                    let energy = self.node(name, "ReduceSum", &[&square, &axes], &[integer("keepdims", 0)]);
                    let energy = self.node(name, "Transpose", &[&energy], &[integers("perm", [1, 0])]);
                    let square = self.node(name, "Mul", &[&style, &style], &[]);
                    let energy = self.node(name, "MatMul", &[&square, &energy], &[]);
                    let eps = self.number("eps", 1e-8);
                    let energy = self.node(name, "Add", &[&energy, &eps], &[]);
                    let norm = self.node(name, "Sqrt", &[&energy], &[]);
                    let shape = self.list("shape", &pixels(l.filters));
                    let norm = self.node(name, "Reshape", &[&norm, &shape], &[]);
                    self.through(name, "Div", &[&norm], &[]);
                }
                if l.use_bias {
                    let shape = self.list("shape", &[l.filters as i64, 1, 1]);
                    let bias = self.node(name, "Reshape", &[&bias, &shape], &[]);
                    self.through(name, "Add", &[&bias], &[]);
                }
            }
            Known::DownsampleFir(l) => {
                let [before, after] = l.filter.beyond(Way::Down);
                self.filter(name, "Conv", input, &l.filter, 1.0, [before, after]);
            }
            Known::UpsampleFir(l) => {
                let [before, after] = l.filter.beyond(Way::Up);
                self.filter(name, "ConvTranspose", input, &l.filter, 2.0, [before, after]);
            }
            Known::SelfAttention => {
                self.turn(Last, input);
                let start = self.x.clone();
                let pixels = input.len() / channels;
                self.reshape(name, &[pixels, channels]);
                let rows = self.x.clone();
                // PyTorch's weights are [out, in].
                let linear = |graph: &mut Graph, x: &str, what: &str| {
                    let weight = format!("{name}_{what}.weight");
                    let weight = graph.node(name, "Transpose", &[&weight], &[integers("perm", [1, 0])]);
                    graph.node(name, "MatMul", &[x, &weight], &[])
                };
                let [query, key, value] = ["query", "key", "value"].map(|what| linear(self, &rows, what));
                let key = self.node(name, "Transpose", &[&key], &[integers("perm", [0, 2, 1])]);
                let scores = self.node(name, "MatMul", &[&query, &key], &[]);
                let seen = self.node(name, "Softmax", &[&scores], &[integer("axis", -1)]);
                let seen = self.node(name, "MatMul", &[&seen, &value], &[]);
                self.x = linear(self, &seen, "output");
                self.reshape(name, input.dims());
                self.through(name, "Mul", &[&format!("{name}_gamma")], &[]);
                self.through(name, "Add", &[&start], &[]);
            }
            Known::Keep(l) => {
                let kept = Kept { value: self.x.clone(), channels: self.channels, shape: input };
                self.kept.insert(l.name.clone(), kept);
            }
            Known::Add(l) => {
                let kept = self.kept(l.from.name())?;
                self.turn(kept.channels, input);
                self.through(name, "Add", &[&kept.value], &[]);
            }
            Known::Concat(l) => {
                let kept = self.kept(l.from.name())?;
                self.turn(kept.channels, input);
                let axis = self.channel_axis(input);
                self.through(name, "Concat", &[&kept.value], &[integer("axis", axis)]);
            }
            Known::SkipExcite(l) => {
                self.turn(First, input);
                let Kept { value, channels, shape } = self.kept(l.from.name())?;
                let features = std::mem::replace(&mut self.x, value);
                self.channels = channels;
                self.turn(First, shape);
                let &[h, w, _] = shape.dims() else {
                    return Err(Error::invalid(format!("expected a map, got {shape}")));
                };
                // Means of windows of rows, then of columns.
                let rows = self.fresh("rows");
                let means = windows(h).map(|window| mean_of(window, h)).concat();
                self.floats(&rows, &[4, h], &means);
                let map = std::mem::take(&mut self.x);
                self.x = self.node(name, "MatMul", &[&rows, &map], &[]);
                let columns = self.fresh("columns");
                let means = windows(w).map(|window| mean_of(window, w));
                let means: Vec<f32> = (0..w).flat_map(|x| means.each_ref().map(|mean| mean[x])).collect();
                self.floats(&columns, &[w, 4], &means);
                self.through(name, "MatMul", &[&columns], &[]);
                self.through(name, "Conv", &[&format!("{name}_squeeze.weight")], &[]);
                self.activation(name, Activation::LeakyRelu { negative_slope: l.negative_slope });
                self.through(name, "Conv", &[&format!("{name}_excite.weight")], &[]);
                self.activation(name, Activation::Sigmoid);
                self.through(name, "Mul", &[&features], &[]);
            }
            Known::Residual(layers, shortcut) => {
                let (start, before) = (self.x.clone(), self.channels);
                self.steps(layers)?;
                let (end, after) = (std::mem::replace(&mut self.x, start), self.channels);
                self.channels = before;
                self.steps(shortcut)?;
                self.turn(after, output);
                self.through(name, "Add", &[&end], &[]);
            }
        }
        Ok(())
    }

    /// The shape of as many samples of the given shape as there are in x.
    fn batch_of(&mut self, name: &str, x: &str, sample: &[i64]) -> String {
        let batch = self.node(name, "Shape", &[x], &[integer("start", 0), integer("end", 1)]);
        let sample = self.list("shape", sample);
        self.node(name, "Concat", &[&batch, &sample], &[integer("axis", 0)])
    }

    /// A convolution of every channel by itself with a fixed filter, and a stride of 2.
    fn filter(
        &mut self,
        name: &str,
        operator: &str,
        input: Shape,
        taps: &Taps,
        sum: f64,
        [before, after]: [usize; 2],
    ) {
        self.turn(Channels::First, input);
        let (n, channels) = (taps.len(), input.last());
        let kernel = self.fresh("filter");
        self.floats(&kernel, &[channels, 1, n, n], &square(taps, sum).repeat(channels));
        let attributes = [
            integer("group", channels as i64),
            integers("strides", [2, 2]),
            integers("pads", [before, before, after, after]),
        ];
        self.through(name, operator, &[&kernel], &attributes);
    }

    /// The output that a layer before keeps under that name.
    fn kept(&self, name: &str) -> Result<Kept> {
        self.kept.get(name).cloned().ok_or_else(|| Error::invalid(format!("no output '{name}'")))
    }

    /// Each group of channels of each sample normalised, then a scale and a shift for each channel.
    fn group_norm(&mut self, name: &str, input: Shape, groups: usize, eps: f64) {
        self.turn(Channels::First, input);
        // A group is a channel of an image of one row: instance normalisation is all it takes.
        self.reshape(name, &[groups, input.len() / groups]);
        let [one, zero] = [("one", 1.0), ("zero", 0.0)].map(|(what, value)| {
            let constant = self.fresh(what);
            self.floats(&constant, &[groups], &vec![value; groups]);
            constant
        });
        self.through(name, "InstanceNormalization", &[&one, &zero], &[float("epsilon", eps)]);
        let mut dims = input.dims().to_vec();
        dims.rotate_right(1);
        self.reshape(name, &dims);
        // [C] against [N, C, ..]: an axis of one for each that follows.
        let channel: Vec<i64> = [-1].into_iter().chain(vec![1; input.rank() - 1]).collect();
        let channel = self.list("shape", &channel);
        for (operator, tensor) in [("Mul", "weight"), ("Add", "bias")] {
            let tensor = self.node(name, "Reshape", &[&format!("{name}.{tensor}"), &channel], &[]);
            self.through(name, operator, &[&tensor], &[]);
        }
    }

    /// The axis of the channels in a batch of samples of this shape.
    fn channel_axis(&self, sample: Shape) -> i64 {
        match self.channels {
            Channels::First => 1,
            Channels::Last => sample.rank() as i64,
        }
    }
}

/// What each pixel of a side of `len` adds to the mean of a window.
fn mean_of(window: Range<usize>, len: usize) -> Vec<f32> {
    let share = 1.0 / window.len() as f32;
    (0..len).map(|pixel| if window.contains(&pixel) { share } else { 0.0 }).collect()
}

/// The attributes of a convolution or a pooling.
fn window_attributes([h, w]: [Window; 2]) -> [Message; 3] {
    [
        integers("kernel_shape", [h.kernel, w.kernel]),
        integers("strides", [h.stride, w.stride]),
        integers("pads", [h.before, w.before, h.after, w.after]),
    ]
}

/// The attributes of a transposed convolution.
fn transposed_attributes([h, w]: [Transposed; 2]) -> [Message; 4] {
    [
        integers("kernel_shape", [h.kernel, w.kernel]),
        integers("strides", [h.stride, w.stride]),
        integers("pads", [h.before, w.before, h.after, w.after]),
        integers("output_padding", [h.extra, w.extra]),
    ]
}
