//! The classifier whose features the metrics compare.

use gannet_tensor::{Backend, Element, Graph, Program, Shape, Var, Variables};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layers::{Conv2d, Dense, Dropout, Flatten};
use crate::metrics::{Features, dequantise};
use crate::model::Model;
use crate::random::Stream;
use crate::samples::samples;
use crate::tensor_file::{FileTensor, TensorFile, Values};
use crate::{Activation, Adam, Initialiser, Mode, Optimiser, Padding, Pass, Schedule, Sequential};

/// Images looked at at a time.
const CHUNK: usize = 100;

/// The channels of the convolutions, from the first on; all but the first halve the image. The last repeats as long
/// as the image is larger than [`SMALLEST_SIDE`].
const CHANNELS: [usize; 3] = [16, 32, 64];
const SMALLEST_SIDE: usize = 4;

/// The number of features.
const FEATURES: usize = 128;

/// The share of features that are left out in each training step.
const DROPOUT: f64 = 0.5;

/// The version of what a file says about itself.
const VERSION: u32 = 1;

/// Where a classifier comes from and how good it is: what its file says about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierRecord {
    /// The images it was trained on, and how many.
    pub dataset: String,
    /// How many images it was trained on.
    pub training_images: usize,
    /// How often each of them was seen.
    pub epochs: usize,
    /// The seed of its weights, batches and shifts.
    pub seed: u64,
    /// How many other images it was tested on.
    pub test_images: usize,
    /// How many of those it got right.
    pub test_correct: usize,
    /// Whether it learnt from pictures without labels ([`SelfSupervision`](crate::metrics::SelfSupervision)): its classes are
    /// those of the task, and it was not tested.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_supervised: bool,
}

/// What a file says about itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    kind: String,
    version: u32,
    /// [height, width, channels].
    image: [usize; 3],
    classes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<ClassifierRecord>,
}

impl Description {
    /// As it stands in a file.
    fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(e.to_string()))
    }

    /// What stands in a file, or what is wrong with it.
    fn parse(text: &str) -> std::result::Result<Description, String> {
        toml::from_str(text).map_err(|e: toml::de::Error| e.message().into())
    }
}

const KIND: &str = "classifier";

/// How a classifier is trained: Adam with a cosine schedule on shifted images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierTraining {
    /// How often each image is seen.
    pub epochs: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// The learning rate at the start.
    pub learning_rate: f64,
    /// Each image is moved by up to so many pixels along both axes, its edge repeated.
    pub shift: usize,
    /// Fixes the batches and the shifts.
    pub seed: u64,
}

impl Default for ClassifierTraining {
    fn default() -> ClassifierTraining {
        ClassifierTraining { epochs: 12, batch_size: 64, learning_rate: 1e-3, shift: 2, seed: 42 }
    }
}

/// A step of the training of a classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassifierStep {
    /// The steps done.
    pub step: u64,
    /// The steps there will be.
    pub steps: u64,
    /// The mean cross-entropy of the batch, in nats.
    pub loss: f64,
}

/// What a classifier sees in images.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Classified {
    /// [N, 128].
    pub features: Features,
    /// The likeliest class of each image.
    pub classes: Vec<usize>,
}

impl Classified {
    /// How many images have the class that `labels` says.
    ///
    /// # Panics
    /// When there are not as many labels as images.
    pub fn correct(&self, labels: &[u32]) -> usize {
        assert_eq!(labels.len(), self.classes.len());
        self.classes.iter().zip(labels).filter(|&(&class, &label)| class == label as usize).count()
    }
}

/// A convolutional classifier on a device. Its features are the 128 outputs, after a ReLU, of the layer before the
/// last.
///
/// Four 3 by 3 convolutions for images of 28 by 28, with 16, 32, 64 and 64 channels, all but the first of stride 2,
/// then the features and one number for each class.
pub struct Classifier<B: Backend> {
    backend: B,
    /// From images to features, and from features to a number for each class.
    models: [Model; 2],
    variables: Variables<B>,
    inference: Option<Program<B>>,
    record: Option<ClassifierRecord>,
}

