//! A model as a web page: what is in it, and that a browser draws with it what `generate` draws.

use std::fs;
use std::path::{Path, PathBuf};

use gan_mnist::picture::Picture;
use gannet::metrics::quantise;
use gannet::tensor_file::TensorFile;
use gannet::{GanConfig, presets};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::export::{random, zoo};
use crate::program::{folder, names, run, trained};
use crate::static_server::StaticServer;

/// Images of a page's grid.
pub(crate) const COUNT: usize = 30;

/// A small model of colour pictures without classes, whose layers are others than those of `cdcgan`.
const COLOUR: &str = r#"
name = "colour-toy"
batch_size = 1
steps = 1
ema = { share = 0.5 }
[generator]
input = [12]
layers = [
  { dense = { units = 128, activation = "relu" } },
  { reshape = { shape = [4, 4, 8] } },
  { group_norm = { groups = 2 } },
  { keep = { as = "coarse" } },
  "self_attention",
  { upsample_nearest = {} },
  { residual = { layers = ["silu", { conv2d = { filters = 8, kernel = [3, 3], padding = "same" } }] } },
  { keep = { as = "fine" } },
  { concat = { from = "fine" } },
  "glu",
  "upsample_fir",
  { skip_excite = { from = "coarse" } },
  { conv2d = { filters = 3, kernel = [3, 3], padding = "same", activation = "tanh" } },
]
[discriminator]
input = [16, 16, 3]
layers = ["flatten", { dense = { units = 1 } }]
"#;

/// Exports the model of a run, or a file, to page.html.
fn export(folder: &Path, model: &Path) -> PathBuf {
    let line = format!("export {} --format web --out page.html", model.display());
    let outcome = run(folder, &line).success();
    assert!(outcome.stdout.contains("generator of ") && outcome.stdout.contains("page.html"), "{outcome:?}");
    folder.join("page.html")
}

/// The bytes of the images that `generate` draws with these flags, each [H, W, C].
pub(crate) fn generated(folder: &Path, model: &Path, flags: &str) -> Vec<Vec<u8>> {
    let line = format!("generate {} --device cpu --out images.safetensors {flags}", model.display());
    run(folder, &line).success();
    let file = TensorFile::read(folder.join("images.safetensors")).unwrap();
    let images = file.tensor("images").unwrap();
    let size: usize = images.shape[1..].iter().product();
    images
        .values
        .to::<f32>()
        .chunks(size)
        .map(|image| image.iter().copied().map(quantise).collect())
        .collect()
}

/// The bytes of the pictures in an element of the page, each [H, W, C].
pub(crate) fn drawn(browser: &mut Browser, element: &str, channels: usize) -> Vec<Vec<u8>> {
    // Copies are read, so that the browser does not advise how to read a canvas twice.
    let script = format!(
        "[...document.querySelectorAll('#{element} canvas')].map((canvas) => {{
           const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
           copy.drawImage(canvas, 0, 0);
           return Array.from(copy.getImageData(0, 0, canvas.width, canvas.height).data);
         }})"
    );
    let pictures: Vec<Vec<u8>> = serde_json::from_value(browser.evaluate(&script)).unwrap();
    let of = |picture: Vec<u8>| picture.chunks(4).flat_map(|pixel| pixel[..channels].to_vec()).collect();
    pictures.into_iter().map(of).collect()
}

#[track_caller]
pub(crate) fn assert_same(found: &[Vec<u8>], expected: &[Vec<u8>], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let contrast = |image: &Vec<u8>| image.iter().max().unwrap() - image.iter().min().unwrap();
    assert!(expected.iter().map(contrast).max().unwrap() > 60, "{what}: there is nothing to see");
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        let worst = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(found.len() == expected.len() && worst <= 1, "{what}: image {n} is {worst} levels off");
    }
}

/// Changes the value of a control as a user does, and waits for what is drawn then.
pub(crate) fn set(browser: &mut Browser, id: &str, value: &str) {
    let script = format!(
        "(() => {{ const control = document.getElementById('{id}'); control.value = '{value}';
           control.dispatchEvent(new Event('input')); return true; }})()"
    );
    browser.evaluate(&script);
    ready(browser);
}

pub(crate) fn ready(browser: &mut Browser) {
    browser.wait_for("['ready', 'failed'].includes(document.documentElement?.dataset.state)");
    assert_eq!(browser.evaluate("document.documentElement?.dataset.state"), "ready", "{:?}", browser.console);
}

