//! Clients that are slow, greedy or many.

use crate::common::{Client, Server, digits, one_image};
use bn_layers::{Error as LayerError, Layer, LayerSpec, Pass, Shape};
use bn_net::{Model, Network};
use bn_serve::{Content, Options};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Times short enough for a test.
fn impatient() -> Options {
    Options {
        header_timeout: Duration::from_millis(400),
        body_timeout: Duration::from_millis(400),
        ..Options::default()
    }
}

/// Reads until the server closes the connection, and returns how long that took.
fn time_to_close(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    start.elapsed()
}

const HEAD: &str =
    "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

#[test]
fn a_slow_head_and_an_idle_connection_are_closed() {
    let server = Server::digits(impatient());
    let mut silent = TcpStream::connect(server.address).unwrap();
    assert!(time_to_close(&mut silent) < Duration::from_secs(3));
    let mut slow = TcpStream::connect(server.address).unwrap();
    let start = Instant::now();
    // A byte now and then does not keep it open.
    while start.elapsed() < Duration::from_secs(3) && slow.write_all(b"G").is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() < Duration::from_secs(3));
    let mut idle = Client::new(server.address);
    assert_eq!(idle.send("GET", "/healthz", None).status, 200);
    assert!(time_to_close(idle.0.get_mut()) < Duration::from_secs(3));
    assert!(server.is_healthy());
}

#[test]
fn half_a_body_is_answered_or_closed() {
    let server = Server::digits(impatient());
    let mut half = Client::new(server.address);
    half.write(format!("{HEAD}Content-Length: 1000\r\n\r\n{{\"image\":").as_bytes());
    assert_eq!(half.read().refusal(), (408, "slow_body".to_owned()));
    let mut gone = Client::new(server.address);
    gone.write(format!("{HEAD}Content-Length: 1000\r\n\r\n{{\"image\":").as_bytes());
    drop(gone);
    let mut ended = Client::new(server.address);
    ended.write(format!("{HEAD}Content-Length: 1000\r\n\r\n{{\"image\":").as_bytes());
    ended
        .0
        .get_ref()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    if let Some(answer) = ended.try_read() {
        assert_eq!(answer.refusal().0, 400);
    }
    let mut chunks = Client::new(server.address);
    chunks.write(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n").as_bytes());
    assert_eq!(chunks.read().refusal(), (400, "incomplete_body".to_owned()));
    assert!(server.is_healthy());
}

#[test]
fn a_body_of_10_mb_is_refused_with_an_answer() {
    let server = Server::digits(Options::default());
    let body = vec![b' '; 10 << 20];
    for head in [
        "Content-Length: 10485760\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\na00000\r\n",
    ] {
        let mut client = Client::new(server.address);
        client.write(format!("{HEAD}{head}").as_bytes());
        client.write(&body);
        if head.starts_with('T') {
            client.write(b"\r\n0\r\n\r\n");
        }
        assert_eq!(client.read().refusal(), (413, "body_too_large".to_owned()));
    }
    // A body of exactly the limit is read.
    let mut body = one_image(0);
    body.push_str(&" ".repeat((1 << 20) - body.len()));
    assert_eq!(server.predict(&body).status, 200);
    body.push(' ');
    assert_eq!(server.predict(&body).refusal().0, 413);
    // Also one that arrives in one piece.
    let options = Options {
        max_body_bytes: 100,
        ..Options::default()
    };
    let server = Server::digits(options);
    assert_eq!(server.predict(&one_image(0)).refusal().0, 413);
}

#[test]
fn a_head_that_is_too_long_or_nonsense_is_refused() {
    let server = Server::digits(impatient());
    for head in [
        format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
            "x".repeat(100_000)
        ),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        let mut client = TcpStream::connect(server.address).unwrap();
        let _ = client.write_all(head.as_bytes());
        assert!(time_to_close(&mut client) < Duration::from_secs(3));
    }
    assert!(server.is_healthy());
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let options = Options {
        write_timeout: Duration::from_millis(300),
        max_connections: 1,
        ..Options::default()
    };
    let server = Server::digits(options);
    let mut greedy = TcpStream::connect(server.address).unwrap();
    let request = "GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    greedy
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    for _ in 0..100_000 {
        if greedy.write_all(request.as_bytes()).is_err() {
            break; // nothing moves any more
        }
    }
    // It had the only place.
    assert!(server.is_healthy());
}

