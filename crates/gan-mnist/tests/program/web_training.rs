//! Training in a model's page: its steps are those of the program, number by number.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gan_mnist::data::batches_of;
use gannet::tensor_file::TensorFile;
use gannet::{Augment, Cpu, Gan, GanConfig, Penalty, Stream, presets};
use gannet_data::{DataSet, Request, Silent, Source, Split};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::export::random;
use crate::program::{folder, names, run};
use crate::web::{assert_same, drawn, generated, ready};

/// A class-conditional model with clusters, the smallest that has every layer of `cdcgan`.
const CLUSTERED: &str = r#"
name = "clustered-toy"
batch_size = 4
steps = 8
parts = 2
schedule = { linear = { from = 0.25 } }
ema = { share = 0.5 }
[generator]
input = [6]
optimiser = { adam = { learning_rate = 3e-3, beta1 = 0.5, beta2 = 0.999 } }
layers = [
  { label = { classes = 6, scale = 2.0 } },
  { dense = { units = 64, use_bias = false } },
  { reshape = { shape = [4, 4, 4] } },
  "batch_norm",
  { leaky_relu = { negative_slope = 0.2 } },
  { conv_transpose2d = { filters = 1, kernel = [4, 4], stride = [2, 2], padding = "same", activation = "tanh" } },
]
[discriminator]
input = [8, 8, 1]
optimiser = { adam = { learning_rate = 3e-3, beta1 = 0.5, beta2 = 0.999 } }
layers = [
  { conv2d = { filters = 4, kernel = [4, 4], stride = [2, 2], padding = "same" } },
  { leaky_relu = { negative_slope = 0.2 } },
  { dropout = { rate = 0.25 } },
  "flatten",
  { projection = { classes = 6 } },
]
"#;

/// A preset with few channels and a batch of four, for a run of ten steps.
fn narrow(preset: &str) -> GanConfig {
    let mut text = presets::text(preset).unwrap().to_owned();
    for (wide, narrow) in [
        ("units = 6272", "units = 392"),
        ("[7, 7, 128]", "[7, 7, 8]"),
        ("filters = 128", "filters = 12"),
        ("filters = 96", "filters = 8"),
        ("filters = 48", "filters = 8"),
        ("filters = 64", "filters = 8"),
        ("input = [100]", "input = [12]"),
        ("input = [64]", "input = [12]"),
    ] {
        text = text.replace(wide, narrow);
    }
    let mut config = GanConfig::from_toml(&text).unwrap().steps(10);
    config.batch_size = 4;
    config
}

/// Writes 10 pictures [H, W, C] as a NumPy array, and opens them.
fn pictures(folder: &Path, [height, width, channels]: [usize; 3]) -> DataSet {
    let shape = format!("(10, {height}, {width}, {channels})");
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(63 - (header.len() + 10) % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    let mut stream = Stream::new(3, "pictures", 0);
    // Blots of any brightness, so that no gradient vanishes.
    bytes.extend((0..10 * height * width * channels).map(|_| stream.below(256) as u8));
    let path = folder.join("pictures.npy");
    fs::write(&path, bytes).unwrap();
    open(path)
}

/// Writes `count` square pictures of the classes 0 to below `classes` in turn as IDX files, and opens them.
fn classified(folder: &Path, count: u8, side: u8, classes: u8) -> DataSet {
    let mut stream = Stream::new(4, "pictures", 0);
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, side, 0, 0, 0, side];
    let pixels = usize::from(count) * usize::from(side).pow(2);
    images.extend((0..pixels).map(|_| stream.below(256) as u8));
    fs::write(folder.join("train-images-idx3-ubyte"), images).unwrap();
    let labels = [0, 0, 8, 1, 0, 0, 0, count].into_iter().chain((0..count).map(|i| i % classes));
    fs::write(folder.join("train-labels-idx1-ubyte"), labels.collect::<Vec<_>>()).unwrap();
    open(folder.into())
}

fn open(path: PathBuf) -> DataSet {
    Request::new(Source::Path(path)).open(Split::Train, None, &Silent).unwrap().unwrap()
}

fn export(folder: &Path, flags: &str) -> PathBuf {
    run(folder, &format!("export model.safetensors --format web --out page.html {flags}")).success();
    folder.join("page.html")
}

