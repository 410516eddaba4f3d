//! The models of the traces. Widths, kernels and biases come from the tensors of the file; what has no
//! weights (strides, activations, reshapes) comes from the model's kind.

use gannet::layers::{
    BatchNorm, Conv2d, ConvTranspose2d, Dense, Flatten, LeakyRelu, MaxPool2d, Reshape, Tanh,
};
use gannet::{Activation, Padding, Sequential};

use super::file::File;

/// The layers of one model in a file.
struct Reader<'a> {
    file: &'a File,
    model: &'static str,
}

impl Reader<'_> {
    /// The dimensions of a weight, if the layer has it.
    fn shape(&self, layer: usize, name: &str) -> Option<&[usize]> {
        let prefix = format!("initial/{}/{layer}.", self.model);
        let weights = &self.file.tensors;
        let found =
            weights.iter().find(|(key, _)| key.starts_with(&prefix) && key.ends_with(&format!("/{name}")));
        found.map(|(_, tensor)| tensor.shape.as_slice())
    }

    fn kernel(&self, layer: usize) -> &[usize] {
        let kernel = self.shape(layer, "kernel");
        kernel.unwrap_or_else(|| panic!("layer {layer} of the {} has no kernel", self.model))
    }

    fn has_bias(&self, layer: usize) -> bool {
        self.shape(layer, "bias").is_some()
    }

    fn dense(&self, layer: usize) -> Dense {
        Dense::new(self.kernel(layer)[1]).use_bias(self.has_bias(layer))
    }

    fn conv2d(&self, layer: usize) -> Conv2d {
        let k = self.kernel(layer);
        Conv2d::new(k[3], [k[0], k[1]]).use_bias(self.has_bias(layer))
    }

    fn conv_transpose2d(&self, layer: usize) -> ConvTranspose2d {
        let k = self.kernel(layer);
        ConvTranspose2d::new(k[2], [k[0], k[1]])
            .use_bias(self.has_bias(layer))
            .stride([2, 2])
            .padding(Padding::Same)
    }

    fn batch_norm(&self) -> BatchNorm {
        BatchNorm::new().momentum(self.file.number("bn_momentum")).eps(self.file.number("bn_eps"))
    }

    /// A square image of `channels` that has as many numbers as the dense layer in front of it.
    fn image(&self, dense: usize, channels: usize) -> Reshape {
        let side = (self.kernel(dense)[1] / channels).isqrt();
        Reshape::new([side, side, channels])
    }
}

/// Generator and discriminator of a trace.
///
/// # Panics
/// When the file is of a kind that has no model here.
pub(super) fn build(file: &File) -> (Sequential, Sequential) {
    let image = file.tensor("real").shape[2..].to_vec();
    let latent = file.tensor("z").shape[2];
    let (g, d) = (Reader { file, model: "generator" }, Reader { file, model: "discriminator" });
    let (generator, discriminator) =
        (Sequential::new(g.model, [latent]), Sequential::new(d.model, image.clone()));
    let same = Padding::Same;
    match file.metadata.get("kind").map(String::as_str) {
        Some("dcgan") => (
            generator
                .add(g.dense(0))
                .add(g.image(0, g.kernel(4)[3]))
                .add(g.batch_norm())
                .add(LeakyRelu::new(0.2))
                .add(g.conv_transpose2d(4))
                .add(g.batch_norm())
                .add(LeakyRelu::new(0.2))
                .add(g.conv_transpose2d(7))
                .add(Tanh::new()),
            discriminator
                .add(d.conv2d(0).stride([2, 2]).padding(same))
                .add(LeakyRelu::new(0.2))
                .add(d.conv2d(2).stride([2, 2]).padding(same))
                .add(d.batch_norm())
                .add(LeakyRelu::new(0.2))
                .add(Flatten::new())
                .add(d.dense(6)),
        ),
        Some("seed-dense") => (
            generator
                .add(g.dense(0).activation(Activation::Relu))
                .add(g.image(0, g.shape(2, "gamma").expect("batch norm")[0]))
                .add(g.batch_norm())
                .add(LeakyRelu::new(0.2))
                .add(Flatten::new())
                .add(g.dense(5).activation(Activation::Tanh))
                .add(Reshape::new(image)),
            discriminator
                .add(Flatten::new())
                .add(d.dense(1).activation(Activation::Relu))
                .add(d.image(1, d.shape(4, "gamma").expect("batch norm")[0]))
                .add(LeakyRelu::new(0.2))
                .add(d.batch_norm())
                .add(Flatten::new())
                .add(d.dense(6)),
        ),
        Some("seed-conv") => (
            generator
                .add(g.dense(0).activation(Activation::Relu))
                .add(g.image(0, g.kernel(2)[3]))
                .add(g.conv_transpose2d(2).activation(Activation::Relu))
                .add(g.conv_transpose2d(3).activation(Activation::Relu))
                .add(g.conv2d(4).padding(same).activation(Activation::Tanh)),
            discriminator
                .add(d.conv2d(0).padding(Padding::Valid).activation(Activation::Relu))
                .add(MaxPool2d::new([2, 2]))
                .add(Flatten::new())
                .add(d.dense(3)),
        ),
        kind => panic!("a trace of the kind {kind:?}; there are models for dcgan, seed-dense and seed-conv"),
    }
}

/// The name that a weight `MODEL/INDEX.LAYER/NAME` has here: the same model, index and name, another word
/// for the layer.
pub(super) fn name_in_gan(name: &str, names: &[String]) -> String {
    let parts: Vec<&str> = name.split(['/', '.']).collect();
    let &[model, index, _, weight] = &parts[..] else { panic!("'{name}' is not MODEL/INDEX.LAYER/NAME") };
    let found = names
        .iter()
        .find(|own| own.starts_with(&format!("{model}/{index}.")) && own.ends_with(&format!("/{weight}")));
    found.unwrap_or_else(|| panic!("no counterpart to '{name}' among {names:?}")).clone()
}
