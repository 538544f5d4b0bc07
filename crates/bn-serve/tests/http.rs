//! Each path, and what it refuses.

use crate::common::{Client, Server, digit, digits, one_image};
use bn_net::{Model, Network};
use bn_serve::{Content, Error, Live, Options};
use serde_json::{Value, json};

#[test]
fn predictions_are_those_of_the_network() {
    let (server, model) = (Server::digits(Options::default()), digits());
    let mut correct = 0;
    for i in 0..20 {
        let (pixels, label) = digit(i);
        let answer = server.predict(&one_image(i));
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        let prediction = &answer["predictions"][0];
        let mut x = ndarray::Array2::from_shape_vec((1, 64), pixels).unwrap();
        model.preprocessing.apply(x.view_mut()).unwrap();
        let expected = model.network.predict_proba(x.view()).unwrap();
        for (class, &p) in expected.iter().enumerate() {
            let got = prediction["probabilities"][class].as_f64().unwrap();
            assert!((got - f64::from(p)).abs() < 1e-6, "{got} {p}");
        }
        let expected = model.network.predict_labels(x.view()).unwrap()[0];
        assert_eq!(prediction["label"], json!(expected));
        assert_eq!(prediction["class"], json!(format!("digit {expected}")));
        correct += usize::from(expected == label);
    }
    assert!(correct >= 15, "{correct} of 20");
}

#[test]
fn images_may_be_nested_or_flat_and_values_may_be_prepared() {
    let server = Server::digits(Options::default());
    let pixels = digit(3).0;
    let lines: Vec<&[f32]> = pixels.chunks(8).collect();
    let values: Vec<Vec<Vec<f32>>> = lines
        .iter()
        .map(|l| l.iter().map(|&v| vec![v]).collect())
        .collect();
    let prepared: Vec<f32> = {
        let mut x = ndarray::Array2::from_shape_vec((1, 64), pixels.clone()).unwrap();
        digits().preprocessing.apply(x.view_mut()).unwrap();
        x.into_raw_vec_and_offset().0
    };
    let bodies = [
        json!({ "image": pixels }),
        json!({ "image": lines }),
        json!({ "image": values }),
        json!({ "images": [lines] }),
        json!({ "images": [pixels] }),
        json!({ "rows": [pixels] }),
        json!({ "rows": [prepared], "prepared": true }),
        json!({ "image": prepared, "prepared": true }),
    ];
    let answers: Vec<String> = bodies
        .iter()
        .map(|b| server.predict(&b.to_string()).body)
        .collect();
    assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
    let many = json!({ "images": (0..7).map(|i| digit(i).0).collect::<Vec<_>>() });
    let many = server.predict(&many.to_string()).json();
    for i in 0..7 {
        let one = server.predict(&one_image(i)).json();
        assert_eq!(many["predictions"][i], one["predictions"][0]);
    }
}

