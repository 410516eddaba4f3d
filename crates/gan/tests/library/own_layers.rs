//! Layers that are not of this crate: in models, in files, and refused where a file could not be read again.

use gannet::export::{Part, onnx};
use gannet::layers::{self, Dense, Residual};
use gannet::{Context, Gan, GanConfig, Layer, Options, Parameter, Reference, Result, Sequential, Shape, Var};
use serde::{Deserialize, Serialize};

/// A gated linear unit (Dauphin et al. 2017): a sigmoid(b), a and b each a dense map of the input.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gated {
    units: usize,
}

impl Layer for Gated {
    fn kind(&self) -> &'static str {
        "gated_dense"
    }

    fn output_shape(&self, _input: Shape) -> Result<Shape> {
        Ok(Shape::from([self.units]))
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        vec![Parameter::new("kernel", [input.len(), 2 * self.units], None)]
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let y = x.matmul(cx.parameter("kernel")?);
        Ok(y.slice(1, 0, self.units) * y.slice(1, self.units, 2 * self.units).sigmoid())
    }

    fn options(&self) -> Result<Options> {
        Options::of(self)
    }
}

/// A layer without options to write, one whose options do not come back, and one that goes by another name.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Odd {
    kind: Kind,
    #[serde(skip)]
    forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Silent,
    Forgetful,
    Renamed,
}

impl Layer for Odd {
    fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Silent => "silent",
            Kind::Forgetful => "forgetful",
            Kind::Renamed => "renamed",
        }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x)
    }

    fn options(&self) -> Result<Options> {
        match (self.kind, self.forgotten) {
            (Kind::Silent, _) => Err(gannet::Error::Invalid("it keeps its options to itself".into())),
            (Kind::Forgetful, true) => Options::of(&Gated { units: 1 }),
            _ => Options::of(self),
        }
    }
}

fn gan(layer: impl Layer + 'static) -> Gan<Reference<f32>> {
    let generator = Sequential::new("generator", [2]).add(Dense::new(3)).add(layer).add(Dense::new(2));
    let discriminator = Sequential::new("discriminator", [2]).add(Dense::new(1));
    Gan::new(&Reference::new(), GanConfig::new(generator, discriminator).batch_size(4)).unwrap()
}

/// Weights, moments and the configuration come back, and training goes on as if nothing had happened.
#[test]
fn a_registered_layer_is_saved_and_loaded() {
    layers::register::<Gated>("gated_dense").unwrap();
    layers::register::<Gated>("gated_dense").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for layer in [
        Residual::new().add(Gated { units: 3 }),
        Residual::new().add(Dense::new(3)).shortcut(Gated { units: 3 }),
    ] {
        let mut first = gan(layer);
        first.train_on_batch(&[0.5; 8], None).unwrap();
        first.save(&path).unwrap();
        let mut second = Gan::load(&Reference::<f32>::new(), &path).unwrap();
        assert_eq!(second.step(), 1);
        let [a, b] = [&mut first, &mut second].map(|gan| {
            gan.train_on_batch(&[0.25; 8], None).unwrap();
            gan.to_file().unwrap().to_bytes().unwrap()
        });
        assert!(a == b);
    }
    // In a model file, by its kind.
    let text = gan(Gated { units: 3 }).config().to_toml().unwrap();
    assert!(text.contains("gated_dense") && text.contains("units = 3"), "{text}");
    assert_eq!(GanConfig::from_toml(&text).unwrap().to_toml().unwrap(), text);
}

