//! A page and a JSON API for networks with Batch Normalization.
//!
//! # The design decision
//!
//! **One thread evaluates the network, and the others only read and write.** A request becomes rows in a bounded queue.
//! While the network computes, further requests gather there, and it evaluates them together: the more clients, the
//! larger the batches, and no request waits for a batch to fill. The products are computed so that the bits of a row do
//! not depend on the rows beside it, so an answer is the same alone and among others. Whatever a client may take (bytes,
//! rows, places, seconds) has a limit in [`Options`], and a refusal is an answer in JSON.
//!
//! [`serve`] is a whole server for a program without an async runtime, [`router`] the same paths for a server of your own.
//!
//! ```
//! use bn_net::{Model, Network};
//! use bn_serve::{Content, Options, serve};
//! use std::{io::{Read, Write}, net::{TcpListener, TcpStream}};
//! use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
//!
//! let network = Network::builder(2).affine(4).batch_norm().relu().affine(2).build(1)?;
//! let mut model = Model::from(network);
//! model.classes = vec!["cat".to_owned(), "dog".to_owned()];
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let stop = Arc::new(AtomicBool::new(false));
//! let server = std::thread::spawn({
//!     let stop = Arc::clone(&stop);
//!     move || serve(listener, Content::new().model(model), &Options::default(), stop)
//! });
//!
//! let body = r#"{"rows": [[0.5, -1.0]]}"#;
//! let mut stream = TcpStream::connect(address)?;
//! write!(
//!     stream,
//!     "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
//!      Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
//!     body.len(),
//! )?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK"));
//! assert!(answer.contains(r#"{"predictions":[{"class":""#));
//! stop.store(true, Ordering::Relaxed);
//! server.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activations;
mod body;
mod callback;
mod content;
mod engine;
mod error;
mod events;
mod histogram;
mod host;
mod live;
mod metrics;
mod model_info;
mod nested;
mod options;
mod page;
mod predict;
mod router;
mod sample;
mod server;
mod training;

pub use axum;
pub use callback::LiveCallback;
pub use content::Content;
pub use error::Error;
pub use histogram::Histogram;
pub use live::{Event, LayerHistograms, Live};
pub use options::Options;
pub use predict::PredictRequest;
pub use router::router;
pub use sample::SampleRequest;
pub use server::serve;

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
