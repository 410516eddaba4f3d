//! A model as other frameworks can be told it: known layers with their shapes, and weights in their layouts.

use std::any::Any;

use gannet_tensor::{Backend, Conv2dGeometry, Padding, Pool2dGeometry, Shape};

use super::{Part, Signature, Weights};
use crate::clusters::Bounds;
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::layer::Layer;
use crate::layers::{self, Entry, Taps, batched};
use crate::model::Model;

/// How close the norm of a weight must be to 1 for the weight to count as normalised already, so that what was
/// exported and imported is exported as the same bytes again. Rounding to single precision moves a norm by less.
const NORMALISED: f64 = 1e-6;

/// A layer that can be written down elsewhere.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Add(layers::Add),
    AvgPool2d(layers::AvgPool2d),
    BatchNorm(layers::BatchNorm),
    Concat(layers::Concat),
    ConditionalBatchNorm(layers::ConditionalBatchNorm),
    Constant(layers::Constant),
    Conv2d(layers::Conv2d),
    ConvTranspose2d(layers::ConvTranspose2d),
    Dense(layers::Dense),
    DownsampleFir(layers::DownsampleFir),
    Dropout(layers::Dropout),
    Elu(layers::Elu),
    Embedding(layers::Embedding),
    Flatten,
    Gelu,
    GlobalAvgPool2d,
    Glu,
    GroupNorm(layers::GroupNorm),
    InstanceNorm(layers::InstanceNorm),
    Keep(layers::Keep),
    Label(layers::Label),
    LayerNorm(layers::LayerNorm),
    LeakyRelu(layers::LeakyRelu),
    MaxPool2d(layers::MaxPool2d),
    MinibatchStd,
    ModulatedConv2d(layers::ModulatedConv2d),
    Noise,
    PixelNorm,
    Projection(layers::Projection),
    Relu,
    Reshape,
    /// The layers of the block and those of its shortcut.
    Residual(Vec<Step>, Vec<Step>),
    SelfAttention,
    Sigmoid,
    Silu,
    SkipExcite(layers::SkipExcite),
    Softplus,
    Tanh,
    UpsampleFir(layers::UpsampleFir),
    UpsampleNearest(layers::UpsampleNearest),
}

/// A layer in its place.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// A name that is an identifier in any language: `conv2d_3`, `residual_4_shortcut_conv2d_0`.
    pub(super) name: String,
    pub(super) layer: Known,
    pub(super) input: Shape,
    pub(super) output: Shape,
}

/// A tensor under its PyTorch name, and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    /// `conv2d_3.weight`.
    pub(super) name: String,
    /// The shape that PyTorch has it in.
    pub(super) shape: Vec<usize>,
    /// Its name in a model's file, without that of the model: `3.conv2d/kernel`.
    pub(super) source: String,
    /// The axes of the source in PyTorch's order.
    axes: Vec<usize>,
    /// The vector of the power iteration whose norm divides it.
    spectral: Option<String>,
    /// What multiplies it: what is written elsewhere is the product.
    factor: f64,
}

/// A model's layers and weights.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) steps: Vec<Step>,
    pub(super) weights: Vec<Weight>,
    pub(super) input: Shape,
    pub(super) output: Shape,
    pub(super) signature: Signature,
    /// Where the last of a generator's latents passes from one cluster to the next; the labels that layers are told are then
    /// class times clusters plus cluster.
    pub(super) bounds: Vec<f32>,
}

impl Network {
    /// The layers of a part of a GAN. Errors, naming the layer, when one is not this crate's.
    pub(super) fn of<B: Backend>(gan: &Gan<B>, part: Part) -> Result<Network> {
        let model = part.model(gan);
        let signature = Signature::of(gan, part);
        let mut lowering = Lowering { model, weights: Vec::new() };
        let mut steps = Vec::new();
        let mut shape = model.input();
        for (index, layer) in model.placed().enumerate() {
            let path = format!("{index}.{}", layer.kind());
            let place = Place { path, ..Place::default() };
            let step = lowering.step(layer, &index.to_string(), shape, &place).map_err(|e| Error::Layer {
                model: model.name().into(),
                index,
                kind: layer.kind().into(),
                message: e.to_string(),
            })?;
            shape = step.output;
            steps.push(step);
        }
        Ok(Network {
            steps,
            weights: lowering.weights,
            input: model.input(),
            output: model.output(),
            bounds: match part {
                Part::Generator => Bounds::new(signature.clusters).single(),
                Part::Discriminator => Vec::new(),
            },
            signature,
        })
    }
}

