//! A browser without a window, driven by the DevTools protocol: Debian's Chromium, with WebGPU on SwiftShader, or whatever
//! `CHROMIUM` names. Without one the tests say so and pass, unless `REQUIRE_BROWSER=1` is set.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket, client};

/// How long is waited for what should come; software rendering on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(400);
const PAUSE: Duration = Duration::from_millis(100);

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--enable-features=Vulkan",
    "--use-webgpu-adapter=swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "about:blank",
];

/// A browser with one page. It ends when this is dropped.
pub(crate) struct Browser {
    process: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    calls: u64,
    /// What the console of the page and the browser said: warnings, errors, exceptions, failed requests.
    pub(crate) console: Vec<String>,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// A browser with an empty page and an empty profile, or nothing where there is no browser.
    pub(crate) fn open() -> Option<Browser> {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let program = std::env::var_os("CHROMIUM").unwrap_or("chromium".into());
        let process = Command::new(&program)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(FLAGS)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(error) => {
                let required = std::env::var_os("REQUIRE_BROWSER").is_some_and(|value| value == "1");
                assert!(!required, "REQUIRE_BROWSER=1, but {program:?}: {error}");
                eprintln!("skipped: there is no browser: {program:?}: {error}");
                return None;
            }
        };
        let socket = connect(profile.path());
        let mut browser =
            Browser { process, socket, session: None, calls: 0, console: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Calls a method of the protocol and returns its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).expect("the browser listens");
        loop {
            let text = self.socket.read().expect("the browser answers");
            let Ok(text) = text.to_text() else { continue };
            let Ok(mut answer) = serde_json::from_str::<Value>(text) else { continue };
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.note(&answer);
        }
    }

    /// Keeps what an event says of the console.
    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.consoleAPICalled") => self.console.push(params["args"].to_string()),
            Some("Runtime.exceptionThrown") => self.console.push(params["exceptionDetails"].to_string()),
            Some("Log.entryAdded") => self.console.push(params["entry"].to_string()),
            _ => {}
        }
    }

    /// Opens a file.
    pub(crate) fn show(&mut self, page: &Path) {
        self.visit(&format!("file://{}", page.display()));
    }

    /// Opens an address.
    pub(crate) fn visit(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": address }));
    }

    /// The value of an expression in the page, which must be JSON; promises are waited for.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, condition: &str) {
        let start = Instant::now();
        while self.evaluate(condition) != json!(true) {
            let text = "document.body.innerText.slice(0, 2000)";
            if start.elapsed() > PATIENCE {
                let shown = self.evaluate(text);
                panic!(
                    "waited in vain for {condition}; the page says {shown}, the console {:?}",
                    self.console
                );
            }
            sleep(PAUSE);
        }
    }

    /// Waits until the page has saved a file.
    #[track_caller]
    pub(crate) fn wait_for_file(&mut self, path: &Path) {
        let start = Instant::now();
        while !path.exists() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {}: {:?}", path.display(), self.console);
            // Meanwhile the console is heard.
            self.evaluate("1");
            sleep(PAUSE);
        }
    }

    /// Presses and releases a key.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", params);
        }
    }
}

/// Connects to the browser of a profile, which writes there where it listens.
fn connect(profile: &Path) -> WebSocket<TcpStream> {
    let start = Instant::now();
    loop {
        let written = match std::fs::read_to_string(profile.join("DevToolsActivePort")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => panic!("{error}"),
        };
        if let Some((port, path)) = written.trim_end().split_once('\n') {
            let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the browser listens");
            let url = format!("ws://127.0.0.1:{port}{path}");
            return client(url, stream).expect("the browser speaks its protocol").0;
        }
        assert!(start.elapsed() < PATIENCE, "the browser does not start");
        sleep(PAUSE);
    }
}
