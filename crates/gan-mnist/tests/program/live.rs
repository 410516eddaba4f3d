//! A run on a page: what it shows and takes, and who is kept away from it.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;

use crate::browser::Browser;
use crate::program::{folder, names, run, trained};
use crate::resume::newest;
use crate::serving::{Serving, answer};

/// A run that goes on until someone stops it.
const ENDLESS: &str = "train --preset dcgan --batch-size 2 --steps 1000000 --sample-every 4 --log-every 4 --threads 1 --out run";

/// A run that ends by itself, with something of everything.
const SHORT: &str = "train --preset dcgan --batch-size 2 --steps 24 --sample-every 6 --log-every 6 --checkpoint-every 8 --threads 1";

#[test]
fn a_page_shows_a_run_saves_it_and_stops_it() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    let serving = Serving::start(folder.path(), &format!("{ENDLESS} --live"), "live");
    browser.visit(&serving.address);
    let phase = |phase: &str| format!("document.documentElement?.dataset.state === '{phase}'");
    browser.wait_for(&phase("training"));
    // Losses, speed, a grid and real images arrive, and go on.
    let losses =
        "[...document.querySelectorAll('.chart h3')].some((title) => title.textContent === 'Losses')";
    browser.wait_for(losses);
    browser.wait_for(
        "[...document.querySelectorAll('#figures dt')].some((name) => name.textContent === 'time left')",
    );
    browser.wait_for("document.querySelector('#samples img').naturalWidth > 100");
    browser.wait_for("document.querySelector('#real img').naturalWidth > 100");
    let place = "Number(document.getElementById('place').textContent.split(' ')[1])";
    let step = browser.evaluate(place).as_u64().unwrap();
    browser.wait_for(&format!("{place} > {}", step + 8));
    browser.wait_for("Number(document.getElementById('time').max) >= 2");

    // An older grid stays where it is looked at, and the keyboard reads a chart.
    browser.evaluate("document.getElementById('time').focus()");
    browser.press("Home", 36);
    let sampled = "document.getElementById('sampled').textContent";
    assert_eq!(browser.evaluate(sampled), "step 4");
    let grids = browser.evaluate("Number(document.getElementById('time').max)").as_u64().unwrap();
    browser.wait_for(&format!("Number(document.getElementById('time').max) > {grids}"));
    assert_eq!(browser.evaluate(sampled), "step 4");
    browser.evaluate("document.querySelector('.plot').focus()");
    browser.press("End", 35);
    browser.wait_for("!document.querySelector('.tip').hidden");
    let said = "document.querySelector('.tip b').textContent";
    let at = browser.evaluate(said);
    browser.press("Home", 36);
    assert_ne!(browser.evaluate(said), at);
    assert_eq!(browser.evaluate("document.activeElement.className"), "plot");
    let unreachable = "[...document.querySelectorAll('button, input')].filter((x) => x.tabIndex < 0).length";
    assert_eq!(browser.evaluate(unreachable), 0);

    browser.evaluate("document.getElementById('checkpoint').click()");
    browser.wait_for("document.getElementById('said').textContent.startsWith('A checkpoint was saved')");
    let saved = newest(&folder.path().join("run")).unwrap();
    assert!(saved > 0);
    browser.evaluate("document.getElementById('stop').click()");
    browser.wait_for(&phase("ended"));
    let status = browser.evaluate("document.getElementById('status').textContent");
    let status = status.as_str().unwrap();
    assert!(status.contains("Stopped and saved") && status.contains("resume run"), "{status}");
    assert_eq!(browser.evaluate("document.getElementById('stop').disabled"), true);
    let outcome = serving.wait();
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(
        outcome.stderr.contains("the page asks for the end") && outcome.stderr.contains("go on with"),
        "{outcome:?}"
    );
    assert_eq!(browser.console, Vec::<String>::new());

    // It goes on from there, and has a page again.
    let stopped = newest(&folder.path().join("run")).unwrap();
    assert!(stopped >= saved);
    let serving = Serving::start(folder.path(), "resume run --live --quiet", "live");
    assert!(serving.said_on_stderr());
    browser.visit(&serving.address);
    browser.wait_for(&phase("training"));
    browser.wait_for(&format!("{place} > {stopped}"));
    browser.wait_for("Number(document.getElementById('time').max) >= 2");
    assert_eq!(serving.ask("POST", "stop", b"").0, 202);
    browser.wait_for(&phase("ended"));
    let outcome = serving.wait();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (130, "run\n"), "{outcome:?}");
    let rows = fs::read_to_string(folder.path().join("run/losses.csv")).unwrap().lines().count() as u64;
    assert_eq!(newest(&folder.path().join("run")), Some(rows - 1));
    assert_eq!(browser.console, Vec::<String>::new());
}

