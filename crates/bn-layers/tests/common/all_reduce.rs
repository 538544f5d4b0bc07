//! A reduction over the threads of one process.

use bn_layers::{Error, Moments, ShardReduction};
use std::sync::{Barrier, Mutex};

/// What the shards of one batch hand to each other.
#[derive(Debug)]
pub(crate) struct Meeting {
    barrier: Barrier,
    moments: Mutex<Vec<Moments>>,
    sums: Mutex<Vec<Vec<f64>>>,
}

/// One shard's place at the meeting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) meeting: &'a Meeting,
    pub(crate) place: usize,
}

impl Meeting {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            barrier: Barrier::new(shards),
            moments: Mutex::new(vec![Moments::default(); shards]),
            sums: Mutex::new(vec![Vec::new(); shards]),
        }
    }

    /// Hands in `mine`, and merges all once they are there; nobody goes on before all have read.
    fn merge<V: Clone>(
        &self,
        all: &Mutex<Vec<V>>,
        place: usize,
        mine: &mut V,
        merge: impl Fn(&mut V, &V),
    ) {
        all.lock().unwrap()[place] = mine.clone();
        self.barrier.wait();
        let merged = {
            let all = all.lock().unwrap();
            let (first, others) = all.split_first().unwrap();
            let mut merged = first.clone();
            others.iter().for_each(|other| merge(&mut merged, other));
            merged
        };
        self.barrier.wait();
        *mine = merged;
    }
}

impl ShardReduction for Place<'_> {
    fn moments(&self, moments: &mut Moments) -> Result<(), Error> {
        let all = &self.meeting.moments;
        self.meeting
            .merge(all, self.place, moments, |whole, shard| {
                whole.merge(shard).unwrap();
            });
        Ok(())
    }

    fn sums(&self, sums: &mut [f64]) -> Result<(), Error> {
        let (all, mut whole) = (&self.meeting.sums, sums.to_vec());
        let add = |whole: &mut Vec<f64>, shard: &Vec<f64>| {
            whole.iter_mut().zip(shard).for_each(|(w, s)| *w += s);
        };
        self.meeting.merge(all, self.place, &mut whole, add);
        sums.copy_from_slice(&whole);
        Ok(())
    }
}
