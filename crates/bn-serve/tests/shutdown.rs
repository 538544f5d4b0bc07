//! The end of a server.

use crate::{
    common::{Client, Server},
    events::Watcher,
    limits::slow,
};
use bn_serve::{Content, Live, Options};
use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

#[test]
fn requests_that_have_arrived_are_answered() {
    let server = Server::start(
        slow(),
        Options {
            max_batch: 1,
            ..Options::default()
        },
    );
    let address = server.address;
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Client::new(address);
            let body = r#"{"rows": [[1, 2]]}"#;
            std::thread::spawn(move || client.send("POST", "/v1/predict", Some(body)).status)
        })
        .collect();
    let mut idle = Client::new(address);
    assert_eq!(idle.send("GET", "/healthz", None).status, 200);
    std::thread::sleep(Duration::from_millis(100)); // the first is computed, the others wait
    let start = Instant::now();
    server.stop().unwrap();
    assert!(
        start.elapsed() > Duration::from_millis(600),
        "{:?}",
        start.elapsed()
    );
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert!(idle.try_read().is_none());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn streams_of_events_end() {
    let server = Server::start(Content::new().live(Live::new()), Options::default());
    let mut watcher = Watcher::new(&server);
    let start = Instant::now();
    server.stop().unwrap();
    assert!(watcher.next().is_none());
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn it_does_not_wait_for_a_client_for_ever() {
    let options = Options {
        grace: Duration::from_millis(300),
        ..Options::default()
    };
    let server = Server::start(slow(), options);
    let mut half = Client::new(server.address);
    half.write(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{");
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.stop().unwrap();
    let time = start.elapsed();
    assert!(
        (Duration::from_millis(250)..Duration::from_secs(2)).contains(&time),
        "{time:?}"
    );
}