/// Where a layer stands.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The path of the outermost layer whose parameters these are, `3.residual`.
    path: String,
    /// What stands before a parameter's name there: `0.conv2d/` within a block.
    parameters: String,
    /// What stands before the step's name: `residual_3_`.
    prefix: String,
    /// Whether weights with two axes or more are divided by their spectral norm.
    spectral: bool,
    /// What multiplies its kernels.
    equalised: Option<layers::Equalised>,
}

struct Lowering<'a> {
    model: &'a Model,
    weights: Vec<Weight>,
}

impl Lowering<'_> {
    /// A layer, `number` of its branch, and its weights.
    fn step(&mut self, layer: &dyn Layer, number: &str, input: Shape, place: &Place) -> Result<Step> {
        let output = layer.output_shape(input)?;
        if !layers::is_built_in(layer) {
            return Err(Error::invalid(format!(
                "the layer '{}' cannot be written down for other frameworks",
                layer.kind()
            )));
        }
        if layer.kind() == "spectral_norm" {
            if place.spectral {
                return Err(Error::invalid(
                    "one spectral normalisation within another cannot be written down for other frameworks",
                ));
            }
            let inner: layers::SpectralNorm = known(layer)?;
            return self.step(
                inner.layer.0.as_ref(),
                number,
                input,
                &Place { spectral: true, ..place.clone() },
            );
        }
        if layer.kind() == "equalised" {
            let equalised: layers::Equalised = known(layer)?;
            let inner = equalised.layer.clone();
            let place = Place { equalised: Some(equalised), ..place.clone() };
            return self.step(inner.0.as_ref(), number, input, &place);
        }
        let name = format!("{}{}_{number}", place.prefix, layer.kind());
        let layer = match layer.kind() {
            "add" => Known::Add(known(layer)?),
            "avg_pool2d" => Known::AvgPool2d(known(layer)?),
            "batch_norm" => Known::BatchNorm(known(layer)?),
            "concat" => Known::Concat(known(layer)?),
            "conditional_batch_norm" => Known::ConditionalBatchNorm(known(layer)?),
            "constant" => Known::Constant(known(layer)?),
            "conv2d" => Known::Conv2d(known(layer)?),
            "conv_transpose2d" => Known::ConvTranspose2d(known(layer)?),
            "dense" => Known::Dense(known(layer)?),
            "downsample_fir" => Known::DownsampleFir(known(layer)?),
            "dropout" => Known::Dropout(known(layer)?),
            "elu" => Known::Elu(known(layer)?),
            "embedding" => Known::Embedding(known(layer)?),
            "flatten" => Known::Flatten,
            "gelu" => Known::Gelu,
            "global_avg_pool2d" => Known::GlobalAvgPool2d,
            "glu" => Known::Glu,
            "group_norm" => Known::GroupNorm(known(layer)?),
            "instance_norm" => Known::InstanceNorm(known(layer)?),
            "keep" => Known::Keep(known(layer)?),
            "label" => Known::Label(known(layer)?),
            "layer_norm" => Known::LayerNorm(known(layer)?),
            "leaky_relu" => Known::LeakyRelu(known(layer)?),
            "max_pool2d" => Known::MaxPool2d(known(layer)?),
            "minibatch_std" => Known::MinibatchStd,
            "modulated_conv2d" => Known::ModulatedConv2d(known(layer)?),
            "noise" => Known::Noise,
            "pixel_norm" => Known::PixelNorm,
            "projection" => Known::Projection(known(layer)?),
            "relu" => Known::Relu,
            "reshape" => Known::Reshape,
            "residual" => {
                let branches: layers::Residual = known(layer)?;
                Known::Residual(
                    self.branch(&branches.layers, "", &name, input, place)?,
                    self.branch(&branches.shortcut, "shortcut", &name, input, place)?,
                )
            }
            "self_attention" => Known::SelfAttention,
            "sigmoid" => Known::Sigmoid,
            "silu" => Known::Silu,
            "skip_excite" => Known::SkipExcite(known(layer)?),
            "softplus" => Known::Softplus,
            "tanh" => Known::Tanh,
            "upsample_fir" => Known::UpsampleFir(known(layer)?),
            "upsample_nearest" => Known::UpsampleNearest(known(layer)?),
            kind => {
                return Err(Error::invalid(format!(
                    "the layer '{kind}' cannot be written down for other frameworks"
                )));
            }
        };
        for (tensor, own, shape) in tensors(&layer, input)? {
            self.add(format!("{name}{tensor}"), own, shape, place)?;
        }
        Ok(Step { name, layer, input, output })
    }

    /// The layers of one branch of a residual block.
    fn branch(
        &mut self,
        entries: &[Entry],
        branch: &str,
        block: &str,
        input: Shape,
        place: &Place,
    ) -> Result<Vec<Step>> {
        let (ours, theirs) = match branch {
            "" => (String::new(), format!("{block}_")),
            branch => (format!("{branch}."), format!("{block}_{branch}_")),
        };
        let mut shape = input;
        let mut steps = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let inner = Place {
                parameters: format!("{}{ours}{index}.{}/", place.parameters, entry.0.kind()),
                prefix: theirs.clone(),
                ..place.clone()
            };
            let step = self.step(entry.0.as_ref(), &index.to_string(), shape, &inner)?;
            shape = step.output;
            steps.push(step);
        }
        Ok(steps)
    }

    /// Adds a layer's tensor `own` [shape], a row of a state if no parameter has that name.
    fn add(&mut self, name: String, own: &str, shape: Vec<usize>, place: &Place) -> Result<()> {
        let path = &place.path;
        let parameter = format!("{}{own}", place.parameters);
        let whole = format!("{path}/{parameter}");
        let axes = axes(own, shape.len());
        let turned: Vec<usize> = axes.iter().map(|axis| shape[*axis]).collect();
        if !self.model.parameters().iter().any(|slot| slot.name == whole) {
            // A state: the file's name of the row has the layer's own path in front.
            self.weights.push(Weight {
                name,
                shape: turned,
                source: whole,
                axes,
                spectral: None,
                factor: 1.0,
            });
            return Ok(());
        }
        let mut spectral = None;
        if place.spectral && shape.len() >= 2 {
            let state = format!("{whole}_spectral");
            let slot = self.model.states().iter().find(|slot| slot.name == state);
            let slot = slot.ok_or_else(|| Error::invalid(format!("there is no state '{state}'")))?;
            let source = format!("{}/{}", slot.layer, slot.rows[0].0);
            spectral = Some(source.clone());
            let (name, shape, axes) = (format!("{name}_u"), vec![slot.len], vec![0]);
            self.weights.push(Weight { name, shape, source, axes, spectral: None, factor: 1.0 });
        }
        let factor = match &place.equalised {
            Some(equalised) => equalised.factor(own, Shape::new(&shape)?).unwrap_or(1.0),
            None => 1.0,
        };
        self.weights.push(Weight { name, shape: turned, source: whole, axes, spectral, factor });
        Ok(())
    }
}

