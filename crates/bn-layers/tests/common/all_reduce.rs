//! A reduction over the threads of one process.

use bn_layers::{Error, Moments, ShardReduction};
use std::sync::{Barrier, Mutex};

/// The values that the shards of one batch exchange.
#[derive(Debug)]
pub(crate) struct AllReduce {
    barrier: Barrier,
    moments: Mutex<Vec<Moments>>,
    sums: Mutex<Vec<Vec<f64>>>,
}

/// The reduction as seen by one shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rank<'a> {
    pub(crate) all_reduce: &'a AllReduce,
    pub(crate) rank: usize,
}

impl AllReduce {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            barrier: Barrier::new(shards),
            moments: Mutex::new(vec![Moments::default(); shards]),
            sums: Mutex::new(vec![Vec::new(); shards]),
        }
    }

    /// Adds the values of one shard, waits for those of all shards, and merges them. No shard continues
    /// before all have read.
    fn merge<V: Clone>(
        &self,
        all: &Mutex<Vec<V>>,
        rank: usize,
        values: &mut V,
        merge: impl Fn(&mut V, &V),
    ) {
        all.lock().unwrap()[rank] = values.clone();
        self.barrier.wait();
        let merged = {
            let all = all.lock().unwrap();
            let (first, others) = all.split_first().unwrap();
            let mut merged = first.clone();
            others.iter().for_each(|other| merge(&mut merged, other));
            merged
        };
        self.barrier.wait();
        *values = merged;
    }
}

impl ShardReduction for Rank<'_> {
    fn moments(&self, moments: &mut Moments) -> Result<(), Error> {
        let all = &self.all_reduce.moments;
        self.all_reduce
            .merge(all, self.rank, moments, |whole, shard| {
                whole.merge(shard).unwrap();
            });
        Ok(())
    }

    fn sums(&self, sums: &mut [f64]) -> Result<(), Error> {
        let (all, mut whole) = (&self.all_reduce.sums, sums.to_vec());
        let add = |whole: &mut Vec<f64>, shard: &Vec<f64>| {
            whole.iter_mut().zip(shard).for_each(|(w, s)| *w += s);
        };
        self.all_reduce.merge(all, self.rank, &mut whole, add);
        sums.copy_from_slice(&whole);
        Ok(())
    }
}
