//! The events of training runs.

use crate::common::{Client, Server};
use bn_serve::{Content, Event, Histogram, LayerHistograms, Live, Options};
use std::{
    io::BufRead,
    time::{Duration, Instant},
};

fn step(iteration: u64) -> Event {
    let run = "run".to_owned();
    Event::Step {
        run,
        iteration,
        loss: 1.0 / iteration as f64,
    }
}

/// A client of `/events`, which has read the head of the answer.
pub(crate) struct Watcher(pub(crate) Client);

impl Watcher {
    pub(crate) fn new(server: &Server) -> Self {
        let mut client = Client::new(server.address);
        client.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            client.0.read_line(&mut line).unwrap();
        }
        Self(client)
    }

    /// The next event; none at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<serde_json::Value> {
        loop {
            let mut line = String::new();
            if self.0.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(event) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(event).unwrap());
            }
        }
    }
}

#[test]
fn who_comes_later_gets_the_past_first() {
    let live = Live::new();
    live.publish(&step(1));
    let server = Server::start(Content::new().live(live.clone()), Options::default());
    let mut early = Watcher::new(&server);
    assert_eq!(early.next().unwrap()["iteration"], 1);
    live.publish(&step(2));
    let mut late = Watcher::new(&server);
    for watcher in [&mut early, &mut late] {
        if watcher.next().unwrap()["iteration"] == 1 {
            assert_eq!(watcher.next().unwrap()["iteration"], 2);
        }
    }
    live.publish(&step(3));
    assert_eq!(early.next().unwrap()["iteration"], 3);
    assert_eq!(late.next().unwrap()["iteration"], 3);
}

#[test]
fn the_history_is_bounded_and_keeps_the_shape_of_a_run() {
    let live = Live::new();
    live.publish(&Event::Started {
        run: "run".to_owned(),
    });
    let layers = |iteration| Event::Layers {
        run: "run".to_owned(),
        iteration,
        layers: vec![LayerHistograms {
            name: "0 affine".to_owned(),
            weights: Some(Histogram::of(&[1.0])),
            activations: Histogram::of(&[1.0]),
        }],
    };
    for i in 1..=20_000 {
        live.publish(&step(i));
        if i % 100 == 0 {
            live.publish(&layers(i));
        }
    }
    let history = live.history();
    assert!((1000..=4096).contains(&history.len()), "{}", history.len());
    assert!(history[0].contains("started"));
    assert_eq!(history.iter().filter(|e| e.contains("layers")).count(), 1); // only the last
    assert!(history.iter().any(|e| e.contains("\"iteration\":1,")));
    // A new run of the name replaces the old one.
    live.publish(&Event::Started {
        run: "run".to_owned(),
    });
    assert_eq!(live.history().len(), 1);
    // Events that cannot be thinned.
    for _ in 0..10_000 {
        live.publish(&Event::Finished {
            run: "run".to_owned(),
            error: None,
        });
    }
    assert!(live.history().len() <= 4096);
}

#[test]
fn a_slow_watcher_is_dropped_and_blocks_nobody() {
    let live = Live::new();
    let options = Options {
        max_watchers: 2,
        write_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    let server = Server::start(Content::new().live(live.clone()), options);
    let slow = Watcher::new(&server);
    let _other = Watcher::new(&server);
    assert_eq!(server.get("/events").refusal(), (503, "busy".to_owned()));
    let large = Event::Finished {
        run: "run".to_owned(),
        error: Some("x".repeat(20_000)),
    };
    let start = Instant::now();
    for _ in 0..2000 {
        live.publish(&large);
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    // Its place becomes free although it never read.
    let free = || {
        let mut client = Client::new(server.address);
        client.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut line = String::new();
        client.0.read_line(&mut line).unwrap();
        line.contains("200")
    };
    while !free() {
        assert!(start.elapsed() < Duration::from_secs(15));
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(slow);
}

#[test]
fn an_error_and_a_loss_that_is_not_finite_are_json() {
    let live = Live::new();
    live.publish(&Event::Step {
        run: "a".to_owned(),
        iteration: 1,
        loss: f64::NAN,
    });
    live.finished("a", Some(&bn_net::Error::Accumulator));
    let history = live.history();
    assert!(history[0].contains("\"loss\":null"));
    assert!(history[1].contains("the accumulator has no gradients"));
}