/// A layer of this crate as what its kind says.
fn known<T: Layer + Clone>(layer: &dyn Layer) -> Result<T> {
    (layer as &dyn Any).downcast_ref::<T>().cloned().ok_or_else(|| {
        Error::invalid(format!("the layer '{}' is of another type than that kind", layer.kind()))
    })
}

/// What follows the step's name in PyTorch, the name here, and the shape here of each tensor of a layer.
fn tensors(layer: &Known, input: Shape) -> Result<Vec<(&'static str, &'static str, Vec<usize>)>> {
    // Of samples without axes there are none with weights but embeddings.
    let channels = input.dims().last().copied().unwrap_or(1);
    let kernel = |shape: Vec<usize>, outputs: usize, use_bias: bool| {
        let mut tensors = vec![(".weight", "kernel", shape)];
        if use_bias {
            tensors.push((".bias", "bias", vec![outputs]));
        }
        tensors
    };
    let scale = || vec![(".weight", "gamma", vec![channels]), (".bias", "beta", vec![channels])];
    let moving = || {
        vec![
            (".running_mean", "moving_mean", vec![channels]),
            (".running_var", "moving_variance", vec![channels]),
        ]
    };
    Ok(match layer {
        Known::Dense(l) => kernel(vec![input.len(), l.units], l.units, l.use_bias),
        Known::Conv2d(l) => {
            kernel(vec![l.kernel[0], l.kernel[1], channels, l.filters], l.filters, l.use_bias)
        }
        Known::ConvTranspose2d(l) => {
            kernel(vec![l.kernel[0], l.kernel[1], l.filters, channels], l.filters, l.use_bias)
        }
        Known::BatchNorm(_) => [scale(), moving()].concat(),
        Known::ConditionalBatchNorm(l) => {
            let table = vec![l.classes, channels];
            [moving(), vec![("_gamma.weight", "gamma", table.clone()), ("_beta.weight", "beta", table)]]
                .concat()
        }
        Known::GroupNorm(_) | Known::InstanceNorm(_) | Known::LayerNorm(_) => scale(),
        Known::Embedding(l) => vec![(".weight", "embeddings", vec![l.vocabulary, l.dim])],
        Known::Projection(l) => vec![
            (".weight", "kernel", vec![input.len(), 1]),
            (".bias", "bias", vec![1]),
            ("_embeddings.weight", "embeddings", vec![l.classes, input.len()]),
        ],
        Known::Noise => vec![("_strength", "strength", vec![1])],
        Known::Constant(l) => vec![("_constant", "constant", l.shape.clone())],
        Known::ModulatedConv2d(l) => {
            let window = vec![l.kernel[0], l.kernel[1], channels, l.filters];
            let mut tensors = kernel(window, l.filters, l.use_bias);
            tensors.push(("_style.weight", "style/kernel", vec![l.from.shape()?.len(), channels]));
            tensors.push(("_style.bias", "style/bias", vec![channels]));
            tensors
        }
        Known::SelfAttention => {
            let kernels = layers::SelfAttention::kernels(channels);
            let names = ["_query.weight", "_key.weight", "_value.weight", "_output.weight"];
            let kernel = |(name, (own, shape)): (_, (_, [usize; 2]))| (name, own, shape.to_vec());
            let mut tensors: Vec<_> = names.into_iter().zip(kernels).map(kernel).collect();
            tensors.push(("_gamma", "gamma", vec![1]));
            tensors
        }
        Known::SkipExcite(l) => {
            let [squeeze, excite] = l.kernels(input)?.map(|shape| shape.dims().to_vec());
            vec![("_squeeze.weight", "squeeze/kernel", squeeze), ("_excite.weight", "excite/kernel", excite)]
        }
        _ => Vec::new(),
    })
}