#[test]
fn what_could_not_be_loaded_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    layers::register::<Odd>("forgetful").unwrap();
    layers::register::<Odd>("renamed_before").unwrap();
    let odd = |kind| Odd { kind, forgotten: true };
    for (layer, words) in [
        (odd(Kind::Silent), &["generator, layer 1 (silent)", "keeps its options to itself"][..]),
        (
            odd(Kind::Forgetful),
            &[
                "generator, layer 1 (forgetful)",
                "'forgetful' cannot be read from a file: missing field `kind`",
            ],
        ),
        (odd(Kind::Renamed), &["generator, layer 1 (renamed)", "not registered (gannet::layers::register)"]),
    ] {
        let mut gan = gan(layer.clone());
        let messages =
            [gan.save(&path).unwrap_err().to_string(), gan.config().to_toml().unwrap_err().to_string()];
        for message in messages {
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
        assert!(!path.exists());
        // Within a block the layer is named too.
        let message = gan_of_block(layer).save(&path).unwrap_err().to_string();
        assert!(message.contains("layer 1 (residual)") && message.contains(words[1]), "{message}");
    }
}

fn gan_of_block(layer: Odd) -> Gan<Reference<f32>> {
    gan(Residual::new().add(Dense::new(3)).add(layer))
}

/// Twice the input, under the name and with the options of another layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Named<const OURS: bool> {}

impl<const OURS: bool> Layer for Named<OURS> {
    fn kind(&self) -> &'static str {
        if OURS { "flatten" } else { "theirs" }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x * 2.0)
    }

    fn options(&self) -> Result<Options> {
        Options::of(self)
    }
}

/// Another layer that has the name.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Theirs;

impl Layer for Theirs {
    fn kind(&self) -> &'static str {
        "theirs"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x)
    }

    fn options(&self) -> Result<Options> {
        Options::of(self)
    }
}

/// It would be loaded, or exported, as what it is not.
#[test]
fn a_layer_by_the_name_of_another_is_not_saved_as_that() {
    layers::register::<Theirs>("theirs").unwrap();
    let theirs = gan(Theirs).config().to_toml().unwrap();
    assert!(theirs.contains("\"theirs\""), "{theirs}");
    for (mut made, kind, owner) in
        [(gan(Named::<true> {}), "flatten", "gannet::layers::"), (gan(Named::<false> {}), "theirs", "Theirs")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let refused = format!("the layer '{kind}' cannot be read from a file: its kind is that of ");
        let messages =
            [made.save(&path).unwrap_err().to_string(), made.config().to_toml().unwrap_err().to_string()];
        for message in messages {
            assert!(message.contains(&refused) && message.contains(owner), "{message}");
        }
        assert!(!path.exists());
        let message = onnx::export(&made, Part::Generator).unwrap_err().to_string();
        assert!(message.contains(&format!("'{kind}' cannot be written down for other")), "{message}");
        let mut inner = gan(Residual::new().add(Dense::new(3)).add(Named::<true> {}));
        assert!(inner.save(&path).unwrap_err().to_string().contains("its kind is that of"));
    }
    // Ours under its own name is.
    assert!(onnx::export(&gan(Dense::new(3)), Part::Generator).is_ok());
}

#[test]
fn kinds_are_unique_names() {
    layers::register::<Gated>("gated").unwrap();
    for (message, words) in [
        (layers::register::<Odd>("gated"), &["'gated' is taken by", "Gated"][..]),
        (layers::register::<Gated>("dense"), &["'dense' is taken by a layer of gannet"]),
        (layers::register::<Gated>("a/b"), &["letters, digits and underscores, got 'a/b'"]),
        (layers::register::<Gated>(""), &["got ''"]),
    ] {
        let message = message.unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    // Another name than it was registered under.
    let text = "batch_size = 1\n[generator]\ninput = [2]\nlayers = [{ gated = { units = 2 } }]\n\
                [discriminator]\ninput = [2]\nlayers = [{ dense = { units = 1 } }]\n";
    let message = GanConfig::from_toml(text).unwrap_err().to_string();
    assert!(message.contains("registered as 'gated' says that its kind is 'gated_dense'"), "{message}");
    let message = GanConfig::from_toml(&text.replace("gated", "gted")).unwrap_err().to_string();
    assert!(
        message.contains("line 4: unknown variant `gted`, expected one of `add`, `avg_pool2d`"),
        "{message}"
    );
    assert!(message.contains("`gated`"), "{message}");
}
