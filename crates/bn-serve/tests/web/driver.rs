//! A browser, driven as a person would: Chromium through the WebDriver protocol of chromedriver, which is JSON over HTTP
//! (<https://www.w3.org/TR/webdriver2/>). The crates that speak it would bring sixty others into every build of the
//! tests.

use crate::common::Client;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// The name of an element's id in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(crate) struct Browser {
    process: Child,
    driver: SocketAddr,
    session: String,
    _output: BufReader<ChildStdout>, // open, or its next message would end the driver
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver, which `make test-web` installs");
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let port = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split("successfully on port ")
                    .nth(1)?
                    .trim_end_matches('.')
                    .parse::<u16>()
                    .ok()
            })
            .expect("the port of chromedriver");
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            process,
            driver: ([127, 0, 0, 1], port).into(),
            session: String::new(),
            _output: output,
            _profile: profile,
        };
        let folder = browser._profile.path().display();
        let args = [
            "--headless=new",
            "--no-sandbox", // root has none
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &format!("--user-data-dir={folder}"),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let answer = browser.ask("POST", "/session", Some(capabilities));
        browser.session = format!("/session/{}", answer["sessionId"].as_str().unwrap());
        browser
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let body = body.map(|body| body.to_string());
        let answer = Client::new(self.driver).send(method, path, body.as_deref());
        let mut json = answer.json();
        assert_eq!(answer.status, 200, "{method} {path}: {json}");
        json["value"].take()
    }

    fn get(&self, path: &str) -> Value {
        self.ask("GET", &format!("{}{path}", self.session), None)
    }

    fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), Some(body))
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url }));
    }

    /// The value of a JavaScript expression.
    pub(crate) fn eval(&self, expression: &str) -> Value {
        self.post(
            "/execute/sync",
            json!({ "script": format!("return {expression}"), "args": [] }),
        )
    }

    fn element(&self, css: &str) -> Value {
        self.post("/element", json!({ "using": "css selector", "value": css }))
    }

    fn id(&self, css: &str) -> String {
        self.element(css)[ELEMENT].as_str().unwrap().to_owned()
    }

    /// The text that a person sees.
    pub(crate) fn text(&self, css: &str) -> String {
        let text = self.get(&format!("/element/{}/text", self.id(css)));
        text.as_str().unwrap().to_owned()
    }

    pub(crate) fn click(&self, css: &str) {
        self.post(&format!("/element/{}/click", self.id(css)), json!({}));
    }

    /// What screen readers call each element that matches and is shown.
    pub(crate) fn labels(&self, css: &str) -> Vec<(String, String)> {
        let found = self.post(
            "/elements",
            json!({ "using": "css selector", "value": css }),
        );
        let ids = found
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e[ELEMENT].as_str().unwrap());
        let shown = ids.filter(|id| self.get(&format!("/element/{id}/displayed")) == json!(true));
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        shown
            .map(|id| {
                let role = text(self.get(&format!("/element/{id}/computedrole")));
                (
                    role,
                    text(self.get(&format!("/element/{id}/computedlabel"))),
                )
            })
            .collect()
    }

    /// Draws strokes on an element, each through points from 0 to 1, with a `mouse` or `touch`.
    pub(crate) fn draw(&self, css: &str, pointer: &str, strokes: &[&[(f64, f64)]]) {
        let element = self.element(css);
        let size = self.eval(&format!(
            "document.querySelector('{css}').getBoundingClientRect().width"
        ));
        let size = size.as_f64().unwrap();
        // From the middle of the element.
        let to = |&(x, y): &(f64, f64), ms: u64| {
            let [x, y] = [x, y].map(|v| ((v - 0.5) * size).round() as i64);
            json!({ "type": "pointerMove", "duration": ms, "x": x, "y": y, "origin": element })
        };
        let mut actions = Vec::new();
        for stroke in strokes {
            actions.push(to(&stroke[0], 0));
            actions.push(json!({ "type": "pointerDown", "button": 0 }));
            actions.extend(stroke.iter().skip(1).map(|point| to(point, 30)));
            actions.push(json!({ "type": "pointerUp", "button": 0 }));
        }
        let parameters = json!({ "pointerType": pointer });
        let input = json!({ "type": "pointer", "id": pointer, "parameters": parameters, "actions": actions });
        self.post("/actions", json!({ "actions": [input] }));
    }

    /// Presses keys one after the other.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let press =
            |key: &&str| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let actions: Vec<Value> = keys.iter().flat_map(press).collect();
        let input = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", json!({ "actions": [input] }));
    }

    /// Waits until `condition` is true.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "still not: {what}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post(
            "/goog/cdp/execute",
            json!({ "cmd": command, "params": parameters }),
        )
    }

    /// A screen of this width, in CSS pixels.
    pub(crate) fn screen(&self, width: u32, is_phone: bool) {
        let screen =
            json!({ "width": width, "height": 812, "deviceScaleFactor": 1, "mobile": is_phone });
        self.devtools("Emulation.setDeviceMetricsOverride", screen);
    }

    pub(crate) fn dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let feature = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": feature }));
    }

    /// A picture of the whole page, in `target/web`.
    pub(crate) fn picture(&self, name: &str) {
        let picture = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", picture);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../web");
        std::fs::create_dir_all(&folder).unwrap();
        let bytes = base64(picture["data"].as_str().unwrap());
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the console and the network have seen: errors, and the addresses of all requests.
    pub(crate) fn logs(&self) -> (Vec<String>, Vec<String>) {
        let log = |kind: &str| self.post("/se/log", json!({ "type": kind }));
        let errors = log("browser")
            .as_array()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        let events = log("performance");
        let requests = events.as_array().unwrap().iter().filter_map(|event| {
            let message: Value = serde_json::from_str(event["message"].as_str()?).ok()?;
            let message = &message["message"];
            let is_request = message["method"] == "Network.requestWillBeSent";
            is_request.then(|| {
                message["params"]["request"]["url"]
                    .as_str()
                    .map(str::to_owned)
            })?
        });
        (errors, requests.collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends the browser; a driver that is killed leaves it behind.
            Client::new(self.driver).send("DELETE", &self.session, None);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text
        .bytes()
        .filter_map(|c| DIGITS.iter().position(|&d| d == c));
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0usize, 0);
    for digit in digits {
        (bits, count) = (bits << 6 | digit, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes
}