impl<B: Backend> std::fmt::Debug for Classifier<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Classifier of {} into {} classes", self.image_shape(), self.classes())
    }
}

impl<B: Backend> Classifier<B> {
    /// A classifier with fresh weights for images of shape [height, width, channels]. Errors when the shape is another
    /// or empty, when there are fewer than two classes, or when the device has no room.
    pub fn new(backend: &B, image: impl Into<Shape>, classes: usize, seed: u64) -> Result<Classifier<B>> {
        let models = layers(image.into(), classes)?;
        let mut variables = Variables::new();
        for model in &models {
            let mut state = model.initial_vector(seed);
            state.resize(3 * model.vector_len(), 0.0);
            let state: Vec<B::Element> = state.into_iter().map(B::Element::of).collect();
            variables.insert(backend, model.name(), state_shape(model), &state)?;
        }
        Ok(Classifier { backend: backend.clone(), models, variables, inference: None, record: None })
    }

    /// The shape of an image: [height, width, channels].
    pub fn image_shape(&self) -> Shape {
        self.models[0].input()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.models[1].output().len()
    }

    /// How many numbers are trained.
    pub fn parameter_count(&self) -> usize {
        self.models.iter().map(Model::parameter_count).sum()
    }

    /// Where it comes from, if its file says so.
    pub fn record(&self) -> Option<&ClassifierRecord> {
        self.record.as_ref()
    }

    /// Says where it comes from.
    pub fn set_record(&mut self, record: ClassifierRecord) {
        self.record = Some(record);
    }

    /// Trains on images [N, height, width, channels] of bytes and their classes `[N]`: softmax cross-entropy, Adam, half
    /// a cosine. `progress` is told each step.
    ///
    /// Errors when the images and labels do not fit, when an option is 0, or when the loss is no longer finite.
    pub fn train(
        &mut self,
        images: &[u8],
        labels: &[u32],
        options: ClassifierTraining,
        progress: impl FnMut(ClassifierStep),
    ) -> Result<()> {
        let count = self.check(images)?;
        let ClassifierTraining { epochs, batch_size, learning_rate, shift, seed } = options;
        if labels.len() != count {
            return Err(Error::invalid(format!("{count} images need {count} labels, got {}", labels.len())));
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= self.classes()) {
            let last = self.classes() - 1;
            return Err(Error::invalid(format!("the label {label} is none of the classes 0 to {last}")));
        }
        if epochs == 0 || batch_size == 0 {
            return Err(Error::invalid("a classifier needs at least 1 epoch and 1 image in a batch, got 0"));
        }
        let image = self.image_shape();
        let mut order = endless_order(count, seed);
        let steps = (count * epochs).div_ceil(batch_size) as u64;
        let fill = |step, batch: &mut [B::Element], batch_labels: &mut [B::Element]| {
            let mut stream = Stream::new(seed, "shifts", step);
            for (to, label) in batch.chunks_exact_mut(image.len()).zip(batch_labels) {
                let index = order();
                shifted(&images[index * image.len()..][..image.len()], image, shift, &mut stream, to);
                *label = B::Element::of(f64::from(labels[index]));
            }
        };
        self.fit(batch_size, steps, learning_rate, fill, progress)
    }

    /// Trains for so many steps on the batches that `fill` makes: images [batch_size, height, width, channels] in -1 to 1
    /// and classes `[batch_size]`.
    pub(crate) fn fit(
        &mut self,
        batch_size: usize,
        steps: u64,
        learning_rate: f64,
        mut fill: impl FnMut(u64, &mut [B::Element], &mut [B::Element]),
        mut progress: impl FnMut(ClassifierStep),
    ) -> Result<()> {
        let optimiser = Optimiser::from(Adam::new(learning_rate));
        optimiser.check()?;
        let mut program = self.training_program(batch_size, &optimiser)?;
        let mut batch = vec![B::Element::ZERO; batch_size * self.image_shape().len()];
        let mut batch_labels = vec![B::Element::ZERO; batch_size];
        for step in 0..steps {
            fill(step, &mut batch, &mut batch_labels);
            program.write("images", &batch)?;
            program.write("labels", &batch_labels)?;
            program.write("counter", &[B::Element::of((step % (1 << 24)) as f64)])?;
            let scalars = optimiser.scalars(step + 1, Schedule::Cosine.factor(step, steps));
            let scalars: Vec<B::Element> = scalars.into_iter().map(B::Element::of).collect();
            program.write("scalars", &scalars)?;
            program.run()?;
            let loss = program.read("loss")?[0].to_f64();
            if !loss.is_finite() {
                return Err(Error::invalid(format!(
                    "the classifier diverged: its loss is {loss} in step {}; a smaller learning rate may help",
                    step + 1
                )));
            }
            progress(ClassifierStep { step: step + 1, steps, loss });
        }
        Ok(())
    }

