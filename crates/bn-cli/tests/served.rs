//! `bn serve` and `bn train --watch`.

use crate::common::{command, digits_model, folder, refused, run};
use bn_data::Digits;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// How long an answer may take, so that a test fails instead of waiting without end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running command, which is stopped with the test.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Running {
    fn start(folder: &Path, args: &str) -> Self {
        let mut child = command(folder)
            .args(args.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line with these words.
    fn line(&mut self, words: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(words)).unwrap()
    }

    /// The host and port of the next address that it prints.
    fn address(&mut self) -> String {
        let line = self.line("http://");
        let (_, address) = line.split_once("http://").unwrap();
        address.split_whitespace().next().unwrap().to_owned()
    }

    fn end(mut self, signal: &str) -> i32 {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code().unwrap()
    }
}

/// A request, whose answer is read to its end.
fn request(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn predict(address: &str, body: &Value) -> Value {
    let answer = request(address, "POST /v1/predict", &body.to_string());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

#[test]
#[cfg(unix)]
fn a_model_of_images_takes_pixels_from_0_to_255() {
    let folder = folder();
    let model = digits_model();
    let serve = format!("serve {} --address 127.0.0.1:0", model.display());
    let mut server = Running::start(folder.path(), &serve);
    let address = server.address();
    assert!(request(&address, "GET /", "").contains("<!doctype html>"));
    assert!(request(&address, "GET /healthz", "").starts_with("HTTP/1.1 200"));
    let (_, test) = Digits::load().unwrap().into_parts();
    let pixels: Vec<Vec<f32>> = test
        .images()
        .rows()
        .into_iter()
        .take(200)
        .map(|row| row.iter().map(|x| 255.0 * x).collect())
        .collect();
    let answer = predict(&address, &json!({ "images": pixels }));
    let labels = test.labels();
    let right = |&i: &usize| answer["predictions"][i]["label"] == labels[i];
    let right = (0..200).filter(right).count();
    assert!(right > 175, "{right} of 200");
    assert_eq!(server.end("-TERM"), 0);
}

#[test]
#[cfg(unix)]
fn a_model_of_a_table_takes_its_rows() {
    let folder = folder();
    let at = folder.path();
    // Two classes far from 0, which the network sees only after the preprocessing.
    let row = |i: usize| format!("{},{},{}\n", 5000 + i % 7, 80 + 9 * (i % 2), i % 2);
    let table: String = (0..200).map(row).collect();
    std::fs::write(at.join("table.csv"), format!("a,b,label\n{table}")).unwrap();
    run(at, "train --data table.csv --epochs 20").ok();
    let mut server = Running::start(at, "serve --address 127.0.0.1:0 --json");
    let url: Value = serde_json::from_str(&server.line("url")).unwrap();
    let address = url["url"].as_str().unwrap().trim_start_matches("http://");
    let answer = predict(address, &json!({ "rows": [[5003, 80], [5003, 89]] }));
    let label = |row: usize| answer["predictions"][row]["label"].as_u64();
    assert_eq!([label(0), label(1)], [Some(0), Some(1)]);
    assert_eq!(server.end("-INT"), 0);
}

#[test]
#[cfg(unix)]
fn a_watched_run_is_shown_beside_one_without_batch_normalization() {
    let folder = folder();
    let at = folder.path();
    run(at, "train --epochs 3 --output alone.safetensors").ok();
    let mut watched = Running::start(at, "train --epochs 3 --watch=127.0.0.1:0");
    let address = watched.address();
    watched.line("the page stays until Ctrl-C");
    let mut events = TcpStream::connect(&address).unwrap();
    events.set_read_timeout(Some(PATIENCE)).unwrap();
    let begun = Instant::now();
    write!(events, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut events = BufReader::new(events).lines().map(Result::unwrap);
    let mut finished = Vec::new();
    let mut evaluations = 0;
    while finished.len() < 2 {
        let line = events.next().unwrap();
        assert!(begun.elapsed() < PATIENCE, "{finished:?}"); // lines that keep the connection come all the time
        let Some((_, event)) = line.split_once("data:") else {
            continue;
        };
        let event: Value = serde_json::from_str(event).unwrap();
        match event["type"].as_str().unwrap() {
            "evaluation" => evaluations += 1,
            "finished" => {
                assert!(event["error"].is_null(), "{event}");
                finished.push(event["run"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    finished.sort();
    assert_eq!(finished, ["with Batch Normalization", "without"]);
    assert_eq!(evaluations, 6);
    assert_eq!(watched.end("-INT"), 0);
    // Watching changes nothing.
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert!(read("alone.safetensors") == read("model.safetensors"));
}

#[test]
fn what_cannot_be_served_is_refused() {
    let folder = folder();
    let at = folder.path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let model = digits_model();
    let model = model.display();
    refused(
        at,
        &format!("serve {model} --address {address}"),
        2,
        "cannot listen on",
    );
    refused(
        at,
        &format!("serve {model} --address nowhere"),
        2,
        "HOST:PORT",
    );
    refused(
        at,
        &format!("train --watch={address} --epochs 1"),
        2,
        "cannot listen on",
    );
    refused(at, "serve", 4, "there is no file model.safetensors");
    refused(
        at,
        &format!("serve {model} --network other"),
        2,
        "choose one with --network: network",
    );
}