#[test]
fn a_flood_of_connections_loses_no_request() {
    let options = Options {
        max_connections: 16,
        ..impatient()
    };
    let server = Server::digits(options);
    let _idle: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    // They wait until the idle ones have been closed.
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..40)
            .map(|i| {
                let server = &server;
                scope.spawn(move || server.predict(&one_image(i)).status)
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|&status| status == 200), "{answers:?}");
}

/// A layer that takes its time.
#[derive(Debug, Clone)]
pub(crate) struct Slow;

impl Layer<f32> for Slow {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), LayerError> {
        assert!(x[[0, 0]] != 13.0, "the layer fails on purpose");
        std::thread::sleep(Duration::from_millis(300));
        y.assign(&x);
        Ok(())
    }

    fn backward_into(
        &mut self,
        _: bn_layers::Io<'_, f32>,
        _: bn_layers::Wanted<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), LayerError> {
        Ok(())
    }

    fn describe(&self) -> Option<LayerSpec> {
        None
    }
}

/// A model of two inputs and outputs that takes 0.3 s for any batch.
pub(crate) fn slow() -> Content {
    let network = Network::builder(2).layer("slow", Slow).build(1).unwrap();
    Content::new().model(Model::from(network))
}

#[test]
fn a_full_queue_is_busy_and_a_long_wait_ends() {
    let options = Options {
        max_queue: 2,
        max_images: 2,
        max_batch: 1,
        ..Options::default()
    };
    let server = Server::start(slow(), options);
    let body = r#"{"rows": [[1, 2]]}"#;
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| server.predict(body)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let answered = answers.iter().filter(|a| a.status == 200).count();
    assert!((2..=4).contains(&answered), "{answered}");
    for answer in answers.iter().filter(|a| a.status != 200) {
        assert_eq!(answer.refusal(), (503, "busy".to_owned()));
        assert!(answer.head.contains("retry-after: 1"));
    }
    assert_eq!(server.predict(body).status, 200);

    let options = Options {
        compute_timeout: Duration::from_millis(50),
        ..Options::default()
    };
    let server = Server::start(slow(), options);
    assert_eq!(server.predict(body).refusal(), (503, "timeout".to_owned()));
    // The executor is free while the network computes.
    let start = Instant::now();
    assert!(server.is_healthy() && start.elapsed() < Duration::from_millis(150));
}

#[test]
fn a_panic_is_answered_and_the_next_request_too() {
    let server = Server::start(slow(), Options::default());
    assert_eq!(
        server.predict(r#"{"rows": [[13, 2]]}"#).refusal(),
        (500, "internal".to_owned())
    );
    assert_eq!(server.predict(r#"{"rows": [[1, 2]]}"#).status, 200);
    let activations = server.post("/v1/activations", r#"{"rows": [[1, 2]]}"#);
    assert_eq!(activations.refusal(), (404, "not_found".to_owned()));
    assert!(activations.body.contains("does not describe itself"));
    assert_eq!(digits().classes.len(), 10);
}

#[test]
fn further_connections_wait_for_a_place() {
    let options = Options {
        max_connections: 2,
        ..Options::default()
    };
    let server = Server::digits(options);
    let mut first = Client::new(server.address);
    assert_eq!(first.send("GET", "/healthz", None).status, 200);
    let _second = Client::new(server.address);
    let mut third = Client::new(server.address);
    third.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let wait = |client: &Client, time| client.0.get_ref().set_read_timeout(Some(time)).unwrap();
    wait(&third, Duration::from_millis(300));
    assert!(third.try_read().is_none());
    drop(first);
    wait(&third, Duration::from_secs(5));
    assert_eq!(third.read().status, 200);
}