impl Weight {
    /// Its values in PyTorch's layout.
    pub(super) fn values(&self, weights: &Weights) -> Result<Vec<f32>> {
        let mut values = self.turn(weights.get(&self.source)?);
        if let Some(u) = &self.spectral {
            let norm = spectral_norm(weights.get(&self.source)?, weights.get(u)?);
            if (norm - 1.0).abs() > NORMALISED {
                for value in &mut values {
                    *value = (f64::from(*value) / norm) as f32;
                }
            }
        }
        for value in &mut values {
            *value = times(*value, self.factor);
        }
        Ok(values)
    }

    /// What this crate's tensor holds for these values in PyTorch's layout.
    pub(super) fn ours(&self, values: &[f32]) -> Vec<f32> {
        let mut ours = self.turn_back(values);
        for value in &mut ours {
            *value = over(*value, self.factor);
        }
        ours
    }

    /// Values from this crate's layout to PyTorch's.
    fn turn(&self, values: &[f32]) -> Vec<f32> {
        self.sources().map(|from| values[from]).collect()
    }

    /// Values from PyTorch's layout to this crate's.
    fn turn_back(&self, values: &[f32]) -> Vec<f32> {
        let mut turned = vec![0.0; values.len()];
        for (value, to) in values.iter().zip(self.sources()) {
            turned[to] = *value;
        }
        turned
    }

    /// Where each of PyTorch's numbers, in order, lies in this crate's tensor.
    fn sources(&self) -> impl Iterator<Item = usize> {
        let mut ours = vec![0; self.shape.len()];
        for (dim, axis) in self.shape.iter().zip(&self.axes) {
            ours[*axis] = *dim;
        }
        let steps: Vec<usize> =
            self.axes.iter().map(|axis| ours[axis + 1..].iter().product::<usize>()).collect();
        let len: usize = self.shape.iter().product();
        (0..len).map(move |position| {
            let axes = self.shape.iter().zip(&steps).rev();
            let (_, from) =
                axes.fold((position, 0), |(rest, from), (dim, step)| (rest / dim, from + rest % dim * step));
            from
        })
    }

    /// The norm that this weight would be divided by, if it stands under spectral normalisation.
    pub(super) fn norm(&self, weights: &Weights) -> Result<Option<f64>> {
        let Some(u) = &self.spectral else { return Ok(None) };
        Ok(Some(spectral_norm(weights.get(&self.source)?, weights.get(u)?)))
    }
}

fn times(value: f32, factor: f64) -> f32 {
    (f64::from(value) * factor) as f32
}

/// A number that gives `value` times `factor`. Of those that round to it the first is not always one: where a neighbour is,
/// what was exported and imported is exported as the same bytes again.
fn over(value: f32, factor: f64) -> f32 {
    let near = (f64::from(value) / factor) as f32;
    [near, near.next_up(), near.next_down()].into_iter().find(|x| times(*x, factor) == value).unwrap_or(near)
}