    /// The features and classes of images [N, height, width, channels] of bytes. Errors when an image is not whole or
    /// there is none.
    pub fn classify(&mut self, images: &[u8]) -> Result<Classified> {
        let count = self.check(images)?;
        let (size, classes) = (self.image_shape().len(), self.classes());
        let mut features = Vec::with_capacity(count * FEATURES);
        let mut likeliest = Vec::with_capacity(count);
        let mut chunk = vec![B::Element::ZERO; CHUNK * size];
        let program = self.inference_program()?;
        for images in images.chunks(CHUNK * size) {
            for (to, &byte) in chunk.iter_mut().zip(images) {
                *to = B::Element::of(f64::from(dequantise(byte)));
            }
            program.write("images", &chunk)?;
            program.run()?;
            let n = images.len() / size;
            features.extend(program.read("features")?[..n * FEATURES].iter().map(|x| x.to_f64() as f32));
            likeliest.extend(program.read("logits")?[..n * classes].chunks_exact(classes).map(largest));
        }
        Ok(Classified { features: Features::new(features, FEATURES)?, classes: likeliest })
    }

    /// The file that holds this classifier, without the optimiser's moments.
    pub fn to_file(&self) -> Result<TensorFile> {
        let &[height, width, channels] = self.image_shape().dims() else { unreachable!("checked when made") };
        let description = Description {
            kind: KIND.into(),
            version: VERSION,
            image: [height, width, channels],
            classes: self.classes(),
            record: self.record.clone(),
        };
        let description = description.to_toml()?;
        let mut tensors = Vec::new();
        for model in &self.models {
            let state = self.variables.read(&self.backend, model.name())?;
            for slot in model.parameters() {
                tensors.push(FileTensor {
                    name: format!("{}/{}", model.name(), slot.name),
                    shape: slot.shape.dims().to_vec(),
                    values: Values::of(&state[slot.offset..][..slot.shape.len()]),
                });
            }
        }
        Ok(TensorFile { description: Some(description), tensors })
    }

    /// The classifier of a file that [`to_file`](Classifier::to_file) made. Errors with what the file is instead.
    pub fn from_file(backend: &B, file: &TensorFile) -> Result<Classifier<B>> {
        let is_none = |why: String| Error::invalid(format!("this file holds no classifier of gannet: {why}"));
        let text =
            file.description.as_ref().ok_or_else(|| is_none("its metadata has no entry 'gannet'".into()))?;
        let description = Description::parse(text).map_err(is_none)?;
        if description.kind != KIND || description.version != VERSION {
            return Err(is_none(format!(
                "it is a {} of version {}, expected a {KIND} of version {VERSION}",
                description.kind, description.version
            )));
        }
        let image = Shape::new(&description.image)?;
        // The file is checked before anything as large as it says is allocated.
        let models = layers(image, description.classes)?;
        let states: Vec<Vec<B::Element>> =
            models.iter().map(|model| parameters(model, file)).collect::<Result<_>>()?;
        let mut classifier = Classifier::new(backend, image, description.classes, 0)?;
        for (model, state) in models.iter().zip(states) {
            classifier.variables.write(backend, model.name(), &state)?;
        }
        classifier.record = description.record;
        Ok(classifier)
    }