/// Shows a page, whose files go to `folder`, and waits until it can be used.
fn show(browser: &mut Browser, page: &Path) {
    let downloads = json!({ "behavior": "allow", "downloadPath": page.parent().unwrap() });
    browser.call("Page.setDownloadBehavior", downloads);
    browser.show(page);
    browser.wait_for("document.readyState === 'complete'");
    ready(browser);
    browser.wait_for("document.getElementById('training').checkVisibility()");
}

fn click(browser: &mut Browser, id: &str) {
    browser.evaluate(&format!("document.getElementById('{id}').click()"));
}

/// Takes a step, which is number `number` of the run, and gives its losses.
fn step(browser: &mut Browser, number: u64) -> Vec<f64> {
    click(browser, "train-step");
    browser.wait_for(&format!(
        "document.getElementById('at-step').textContent === '{number}' && !document.getElementById('training-status').textContent"
    ));
    ready(browser);
    let last: Value = browser.evaluate("training.losses().at(-1)");
    assert_eq!(last["step"], number);
    serde_json::from_value(last["losses"].clone()).unwrap()
}

/// Saves the weights from the page.
fn saved(browser: &mut Browser, folder: &Path, name: &str) -> PathBuf {
    click(browser, "save-weights");
    let path = folder.join(name);
    browser.wait_for_file(&path);
    path
}

/// Chooses a file in a file input.
fn choose(browser: &mut Browser, id: &str, files: &[&Path]) {
    let params = json!({ "expression": format!("document.getElementById('{id}')") });
    let object = browser.call("Runtime.evaluate", params)["result"]["objectId"].clone();
    browser.call("DOM.setFileInputFiles", json!({ "files": files, "objectId": object }));
}

fn clear_status(browser: &mut Browser) {
    browser.evaluate("document.getElementById('training-status').textContent = ''");
}

/// Waits for what the page says next, once it has come to an end with what it was given.
#[track_caller]
fn assert_says(browser: &mut Browser, parts: &[&str]) {
    let text = "document.getElementById('training-status').textContent";
    browser.wait_for(&format!("{text} !== '' && !{text}.startsWith('Reading pictures')"));
    let said = browser.evaluate(text);
    for part in parts {
        assert!(said.as_str().unwrap().contains(part), "{part:?} is missing in: {said}");
    }
}

/// Drops a file or a folder on the page.
fn drop_on(browser: &mut Browser, path: &Path) {
    for kind in ["dragEnter", "dragOver", "drop"] {
        let data = json!({ "items": [], "files": [path], "dragOperationsMask": 1 });
        let params = json!({ "type": kind, "x": 300, "y": 300, "data": data });
        browser.call("Input.dispatchDragEvent", params);
    }
}

/// The GAN of a file as a page begins with it: its generator is the average.
fn begun(path: &Path) -> Gan<Cpu> {
    let mut gan = Gan::load(&Cpu::new().unwrap(), path).unwrap();
    let names: Vec<String> = gan.tensors().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        if let Some(own) = name.strip_prefix("ema/") {
            gan.write_tensor(own, &gan.read_tensor(name).unwrap()).unwrap();
        }
        if name.starts_with("optimiser/") {
            let len = gan.read_tensor(name).unwrap().len();
            gan.write_tensor(name, &vec![0.0; len]).unwrap();
        }
    }
    gan.set_step(0).unwrap();
    gan
}

/// One step of the program on the next batch of `data`; its losses.
fn native_step(gan: &mut Gan<Cpu>, data: &DataSet) -> Vec<f64> {
    let position = gan.step() * gan.config().batch_size as u64;
    let mut batches = batches_of(gan, data, position).unwrap();
    let labelled = gan.training_labels().is_some();
    let (images, labels) = batches.next_batch().unwrap();
    let losses = gan.train_on_batch(images, labelled.then_some(labels)).unwrap();
    vec![losses.d_real, losses.d_fake, losses.g]
}

