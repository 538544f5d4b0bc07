//! A reduction over the threads of one process.

use bn_layers::{Error, Moments, ShardReduction, ShardTree};
use std::sync::{Barrier, Mutex};

/// What the processes that share one batch exchange: here, threads.
#[derive(Debug)]
pub(crate) struct AllReduce {
    rows: Vec<Vec<usize>>, // of the shards of each process
    barrier: Barrier,
    moments: Mutex<Vec<Vec<Moments>>>,
    sums: Mutex<Vec<Vec<f64>>>,
}

/// The reduction as one process sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rank<'a> {
    pub(crate) all_reduce: &'a AllReduce,
    pub(crate) rank: usize,
}

impl AllReduce {
    /// `rows` has the numbers of rows of the shards of each process.
    pub(crate) fn new(rows: &[Vec<usize>]) -> Self {
        Self {
            rows: rows.to_vec(),
            barrier: Barrier::new(rows.len()),
            moments: Mutex::new(vec![Vec::new(); rows.len()]),
            sums: Mutex::new(vec![Vec::new(); rows.len()]),
        }
    }

    /// Tells all processes the values of one, waits for those of all, and reads them with `read`. None
    /// continues before all have read.
    fn exchange<V: Clone>(
        &self,
        all: &Mutex<Vec<Vec<V>>>,
        rank: usize,
        values: &[V],
        read: impl FnOnce(&[Vec<V>]),
    ) {
        all.lock().unwrap()[rank] = values.to_vec();
        self.barrier.wait();
        read(&all.lock().unwrap());
        self.barrier.wait();
    }
}

impl ShardReduction for Rank<'_> {
    fn rows(&self) -> &[usize] {
        &self.all_reduce.rows[self.rank]
    }

    fn first_shard(&self) -> usize {
        self.all_reduce.rows[..self.rank].iter().map(Vec::len).sum()
    }

    fn first_row(&self) -> usize {
        self.all_reduce.rows[..self.rank].iter().flatten().sum()
    }

    fn moments(&self, shards: &[Moments], whole: &mut Moments) -> Result<(), Error> {
        let all = &self.all_reduce.moments;
        self.all_reduce.exchange(all, self.rank, shards, |all| {
            let (mut tree, merge) = (ShardTree::default(), |a: &mut Moments, b: &Moments| {
                a.merge(b).unwrap();
            });
            for (i, moments) in all.iter().flatten().enumerate() {
                tree.push(i..i + 1, moments.clone(), merge);
            }
            whole.clone_from(tree.total(merge).unwrap());
        });
        Ok(())
    }

    fn sums(&self, shards: &[f64], whole: &mut [f64]) -> Result<(), Error> {
        let all = &self.all_reduce.sums;
        self.all_reduce.exchange(all, self.rank, shards, |all| {
            let (mut tree, add) = (ShardTree::default(), |a: &mut Vec<f64>, b: &Vec<f64>| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            });
            let shards = all.iter().flat_map(|sums| sums.chunks_exact(whole.len()));
            for (i, sums) in shards.enumerate() {
                tree.push(i..i + 1, sums.to_vec(), add);
            }
            whole.copy_from_slice(tree.total(add).unwrap());
        });
        Ok(())
    }

    fn counts_whole(&self) -> bool {
        self.rank == 0
    }
}