    /// The number of images in `bytes`.
    fn check(&self, bytes: &[u8]) -> Result<usize> {
        let size = self.image_shape().len();
        if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
            return Err(Error::invalid(format!(
                "the classifier takes one image or more of {}, {size} bytes each; got {} bytes",
                self.image_shape(),
                bytes.len()
            )));
        }
        Ok(bytes.len() / size)
    }

    /// Features and logits of `images` in a graph, and the variables behind them.
    fn trace<'g>(&self, images: Var<'g>, pass: Pass<'g>) -> Result<Traced<'g>> {
        let states =
            self.models.each_ref().map(|model| images.graph().variable(model.name(), state_shape(model)));
        let views = [0, 1].map(|k| {
            let n = self.models[k].vector_len();
            self.models[k].views(states[k].slice(0, 0, 1).reshape([n]))
        });
        let features = self.models[0].trace(images, &views[0], &mut Default::default(), pass)?;
        let logits = self.models[1].trace(features, &views[1], &mut Default::default(), pass)?;
        Ok(Traced { states, views, features, logits })
    }

    fn training_program(&self, batch_size: usize, optimiser: &Optimiser) -> Result<Program<B>> {
        let graph = Graph::new();
        let images = graph.input("images", samples(batch_size, self.image_shape())?);
        let labels = graph.input("labels", [batch_size]);
        let scalars = graph.input("scalars", [optimiser.scalar_count()]);
        let mode = Mode::Training { groups: 1 };
        let pass = Pass { mode, counter: Some(graph.input("counter", [1])), ..Pass::training() };
        let traced = self.trace(images, pass)?;
        let loss = traced.logits.softmax_cross_entropy(labels).mean_all();
        let mut plan = graph.plan().output("loss", loss);
        for (k, model) in self.models.iter().enumerate() {
            let gradient = model.pack(&traced.views[k].gradients(loss)?)?;
            plan = plan.assign(traced.states[k], optimiser.update(traced.states[k], gradient, scalars));
        }
        Ok(Program::new(&self.backend, plan.build()?, &self.variables)?)
    }

    fn inference_program(&mut self) -> Result<&mut Program<B>> {
        if self.inference.is_none() {
            let graph = Graph::new();
            let images = graph.input("images", samples(CHUNK, self.image_shape())?);
            let traced = self.trace(images, Pass::inference())?;
            let plan = graph.plan().output("features", traced.features).output("logits", traced.logits);
            self.inference = Some(Program::new(&self.backend, plan.build()?, &self.variables)?);
        }
        Ok(self.inference.as_mut().unwrap_or_else(|| unreachable!("made above")))
    }
}