#[track_caller]
fn assert_losses(found: &[f64], expected: &[f64], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{what}: {found} for {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

/// Every tensor of a file that the page saved, moments and averages included, against the program's.
#[track_caller]
fn assert_weights(path: &Path, gan: &mut Gan<Cpu>, what: &str) {
    let (found, expected) = (TensorFile::read(path).unwrap(), gan.to_file().unwrap());
    assert_eq!(found.tensors.len(), expected.tensors.len(), "{what}");
    for (found, expected) in found.tensors.iter().zip(&expected.tensors) {
        assert_eq!((&found.name, &found.shape), (&expected.name, &expected.shape), "{what}");
        let pairs = found.values.to::<f64>().into_iter().zip(expected.values.to::<f64>());
        let worst = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max);
        assert!(worst <= 1e-4, "{what}: {} is {worst:e} off", found.name);
    }
}

/// Steps of these numbers, each from the state that the program's run has before it.
fn step_by_step(
    browser: &mut Browser,
    folder: &Path,
    gan: &mut Gan<Cpu>,
    data: &DataSet,
    numbers: RangeInclusive<u64>,
) {
    while gan.step() + 1 < *numbers.start() {
        native_step(gan, data);
    }
    for number in numbers {
        let state = folder.join(format!("run-{number}.safetensors"));
        gan.save(&state).unwrap();
        choose(browser, "load-weights", &[&state]);
        browser.wait_for(&format!(
            "document.getElementById('training-status').textContent.includes('run-{number}')"
        ));
        let found = step(browser, number);
        assert_losses(&found, &native_step(gan, data), &format!("step {number}"));
        let name = format!("{}-step-{number}.safetensors", gan.config().name);
        let path = saved(browser, folder, &name);
        assert_weights(&path, gan, &format!("step {number}"));
    }
}

/// Three steps from given weights, with the page's own batches, latents, augmentations and rates.
#[test]
fn three_steps_in_a_browser_are_those_of_the_program() {
    let Some(mut browser) = Browser::open() else { return };
    for preset in ["dcgan", "sngan", "wgan-gp", "colour", "seed-dense"] {
        let folder = folder();
        let model = folder.path().join("model.safetensors");
        let mut config = narrow(preset);
        if preset == "colour" {
            // A kind of step with the penalty and one without.
            config = config.augment(Augment::paper()).penalty(Penalty::R1 { gamma: 1.0, every: 2 });
        }
        random(config, &model);
        let data = pictures(folder.path(), [28, 28, if preset == "colour" { 3 } else { 1 }]);
        show(&mut browser, &export(folder.path(), "--data pictures.npy"));
        let mut gan = begun(&model);
        for number in 1..=3 {
            let (found, expected) = (step(&mut browser, number), native_step(&mut gan, &data));
            assert_losses(&found, &expected, &format!("{preset}, step {number}"));
        }
        let path = saved(&mut browser, folder.path(), &format!("{}-step-3.safetensors", gan.config().name));
        assert_weights(&path, &mut gan, preset);
        // They are a model of the program, which draws what the page shows.
        let expected = generated(folder.path(), &path, "--count 30");
        let channels = gan.image_shape().last();
        assert_same(&drawn(&mut browser, "samples", channels), &expected, preset);
        assert_eq!(browser.console, Vec::<String>::new(), "{preset}");
    }
}

/// From the state of a run, moments and schedule included, one step at a time: this model's rate amplifies rounding.
#[test]
fn a_page_goes_on_with_a_run_and_tells_classes_and_clusters() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    random(GanConfig::from_toml(CLUSTERED).unwrap(), &at("model.safetensors"));
    let data = classified(folder.path(), 10, 8, 3);
    show(&mut browser, &export(folder.path(), "--data ."));

    let mut gan = Gan::load(&Cpu::new().unwrap(), at("model.safetensors")).unwrap();
    step_by_step(&mut browser, folder.path(), &mut gan, &data, 2..=4);

    // A changed rate and a longer run are told by the file.
    for (id, value) in [("rate-1", "0.001"), ("length", "200")] {
        browser.evaluate(&format!(
            "(() => {{ const input = document.getElementById('{id}'); input.value = '{value}'; input.dispatchEvent(new Event('input')); }})()"
        ));
    }
    step(&mut browser, 5);
    let path = saved(&mut browser, folder.path(), "clustered-toy-step-5.safetensors");
    let again = Gan::load(&Cpu::new().unwrap(), &path).unwrap();
    let rates = [&again.config().generator_optimiser, &again.config().discriminator_optimiser]
        .map(|rule| rule.learning_rate());
    assert_eq!((again.step(), again.config().steps, rates), (5, Some(200), [3e-3, 1e-3]));
    run(folder.path(), "train --from clustered-toy-step-5.safetensors --data . --steps 1 --out from")
        .success();

    // A run that is over goes on over a longer one, and one without weights that fit does not.
    gan.set_step(8).unwrap();
    gan.save(at("over.safetensors")).unwrap();
    choose(&mut browser, "load-weights", &[&at("over.safetensors")]);
    browser.wait_for("document.getElementById('training-status').textContent.includes('over.safetensors')");
    assert_eq!(browser.evaluate("document.getElementById('length').value"), "200");

    // A loop of steps, until it is paused.
    click(&mut browser, "train-start");
    browser.wait_for("training.losses().length >= 3 && document.getElementById('losses').checkVisibility()");
    click(&mut browser, "train-start");
    browser.wait_for("document.getElementById('training').dataset.state === 'paused'");
    // Steps that were under way end, and no further one begins.
    browser
        .wait_for("training.losses().at(-1).step === Number(document.getElementById('at-step').textContent)");
    let seen = browser.evaluate("training.losses().length");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(browser.evaluate("training.losses().length"), seen);
    assert_eq!(drawn(&mut browser, "real", 1).len(), 4);

    // A folder of pictures that is called as a class is of that class, and each picture of one of its clusters.
    run(folder.path(), "generate clustered-toy-step-5.safetensors --count 3 --out sorted/2/").success();
    choose(&mut browser, "add-folder", &[&at("sorted")]);
    browser.wait_for("document.getElementById('training-status').textContent.includes('3 pictures added')");
    let labels: Vec<u32> =
        serde_json::from_value(browser.evaluate("Array.from(training.pictures().labels)")).unwrap();
    assert!(labels.len() == 3 && labels.iter().all(|label| label / 2 == 2), "{labels:?}");
    click(&mut browser, "back");
    assert_eq!(browser.evaluate("training.pictures().count"), 10);
    assert_eq!(browser.console, Vec::<String>::new());
}

