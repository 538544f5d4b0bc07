//! The thread that reads shards.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use bn_tensor::Scalar;

use super::files::Shard;
use crate::{dataset::Dataset, error::Result};

/// A thread that reads one shard at a time, on request. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct ReadAhead<T: Scalar> {
    requests: Option<Sender<usize>>, // none while this is dropped
    shards: Receiver<Result<Dataset<T>>>,
    requested: Option<usize>, // its shard is being read, or was and waits in the channel
    thread: Option<JoinHandle<()>>,
}

impl<T: Scalar> ReadAhead<T> {
    pub(super) fn new(shards: Arc<[Shard]>) -> Result<Self> {
        let (requests, numbers) = channel::<usize>();
        let (results, received) = channel();
        let read = move || {
            // The loop ends when the other end of either channel is dropped.
            for number in numbers {
                if results.send(shards[number].read()).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new()
            .name("bn-data shards".to_owned())
            .spawn(read)?;
        Ok(ReadAhead {
            requests: Some(requests),
            shards: received,
            requested: None,
            thread: Some(thread),
        })
    }

    /// Begins to read a shard, unless another one is on its way.
    pub(super) fn request(&mut self, number: usize) {
        if let (None, Some(requests)) = (self.requested, &self.requests)
            && requests.send(number).is_ok()
        {
            self.requested = Some(number);
        }
    }

    /// Waits for a shard, which need not have been requested.
    pub(super) fn take(&mut self, number: usize) -> Result<Dataset<T>> {
        if self.requested.is_some_and(|requested| requested != number) {
            drop(self.shards.recv()); // of another position in the stream
            self.requested = None;
        }
        self.request(number);
        self.requested = None;
        let gone = || io::Error::other("the thread that reads shards has ended");
        self.shards.recv().unwrap_or_else(|_| Err(gone().into()))
    }
}

impl<T: Scalar> Drop for ReadAhead<T> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it ends after the shard that it is reading
        }
    }
}