/// A classifier in a graph.
struct Traced<'g> {
    /// [3, n] of each model: parameters and Adam's moments.
    states: [Var<'g>; 2],
    views: [crate::Parameters<'g>; 2],
    features: Var<'g>,
    logits: Var<'g>,
}

fn layers(image: Shape, classes: usize) -> Result<[Model; 2]> {
    let &[height, width, _] = image.dims() else {
        return Err(Error::invalid(format!(
            "a classifier takes images [height, width, channels], got {image}"
        )));
    };
    if classes < 2 {
        return Err(Error::invalid(format!("a classifier needs at least 2 classes, got {classes}")));
    }
    let convolution = |channels: usize, stride: usize| {
        Conv2d::new(channels, [3, 3])
            .stride([stride, stride])
            .padding(Padding::Same)
            .activation(Activation::Relu)
    };
    let mut features = Sequential::new("features", image.dims())
        .initialiser(Initialiser::HeNormal)
        .add(convolution(CHANNELS[0], 1));
    let (mut side, mut channels) = (height.max(width), CHANNELS[1..].iter().copied());
    let mut next = channels.next();
    while side > SMALLEST_SIDE {
        features = features.add(convolution(next.unwrap_or(CHANNELS[CHANNELS.len() - 1]), 2));
        side = side.div_ceil(2);
        next = channels.next();
    }
    let features = features.add(Flatten::new()).add(Dense::new(FEATURES).activation(Activation::Relu));
    let classes = Sequential::new("classes", [FEATURES]).add(Dropout::new(DROPOUT)).add(Dense::new(classes));
    Ok([features.build()?, classes.build()?])
}

fn state_shape(model: &Model) -> Shape {
    Shape::from([3, model.vector_len()])
}

/// The state [3, n] of `model` with the parameters that are in `file`, and moments of zero.
fn parameters<E: Element>(model: &Model, file: &TensorFile) -> Result<Vec<E>> {
    let mut state = vec![E::ZERO; 3 * model.vector_len()];
    for slot in model.parameters() {
        let name = format!("{}/{}", model.name(), slot.name);
        let missing =
            || Error::invalid(format!("the tensor '{name}' of the classifier is missing in this file"));
        let tensor = file.tensor(&name).ok_or_else(missing)?;
        if tensor.shape != slot.shape.dims() {
            return Err(Error::invalid(format!(
                "the tensor '{name}' has the shape {:?} in this file, the classifier needs {}",
                tensor.shape, slot.shape
            )));
        }
        let values = tensor.values.to::<E>();
        if let Some(x) = values.iter().find(|x| !x.to_f64().is_finite()) {
            return Err(Error::invalid(format!("the tensor '{name}' holds {x} in this file")));
        }
        state[slot.offset..][..values.len()].copy_from_slice(&values);
    }
    Ok(state)
}

/// Indices below `count`, each epoch in an order of its own, without end.
pub(crate) fn endless_order(count: usize, seed: u64) -> impl FnMut() -> usize {
    let (mut epoch, mut rest) = (0, Vec::new());
    move || {
        if rest.is_empty() {
            rest = Stream::new(seed, "order", epoch).permutation(count);
            epoch += 1;
        }
        rest.pop().unwrap_or_default()
    }
}

/// Writes `image` into `to`, moved by up to `shift` pixels along both axes, its edge repeated.
fn shifted<E: Element>(image: &[u8], shape: Shape, shift: usize, stream: &mut Stream, to: &mut [E]) {
    let &[height, width, channels] = shape.dims() else { unreachable!("checked when made") };
    let mut draw = || stream.below(2 * shift as u32 + 1) as usize;
    let (dy, dx) = (draw(), draw());
    for (y, row) in to.chunks_exact_mut(width * channels).enumerate() {
        let from_y = (y + dy).saturating_sub(shift).min(height - 1);
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let from_x = (x + dx).saturating_sub(shift).min(width - 1);
            let from = &image[(from_y * width + from_x) * channels..];
            pixel.iter_mut().zip(from).for_each(|(to, &byte)| *to = E::of(f64::from(dequantise(byte))));
        }
    }
}