/// The axes of a tensor in the order in which PyTorch has them: kernels [.., in, out] become [out, in, ..], those of
/// transposed convolutions [.., out, in] become [in, out, ..], all others stay.
fn axes(own: &str, rank: usize) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..rank).collect();
    if own.rsplit('/').next() == Some("kernel") {
        axes.reverse();
        axes[2.min(rank)..].reverse();
    }
    axes
}

/// |W u| / |u| for a weight seen as a matrix with its last axis as columns, as [`layers::SpectralNorm`] estimates its norm.
fn spectral_norm(weight: &[f32], u: &[f32]) -> f64 {
    const EPS: f64 = 1e-12;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let square: f64 = weight.chunks_exact(u.len()).map(|row| dot(row, u).powi(2)).sum();
    let square = square / (dot(u, u) + EPS);
    square / (square + EPS).sqrt()
}

/// A filter along rows and columns as a square kernel [taps, taps] of one channel.
pub(super) fn square(taps: &Taps, sum: f64) -> Vec<f32> {
    let taps = taps.scaled(sum);
    taps.iter().flat_map(|down| taps.iter().map(move |across| (down * across) as f32)).collect()
}

/// A window along one axis: what PyTorch and ONNX have to be told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    /// Pixels of padding before and after the image, as many as the windows reach.
    pub(super) before: usize,
    pub(super) after: usize,
    /// Windows.
    pub(super) output: usize,
    /// Pixels of the image.
    pub(super) input: usize,
}

impl Window {
    /// The windows of a convolution or a pooling; those of its height and of its width.
    fn new(input: usize, output: usize, kernel: usize, stride: usize, before: usize) -> Window {
        let after = ((output - 1) * stride + kernel).saturating_sub(input + before);
        Window { kernel, stride, before, after, output, input }
    }

    /// Whether as much padding after as before gives the same windows.
    pub(super) fn is_symmetric(self) -> bool {
        (self.input + 2 * self.before).checked_sub(self.kernel).map(|n| n / self.stride + 1)
            == Some(self.output)
    }
}

/// The windows of a convolution along height and width.
pub(super) fn conv_windows(layer: &layers::Conv2d, input: Shape) -> Result<[Window; 2]> {
    let kernel = Shape::from([layer.kernel[0], layer.kernel[1], input.last(), layer.filters]);
    let g = Conv2dGeometry::forward(batched(input)?, kernel, layer.stride, layer.padding)?;
    Ok([
        Window::new(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top),
        Window::new(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left),
    ])
}

/// The windows of a pooling along height and width.
pub(super) fn pool_windows(
    input: Shape,
    size: [usize; 2],
    stride: Option<[usize; 2]>,
    padding: Padding,
) -> Result<[Window; 2]> {
    let g = Pool2dGeometry::new(batched(input)?, size, stride.unwrap_or(size), padding)?;
    Ok([
        Window::new(g.in_h, g.out_h, g.size_h, g.stride_h, g.pad_top),
        Window::new(g.in_w, g.out_w, g.size_w, g.stride_w, g.pad_left),
    ])
}

/// A transposed convolution along one axis: of the span of all its windows, `before` pixels are cut from the start and
/// `after` from the end, to which `extra` pixels were added before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transposed {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) before: usize,
    pub(super) after: usize,
    pub(super) extra: usize,
    pub(super) output: usize,
}

/// A transposed convolution along height and width.
pub(super) fn transposed_windows(layer: &layers::ConvTranspose2d, input: Shape) -> Result<[Transposed; 2]> {
    let kernel = Shape::from([layer.kernel[0], layer.kernel[1], layer.filters, input.last()]);
    let g = Conv2dGeometry::transposed(
        batched(input)?,
        kernel,
        layer.stride,
        layer.padding,
        layer.output_padding,
    )?;
    // The geometry is that of the convolution whose adjoint this is: its image is the output here.
    let axis = |features: usize, output: usize, kernel: usize, stride: usize, before: usize| {
        let span = (features - 1) * stride + kernel;
        let extra = (before + output).saturating_sub(span);
        Transposed { kernel, stride, before, after: span + extra - before - output, extra, output }
    };
    Ok([
        axis(g.out_h, g.in_h, g.kernel_h, g.stride_h, g.pad_top),
        axis(g.out_w, g.in_w, g.kernel_w, g.stride_w, g.pad_left),
    ])
}