/// The preset of the default run with few channels and two clusters in each class.
#[test]
fn each_step_of_cdcgan_in_a_browser_is_that_of_the_program() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let text = narrow("cdcgan").to_toml().unwrap();
    let text = text.replace("classes = 160", "classes = 20").replace("parts = 16", "parts = 2");
    let config = GanConfig::from_toml(&text).unwrap();
    assert_eq!(config.clusters, 2);
    random(config, &folder.path().join("model.safetensors"));
    let data = classified(folder.path(), 40, 28, 10);
    show(&mut browser, &export(folder.path(), "--data ."));
    let mut gan = Gan::load(&Cpu::new().unwrap(), folder.path().join("model.safetensors")).unwrap();
    step_by_step(&mut browser, folder.path(), &mut gan, &data, 3..=6);
    assert_eq!(browser.console, Vec::<String>::new());
}

/// What is dropped on the page is taken, or refused by its name.
#[test]
fn a_page_takes_pictures_and_weights_and_says_what_it_refuses() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let mut config = narrow("seed-dense");
    config.batch_size = 6;
    random(config, &at("model.safetensors"));
    let page = export(folder.path(), "");
    show(&mut browser, &page);
    // No data was named.
    clear_status(&mut browser);
    click(&mut browser, "train-step");
    assert_says(&mut browser, &["needs pictures: drop some"]);

    let good = fs::read(at("model.safetensors")).unwrap();
    let mut short = good.clone();
    short.truncate(good.len() - 1000);
    fs::write(at("short.safetensors"), short).unwrap();
    let length = 8 + u64::from_le_bytes(*good.first_chunk().unwrap()) as usize;
    let mut damaged = good.clone();
    damaged[length + 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(at("damaged.safetensors"), damaged).unwrap();
    fs::write(at("film.safetensors"), b"this is no safetensors file at all").unwrap();
    random(narrow("dcgan"), &at("other.safetensors"));
    let mut wider = narrow("seed-dense").to_toml().unwrap();
    wider = wider.replacen("input = [12]", "input = [20]", 1).replacen("input = [100]", "input = [20]", 1);
    random(GanConfig::from_toml(&wider).unwrap().steps(10), &at("wider.safetensors"));
    let before = drawn(&mut browser, "samples", 1);
    for (name, complaint) in [
        ("short.safetensors", "truncated or damaged: the tensor"),
        ("damaged.safetensors", "holds NaN in this file"),
        ("film.safetensors", "a file of another kind; expected a safetensors file"),
        ("other.safetensors", "is missing: this file is of another model"),
        ("wider.safetensors", "the model of this page needs ["),
    ] {
        clear_status(&mut browser);
        drop_on(&mut browser, &at(name));
        assert_says(&mut browser, &[&format!("{name}: "), complaint]);
    }
    // None of them has changed anything.
    ready(&mut browser);
    assert_eq!(drawn(&mut browser, "samples", 1), before);

    // Pictures of any size and kind, and what is none.
    let grid = "generate model.safetensors --count 5 --out dropped/";
    run(folder.path(), grid).success();
    run(folder.path(), "generate model.safetensors --count 3 --out wide.png").success();
    fs::write(at("notes.txt"), "no picture").unwrap();
    let single = folder.path().join("dropped").join(&names(&at("dropped"))[0]);
    clear_status(&mut browser);
    choose(&mut browser, "add", &[&single, &at("wide.png"), &at("notes.txt")]);
    assert_says(&mut browser, &["2 pictures added.", "notes.txt: is no picture that this browser can read"]);
    let first: Vec<u8> =
        serde_json::from_value(browser.evaluate("Array.from(training.pictures().pixels[0])")).unwrap();
    assert_eq!(first, gan_mnist::picture::Picture::load_png(&single).unwrap().pixels);
    clear_status(&mut browser);
    drop_on(&mut browser, &at("dropped"));
    assert_says(
        &mut browser,
        &["dropped is a folder", "opened from disk may not look into", "choose it below"],
    );
    step(&mut browser, 1);
    assert_eq!(browser.console, Vec::<String>::new());
}