/// The index of the largest number, the first of several.
fn largest<E: Element>(numbers: &[E]) -> usize {
    (0..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use gannet_tensor::Reference;

    use super::*;

    /// Images [6, 5, 1] that are bright above or below.
    fn halves(n: usize) -> (Vec<u8>, Vec<u32>) {
        let mut stream = Stream::new(9, "halves", 0);
        let labels: Vec<u32> = (0..n).map(|i| i as u32 % 2).collect();
        let pixel = |label: u32, k: usize| if (k / 15 == 0) == (label == 0) { 200 } else { 20 };
        let images = labels
            .iter()
            .flat_map(|&label| (0..30).map(|k| pixel(label, k) + stream.below(50) as u8).collect::<Vec<_>>())
            .collect();
        (images, labels)
    }

    fn trained() -> Classifier<Reference<f32>> {
        let (images, labels) = halves(40);
        let mut classifier = Classifier::new(&Reference::<f32>::new(), [6, 5, 1], 2, 1).unwrap();
        let options = ClassifierTraining { epochs: 4, batch_size: 8, shift: 1, ..Default::default() };
        let mut losses = Vec::new();
        classifier.train(&images, &labels, options, |step| losses.push(step)).unwrap();
        assert_eq!((losses.len(), losses[19].step, losses[0].steps), (20, 20, 20));
        assert!(losses[19].loss < 0.5 * losses[0].loss, "{losses:?}");
        classifier
    }

    #[test]
    fn learns_classifies_and_comes_back_from_a_file() {
        let mut classifier = trained();
        let (images, labels) = halves(CHUNK + 30);
        let seen = classifier.classify(&images).unwrap();
        assert_eq!(seen.correct(&labels), labels.len());
        assert_eq!((seen.features.len(), seen.features.dim()), (CHUNK + 30, 128));
        assert!(seen.features.rows().flatten().all(|&x| x >= 0.0));

        let record = ClassifierRecord {
            dataset: "halves".into(),
            training_images: 40,
            epochs: 4,
            seed: 42,
            test_images: 130,
            test_correct: 130,
            self_supervised: false,
        };
        classifier.set_record(record.clone());
        let file = TensorFile::parse(&classifier.to_file().unwrap().to_bytes().unwrap()).unwrap();
        let mut loaded = Classifier::from_file(&Reference::<f32>::new(), &file).unwrap();
        assert_eq!(loaded.record(), Some(&record));
        assert_eq!(loaded.classify(&images).unwrap(), seen);
    }

    #[test]
    fn images_and_labels_that_do_not_fit_are_refused() {
        let mut classifier = Classifier::new(&Reference::<f32>::new(), [6, 5, 1], 2, 1).unwrap();
        assert!(classifier.classify(&[0; 31]).unwrap_err().to_string().contains("30 bytes each; got 31"));
        assert!(classifier.classify(&[]).is_err());
        let mut train = |labels: &[u32], options| {
            classifier.train(&[0; 60], labels, options, |_| ()).unwrap_err().to_string()
        };
        let options = ClassifierTraining::default();
        assert!(train(&[0], options).contains("2 images need 2 labels"));
        assert!(train(&[0, 2], options).contains("the label 2 is none of the classes 0 to 1"));
        assert!(train(&[0, 1], ClassifierTraining { epochs: 0, ..options }).contains("at least 1 epoch"));
        let reference = Reference::<f32>::new();
        assert!(Classifier::new(&reference, [28, 28], 10, 0).unwrap_err().to_string().contains("[28, 28]"));
        assert!(
            Classifier::new(&reference, [28, 28, 1], 1, 0).unwrap_err().to_string().contains("at least 2")
        );
    }

    #[test]
    fn files_that_hold_no_classifier_are_refused() {
        let reference = Reference::<f32>::new();
        let whole = Classifier::new(&reference, [6, 5, 1], 2, 1).unwrap().to_file().unwrap();
        let refused = |change: fn(&mut TensorFile), why: &str| {
            let mut file = whole.clone();
            change(&mut file);
            let message = Classifier::from_file(&reference, &file).unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        };
        refused(|file| file.description = None, "no entry 'gannet'");
        refused(|file| file.description = Some("version = 1".into()), "holds no classifier");
        refused(
            |file| {
                file.description =
                    file.description.take().map(|text| text.replace("version = 1", "version = 7"))
            },
            "expected a classifier of version 1",
        );
        refused(|file| drop(file.tensors.pop()), "is missing in this file");
        refused(|file| file.tensors[0].shape = vec![1], "has the shape [1]");
        refused(
            |file| {
                let len = file.tensors[0].shape.iter().product();
                file.tensors[0].values = Values::F32(vec![f32::NAN; len]);
            },
            "holds NaN",
        );
    }

    #[test]
    fn shifted_images_keep_their_pixels_and_repeat_their_edge() {
        let image: Vec<u8> = (0..30).collect();
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..200 {
            let mut to = vec![0f32; 30];
            shifted(&image, Shape::from([6, 5, 1]), 1, &mut Stream::new(1, "s", number), &mut to);
            let to: Vec<usize> = to.into_iter().map(|x| usize::from(crate::metrics::quantise(x))).collect();
            // The middle tells how far it moved; every other pixel follows.
            let (dy, dx) = (to[12] as isize / 5 - 2, to[12] as isize % 5 - 2);
            for (k, &value) in to.iter().enumerate() {
                let from_y = (k as isize / 5 + dy).clamp(0, 5);
                let from_x = (k as isize % 5 + dx).clamp(0, 4);
                assert_eq!(value as isize, from_y * 5 + from_x);
            }
            seen.insert((dy, dx));
        }
        assert_eq!(seen.len(), 9);
    }
}
