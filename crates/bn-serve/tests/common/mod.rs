//! A server for tests, and a plain client that can also misbehave.

use bn_data::{Digits, Preprocessing};
use bn_layers::Conv2dConfig;
use bn_net::{Adam, Model, Network, SoftmaxWithLoss, Trainer};
use bn_serve::{Content, Error, Options, serve};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Server {
    pub(crate) fn start(content: Content, options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(listener, content, &options, flag));
        let thread = Some(thread);
        Self {
            address,
            stop,
            thread,
        }
    }

    /// With a classifier of digits.
    pub(crate) fn digits(options: Options) -> Self {
        Self::start(Content::new().model(digits()), options)
    }

    /// With this network.
    pub(crate) fn of(network: Network) -> Self {
        let content = Content::new().model(Model::from(network));
        Self::start(content, Options::default())
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Stops, and returns when the server has.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.ask_to_stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        Client::new(self.address).send("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        Client::new(self.address).send("POST", path, Some(body))
    }

    pub(crate) fn predict(&self, body: &str) -> Answer {
        self.post("/v1/predict", body)
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.get("/healthz").status == 200
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The code of an error, after a check that it is one in JSON.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String) {
        assert!(
            self.head.contains("content-type: application/json"),
            "{self:?}"
        );
        let error = &self.json()["error"];
        assert!(
            error["message"].as_str().is_some_and(|m| m.len() > 5),
            "{self:?}"
        );
        (self.status, error["code"].as_str().unwrap().to_owned())
    }
}

/// A connection that is kept.
pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Sends a request, with a body as JSON.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let body = body.map_or(String::new(), |body| {
            let length = body.len();
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        });
        let end = if body.is_empty() { "\r\n" } else { "" };
        self.write(
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{body}{end}").as_bytes(),
        );
        self.read()
    }

    pub(crate) fn read(&mut self) -> Answer {
        self.try_read().expect("an answer")
    }

    /// The next answer; none if the server has closed the connection.
    pub(crate) fn try_read(&mut self) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head.split("content-length:").nth(1);
        let length = length.map_or(0, |l| l.lines().next().unwrap().trim().parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).unwrap();
        Some(Answer { status, head, body })
    }
}

/// A convolutional classifier of digits that has learned a little.
pub(crate) fn digits() -> Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    let learn = || {
        let (train, _) = Digits::load().unwrap().into_parts();
        let mut network = Network::builder((8, 8, 1))
            .conv2d(Conv2dConfig::new(4, 3).same())
            .batch_norm()
            .relu()
            .max_pool2d(2)
            .affine(32)
            .batch_norm()
            .relu()
            .affine(10)
            .build(1)
            .unwrap();
        let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::book(0.01).unwrap());
        Trainer::new(64)
            .epochs(3)
            .fit(&mut network, &mut loss, &mut adam, &train, None)
            .unwrap();
        let mut model = Model::from(network);
        model.preprocessing = Preprocessing::pixels();
        model.classes = (0..10).map(|i| format!("digit {i}")).collect();
        model
    };
    MODEL.get_or_init(learn).clone()
}

/// Test image `i` of the digits as pixels from 0 to 255, `(64)`, and its label.
pub(crate) fn digit(i: usize) -> (Vec<f32>, usize) {
    static TEST: OnceLock<bn_data::Dataset> = OnceLock::new();
    let test = TEST.get_or_init(|| Digits::load().unwrap().into_parts().1);
    let i = i % test.len();
    let pixels = test.images().row(i).iter().map(|v| v * 255.0).collect();
    (pixels, test.labels()[i])
}

/// The body of a request for one image.
pub(crate) fn one_image(i: usize) -> String {
    serde_json::json!({ "image": digit(i).0 }).to_string()
}