#[test]
fn a_page_is_one_file_that_asks_for_nothing() {
    let folder = folder();
    let page = fs::read_to_string(export(folder.path(), &trained("dcgan"))).unwrap();
    assert_eq!(names(folder.path()), ["page.html"]);
    for part in [
        "default-src 'none'",
        "data:image/png;base64,",
        "After 2 training steps",
        "direction-5",
        "id=\"train-start\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for part in ["http://", "https://", "src=\"/", "name=\"class\""] {
        assert!(!page.contains(part), "{part}");
    }
    // Without pictures: moments stay at home, and what draws is what is trained.
    let length = |preset: &str| {
        run(
            folder.path(),
            &format!("export {} --format web --pictures 0 --out page.html", trained(preset).display()),
        )
        .success();
        fs::metadata(folder.path().join("page.html")).unwrap().len()
    };
    let (small, large) = (length("dcgan"), length("cdcgan"));
    assert!(small < 4_000_000 && large < 12_000_000, "{small} {large}");
    let page = fs::read_to_string(export(folder.path(), &trained("cdcgan"))).unwrap();
    assert!(page.contains("in 10 classes") && page.contains("name=\"class\" value=\"9\""));
    let line =
        format!("export {} --format web --part discriminator --out d.html", trained("dcgan").display());
    let message = run(folder.path(), &line).error(2);
    assert!(message.contains("--format web") && message.contains("--part discriminator"), "{message}");
    assert_eq!(names(folder.path()), ["page.html"]);
}

#[test]
fn a_browser_draws_what_generate_draws() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    let mut config = presets::get("cdcgan").unwrap();
    config.steps = Some(1);
    random(config, &model);
    browser.show(&export(folder.path(), &model));
    ready(&mut browser);
    let expected = generated(folder.path(), &model, &format!("--count {COUNT}"));
    assert_same(&drawn(&mut browser, "samples", 1), &expected, "seed 42, all classes in turn");

    set(&mut browser, "seed", "18446744073709551615");
    set(&mut browser, "truncation", "0.7");
    browser.evaluate("document.querySelector('[name=class][value=\"7\"]').click()");
    ready(&mut browser);
    let flags = format!("--count {COUNT} --seed 18446744073709551615 --truncation 0.7 --class 7");
    let expected = generated(folder.path(), &model, &flags);
    assert_same(&drawn(&mut browser, "samples", 1), &expected, "another seed, nearer, one class");

    // A direction moves what is drawn, and resetting the sliders undoes it.
    set(&mut browser, "truncation", "1");
    let before = drawn(&mut browser, "samples", 1);
    set(&mut browser, "direction-0", "3");
    assert_ne!(drawn(&mut browser, "samples", 1), before);
    browser.evaluate("document.getElementById('reset').click()");
    ready(&mut browser);
    assert_eq!(drawn(&mut browser, "samples", 1), before);

    // A way between two pictures begins and ends with them.
    for tile in [3, 20] {
        browser.evaluate(&format!("document.querySelectorAll('#samples button')[{tile}].click()"));
        ready(&mut browser);
    }
    let way = drawn(&mut browser, "way", 1);
    assert_eq!(way.len(), 9);
    assert_same(&[way[0].clone(), way[8].clone()], &[before[3].clone(), before[20].clone()], "the ends");
    // What lies between is what `interpolate` draws between the first two images.
    for tile in [0, 1] {
        browser.evaluate(&format!("document.querySelectorAll('#samples button')[{tile}].click()"));
        ready(&mut browser);
    }
    let line = format!(
        "interpolate {} --count 1 --steps 9 --class 7 --seed 18446744073709551615 --out way.png --device cpu",
        model.display()
    );
    run(folder.path(), &line).success();
    let grid = Picture::load_png(&folder.path().join("way.png")).unwrap();
    let expected: Vec<Vec<u8>> = (0..9)
        .map(|image| {
            let row = |y: usize| &grid.pixels[(2 + y) * grid.shape.width + 2 + image * 30..][..28];
            (0..28).flat_map(row).copied().collect()
        })
        .collect();
    assert_same(&drawn(&mut browser, "way", 1), &expected, "the way between two pictures");

    // What is no seed is told, and what is drawn stays.
    set(&mut browser, "seed", "seven");
    assert_eq!(drawn(&mut browser, "samples", 1), before);
    let status = browser.evaluate("document.getElementById('status').textContent");
    assert!(status.as_str().unwrap().contains("a whole number from 0"), "{status}");

    // The keyboard reaches the controls: the arrow chooses the next class.
    set(&mut browser, "seed", "5");
    browser.evaluate("document.querySelector('[name=class][value=\"7\"]').focus()");
    browser.press("ArrowRight", 39);
    ready(&mut browser);
    let expected = generated(folder.path(), &model, &format!("--count {COUNT} --seed 5 --class 8"));
    assert_same(&drawn(&mut browser, "samples", 1), &expected, "the class of the arrow key");
    let unreachable =
        "[...document.querySelectorAll('button, input, select')].filter((x) => x.tabIndex < 0).length";
    assert_eq!(browser.evaluate(unreachable), 0);
    assert_eq!(browser.console, Vec::<String>::new());
}

