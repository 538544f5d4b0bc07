//! Servers for the tests, and a small data set that they offer.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::{
    download::Download,
    error::Result,
    idx::Idx,
    mnist_format::{self, LoadOptions},
    source::{Files, MNIST, Place, Source, SourceFile},
};

/// A request for a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// The file's name.
    pub(super) file: String,
    /// The first byte of the Range header.
    pub(super) range: Option<usize>,
}

/// The answer of a server: status line, other headers, the promised length, and the body that it
/// sends before it closes the connection.
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) headers: String,
    pub(super) length: usize,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn ok(body: &[u8]) -> Self {
        Answer {
            status: "200 OK",
            headers: String::new(),
            length: body.len(),
            body: body.to_vec(),
        }
    }

    pub(super) fn status(status: &'static str) -> Self {
        Answer {
            status,
            ..Answer::ok(b"sorry")
        }
    }

    pub(super) fn range(body: &[u8], from: usize) -> Self {
        match body.get(from..) {
            Some(rest) if !rest.is_empty() => Answer {
                status: "206 Partial Content",
                headers: format!(
                    "Content-Range: bytes {from}-{}/{}\r\n",
                    body.len() - 1,
                    body.len()
                ),
                ..Answer::ok(rest)
            },
            _ => Answer::status("416 Range Not Satisfiable"),
        }
    }

    /// Closes the connection after `n` bytes of the body.
    pub(super) fn cut(mut self, n: usize) -> Self {
        self.body.truncate(n);
        self
    }
}

/// A server on this machine that records its requests.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/data/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(&stream).lines().map_while(|line| line.ok());
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else {
                    continue;
                };
                let range = head.iter().find_map(|line| {
                    let line = line.to_lowercase();
                    let from = line.strip_prefix("range: bytes=")?.strip_suffix('-')?;
                    Some(from.parse().unwrap())
                });
                let file = path.strip_prefix("/data/").unwrap().to_owned();
                let request = Request { file, range };
                seen.lock().unwrap().push(request.clone());
                let answer = answer(&request);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
                    answer.status, answer.length, answer.headers
                );
                let _ = stream.write_all(&answer.body);
            }
        });
        Server { url, requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// An address without a server.
pub(super) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

pub(super) fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A data set in MNIST's form: its source with the true hashes, and the packed files by name.
pub(super) struct Fixture {
    pub(super) source: &'static Source,
    pub(super) packed: Vec<(String, Vec<u8>)>,
}

impl Fixture {
    /// 40 training images, whose pixels do not compress well, and 2 test images.
    pub(super) fn new() -> Self {
        let pixel = |(i, h, w): (usize, usize, usize)| (i * 7919 + h * 104_729 + w * w * 31) as u8;
        let images = |n| Idx::from(ndarray::Array3::from_shape_fn((n, 28, 28), pixel).into_dyn());
        let label = |i: usize| (i % 10) as u8;
        let labels = |n| Idx::from(ndarray::Array1::from_shape_fn(n, label).into_dyn());
        let mut packed = Vec::new();
        let mut file = |name: &'static str, idx: Idx| {
            let bytes = idx.to_bytes().unwrap();
            packed.push((format!("{name}.gz"), gzip(&bytes, 6)));
            let digest = Sha256::digest(&bytes);
            let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            SourceFile {
                name,
                sha256: sha256.leak(),
            }
        };
        let files = Files {
            train_images: file("train-images-idx3-ubyte", images(40)),
            train_labels: file("train-labels-idx1-ubyte", labels(40)),
            test_images: file("t10k-images-idx3-ubyte", images(2)),
            test_labels: file("t10k-labels-idx1-ubyte", labels(2)),
        };
        let source = Box::leak(Box::new(Source {
            place: Place { ..MNIST.place },
            files,
            mirrors: &[],
        }));
        Fixture { source, packed }
    }

    pub(super) fn files(&self) -> impl Fn(&Request) -> Vec<u8> + Send + 'static {
        let packed = self.packed.clone();
        move |request| {
            let found = packed.iter().find(|(name, _)| *name == request.file);
            found.unwrap().1.clone()
        }
    }

    /// A server without faults.
    pub(super) fn server(&self) -> Server {
        let files = self.files();
        Server::start(move |request| match request.range {
            None => Answer::ok(&files(request)),
            Some(from) => Answer::range(&files(request), from),
        })
    }

    pub(super) fn download(&self, cache: &Path, mirrors: &[&str]) -> Result<PathBuf> {
        Download::default()
            .mirrors(mirrors.iter().copied())
            .cache_dir(cache)
            .progress(false)
            .fetch(self.source)
    }

    /// Checks that the cache holds the right files and nothing else.
    pub(super) fn check(&self, cache: &Path) {
        let mut names = HashSet::from(["download.lock".to_owned()]);
        for (name, bytes) in &self.packed {
            assert_eq!(fs::read(cache.join("mnist").join(name)).unwrap(), *bytes);
            names.insert(name.clone());
        }
        assert_eq!(names_in(&cache.join("mnist")), names);
        let (train, test) =
            mnist_format::load(&self.source.place, cache, LoadOptions::default()).unwrap();
        assert_eq!((train.len(), test.len()), (40, 2));
    }
}

pub(super) fn names_in(folder: &Path) -> HashSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

pub(super) fn ranges(server: &Server) -> Vec<Option<usize>> {
    server
        .requests()
        .iter()
        .map(|request| request.range)
        .collect()
}
