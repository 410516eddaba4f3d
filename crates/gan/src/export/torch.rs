//! PyTorch: weights as safetensors under PyTorch's names and in its layouts, and the class that takes them.
//!
//! A layer's tensors are named after its kind and place: `conv2d_3.weight` [out, in, kh, kw],
//! `conv_transpose2d_7.weight` [in, out, kh, kw], `dense_0.weight` [out, in], `batch_norm_2.running_var`,
//! `residual_4_shortcut_conv2d_0.weight`. A weight under spectral normalisation is the normalised one; the vector of
//! its power iteration goes along as `conv2d_3.weight_u`, so that training can go on after an [`import`].

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use gannet_tensor::{Backend, Element, Shape};
use safetensors::tensor::{Dtype, TensorView};

use super::network::{
    Known, Network, Step, Transposed, Weight, Window, conv_windows, pool_windows, square, transposed_windows,
};
use super::weights::prefix;
use super::{Channels, Kept, Part, Weights};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::layers::{SelfAttention, Taps, Way};
use crate::tensor_file;

/// The first line of a class that [`export`] wrote.
pub const HEADING: &str = "# Written by Gannet.";

/// A part of a GAN for PyTorch.
#[derive(Clone, Debug)]
pub struct Export {
    /// A safetensors file with all that the class keeps.
    pub weights: Vec<u8>,
    /// A Python module with the class and a function `load` that fills it from the file.
    pub class: String,
}

/// A part of a GAN for PyTorch; the generator's weights are those of its average where there is one. `file` is the name
/// of the weights' file, for the text of the class. Errors, naming the layer, when one has no counterpart.
pub fn export<B: Backend>(gan: &Gan<B>, part: Part, file: &str) -> Result<Export> {
    let network = Network::of(gan, part)?;
    let weights = Weights::of(gan, part)?;
    let mut tensors = Vec::new();
    for weight in &network.weights {
        let bytes: Vec<u8> = weight.values(&weights)?.iter().flat_map(|x| x.to_le_bytes()).collect();
        tensors.push((weight, bytes));
    }
    let mut views = Vec::new();
    for (weight, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, weight.shape.clone(), bytes)
            .map_err(|e| Error::invalid(format!("{}: {e}", weight.name)))?;
        views.push((weight.name.as_str(), view));
    }
    // What PyTorch's libraries ask of a file.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let weights = safetensors::serialize(views, Some(metadata)).map_err(|e| Error::invalid(e.to_string()))?;
    Ok(Export { weights, class: class(&network, part, &gan.config().name, file)? })
}

/// The tensors of a safetensors file that PyTorch wrote, as single precision.
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl StateDict {
    /// Reads a file from memory. Half precision is widened; the counters of BatchNorm, which nothing here needs, are left
    /// out. Errors with a sentence for people; never panics, whatever the bytes.
    pub fn parse(bytes: &[u8]) -> Result<StateDict, String> {
        let file = tensor_file::deserialize(bytes)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            if name.ends_with("num_batches_tracked") {
                continue;
            }
            let values = values(&view).ok_or_else(|| {
                format!(
                    "the tensor '{name}' holds numbers of type {:?}; expected F32, F16 or BF16 \
                     (in PyTorch: model.float().state_dict())",
                    view.dtype()
                )
            })?;
            if let Some(x) = values.iter().find(|x| !x.is_finite()) {
                return Err(format!("the tensor '{name}' holds {x}"));
            }
            tensors.insert(name.to_owned(), (view.shape().to_vec(), values));
        }
        Ok(StateDict { tensors })
    }
}

/// The numbers of a tensor in single precision, if that holds them all.
fn values(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = view.data();
    // Chunks have exactly the length of a number: the format is checked before.
    match view.dtype() {
        Dtype::F32 => Some(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::BF16 => Some(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16))
                .collect(),
        ),
        Dtype::F16 => Some(bytes.as_chunks().0.iter().map(|b| from_half(u16::from_le_bytes(*b))).collect()),
        _ => None,
    }
}