/// The batches of a run that mirrors its images: their order and what each of them holds.
#[test]
fn the_pictures_of_a_run_travel_and_come_in_its_order() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    fs::write(folder.path().join("toy.toml"), narrow("seed-dense").to_toml().unwrap()).unwrap();
    let data = pictures(folder.path(), [28, 28, 1]).with_flip(true);
    let line = "train --model toy.toml --data pictures.npy --flip --steps 1 --out run --quiet";
    run(folder.path(), line).success();
    let outcome = run(folder.path(), "export run --format web --out page.html").success();
    assert!(outcome.stdout.contains("it trains on 10 pictures of pictures.npy"), "{outcome:?}");
    show(&mut browser, &folder.path().join("page.html"));
    let gan = Gan::load(&Cpu::new().unwrap(), folder.path().join("run/model.safetensors")).unwrap();
    let mut batches = batches_of(&gan, &data, 0).unwrap();
    // Over the end of two epochs.
    for number in 0..6 {
        let found =
            browser.evaluate(&format!("Array.from(training.pictures().batch({}, 4).images)", 4 * number));
        let found: Vec<f32> = serde_json::from_value(found).unwrap();
        assert_eq!(found, batches.next_batch().unwrap().0, "batch {number}");
    }
    // Fewer of them by chance.
    let outcome = run(folder.path(), "export run --format web --out page.html --pictures 4").success();
    assert!(outcome.stdout.contains("it trains on 4 of the 10 pictures of pictures.npy"), "{outcome:?}");
}

#[test]
fn what_a_page_cannot_train_it_says_and_flags_that_do_not_fit_are_refused() {
    let folder = folder();
    let mut config = narrow("dcgan");
    config.accumulate = 2;
    random(config, &folder.path().join("model.safetensors"));
    let outcome = run(folder.path(), "export model.safetensors --format web --out page.html").success();
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    for text in [&outcome.stdout, &page] {
        assert!(text.contains("cannot train this model: its steps are made of 2 micro-batches"), "{text}");
    }
    assert!(!page.contains("id=\"train-start\"") && !page.contains("training-data"));
    for flags in ["--pictures 5", "--data pictures.npy"] {
        let line = format!("export model.safetensors --format onnx --out model.onnx {flags}");
        let message = run(folder.path(), &line).error(2);
        assert!(message.contains("--format web"), "{message}");
    }
    // Pictures of another size.
    pictures(folder.path(), [20, 28, 1]);
    let line = "export model.safetensors --format web --out other.html --data pictures.npy";
    let message = run(folder.path(), line).error(1);
    assert!(message.contains("28x28x1") && message.contains("20x28x1"), "{message}");
    assert!(!names(folder.path()).iter().any(|name| name.contains("other")));
}
