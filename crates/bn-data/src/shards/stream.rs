//! The images of each epoch, shard after shard.

use std::sync::Arc;

use bn_tensor::Scalar;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{ahead::ReadAhead, files::Shard};
use crate::{batch_source::BatchState, dataset::Dataset, error::Result};

/// The shards in the order of an epoch. One is in memory, and the next is being read.
#[derive(Debug)]
pub(super) struct ShardStream<T: Scalar> {
    shards: Arc<[Shard]>,
    epoch: Epoch,
    current: Option<Current<T>>,
    ahead: ReadAhead<T>,
}

/// The order of an epoch.
#[derive(Debug)]
struct Epoch {
    state: BatchState,
    shards: Vec<usize>,
    starts: Vec<usize>, // of each of `shards`: the number of images before it
    key: u64,           // of the orders within the shards
}

/// The shard that batches are made of.
#[derive(Debug)]
struct Current<T: Scalar> {
    shard: usize,
    key: u64,          // of the epoch of `order`
    order: Vec<usize>, // of the images
    data: Dataset<T>,
}

impl<T: Scalar> ShardStream<T> {
    /// The epoch of `state`, whose first shard is being read.
    pub(super) fn new(shards: Vec<Shard>, state: BatchState) -> Result<Self> {
        let shards: Arc<[Shard]> = shards.into();
        let mut stream = ShardStream {
            epoch: Epoch::new(state, &shards),
            current: None,
            ahead: ReadAhead::new(Arc::clone(&shards))?,
            shards,
        };
        stream.ahead.request(stream.epoch.shards[0]);
        Ok(stream)
    }

    /// Continues with the epoch of `state`.
    pub(super) fn start_epoch(&mut self, state: BatchState) {
        self.epoch = Epoch::new(state, &self.shards);
    }

    /// The shard that has the image at this place in the epoch, and the indices of the images from there
    /// to the end of the shard. Waits for the shard if need be, and begins to read the next one.
    pub(super) fn images_from(&mut self, at: usize) -> Result<(&Dataset<T>, &[usize])> {
        let place = self.epoch.starts.partition_point(|&start| start <= at) - 1;
        let (shard, key) = (self.epoch.shards[place], self.epoch.key);
        let current = match self.current.take() {
            Some(current) if (current.shard, current.key) == (shard, key) => current,
            other => {
                let data = match other {
                    // The last shard of an epoch can be the first of the next.
                    Some(current) if current.shard == shard => current.data,
                    other => {
                        drop(other); // before another shard is taken into memory
                        self.ahead.take(shard)?
                    }
                };
                self.request_after(place);
                let mut order: Vec<usize> = (0..data.len()).collect();
                let seed = key.wrapping_add(shard as u64);
                order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
                Current {
                    shard,
                    key,
                    order,
                    data,
                }
            }
        };
        let current = self.current.insert(current);
        Ok((
            &current.data,
            &current.order[at - self.epoch.starts[place]..],
        ))
    }

    /// Begins to read the shard after the one at this place in the epoch.
    fn request_after(&mut self, place: usize) {
        let next = match self.epoch.shards.get(place + 1) {
            Some(&next) => next,
            None => Epoch::new(self.epoch.state.next_epoch(), &self.shards).shards[0],
        };
        if next != self.epoch.shards[place] {
            self.ahead.request(next);
        }
    }
}

impl Epoch {
    fn new(state: BatchState, shards: &[Shard]) -> Self {
        let mut rng = state.epoch_generator();
        let mut order: Vec<usize> = (0..shards.len()).collect();
        order.shuffle(&mut rng);
        let mut images = 0;
        let start = |&shard: &usize| {
            images += shards[shard].rows;
            images - shards[shard].rows
        };
        Epoch {
            state,
            starts: order.iter().map(start).collect(),
            shards: order,
            key: rng.next_u64(),
        }
    }
}
