//! Requests that arrive together are evaluated together, and each gets the answer that it gets alone.

use crate::common::{Client, Server, digit, one_image};
use bn_layers::{Error as LayerError, Io, Layer, Pass, Shape, Wanted};
use bn_net::{Model, Network};
use bn_serve::{Content, Options};
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use serde_json::json;
use std::{sync::Barrier, time::Duration};

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

/// A layer whose rows depend on each other: it subtracts their mean. It takes so long that requests gather.
#[derive(Debug, Clone)]
struct Centred;

impl Layer<f32> for Centred {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), LayerError> {
        std::thread::sleep(Duration::from_millis(20));
        let mean = x.mean_axis(Axis(0)).unwrap_or_default();
        y.assign(&(&x - &mean));
        Ok(())
    }

    fn backward_into(
        &mut self,
        _: Io<'_, f32>,
        _: Wanted<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), LayerError> {
        Ok(())
    }
}

#[test]
fn a_request_meets_no_other_where_rows_depend_on_each_other() {
    let network = Network::builder(2)
        .layer("centred", Centred)
        .build(1)
        .unwrap();
    let content = Content::new().model(Model::from(network));
    let server = Server::start(content, Options::default());
    let body = |i: usize| json!({ "rows": [[i, 0], [0, 1]] }).to_string();
    let alone: Vec<String> = (0..10).map(|i| server.predict(&body(i)).body).collect();
    let together: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|i| (body(i), &server))
            .map(|(body, server)| scope.spawn(move || server.predict(&body).body))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(alone, together);
}