/// A number of IEEE 754's binary16.
fn from_half(bits: u16) -> f32 {
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1F), u32::from(bits & 0x3FF));
    let magnitude = match exponent {
        // Subnormal: multiples of 2^-24.
        0 => fraction as f32 / 16_777_216.0,
        0x1F => f32::from_bits(0x7F80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// The part of `gan` whose tensors `state` has. Errors when it has those of neither or of both.
pub fn part_of<B: Backend>(gan: &Gan<B>, state: &StateDict) -> Result<Part> {
    let fits =
        |part: Part| -> Result<Result<(), String>> { Ok(check(&Network::of(gan, part)?.weights, state)) };
    match (fits(Part::Generator)?, fits(Part::Discriminator)?) {
        (Ok(()), Err(_)) => Ok(Part::Generator),
        (Err(_), Ok(())) => Ok(Part::Discriminator),
        (Ok(()), Ok(())) => Err(Error::invalid(
            "these tensors fit the generator and the discriminator alike: say which they are (--part)",
        )),
        (Err(generator), Err(discriminator)) => Err(Error::invalid(format!(
            "the tensors fit neither model: for the generator {generator}; for the discriminator {discriminator}"
        ))),
    }
}

/// Overwrites a part of a GAN by tensors under PyTorch's names and in its layouts: the weights and, where there is one,
/// their average; the optimiser's moments stay. Errors, naming tensors and changing nothing, when one is missing, too
/// many or of another shape.
///
/// Returns what deserves to be known, a sentence each: a weight under spectral normalisation whose norm is not 1 is
/// divided by it as ever, so that the model computes something else than PyTorch does.
pub fn import<B: Backend>(gan: &mut Gan<B>, part: Part, state: &StateDict) -> Result<Vec<String>> {
    let network = Network::of(gan, part)?;
    check(&network.weights, state).map_err(Error::invalid)?;
    let plain = format!("{part}/");
    let averaged = prefix(gan, part);
    for weight in &network.weights {
        let Some((_, values)) = state.tensors.get(&weight.name) else { continue };
        let values: Vec<B::Element> =
            weight.ours(values).into_iter().map(|x| B::Element::of(f64::from(x))).collect();
        gan.write_tensor(&format!("{plain}{}", weight.source), &values)?;
        if averaged != plain {
            gan.write_tensor(&format!("{averaged}{}", weight.source), &values)?;
        }
    }
    let weights = Weights::of(gan, part)?;
    let mut notes = Vec::new();
    for weight in &network.weights {
        if let Some(norm) = weight.norm(&weights)?
            && (norm - 1.0).abs() > 1e-3
        {
            notes.push(format!(
                "'{}' has the spectral norm {norm:.4} and will be divided by it: it was not normalised",
                weight.name
            ));
        }
    }
    Ok(notes)
}

/// Errors unless `state` has every tensor in its shape and no other.
fn check(weights: &[Weight], state: &StateDict) -> Result<(), String> {
    let quoted = |names: Vec<&str>| {
        let quoted: Vec<String> = names.iter().take(5).map(|name| format!("'{name}'")).collect();
        let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
        format!("{}{more}", quoted.join(", "))
    };
    let name = |weight: &'_ Weight| weight.name.clone();
    let expected: Vec<String> = weights.iter().map(name).collect();
    let missing: Vec<&str> =
        expected.iter().filter(|name| !state.tensors.contains_key(*name)).map(String::as_str).collect();
    let extra: Vec<&str> =
        state.tensors.keys().filter(|name| !expected.contains(*name)).map(String::as_str).collect();
    let mut wrong = Vec::new();
    if !missing.is_empty() {
        wrong.push(format!("missing {}", quoted(missing)));
    }
    if !extra.is_empty() {
        wrong.push(format!("unexpected {}", quoted(extra)));
    }
    for weight in weights {
        if let Some((shape, _)) = state.tensors.get(&weight.name)
            && *shape != weight.shape
        {
            wrong.push(format!("'{}' has the shape {shape:?}, expected {:?}", weight.name, weight.shape));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// The Python module.
fn class(network: &Network, part: Part, recipe: &str, file: &str) -> Result<String> {
    let mut code = Code {
        modules: String::new(),
        forward: String::new(),
        channels: Channels::outside(network.input),
        kept: BTreeMap::new(),
    };
    code.labels(network);
    code.steps(&network.steps)?;
    code.turn(Channels::outside(network.output), network.output);
    let vectors =
        network.weights.iter().filter_map(|w| Some((w.name.strip_suffix(".weight_u")?, w.shape[0])));
    for (number, (layer, len)) in vectors.enumerate() {
        if number == 0 {
            code.modules.push_str(
                "        # The vectors of spectral normalisation, which Gannet needs to train on.\n",
            );
        }
        let buffer = format!("self.{layer}.register_buffer(\"weight_u\", torch.zeros({len}))");
        let _ = writeln!(code.modules, "        {buffer}");
    }
    let class = match part {
        Part::Generator => "Generator",
        Part::Discriminator => "Discriminator",
    };
    let signature = &network.signature;
    let arguments = [Some(signature.input), signature.labels.map(|_| "labels")];
    let arguments = arguments.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let line = |text: Option<String>| text.map(|text| format!("\n    {text}")).unwrap_or_default();
    let (labels, clusters) = (line(signature.labels_text()), line(signature.clusters_text()));
    let (input, output) = (signature.input, signature.output);
    let range = |name: &str| if name == "images" { ", in -1 to 1 as in training" } else { "" };
    let Code { modules, forward, .. } = &code;
    // A name from a model file is anything; it stands within a docstring.
    let quotable = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { ' ' } else { c }).collect()
    };
    let (recipe, file) = (quotable(recipe), quotable(file));
    Ok(format!(
        r#"{HEADING}
"""The {part} of "{recipe}" for PyTorch.

    {}{}{labels}
    {}{}{clusters}

Weights differ from Gannet's by the order of their axes alone. Where an image becomes a vector or a vector an image,
the class turns it, for there the order of the numbers is Gannet's, [H, W, C].
Should you train on: BatchNorm moves running_var by the unbiased variance here, by the biased one in Gannet.
"""
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


class {class}(nn.Module):
    def __init__(self):
        super().__init__()
{modules}
    def forward(self, {arguments}):
        x = {input}
{forward}        return x


def load(path="{file}"):
    """The {part} with its weights, in eval mode."""
    model = {class}()
    model.load_state_dict(load_file(path))
    return model.eval()
"#,
        signature.input_text(),
        range(input),
        signature.output_text(),
        range(output),
    ))
}

/// The body of a class while it is written.
struct Code {
    modules: String,
    forward: String,
    channels: Channels,
    /// Outputs by the names that layers keep them under.
    kept: BTreeMap<String, Kept>,
}

impl Code {
    /// Makes the labels that layers are told from the classes and from the cluster that the last of the latents chooses.
    fn labels(&mut self, network: &Network) {
        if network.bounds.is_empty() {
            return;
        }
        // Digits that single precision gives back as they were.
        let bounds: Vec<String> =
            network.bounds.iter().map(|bound| format!("{:?}", f64::from(*bound))).collect();
        let _ = writeln!(
            self.modules,
            "        self.register_buffer(\"cluster_bounds\", torch.tensor([{}]), persistent=False)",
            bounds.join(", ")
        );
        let signature = &network.signature;
        let class =
            signature.labels.map(|_| format!("labels * {} + ", signature.clusters)).unwrap_or_default();
        self.line("last = x.flatten(1)[:, -1].contiguous()");
        self.line(&format!("labels = {class}torch.bucketize(last, self.cluster_bounds, right=True)"));
    }

    fn module(&mut self, name: &str, module: &str) {
        let _ = writeln!(self.modules, "        self.{name} = {module}");
    }

    /// A module that x goes through.
    fn through(&mut self, name: &str, module: &str) {
        self.module(name, module);
        self.line(&format!("x = self.{name}(x)"));
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.forward, "        {line}");
    }

    /// Brings a sample of this shape into an order of its axes.
    fn turn(&mut self, channels: Channels, sample: Shape) {
        if let Some(axes) = self.channels.permutation(channels, sample) {
            let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
            self.line(&format!("x = x.permute({})", axes.join(", ")));
        }
        self.channels = channels;
    }

    fn activation(&mut self, activation: Activation) {
        match activation {
            Activation::Linear => {}
            Activation::Relu => self.line("x = F.relu(x)"),
            Activation::LeakyRelu { negative_slope } => {
                self.line(&format!("x = F.leaky_relu(x, {negative_slope:?})"));
            }
            Activation::Tanh => self.line("x = torch.tanh(x)"),
            Activation::Sigmoid => self.line("x = torch.sigmoid(x)"),
            Activation::Softplus => self.line("x = F.softplus(x)"),
            Activation::Gelu => self.line("x = F.gelu(x)"),
            Activation::Silu => self.line("x = F.silu(x)"),
            Activation::Elu { alpha } => self.line(&format!("x = F.elu(x, {alpha:?})")),
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
        match layer {
            Known::Dense(l) => {
                let bias = bias(l.use_bias);
                self.through(name, &format!("nn.Linear({channels}, {}{bias})", l.units));
                self.activation(l.activation);
            }
            Known::Conv2d(l) => {
                self.turn(First, input);
                let windows = conv_windows(l, input)?;
                let padding = self.padding(windows, "");
                self.through(
                    name,
                    &format!(
                        "nn.Conv2d({channels}, {}, {}, stride={}, padding={padding}{})",
                        l.filters,
                        pair(l.kernel),
                        pair(l.stride),
                        bias(l.use_bias)
                    ),
                );
                self.activation(l.activation);
            }
            Known::ConvTranspose2d(l) => {
                self.turn(First, input);
                let windows = transposed_windows(l, input)?.map(Cut::of);
                let pair_of = |f: fn(&Cut) -> usize| pair([f(&windows[0]), f(&windows[1])]);
                self.through(
                    name,
                    &format!(
                        "nn.ConvTranspose2d({channels}, {}, {}, stride={}, padding={}, output_padding={}{})",
                        l.filters,
                        pair(l.kernel),
                        pair(l.stride),
                        pair_of(|cut| cut.padding),
                        pair_of(|cut| cut.output_padding),
                        bias(l.use_bias)
                    ),
                );
                if windows.iter().any(|cut| cut.slice.is_some()) {
                    let [h, w] = windows.map(|cut| match cut.slice {
                        Some((start, end)) => format!("{start}:{end}"),
                        None => ":".into(),
                    });
                    self.line(&format!("x = x[:, :, {h}, {w}]"));
                }
                self.activation(l.activation);
            }
            Known::BatchNorm(l) => {
                self.turn(First, input);
                let norm = batch_norm(input)?;
                self.through(
                    name,
                    &format!("nn.{norm}({channels}, eps={:?}, momentum={:?})", l.eps, complement(l.momentum)),
                );
            }
            Known::ConditionalBatchNorm(l) => {
                self.turn(First, input);
                let (norm, classes) = (batch_norm(input)?, l.classes);
                let (eps, momentum) = (l.batch_norm.eps, complement(l.batch_norm.momentum));
                self.module(
                    name,
                    &format!("nn.{norm}({channels}, eps={eps:?}, momentum={momentum:?}, affine=False)"),
                );
                let mut table = |what: &str| {
                    self.module(&format!("{name}_{what}"), &format!("nn.Embedding({classes}, {channels})"));
                    format!("self.{name}_{what}(labels){}", "[..., None]".repeat(input.rank() - 1))
                };
                let (gamma, beta) = (table("gamma"), table("beta"));
                self.line(&format!("x = self.{name}(x) * {gamma} + {beta}"));
            }
            Known::GroupNorm(l) => {
                self.turn(First, input);
                self.through(name, &format!("nn.GroupNorm({}, {channels}, eps={:?})", l.groups, l.eps));
            }
            Known::InstanceNorm(l) => {
                self.turn(First, input);
                // A group for each channel: PyTorch's InstanceNorm2d refuses images of one pixel.
                self.through(name, &format!("nn.GroupNorm({channels}, {channels}, eps={:?})", l.eps));
            }
            Known::LayerNorm(l) => {
                self.turn(Last, input);
                self.through(name, &format!("nn.LayerNorm({channels}, eps={:?})", l.eps));
            }
            Known::PixelNorm => {
                let axis = self.channel_axis();
                self.line(&format!("x = x * torch.rsqrt(x.square().mean({axis}, keepdim=True) + 1e-8)"));
            }
            Known::MinibatchStd => {
                let axis = self.channel_axis();
                self.line("std = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()");
                self.line(&format!("x = torch.cat([x, std.expand_as(x.narrow({axis}, 0, 1))], {axis})"));
            }
            Known::Label(l) => {
                self.line(&format!(
                    "x = torch.cat([x, {:?} * F.one_hot(labels, {}).to(x.dtype)], 1)",
                    l.scale, l.classes
                ));
            }
            Known::Embedding(l) => {
                self.turn(Last, input);
                self.module(name, &format!("nn.Embedding({}, {})", l.vocabulary, l.dim));
                self.line(&format!("x = self.{name}(x.long())"));
                self.channels = Last;
            }
            Known::Projection(l) => {
                self.module(name, &format!("nn.Linear({channels}, 1)"));
                self.module(
                    &format!("{name}_embeddings"),
                    &format!("nn.Embedding({}, {channels})", l.classes),
                );
                self.line(&format!(
                    "x = self.{name}(x) + (x * self.{name}_embeddings(labels)).sum(1, keepdim=True)"
                ));
            }
            Known::MaxPool2d(l) => {
                self.turn(First, input);
                let windows = pool_windows(input, l.size, l.stride, l.padding)?;
                let padding = self.padding(windows, ", value=-torch.inf");
                let (size, stride) = (pair(l.size), pair(l.stride.unwrap_or(l.size)));
                self.line(&format!("x = F.max_pool2d(x, {size}, {stride}, {padding})"));
            }
            Known::AvgPool2d(l) => {
                self.turn(First, input);
                let windows = pool_windows(input, l.size, l.stride, l.padding)?;
                let (size, stride) = (pair(l.size), pair(l.stride.unwrap_or(l.size)));
                if let Some(padding) = symmetric(windows) {
                    self.line(&format!(
                        "x = F.avg_pool2d(x, {size}, {stride}, {padding}, count_include_pad=False)"
                    ));
                } else {
                    // Padding takes no part: what it adds to the size of a window is divided out again.
                    let sides = sides(windows);
                    self.line(&format!(
                        "inside = F.avg_pool2d(F.pad(torch.ones_like(x), {sides}), {size}, {stride})"
                    ));
                    self.line(&format!("x = F.avg_pool2d(F.pad(x, {sides}), {size}, {stride}) / inside"));
                }
            }
            Known::GlobalAvgPool2d => {
                self.turn(First, input);
                self.line("x = x.mean((2, 3))");
            }
            Known::UpsampleNearest(l) => {
                self.turn(First, input);
                let [down, across] = l.factor;
                self.line(&format!("x = x.repeat_interleave({down}, 2).repeat_interleave({across}, 3)"));
            }
            Known::Glu => {
                let axis = self.channel_axis();
                self.line(&format!("x = F.glu(x, {axis})"));
            }
            Known::Flatten => {
                self.turn(Last, input);
                self.line(&format!("x = x.reshape(-1, {})", output.len()));
            }
            Known::Reshape => {
                self.turn(Last, input);
                let dims: String = output.dims().iter().map(|dim| format!(", {dim}")).collect();
                self.line(&format!("x = x.reshape(-1{dims})"));
            }
            Known::Dropout(l) => self.through(name, &format!("nn.Dropout({:?})", l.rate)),
            Known::LeakyRelu(l) => {
                self.activation(Activation::LeakyRelu { negative_slope: l.negative_slope });
            }
            Known::Relu => self.activation(Activation::Relu),
            Known::Sigmoid => self.activation(Activation::Sigmoid),
            Known::Tanh => self.activation(Activation::Tanh),
            Known::Softplus => self.activation(Activation::Softplus),
            Known::Gelu => self.activation(Activation::Gelu),
            Known::Silu => self.activation(Activation::Silu),
            Known::Elu(l) => self.activation(Activation::Elu { alpha: l.alpha }),
            Known::Constant(l) => {
                let dims: Vec<String> = l.shape.iter().map(usize::to_string).collect();
                let dims = dims.join(", ");
                self.module(&format!("{name}_constant"), &format!("nn.Parameter(torch.zeros({dims}))"));
                self.line(&format!("x = self.{name}_constant.expand(x.shape[0], {dims})"));
                self.channels = Last;
            }
            Known::ModulatedConv2d(l) => {
                self.turn(First, input);
                let (conv, kept) = (l.conv2d(), self.kept(l.from.name())?);
                let windows = conv_windows(&conv, input)?;
                let padding = self.padding(windows, "");
                let (kernel, bias) = (pair(l.kernel), bias(l.use_bias));
                self.module(name, &format!("nn.Conv2d({channels}, {}, {kernel}{bias})", l.filters));
                let style = format!("nn.Linear({}, {channels})", kept.shape.len());
                self.module(&format!("{name}_style"), &style);
                self.line(&format!("style = self.{name}_style({})", kept.value));
                self.line(&format!(
                    "x = F.conv2d(x * style[:, :, None, None], self.{name}.weight, padding={padding})"
                ));
                if l.demodulate {
                    self.line(&format!(
                        "energy = style.square() @ self.{name}.weight.square().sum((2, 3)).t()"
                    ));
                    self.line("x = x * torch.rsqrt(energy + 1e-8)[:, :, None, None]");
                }
                if l.use_bias {
                    self.line(&format!("x = x + self.{name}.bias[:, None, None]"));
                }
            }
            Known::Noise => {
                self.module(&format!("{name}_strength"), "nn.Parameter(torch.zeros(1))");
                let pixels = if self.channels == First { "x[:, :1]" } else { "x[..., :1]" };
                self.line("if self.training:");
                self.line(&format!("    x = x + self.{name}_strength * torch.randn_like({pixels})"));
            }
            Known::DownsampleFir(l) => {
                self.turn(First, input);
                self.filter(name, &l.filter, 1.0);
                let [before, after] = l.filter.beyond(Way::Down);
                self.line(&format!(
                    "x = F.conv2d(F.pad(x, ({before}, {after}, {before}, {after})), {}, stride=2, groups={channels})",
                    filter_of(name, channels)
                ));
            }
            Known::UpsampleFir(l) => {
                self.turn(First, input);
                self.filter(name, &l.filter, 2.0);
                let [before, _] = l.filter.beyond(Way::Up);
                let end = |side: usize| before + 2 * side;
                self.line(&format!(
                    "x = F.conv_transpose2d(x, {}, stride=2, groups={channels})[:, :, {before}:{}, {before}:{}]",
                    filter_of(name, channels),
                    end(input.dims()[0]),
                    end(input.dims()[1])
                ));
            }
            Known::SelfAttention => {
                self.turn(Last, input);
                for (own, [from, to]) in SelfAttention::kernels(channels) {
                    let what = own.trim_end_matches("/kernel");
                    self.module(&format!("{name}_{what}"), &format!("nn.Linear({from}, {to}, bias=False)"));
                }
                self.module(&format!("{name}_gamma"), "nn.Parameter(torch.zeros(1))");
                self.line("rows = x.flatten(1, 2)");
                self.line(&format!(
                    "seen = torch.softmax(self.{name}_query(rows) @ self.{name}_key(rows).transpose(1, 2), -1)"
                ));
                self.line(&format!("seen = self.{name}_output(seen @ self.{name}_value(rows))"));
                self.line(&format!("x = x + self.{name}_gamma * seen.reshape(x.shape)"));
            }
            Known::Keep(l) => {
                self.line(&format!("{name} = x"));
                let kept = Kept { value: name.clone(), channels: self.channels, shape: input };
                self.kept.insert(l.name.clone(), kept);
            }
            Known::Add(l) => {
                let kept = self.kept(l.from.name())?;
                self.turn(kept.channels, input);
                self.line(&format!("x = x + {}", kept.value));
            }
            Known::Concat(l) => {
                let kept = self.kept(l.from.name())?;
                self.turn(kept.channels, input);
                let axis = self.channel_axis();
                self.line(&format!("x = torch.cat([x, {}], {axis})", kept.value));
            }
            Known::SkipExcite(l) => {
                self.turn(First, input);
                let Kept { value, channels: order, shape } = self.kept(l.from.name())?;
                for (what, from, side) in [("squeeze", shape.last(), 4), ("excite", channels, 1)] {
                    let module = format!("nn.Conv2d({from}, {channels}, {}, bias=False)", pair([side, side]));
                    self.module(&format!("{name}_{what}"), &module);
                }
                let turned = if order == First { "" } else { ".permute(0, 3, 1, 2)" };
                self.line(&format!("gate = self.{name}_squeeze(F.adaptive_avg_pool2d({value}{turned}, 4))"));
                self.line(&format!("gate = self.{name}_excite(F.leaky_relu(gate, {:?}))", l.negative_slope));
                self.line("x = x * torch.sigmoid(gate)");
            }
            Known::Residual(layers, shortcut) => {
                let before = self.channels;
                self.line(&format!("{name} = x"));
                self.steps(layers)?;
                if shortcut.is_empty() {
                    self.turn(before, output);
                } else {
                    let after = self.channels;
                    self.line(&format!("{name}, x = x, {name}"));
                    self.channels = before;
                    self.steps(shortcut)?;
                    self.turn(after, output);
                }
                self.line(&format!("x = x + {name}"));
            }
        }
        Ok(())
    }

    /// A fixed filter, the same for all channels.
    fn filter(&mut self, name: &str, taps: &Taps, sum: f64) {
        let numbers: Vec<String> =
            square(taps, sum).iter().map(|tap| format!("{:?}", f64::from(*tap))).collect();
        let (numbers, n) = (numbers.join(", "), taps.len());
        let _ = writeln!(
            self.modules,
            "        self.register_buffer(\"{name}_filter\", torch.tensor([{numbers}]).reshape(1, 1, {n}, {n}), persistent=False)"
        );
    }

    /// The output that a layer before keeps under that name.
    fn kept(&self, name: &str) -> Result<Kept> {
        self.kept.get(name).cloned().ok_or_else(|| Error::invalid(format!("no output '{name}'")))
    }

    /// The axis of the channels: 1 or -1.
    fn channel_axis(&self) -> i32 {
        match self.channels {
            Channels::First => 1,
            Channels::Last => -1,
        }
    }

    /// The padding that a module can add by itself, or none after adding it in front.
    fn padding(&mut self, windows: [Window; 2], value: &str) -> String {
        symmetric(windows).unwrap_or_else(|| {
            self.line(&format!("x = F.pad(x, {}{value})", sides(windows)));
            pair([0, 0])
        })
    }
}

/// How a transposed convolution is told to PyTorch, which cuts as much from the end as from the start.
#[derive(Clone, Copy)]
struct Cut {
    padding: usize,
    output_padding: usize,
    /// The pixels of the output to keep, if not all.
    slice: Option<(usize, usize)>,
}

impl Cut {
    fn of(window: Transposed) -> Cut {
        let Transposed { stride, before, after, extra, output, .. } = window;
        match (before + extra).checked_sub(after) {
            Some(output_padding) if output_padding < stride => {
                Cut { padding: before, output_padding, slice: None }
            }
            _ => Cut { padding: 0, output_padding: extra, slice: Some((before, before + output)) },
        }
    }
}

/// The filter of a layer as a kernel for these channels, each by itself.
fn filter_of(name: &str, channels: usize) -> String {
    format!("self.{name}_filter.expand({channels}, -1, -1, -1)")
}

/// `(a, b)`.
fn pair([a, b]: [usize; 2]) -> String {
    format!("({a}, {b})")
}

fn bias(use_bias: bool) -> &'static str {
    if use_bias { "" } else { ", bias=False" }
}

/// The padding before height and width, if as much after gives the same windows, and PyTorch allows it: at most half a
/// window (of poolings; convolutions are given the same).
fn symmetric(windows: [Window; 2]) -> Option<String> {
    let fits = |window: Window| window.is_symmetric() && 2 * window.before <= window.kernel;
    windows.into_iter().all(fits).then(|| pair(windows.map(|window| window.before)))
}

/// The padding of all sides in the order of `F.pad`: the last axis first.
fn sides([h, w]: [Window; 2]) -> String {
    format!("({}, {}, {}, {})", w.before, w.after, h.before, h.after)
}

/// The class for samples of this shape.
fn batch_norm(input: Shape) -> Result<&'static str> {
    match input.rank() {
        1 | 2 => Ok("BatchNorm1d"),
        3 => Ok("BatchNorm2d"),
        4 => Ok("BatchNorm3d"),
        _ => Err(Error::invalid(format!("PyTorch has no batch normalisation for samples of shape {input}"))),
    }
}

/// 1 - x, without the noise of the subtraction: the momentum of PyTorch is the share of the new.
fn complement(x: f64) -> f64 {
    ((1.0 - x) * 1e12).round() / 1e12
}
