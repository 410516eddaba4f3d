//! The explorer that a process serves and draws for.

use gan_mnist::picture::Picture;
use gannet::presets;
use serde_json::json;

use crate::browser::Browser;
use crate::export::random;
use crate::program::{folder, trained};
use crate::serving::Serving;
use crate::web::{COUNT, assert_same, drawn, generated, ready, set};

#[test]
fn a_browser_shows_what_generate_draws() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    let mut config = presets::get("cdcgan").unwrap();
    config.steps = Some(1);
    config.class_names = (0..10).map(|class| format!("<{class}>")).collect();
    random(config, &model);
    let serving = Serving::start(folder.path(), "explore model.safetensors --device cpu", "explorer");
    let downloads = json!({ "behavior": "allow", "downloadPath": folder.path() });
    browser.call("Page.setDownloadBehavior", downloads);
    browser.visit(&serving.address);
    ready(&mut browser);
    let expected = generated(folder.path(), &model, &format!("--count {COUNT}"));
    let found = drawn(&mut browser, "samples", 1);
    assert_same(&found, &expected, "seed 42, all classes in turn");
    let names =
        browser.evaluate("[...document.querySelectorAll('.classes span')].map((x) => x.textContent).join()");
    assert_eq!(names, "all in turn,<0>,<1>,<2>,<3>,<4>,<5>,<6>,<7>,<8>,<9>");

    browser.evaluate("document.getElementById('save').click()");
    let saved = folder.path().join("cdcgan-seed-42.png");
    browser.wait_for_file(&saved);
    let picture = Picture::load_png(&saved).unwrap();
    // A canvas is saved in colour.
    assert_eq!(picture.shape.channels, 3);
    let row = picture.pixels[(2 * picture.shape.width + 2) * 3..].iter().step_by(3).take(28);
    assert_eq!(row.copied().collect::<Vec<_>>(), found[0][..28]);

    set(&mut browser, "seed", "7");
    set(&mut browser, "truncation", "0.6");
    browser.evaluate("document.querySelector('[name=class][value=\"3\"]').click()");
    ready(&mut browser);
    let flags = format!("--count {COUNT} --seed 7 --truncation 0.6 --class 3");
    let before = drawn(&mut browser, "samples", 1);
    assert_same(&before, &generated(folder.path(), &model, &flags), "another seed, nearer, one class");
    set(&mut browser, "direction-0", "3");
    assert_ne!(drawn(&mut browser, "samples", 1), before);
    set(&mut browser, "direction-0", "0");
    // The way from a picture of one class to one of another begins and ends with them.
    browser.evaluate("document.querySelector('[name=class][value=all]').click()");
    ready(&mut browser);
    let all = drawn(&mut browser, "samples", 1);
    for tile in [3, 25] {
        browser.evaluate(&format!("document.querySelectorAll('#samples button')[{tile}].click()"));
        ready(&mut browser);
    }
    let way = drawn(&mut browser, "way", 1);
    assert_same(&[way[0].clone(), way[8].clone()], &[all[3].clone(), all[25].clone()], "the ends");
    assert_eq!(browser.console, Vec::<String>::new());

    // When the program has ended, the page says so.
    drop(serving);
    browser.evaluate("document.getElementById('another').click()");
    browser.wait_for("document.documentElement?.dataset.state === 'failed'");
    let status = browser.evaluate("document.getElementById('status').textContent");
    assert!(status.as_str().unwrap().contains("does not answer"), "{status}");
}

#[test]
fn drawings_that_cannot_be_are_refused_and_the_next_is_drawn() {
    let folder = folder();
    let line = format!("explore {} --device cpu --threads 1", trained("cdcgan").display());
    let serving = Serving::start(folder.path(), &line, "explorer");
    // Latents, labels, labels at the end, and the way there.
    let numbers = |latent: f32, label: f32, share: f32| {
        let z = 64;
        let all = [(COUNT * z, latent), (COUNT, label), (COUNT, label), (COUNT, share)];
        let all = all.into_iter().flat_map(|(n, x)| std::iter::repeat_n(x.to_le_bytes(), n));
        all.flatten().collect::<Vec<u8>>()
    };
    let clusters = 16.0;
    let drawn = |body: &[u8]| serving.ask("POST", "draw", body);
    let (status, images) = drawn(&numbers(0.5, 1.0, 0.0));
    assert_eq!((status, images.len()), (200, COUNT * 28 * 28 * 4), "{}", String::from_utf8_lossy(&images));
    for (body, status) in [
        (Vec::new(), 400),
        (numbers(0.5, 1.0, 0.0)[4..].to_vec(), 400),
        (numbers(0.5, 1.0, 0.0)[1..].to_vec(), 400),
        ([numbers(0.5, 1.0, 0.0), vec![0]].concat(), 413),
        (numbers(f32::NAN, 1.0, 0.0), 400),
        (numbers(f32::INFINITY, 1.0, 0.0), 400),
        (numbers(0.5, -1.0, 0.0), 400),
        (numbers(0.5, 0.5, 0.0), 400),
        (numbers(0.5, 10.0 * clusters, 0.0), 400),
        (numbers(0.5, 1e30, 0.0), 400),
        (numbers(0.5, 1.0, 1.5), 400),
    ] {
        assert_eq!(drawn(&body).0, status, "{} bytes", body.len());
    }
    assert_eq!(drawn(&numbers(0.5, 1.0, 0.0)), (200, images));
    assert_eq!(serving.ask("GET", "draw", b"").0, 404);
    #[cfg(unix)]
    {
        serving.signal("INT");
        let outcome = serving.wait();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    }
}
