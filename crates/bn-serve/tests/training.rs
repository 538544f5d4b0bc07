//! Training runs that clients start and stop.

use crate::{
    common::{Client, Server},
    events::Watcher,
};
use bn_data::Digits;
use bn_net::{Network, Sgd, SoftmaxWithLoss, Trainer};
use bn_serve::{Content, Live, Options};
use serde_json::json;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

/// Trains on the digits until it is stopped.
fn train(live: Live, stop: Arc<AtomicBool>) {
    let (train, test) = Digits::load().unwrap().into_parts();
    let mut network = Network::builder(64)
        .affine(20)
        .batch_norm()
        .relu()
        .affine(10)
        .build(1)
        .unwrap();
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let mut callback = live.callback("run");
    let trainer = Trainer::new(50).epochs(1_000_000).stop_when(stop);
    let result = trainer.fit_with(
        &mut network,
        &mut loss,
        &mut sgd,
        &train,
        Some(&test),
        &mut callback,
    );
    live.finished("run", result.as_ref().err());
}

fn status(server: &Server, method: &str) -> u16 {
    Client::new(server.address)
        .send(method, "/v1/train", Some("{}"))
        .status
}

fn wait_until_it_ends(server: &Server) {
    let start = Instant::now();
    while server.get("/v1/train").json() != json!({ "running": false }) {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_is_started_once_followed_and_stopped() {
    let server = Server::start(Content::new().trainer(Box::new(train)), Options::default());
    assert_eq!(server.get("/v1").json()["train"], json!(true));
    // Not for a form of another site.
    let mut client = Client::new(server.address);
    client.write(b"POST /v1/train HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.read().status, 415);
    assert_eq!(server.get("/v1/train").json(), json!({ "running": false }));

    let mut watcher = Watcher::new(&server);
    assert_eq!(status(&server, "POST"), 202);
    assert_eq!(
        server.post("/v1/train", "{}").refusal(),
        (409, "already_running".to_owned())
    );
    let mut seen = Vec::new();
    let mut last_accuracy = 0.0;
    let mut layers = json!(null);
    while last_accuracy < 0.85 {
        let event = watcher.next().unwrap();
        let kind = event["type"].as_str().unwrap().to_owned();
        match &*kind {
            "evaluation" => last_accuracy = event["test_accuracy"].as_f64().unwrap(),
            "step" => assert!(event["loss"].as_f64().unwrap() < 10.0),
            "layers" => layers = event["layers"].clone(),
            _ => {}
        }
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    assert_eq!(seen, ["started", "step", "evaluation", "layers"]);
    assert_eq!(layers[0]["name"], "0 affine");
    assert!(layers[0]["weights"]["std"].as_f64().unwrap() > 0.0);
    assert!(layers[0]["activations"]["std"].as_f64().unwrap() > 0.0);
    assert_eq!(layers[1]["name"], "1 batch_norm, 2 relu");
    assert_eq!(layers[1]["activations"]["low"], 0.0);

    assert_eq!(status(&server, "DELETE"), 202);
    wait_until_it_ends(&server);
    assert_eq!(status(&server, "POST"), 202); // another one
    let started = Instant::now();
    server.stop().unwrap(); // stops the run
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_run_that_panics_ends() {
    let panics = |_: Live, _: Arc<AtomicBool>| panic!("the trainer fails on purpose");
    let server = Server::start(Content::new().trainer(Box::new(panics)), Options::default());
    assert_eq!(status(&server, "POST"), 202);
    wait_until_it_ends(&server);
    assert_eq!(status(&server, "POST"), 202);
}