#[test]
fn the_files_of_a_run_are_shown_while_they_grow() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = folder();
    run(folder.path(), &format!("{SHORT} --out run")).success();
    let serving = Serving::start(folder.path(), "live run", "live");
    assert!(!serving.said_on_stderr());
    browser.visit(&serving.address);
    browser.wait_for("document.getElementById('status')?.textContent === 'The run is finished.'");
    browser.wait_for("document.querySelector('#samples img').naturalWidth > 100");
    assert_eq!(browser.evaluate("document.getElementById('place').textContent"), "step 24 of 24");
    assert_eq!(browser.evaluate("document.querySelectorAll('.buttons button').length"), 0);
    // Another process makes it longer.
    run(folder.path(), "resume run --steps 6").success();
    browser.wait_for("document.getElementById('place').textContent === 'step 30 of 30'");
    browser.wait_for("document.getElementById('sampled').textContent === 'step 30'");
    let before = fs::read(folder.path().join("run/config.toml")).unwrap();
    #[cfg(unix)]
    {
        serving.signal("INT");
        browser.wait_for("document.documentElement?.dataset.state === 'ended'");
        let outcome = serving.wait();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    }
    assert_eq!(fs::read(folder.path().join("run/config.toml")).unwrap(), before);
    assert_eq!(browser.console, Vec::<String>::new());
}

#[test]
fn others_are_refused() {
    let folder = folder();
    let finished = trained("dcgan");
    let serving = Serving::start(folder.path(), &format!("live {}", finished.display()), "live");
    let host = "Host: 127.0.0.1:{P}";
    for (head, status) in [
        (format!("GET /{{T}}/ HTTP/1.1\n{host}"), 200),
        ("GET /{T}/live.js HTTP/1.1\nHost: localhost:{P}".into(), 200),
        // Behind a tunnel the port is another one.
        ("GET /{T}/page.css HTTP/1.1\nHost: localhost:9000".into(), 200),
        (format!("GET / HTTP/1.1\n{host}"), 403),
        (format!("GET /{} HTTP/1.1\n{host}", "0".repeat(32)), 403),
        (format!("GET /{}/events HTTP/1.1\n{host}", "0".repeat(32)), 403),
        ("GET /{T}/ HTTP/1.1\nHost: evil.example:{P}".into(), 403),
        ("GET /{T}/events HTTP/1.1\nHost: evil.example:{P}".into(), 403),
        (format!("GET /{{T}}/ HTTP/1.1\n{host}\nOrigin: http://evil.example"), 403),
        (format!("POST /{{T}}/stop HTTP/1.1\n{host}\nOrigin: http://evil.example"), 403),
        (format!("POST /{{T}}/stop HTTP/1.1\n{host}"), 403),
        // Who only looks at files cannot stop the run.
        (format!("POST /{{T}}/stop HTTP/1.1\n{host}\nOrigin: http://127.0.0.1:{{P}}"), 404),
        (format!("GET /{{T}}/config.toml HTTP/1.1\n{host}"), 404),
        (format!("GET /{{T}}/../../etc/passwd HTTP/1.1\n{host}"), 404),
        (format!("GET /{{T}}/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\n{host}"), 404),
        (format!("GET /{{T}}//etc/passwd HTTP/1.1\n{host}"), 404),
        (format!("GET /../{{T}}/ HTTP/1.1\n{host}"), 403),
        (format!("DELETE /{{T}}/ HTTP/1.1\n{host}"), 405),
        (format!("GET /{{T}}/ HTTP/1.1\n{host}\nCookie: {}", "x".repeat(20_000)), 431),
        (
            format!(
                "POST /{{T}}/stop HTTP/1.1\n{host}\nOrigin: http://127.0.0.1:{{P}}\nContent-Length: 1000000000"
            ),
            413,
        ),
        ("SSH-2.0-OpenSSH_9.2".into(), 400),
    ] {
        assert_eq!(serving.status(&head), status, "{head}");
    }
    // What has no end is cut off.
    assert_eq!(serving.send(&vec![b'x'; 1 << 20]).0, 431);
    assert_eq!(serving.send(b"GET").0, 0);

    let mut stream = serving.connect();
    let request = format!("GET /{}/ HTTP/1.1\r\nHost: localhost\r\n\r\n", serving.token);
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    std::io::Read::read_to_string(&mut stream, &mut page).unwrap();
    for part in ["script-src 'self'", "frame-ancestors 'none'", "no-referrer", "nosniff", "no-store"] {
        assert!(page.contains(part), "{part}");
    }
    // No script but those that are served, and not the token either, which a copy of the page would give away.
    assert!(
        !page.contains("<script>") && !page.contains("onclick") && !page.contains(&serving.token),
        "{page}"
    );
}