#[test]
fn what_does_not_fit_is_refused_in_json() {
    let server = Server::digits(Options {
        max_images: 3,
        ..Options::default()
    });
    let row = vec![0.0; 64];
    let with = |name: &str, value: Value| json!({ name: value }).to_string();
    let huge = format!("{{\"image\": [{}]}}", vec!["1e39"; 64].join(","));
    let deep = format!("{{\"image\": {}1{}}}", "[".repeat(9000), "]".repeat(9000));
    let near = vec!["3e38"; 64].join(",");
    let near = format!("{{\"rows\": [[{near}]], \"prepared\": true}}");
    for (body, status, code) in [
        (String::new(), 400, "invalid_json"),
        ("{".to_owned(), 400, "invalid_json"),
        ("{\"image\": [NaN]}".to_owned(), 400, "invalid_json"),
        ("{\"image\": [1e999]}".to_owned(), 400, "invalid_json"),
        ("\u{0}\u{1}\u{fffd}".to_owned(), 400, "invalid_json"),
        ("[]".to_owned(), 422, "invalid_input"),
        ("{}".to_owned(), 422, "invalid_input"),
        ("null".to_owned(), 422, "invalid_input"),
        (with("image", json!(null)), 422, "invalid_input"),
        (with("image", json!("x")), 422, "invalid_input"),
        (with("image", json!([])), 422, "invalid_input"),
        (with("image", json!([1, 2, 3])), 422, "invalid_input"),
        (with("image", json!([[1, 2], [3]])), 422, "invalid_input"),
        (with("image", json!([row])), 422, "invalid_input"),
        (with("images", json!([])), 422, "invalid_input"),
        (with("images", json!([[]])), 422, "invalid_input"),
        (with("images", json!(row)), 422, "invalid_input"),
        (with("rows", json!(row)), 422, "invalid_input"),
        (with("rows", json!([vec![0.0; 63]])), 422, "invalid_input"),
        (
            with("images", json!(vec![row.clone(); 4])),
            413,
            "too_many_rows",
        ),
        (with("picture", json!(row)), 422, "invalid_input"),
        (
            json!({ "image": row, "picture": row }).to_string(),
            422,
            "invalid_input",
        ),
        (
            json!({ "image": row, "rows": [row] }).to_string(),
            422,
            "invalid_input",
        ),
        (huge, 422, "invalid_input"),
        (deep, 422, "invalid_input"),
        (near, 422, "not_finite"),
    ] {
        let answer = server.predict(&body);
        let start: String = body.chars().take(60).collect();
        assert_eq!(
            answer.refusal(),
            (status, code.to_owned()),
            "{start}: {answer:?}"
        );
    }
    assert_eq!(
        server.predict(&with("images", json!(vec![row; 3]))).status,
        200
    );
}

#[test]
fn other_paths_methods_and_media_types_are_refused() {
    let server = Server::digits(Options::default());
    let mut client = Client::new(server.address);
    let mut refusal = |method: &str, path: &str, body| client.send(method, path, body).refusal();
    assert_eq!(
        refusal("GET", "/nothing", None),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        refusal("POST", "/v1/sample", Some("{}")),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        refusal("GET", "/events", None),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        refusal("POST", "/v1/train", Some("{}")),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        refusal("GET", "/v1/predict", None),
        (405, "method_not_allowed".to_owned())
    );
    assert_eq!(
        refusal("DELETE", "/", None),
        (405, "method_not_allowed".to_owned())
    );
    // A form of another site can send these without asking first.
    for media_type in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
    ] {
        let body = one_image(0);
        let head = format!(
            "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n{media_type}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = Client::new(server.address);
        client.write(head.as_bytes());
        assert_eq!(client.read().refusal(), (415, "not_json".to_owned()));
    }
    let body = one_image(0);
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = Client::new(server.address);
    client.write(head.as_bytes());
    assert_eq!(client.read().status, 200);
}

#[test]
fn other_hosts_are_refused_on_a_loopback_address() {
    let server = Server::digits(Options {
        allowed_hosts: vec!["models.example".to_owned()],
        ..Options::default()
    });
    let ask = |head: &str| {
        let mut client = Client::new(server.address);
        client.write(format!("GET /healthz HTTP/1.1\r\n{head}\r\n").as_bytes());
        client.read()
    };
    assert_eq!(ask("Host: localhost:1234\r\n").status, 200);
    assert_eq!(ask("Host: models.example\r\n").status, 200);
    assert_eq!(
        ask("Host: evil.example\r\n").refusal(),
        (403, "forbidden_host".to_owned())
    );
    assert_eq!(ask("").refusal(), (403, "forbidden_host".to_owned()));
}