#[test]
fn a_browser_draws_colours_and_saves_them() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    random(GanConfig::from_toml(COLOUR).unwrap(), &model);
    let page = export(folder.path(), &model);
    let downloads = json!({ "behavior": "allow", "downloadPath": folder.path() });
    browser.call("Page.setDownloadBehavior", downloads);
    browser.show(&page);
    ready(&mut browser);
    let expected = generated(folder.path(), &model, &format!("--count {COUNT}"));
    let found = drawn(&mut browser, "samples", 3);
    assert_same(&found, &expected, "colours");

    browser.evaluate("document.getElementById('save').click()");
    let saved = folder.path().join("colour-toy-seed-42.png");
    browser.wait_for_file(&saved);
    let picture = Picture::load_png(&saved).unwrap();
    let columns = (picture.shape.width - 2) / 18;
    assert_eq!((picture.shape.width, picture.shape.channels), (2 + columns * 18, 3));
    assert_eq!(picture.shape.height, 2 + COUNT.div_ceil(columns) * 18);
    let row = |image: usize| {
        let (top, left) = (2 + image / columns * 18, 2 + image % columns * 18);
        &picture.pixels[(top * picture.shape.width + left) * 3..][..16 * 3]
    };
    for (n, image) in found.iter().enumerate() {
        assert_eq!(row(n), &image[..16 * 3], "image {n}");
    }
    assert_eq!(browser.console, Vec::<String>::new());
}

/// What a browser is like that knows no WebGPU.
fn forget_webgpu(browser: &mut Browser) {
    let source = "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })";
    browser.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source }));
}

fn is_visible(browser: &mut Browser, id: &str) -> Value {
    browser.evaluate(&format!("document.getElementById('{id}').checkVisibility()"))
}

/// The networks of published methods, and one with every layer that a generator can have.
#[test]
fn without_webgpu_javascript_draws_what_generate_draws() {
    let Some(mut browser) = Browser::open() else { return };
    forget_webgpu(&mut browser);
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    let [zoo, _] = zoo();
    let of_preset = |name| presets::get(name).unwrap();
    for config in [
        of_preset("dcgan"),
        of_preset("cdcgan"),
        of_preset("seed-conv"),
        of_preset("sngan"),
        of_preset("r3gan"),
        of_preset("colour"),
        GanConfig::from_toml(COLOUR).unwrap(),
        GanConfig::from_toml(&zoo).unwrap(),
    ] {
        let name = config.name.clone();
        random(config.steps(1), &model);
        browser.show(&export(folder.path(), &model));
        browser.wait_for("document.readyState === 'complete'");
        ready(&mut browser);
        let expected = generated(folder.path(), &model, &format!("--count {COUNT}"));
        let channels = browser.evaluate("explorer.model.shape[2]").as_u64().unwrap() as usize;
        assert_same(&drawn(&mut browser, "samples", channels), &expected, &name);
        let text = browser.evaluate("document.body.innerText");
        for part in ["This browser has no WebGPU", "JavaScript computes the pictures", "training"] {
            assert!(text.as_str().unwrap().contains(part), "{part}: {text}");
        }
        for (id, visible) in
            [("explorer", true), ("training", false), ("first", false), ("not-computed", false)]
        {
            assert_eq!(is_visible(&mut browser, id), visible, "{name}: {id}");
        }
        if name != "cdcgan" {
            continue;
        }
        // The controls do what they do on WebGPU.
        set(&mut browser, "seed", "9");
        set(&mut browser, "truncation", "0.6");
        browser.evaluate("document.querySelector('[name=class][value=\"4\"]').click()");
        ready(&mut browser);
        let flags = format!("--count {COUNT} --seed 9 --truncation 0.6 --class 4");
        let found = drawn(&mut browser, "samples", 1);
        assert_same(&found, &generated(folder.path(), &model, &flags), "another seed, nearer, one class");
        for tile in [3, 20] {
            browser.evaluate(&format!("document.querySelectorAll('#samples button')[{tile}].click()"));
            ready(&mut browser);
        }
        let way = drawn(&mut browser, "way", 1);
        assert_same(&[way[0].clone(), way[8].clone()], &[found[3].clone(), found[20].clone()], "the ends");
        // What is asked for while pictures are drawn is what is there in the end.
        browser.evaluate(
            "for (const value of [1, 2, 3]) { const seed = document.getElementById('seed'); seed.value = value;
               seed.dispatchEvent(new Event('input')); }",
        );
        ready(&mut browser);
        let flags = flags.replace("--seed 9", "--seed 3");
        let expected = generated(folder.path(), &model, &flags);
        assert_same(&drawn(&mut browser, "samples", 1), &expected, "the last of three seeds");
    }
    assert_eq!(browser.console, Vec::<String>::new());
}