#[test]
fn there_are_only_so_many_connections() {
    let folder = folder();
    let serving = Serving::start(folder.path(), &format!("live {}", trained("dcgan").display()), "live");
    let request = format!("GET /{}/events HTTP/1.1\r\nHost: localhost\r\n\r\n", serving.token);
    let mut streams: Vec<_> = (0..100).map(|_| serving.connect()).collect();
    for stream in &mut streams {
        // Of one that was closed already, writing may fail.
        let _ = stream.write_all(request.as_bytes());
    }
    // Those that are too many were told so; the others are told of the run.
    let mut first = [0; 12];
    let mut status = |stream: &mut std::net::TcpStream| match std::io::Read::read_exact(stream, &mut first) {
        Ok(()) => String::from_utf8_lossy(&first[9..]).into_owned(),
        Err(_) => "closed".into(),
    };
    let found: Vec<String> = streams.iter_mut().map(&mut status).collect();
    assert_eq!(found.iter().filter(|status| *status == "200").count(), 32, "{found:?}");
    assert!(found.iter().all(|status| ["200", "503", "closed"].contains(&status.as_str())), "{found:?}");
    // They go, and there is room again.
    drop(streams);
    while serving.ask("GET", "", b"").0 != 200 {}
}

#[test]
fn clients_that_stall_neither_hold_a_run_nor_change_it() {
    let folder = folder();
    run(folder.path(), &format!("{SHORT} --out alone")).success();
    let serving = Serving::start(folder.path(), &format!("{SHORT} --out watched --live"), "live");
    // Some that never read, one that says half of what it wants, and one that says nothing.
    let mut streams: Vec<_> = (0..6).map(|_| serving.connect()).collect();
    let request = format!("GET /{}/events HTTP/1.1\r\nHost: localhost\r\n\r\n", serving.token);
    for (k, stream) in streams.iter_mut().enumerate() {
        let sent = [request.len(), request.len(), request.len(), request.len(), 20, 0][k];
        stream.write_all(&request.as_bytes()[..sent]).unwrap();
    }
    let outcome = serving.wait().success();
    assert!(outcome.stdout.contains("24 steps in "), "{outcome:?}");
    // Who reads late finds the end.
    let (status, events) = answer(&mut streams[0]);
    let events = String::from_utf8(events).unwrap();
    assert!(
        status == 200 && events.contains("\"phase\":\"ended\"") && events.contains("The run is finished.")
    );
    let results = |name: &str| {
        ["losses.csv", "model.safetensors", "samples.png", "samples/step-000012.png"]
            .map(|file| fs::read(folder.path().join(name).join(file)).unwrap())
    };
    assert!(results("alone") == results("watched"));
    assert_eq!(names(&folder.path().join("alone")), names(&folder.path().join("watched")));
    assert_eq!(measures(&folder.path().join("alone")), measures(&folder.path().join("watched")));
}

/// metrics.jsonl without what depends on the clock.
fn measures(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut point: serde_json::Value = serde_json::from_str(line).unwrap();
        (point["seconds"], point["steps_per_second"]) = (json!(0), json!(0));
        point
    };
    text.lines().map(line).collect()
}

#[test]
fn what_cannot_be_shown_is_told_before_anything_begins() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let model = trained("dcgan").display().to_string();
    for (line, code, parts) in [
        (format!("train --steps 1 --live {port}"), 1, &["--live", "in use", "any that is free"][..]),
        (format!("resume {model} --steps 1 --live {port}"), 1, &["--live", "in use"]),
        (format!("live {model} --port {port}"), 1, &["--port", "in use"]),
        (format!("explore {model} --port {port}"), 1, &["--port", "in use"]),
        ("train --steps 1 --live 65536".into(), 2, &["--live", "65536", "a port from 1 to 65535"]),
        ("train --steps 1 --live -1".into(), 2, &["--live", "a port from 1 to 65535"]),
        ("live run --port 99999".into(), 2, &["--port", "a port from 1 to 65535"]),
        ("explore run --port web".into(), 2, &["--port", "a port from 1 to 65535"]),
        ("live nowhere".into(), 1, &["nowhere is no run directory", "config.toml"]),
        ("explore nowhere".into(), 1, &["cannot load the model nowhere"]),
    ] {
        let message = run(folder.path(), &line).error(code);
        for part in parts {
            assert!(message.contains(part), "{line}: {part:?} is missing in: {message}");
        }
        assert_eq!(names(folder.path()), Vec::<String>::new(), "{line} left something behind");
    }
}
