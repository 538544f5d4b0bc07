//! Requests that arrive together are evaluated together, and each gets the answer that it gets alone.

use crate::common::{Client, Server, digit, one_image};
use bn_serve::Options;
use serde_json::json;
use std::sync::Barrier;

#[test]
fn an_answer_has_the_same_bits_alone_and_among_others() {
    let server = Server::digits(Options::default());
    let body = |i: usize| match i % 5 {
        // Requests of several rows move the others to other places of the batch.
        4 => json!({ "images": (0..1 + i % 17).map(|j| digit(i + j).0).collect::<Vec<_>>() })
            .to_string(),
        _ => one_image(i),
    };
    let alone: Vec<String> = (0..100).map(|i| server.predict(&body(i)).body).collect();
    for _ in 0..3 {
        let start = Barrier::new(100);
        let together: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|i| {
                    let (body, start, server) = (body(i), &start, &server);
                    scope.spawn(move || {
                        let mut client = Client::new(server.address);
                        start.wait();
                        client.send("POST", "/v1/predict", Some(&body)).body
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(together.iter().zip(&alone).all(|(a, b)| a == b));
    }
    // Fewer batches than requests, or the test has shown nothing.
    let metrics = server.get("/metrics").body;
    let count = metrics
        .lines()
        .find_map(|l| l.strip_prefix("bn_batch_rows_count "));
    let count: usize = count.unwrap().parse().unwrap();
    assert!(
        (101..400).contains(&count),
        "{count} batches of 400 requests"
    );
}