/// A picture of this model depends on those that are drawn with it.
#[test]
fn where_javascript_cannot_draw_the_page_shows_what_was_drawn_and_says_what_is_missing() {
    let Some(mut browser) = Browser::open() else { return };
    forget_webgpu(&mut browser);
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    let [_, embedding] = zoo();
    random(GanConfig::from_toml(&embedding).unwrap().steps(1), &model);
    browser.show(&export(folder.path(), &model));
    browser.wait_for("document.documentElement?.dataset.state === 'absent'");
    let text = browser.evaluate("document.body.innerText");
    for part in ["This browser has no WebGPU", "are missing", "drawn when the page was made"] {
        assert!(text.as_str().unwrap().contains(part), "{part}: {text}");
    }
    for (id, visible) in [("explorer", false), ("training", false), ("absent", true), ("computed", false)] {
        assert_eq!(is_visible(&mut browser, id), visible, "{id}");
    }
    browser.wait_for("document.querySelector('#absent img').naturalWidth > 30");
    assert_eq!(browser.console, Vec::<String>::new());
}

/// From a server as from a disk, and nothing is asked of it but the page.
#[test]
fn a_page_works_from_a_static_server() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    random(GanConfig::from_toml(COLOUR).unwrap(), &model);
    export(folder.path(), &model);
    let server = StaticServer::start(folder.path());
    browser.visit(&format!("{}page.html", server.address));
    browser.wait_for("document.readyState === 'complete'");
    ready(&mut browser);
    let expected = generated(folder.path(), &model, &format!("--count {COUNT}"));
    assert_same(&drawn(&mut browser, "samples", 3), &expected, "WebGPU");
    browser.wait_for("document.getElementById('training').checkVisibility()");
    forget_webgpu(&mut browser);
    browser.call("Page.reload", json!({}));
    browser.wait_for("document.getElementById('absent')?.checkVisibility()");
    ready(&mut browser);
    assert_same(&drawn(&mut browser, "samples", 3), &expected, "JavaScript");
    assert_eq!(server.asked(), ["/page.html", "/page.html"]);
    assert_eq!(browser.console, Vec::<String>::new());
}

/// Until the first pictures are drawn there are those that the page was made with.
#[test]
fn a_page_begins_with_what_was_drawn_when_it_was_made() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    random(GanConfig::from_toml(COLOUR).unwrap(), &model);
    // An adapter that never comes to an end with its device.
    let source = "GPUAdapter.prototype.requestDevice = () => new Promise(() => {})";
    browser.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source }));
    browser.show(&export(folder.path(), &model));
    browser.wait_for("document.documentElement?.dataset.first === 'shown'");
    let expected = generated(folder.path(), &model, &format!("--count {COUNT}"));
    assert_same(&drawn(&mut browser, "samples", 3), &expected, "the pictures in the page");
}

/// A second judge of the WGSL, beside naga.
#[test]
fn chromium_compiles_every_shader_without_a_warning() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let blank = folder.path().join("blank.html");
    fs::write(&blank, "<!DOCTYPE html><html lang=en><link rel=icon href=data:,><title>Shaders</title>")
        .unwrap();
    browser.show(&blank);
    browser.wait_for("document.title === 'Shaders'");
    let wrong = ("wrong", "@compute @workgroup_size(1) fn main() { let x: i32 = 1.5; }");
    let dubious = ("dubious", "@compute @workgroup_size(1) fn main() { return; let x = 1; }");
    let shaders = gannet_shaders::all().iter().map(|shader| (shader.name, shader.source));
    let sources: Vec<(&str, &str)> = shaders.chain([wrong, dubious]).collect();
    let script = format!(
        "(async (sources) => {{
           const device = await (await navigator.gpu.requestAdapter()).requestDevice();
           const messages = [];
           for (const [name, code] of sources) {{
             device.pushErrorScope('validation');
             const info = await device.createShaderModule({{ code }}).getCompilationInfo();
             const error = await device.popErrorScope();
             if (info.messages.length > 0 || error) messages.push(name);
           }}
           return messages;
         }})({})",
        json!(sources)
    );
    // Two that are not ours show that the check can fail.
    assert_eq!(browser.evaluate(&script), json!(["wrong", "dubious"]), "{:?}", browser.console);
}
