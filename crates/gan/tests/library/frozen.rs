//! Frozen layers, and what comes out between layers.

use std::collections::BTreeMap;

use gannet::layers::{BatchNorm, Dense, Residual};
use gannet::{Adam, Backend, Cpu, Gan, GanConfig, Optimiser, Reference, Sequential, Sgd, Stream};

const FROZEN: [&str; 2] = ["0.dense", "2.residual/0.dense/kernel"];

fn discriminator(frozen: &[&str]) -> Sequential {
    let plain = Sequential::new("discriminator", [2])
        .add(Dense::new(4))
        .add(BatchNorm::new())
        .add(Residual::new().add(Dense::new(4)))
        .add(Dense::new(1));
    frozen.iter().fold(plain, |model, name| model.freeze(*name))
}

/// The tensors of the discriminator and its optimiser after some steps.
fn tensors<B: Backend<Element = f32>>(
    backend: &B,
    frozen: &[&str],
    optimiser: Optimiser,
    steps: u64,
) -> BTreeMap<String, Vec<f32>> {
    let generator = Sequential::new("generator", [2]).add(Dense::new(3)).add(Dense::new(2));
    let config = GanConfig::new(generator, discriminator(frozen)).optimiser(optimiser).batch_size(4);
    let mut gan = Gan::new(backend, config).unwrap();
    for step in 0..steps {
        let mut stream = Stream::new(3, "points", step);
        let points: Vec<f32> = (0..8).map(|_| stream.normal() as f32).collect();
        gan.train_on_batch(&points, None).unwrap();
    }
    let names: Vec<String> = gan.tensors().map(|(name, _)| name.to_owned()).collect();
    names.into_iter().map(|name| (name.clone(), gan.read_tensor(&name).unwrap())).collect()
}

fn check<B: Backend<Element = f32>>(backend: &B) {
    for optimiser in [Optimiser::from(Adam::new(0.1)), Sgd::new(0.1).momentum(0.9).into()] {
        let before = tensors(backend, &FROZEN, optimiser.clone(), 0);
        let after = tensors(backend, &FROZEN, optimiser.clone(), 3);
        let free = tensors(backend, &[], optimiser, 3);
        for (name, values) in &before {
            let stays = FROZEN.iter().any(|frozen| name.contains(&format!("discriminator/{frozen}")));
            assert_eq!(*values == after[name], stays, "{name}");
            assert!(
                stays || !name.starts_with("optimiser") || after[name].iter().any(|x| *x != 0.0),
                "{name}"
            );
            assert_ne!(*values, free[name], "{name}");
        }
    }
}

/// Weights of frozen layers and their moments stay as they are, everything else moves: through a frozen layer too.
#[test]
fn frozen_layers_stay_as_they_are() {
    check(&Reference::<f32>::new());
    check(&Cpu::new().unwrap());
}

/// What a run has learned before it is frozen stays, though its moments would carry it on.
#[test]
fn a_trained_layer_can_be_frozen() {
    let backend = Reference::<f32>::new();
    let generator = Sequential::new("generator", [2]).add(Dense::new(2));
    let config = |frozen: &[&str]| {
        let optimiser = Sgd::new(0.1).momentum(0.9);
        GanConfig::new(generator.clone(), discriminator(frozen)).optimiser(optimiser).batch_size(4)
    };
    let mut gan = Gan::new(&backend, config(&[])).unwrap();
    gan.train_on_batch(&[0.5; 8], None).unwrap();
    let text = config(&FROZEN).to_toml().unwrap();
    assert!(text.contains("frozen = [\"0.dense\", \"2.residual/0.dense/kernel\"]"), "{text}");
    let mut later = Gan::new(&backend, GanConfig::from_toml(&text).unwrap()).unwrap();
    later.restore(&gan.to_file().unwrap()).unwrap();
    later.train_on_batch(&[0.5; 8], None).unwrap();
    for name in ["discriminator/0.dense/kernel", "optimiser/discriminator/0.dense/kernel/velocity"] {
        assert_eq!(gan.read_tensor(name).unwrap(), later.read_tensor(name).unwrap());
    }
    let name = "discriminator/3.dense/kernel";
    assert_ne!(gan.read_tensor(name).unwrap(), later.read_tensor(name).unwrap());

    let message = GanConfig::from_toml(&text.replace("[\"0.dense\"", "[\"0.dens\"")).unwrap_err().to_string();
    assert!(message.contains("there is no layer '0.dens' with parameters to freeze"), "{message}");
    assert!(
        message.contains("there are: 0.dense, 1.batch_norm, 2.residual, 3.dense\n  |frozen = ["),
        "{message}"
    );
}

#[test]
fn summaries_count_what_is_trained() {
    let text = discriminator(&FROZEN).build().unwrap().summary();
    // Of 12 + 8 + 20 + 5 parameters those of the first layer and 16 of the block are frozen; 8 running statistics.
    assert!(text.contains("Total parameters: 53\nTrainable: 17\nNon-trainable: 36"), "{text}");
}
