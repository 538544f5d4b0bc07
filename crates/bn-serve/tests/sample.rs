//! Images of a generator.

use crate::common::Server;
use bn_data::Preprocessing;
use bn_net::{Model, Network};
use bn_serve::{Content, Options};
use serde_json::json;

fn generator() -> Model {
    let network = Network::builder(3)
        .affine(6)
        .batch_norm()
        .tanh()
        .reshape((2, 3, 1))
        .build(4)
        .unwrap();
    Model::from(network)
}

#[test]
fn a_seed_always_makes_the_same_images_and_noise_makes_its_own() {
    let server = Server::start(Content::new().model(generator()), Options::default());
    let offers = server.get("/v1").json();
    assert_eq!(
        (&offers["sample"], &offers["predict"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(server.get("/v1/model").json()["task"], "generator");
    let first = server.post("/v1/sample", r#"{"count": 4, "seed": 7}"#);
    assert_eq!(
        first.body,
        server.post("/v1/sample", r#"{"count": 4, "seed": 7}"#).body
    );
    assert_ne!(
        first.body,
        server.post("/v1/sample", r#"{"count": 4, "seed": 8}"#).body
    );
    let first = first.json();
    assert_eq!(
        (&first["height"], &first["width"], &first["channels"]),
        (&json!(2), &json!(3), &json!(1))
    );
    let again = server
        .post(
            "/v1/sample",
            &json!({ "noise": first["noise"] }).to_string(),
        )
        .json();
    assert_eq!(again["images"], first["images"]);
    // From -1 to 1 of the tanh to pixels.
    let noise: Vec<f32> = serde_json::from_value(first["noise"][2].clone()).unwrap();
    let y = generator()
        .network
        .predict(ndarray::arr2(&[[noise[0], noise[1], noise[2]]]).view())
        .unwrap();
    let pixels: Vec<f32> = y
        .iter()
        .map(|v| ((v + 1.0) / 2.0 * 255.0).round())
        .collect();
    let got: Vec<f32> = serde_json::from_value(first["images"][2].clone()).unwrap();
    assert_eq!(got, pixels);
}

#[test]
fn the_preprocessing_is_reversed() {
    let mut model = generator();
    model.preprocessing = Preprocessing::new(1.0 / 255.0, &[0.25], &[0.5]).unwrap();
    let server = Server::start(Content::new().model(model.clone()), Options::default());
    let answer = server
        .post("/v1/sample", r#"{"noise": [[1, 0, -1]]}"#)
        .json();
    let y = model
        .network
        .predict(ndarray::arr2(&[[1.0, 0.0, -1.0]]).view())
        .unwrap();
    let pixels: Vec<f32> = y
        .iter()
        .map(|v| ((v * 0.5 + 0.25) * 255.0).round().clamp(0.0, 255.0))
        .collect();
    let got: Vec<f32> = serde_json::from_value(answer["images"][0].clone()).unwrap();
    assert_eq!(got, pixels);
}

#[test]
fn what_does_not_fit_is_refused() {
    let server = Server::start(Content::new().model(generator()), Options::default());
    for (body, status) in [
        (r#"{"count": 0}"#, 422),
        (r#"{"count": 257}"#, 413),
        (r#"{"count": 18446744073709551615}"#, 413),
        (r#"{"count": -1}"#, 422),
        (r#"{"noise": []}"#, 422),
        (r#"{"noise": [[1, 2]]}"#, 422),
        (r#"{"noise": [1, 2, 3]}"#, 422),
        (r#"{"noise": [[1, 2, 3]], "seed": 1}"#, 422),
        (r#"{"noise": [[1, 2, 3]], "count": 1}"#, 422),
        ("{", 400),
    ] {
        assert_eq!(
            server.post("/v1/sample", body).refusal().0,
            status,
            "{body}"
        );
    }
    assert_eq!(server.predict(r#"{"rows": [[1, 2, 3]]}"#).refusal().0, 404);
    assert_eq!(server.post("/v1/sample", "{}").status, 200);
}
