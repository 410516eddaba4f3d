//! Files that are not what they should be: an error that says so, never a panic.

use gannet::layers::{BatchNorm, Dense};
use gannet::recipe::{self, Capacity, Pictures};
use gannet::tensor_file::{FileTensor, TensorFile, Values};
use gannet::{Ema, Gan, GanConfig, Reference, Sequential};
use proptest::prelude::*;

fn small() -> Vec<u8> {
    let generator = Sequential::new("generator", [2]).add(Dense::new(2)).add(BatchNorm::new());
    let discriminator = Sequential::new("discriminator", [2]).add(Dense::new(1));
    let config = GanConfig::new(generator, discriminator).ema(Some(Ema::default()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    Gan::new(&Reference::<f32>::new(), config).unwrap().save(&path).unwrap();
    std::fs::read(&path).unwrap()
}

/// What loading these bytes says.
fn load(bytes: &[u8]) -> Result<(), String> {
    let file = TensorFile::parse(bytes)?;
    Gan::from_file(&Reference::<f32>::new(), &file).map(drop).map_err(|e| e.to_string())
}

#[test]
fn files_of_other_kinds_are_named() {
    for (bytes, expected) in [
        (&b""[..], "an empty file"),
        (b"\x89PNG\r\n\x1a\n0000", "a PNG image"),
        (b"PK\x03\x04........", "a ZIP archive"),
        (b"{}", "only 2 bytes"),
        (b"hello, this is a text", "a file of another kind"),
    ] {
        let message = load(bytes).unwrap_err();
        assert!(message.contains(expected) && message.contains("expected a safetensors file"), "{message}");
    }
    let bytes = small();
    assert!(load(&bytes).is_ok());
    for length in [10, bytes.len() / 2, bytes.len() - 1] {
        let message = load(&bytes[..length]).unwrap_err();
        assert!(message.contains("truncated"), "{length}: {message}");
    }
}

#[test]
fn safetensors_of_other_models_are_named() {
    let tensor =
        |shape: Vec<usize>| FileTensor { name: "w".into(), values: Values::F32(vec![0.0; 4]), shape };
    let foreign = TensorFile { description: None, tensors: vec![tensor(vec![2, 2])] };
    let message = load(&foreign.to_bytes().unwrap()).unwrap_err();
    assert!(message.contains("no Gannet model"), "{message}");
    assert!(TensorFile { description: None, tensors: vec![tensor(vec![5])] }.to_bytes().is_err());

    let mut file = TensorFile::parse(&small()).unwrap();
    let position = file.tensors.iter().position(|t| t.name == "generator/0.dense/kernel").unwrap();
    let kernel = file.tensors.remove(position);
    let message = load(&file.to_bytes().unwrap()).unwrap_err();
    assert!(message.contains("'generator/0.dense/kernel' is missing"), "{message}");
    file.tensors.push(FileTensor { shape: vec![4], ..kernel.clone() });
    let message = load(&file.to_bytes().unwrap()).unwrap_err();
    assert!(message.contains("has the shape [4] in this file, the model needs [2, 2]"), "{message}");
    file.tensors.pop();
    file.tensors.push(FileTensor { values: Values::F32(vec![f32::NAN; 4]), ..kernel });
    assert!(load(&file.to_bytes().unwrap()).unwrap_err().contains("holds NaN"));
}

#[test]
fn the_same_tensors_give_the_same_bytes() {
    let bytes = small();
    assert_eq!(bytes, small());
    assert_eq!(TensorFile::parse(&bytes).unwrap().to_bytes().unwrap(), bytes);
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = TensorFile::parse(&small()).unwrap();
    let message = file.write(folder.path().join("missing/model.safetensors")).unwrap_err().to_string();
    assert!(message.contains("missing"), "{message}");
    // A folder stands where the file should go.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    assert!(file.write(&taken).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        keep_header in any::<bool>(),
    ) {
        let _ = load(&bytes);
        let whole = small();
        prop_assert!(load(&whole[..cut.index(whole.len())]).is_err());
        let mut mutated = whole;
        for (at, byte) in changes {
            // Half of the time only the header is changed: that is where the words are.
            let end = if keep_header { 900 } else { mutated.len() };
            let at = at.index(end);
            mutated[at] = byte;
        }
        let _ = load(&mutated);
    }

    #[test]
    fn no_model_file_makes_it_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut text = gannet::presets::text("cdcgan").unwrap().as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        if let Ok(config) = GanConfig::from_toml(&String::from_utf8_lossy(&text)) {
            let _ = config.build();
        }
    }

    #[test]
    fn no_model_file_that_follows_pictures_makes_it_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        told in any::<bool>(),
    ) {
        let mut text = recipe::MODEL_FILE.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let pictures = Pictures { height: 16, width: 24, channels: 1, classes: told.then_some(3), count: 20 };
        let _ = GanConfig::from_toml_for(&String::from_utf8_lossy(&text), &pictures, Capacity::Small);
    }
}
