//! The limits of a server.

use crate::error::Error;
use std::time::Duration;

/// The longest time that can be set.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_THREADS: usize = 1024;

/// The limits of a server. Each bounds memory or time, whatever the clients do.
///
/// ```
/// let options = bn_serve::Options { max_images: 16, ..Default::default() };
/// assert_eq!(options.max_body_bytes, 1 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The largest body of a request, 1 MiB by default.
    pub max_body_bytes: usize,
    /// The most images or rows in a request, 256 by default.
    pub max_images: usize,
    /// Requests that wait are evaluated together until they have this many rows, 64 by default. The bits of an answer
    /// do not depend on it.
    pub max_batch: usize,
    /// The most rows that wait for the network, 4096 by default. Further requests are answered with 503.
    pub max_queue: usize,
    /// The most connections at a time, 256 by default. Further ones wait until one ends.
    pub max_connections: usize,
    /// The most clients that follow a training run at a time, 32 by default.
    pub max_watchers: usize,
    /// The time for the head of a request, and the longest pause between two requests of a connection; 10 s by
    /// default.
    pub header_timeout: Duration,
    /// The time for the body of a request, 10 s by default.
    pub body_timeout: Duration,
    /// The time for the computation of an answer, waiting included; 10 s by default.
    pub compute_timeout: Duration,
    /// The longest pause in which a client accepts nothing of its answer, 10 s by default.
    pub write_timeout: Duration,
    /// How long a server that stops waits for its requests and its training run, 10 s by default.
    pub grace: Duration,
    /// The threads that read requests and write answers; by default one for each processor, at most 4. The network
    /// is evaluated on a thread of its own.
    pub threads: usize,
    /// Further names of this machine in the `Host` header, such as that of a proxy; by default none. A server on a
    /// loopback address answers only for `localhost`, loopback addresses and these, so that no web page can reach
    /// it under a name of its own (DNS rebinding).
    pub allowed_hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let seconds = Duration::from_secs(10);
        Self {
            max_body_bytes: 1 << 20,
            max_images: 256,
            max_batch: 64,
            max_queue: 4096,
            max_connections: 256,
            max_watchers: 32,
            header_timeout: seconds,
            body_timeout: seconds,
            compute_timeout: seconds,
            write_timeout: seconds,
            grace: seconds,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(4)),
            allowed_hosts: Vec::new(),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (what, value) in [
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("compute_timeout", self.compute_timeout),
            ("write_timeout", self.write_timeout),
            ("grace", self.grace),
        ] {
            if value.is_zero() || value > DAY {
                return Err(Error::Setting {
                    what,
                    value: format!("{value:?}"),
                    must_be: "above 0 and at most a day",
                });
            }
        }
        for (what, value) in [
            ("max_body_bytes", self.max_body_bytes),
            ("max_images", self.max_images),
            ("max_batch", self.max_batch),
            ("max_queue", self.max_queue),
            ("max_connections", self.max_connections),
            ("max_watchers", self.max_watchers),
        ] {
            // A semaphore cannot count further, and nothing here needs to.
            if value == 0 || value > u32::MAX as usize {
                return Err(Error::Setting {
                    what,
                    value: value.to_string(),
                    must_be: "at least 1 and below 2^32",
                });
            }
        }
        if self.threads == 0 || self.threads > MAX_THREADS {
            return Err(Error::Setting {
                what: "threads",
                value: self.threads.to_string(),
                must_be: "from 1 to 1024",
            });
        }
        if self.max_queue < self.max_images {
            return Err(Error::Setting {
                what: "max_queue",
                value: self.max_queue.to_string(),
                must_be: "at least max_images, or the largest requests are never answered",
            });
        }
        Ok(())
    }
}