#[test]
fn the_rest_of_the_api_says_what_there_is() {
    let server = Server::digits(Options::default());
    assert_eq!(server.get("/healthz").json(), json!({ "status": "ok" }));
    assert_eq!(
        server.get("/v1").json(),
        json!({ "predict": true, "activations": true, "sample": false, "events": false, "train": false })
    );
    let model = server.get("/v1/model").json();
    assert_eq!(model["task"], "classifier");
    assert_eq!(
        (&model["input"], &model["output"]),
        (&json!([8, 8, 1]), &json!([10]))
    );
    assert_eq!(model["classes"][9], "digit 9");
    assert_eq!(model["parameters"], json!(digits().network.param_count()));
    assert_eq!(model["layers"][1]["name"], "batch_norm");
    server.predict(&one_image(0));
    server.predict("{");
    let metrics = server.get("/metrics").body;
    for line in [
        r#"bn_requests_total{path="/v1/predict",status="200"} 1"#,
        r#"bn_requests_total{path="/v1/predict",status="400"} 1"#,
        r#"bn_request_duration_seconds_count{path="/v1/predict"} 2"#,
        "bn_rows_total 1",
        "bn_batch_rows_count 1",
        "bn_queue_rows 0",
    ] {
        assert!(
            metrics.lines().any(|l| l == line),
            "{line} is not in\n{metrics}"
        );
    }
}

#[test]
fn the_page_comes_with_headers_that_protect_it() {
    let server = Server::digits(Options::default());
    let page = server.get("/");
    assert!(page.head.contains("content-type: text/html"));
    assert!(page.body.contains("<html lang=\"en\">"));
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "x-content-type-options: nosniff",
    ] {
        assert!(page.head.contains(header), "{}", page.head);
    }
    assert!(!page.head.contains("access-control-"));
    // Every file that the page names is there, and nothing comes from elsewhere.
    let mut names: Vec<String> = Vec::new();
    let mut texts = vec![page.body];
    while let Some(text) = texts.pop() {
        for name in text
            .split('"')
            .filter(|t| t.starts_with('/') && t.contains('.') && !t.contains([' ', '\n']))
        {
            if !names.iter().any(|n| n == name) {
                let file = server.get(name);
                assert_eq!(file.status, 200, "{name}");
                names.push(name.to_owned());
                texts.push(file.body);
            }
        }
        for part in ["https://", "http://"] {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains(part), "{outside}");
        }
    }
    assert!(names.len() >= 7, "{names:?}");
}

#[test]
fn content_and_options_are_checked() {
    let start = |content, options: &Options| bn_serve::router(content, options).map(|_| ());
    assert!(matches!(
        start(Content::new(), &Options::default()),
        Err(Error::Empty)
    ));
    assert!(start(Content::new().live(Live::new()), &Options::default()).is_ok());
    let none = Options {
        max_batch: 0,
        ..Options::default()
    };
    assert!(matches!(
        start(Content::new().live(Live::new()), &none),
        Err(Error::Setting { .. })
    ));
    for seconds in [0, u64::MAX] {
        let grace = std::time::Duration::from_secs(seconds);
        let never = Options {
            grace,
            ..Options::default()
        };
        let result = start(Content::new().live(Live::new()), &never);
        assert!(matches!(result, Err(Error::Setting { .. })));
    }
    let few = Options {
        max_queue: 10,
        ..Options::default()
    };
    assert!(matches!(
        start(Content::new().live(Live::new()), &few),
        Err(Error::Setting { .. })
    ));
}

#[test]
fn a_model_with_one_output_has_two_classes() {
    let network = Network::builder(2).affine(1).build(1).unwrap();
    let mut model = Model::from(network);
    model.classes = vec!["no".to_owned(), "yes".to_owned()];
    let server = Server::start(Content::new().model(model.clone()), Options::default());
    for row in [[3.0f32, -8.0], [-3.0, 8.0]] {
        let answer = server.predict(&json!({ "rows": [row] }).to_string()).json();
        let label = model
            .network
            .predict_labels(ndarray::arr2(&[row]).view())
            .unwrap()[0];
        assert_eq!(answer["predictions"][0]["label"], json!(label));
        assert_eq!(
            answer["predictions"][0]["class"],
            json!(model.classes[label])
        );
        assert_eq!(
            answer["predictions"][0]["probabilities"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}
