//! The sums of Batch Normalization and of the loss over all ranks.

use crate::{error::Error, layout::Layout, timing::Timer, world::Link};
use bn_layers::{Error as LayerError, Moments, ShardReduction, ShardTree};

/// One batch, as one rank sees it.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) link: &'a Link,
    pub(crate) layout: &'a Layout,
    pub(crate) rows: &'a [usize], // of each shard of this rank
    pub(crate) first_row: usize,
    pub(crate) is_local: bool, // each rank normalises its own rows
    pub(crate) timer: &'a Timer,
}

impl Batch<'_> {
    /// The values of all ranks, from those of each range of shards of this rank (`len` values each).
    fn gathered(&self, mine: Vec<f64>, len: usize) -> Result<Vec<f64>, Error> {
        if self.link.size() == 1 {
            return Ok(mine);
        }
        self.timer.communication(|| {
            let bytes = |rank| self.layout.nodes(rank).len() * len * size_of::<f64>();
            let counts: Vec<usize> = (0..self.link.size()).map(bytes).collect();
            let mut all = vec![0.0; self.layout.node_count() * len];
            let (from, to) = (
                bytemuck::cast_slice(&mine),
                bytemuck::cast_slice_mut(&mut all),
            );
            self.link.all_gather(from, &counts, to)?;
            Ok(all)
        })
    }

    /// Sets `whole` to sums over the shards of all ranks, or of this rank.
    fn add(&self, shards: &[f64], whole: &mut [f64], is_local: bool) -> Result<(), LayerError> {
        let len = whole.len();
        let add = |a: &mut Vec<f64>, b: &Vec<f64>| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        let (mut tree, mut all) = (ShardTree::default(), ShardTree::default());
        let of_rank = self.layout.of_rank(self.link.rank());
        for (shard, sums) in of_rank.zip(shards.chunks_exact(len.max(1))) {
            tree.push(shard..shard + 1, sums.to_vec(), add);
        }
        if !is_local {
            let mine = tree.nodes().iter().flat_map(|(_, sums)| sums);
            let gathered = self.gathered(mine.copied().collect(), len)?;
            for (range, sums) in self
                .layout
                .all_nodes()
                .zip(gathered.chunks_exact(len.max(1)))
            {
                all.push(range.clone(), sums.to_vec(), add);
            }
            tree = all;
        }
        if let Some(sums) = tree.total(add) {
            whole.copy_from_slice(sums);
        }
        Ok(())
    }
}

impl ShardReduction for Batch<'_> {
    fn rows(&self) -> &[usize] {
        self.rows
    }

    fn first_shard(&self) -> usize {
        self.layout.of_rank(self.link.rank()).start
    }

    fn first_row(&self) -> usize {
        self.first_row
    }

    fn moments(&self, shards: &[Moments], whole: &mut Moments) -> Result<(), LayerError> {
        let mut result = Ok(());
        let mut merge = |a: &mut Moments, b: &Moments| {
            if result.is_ok() {
                result = a.merge(b);
            }
        };
        let (mut tree, mut all) = (ShardTree::default(), ShardTree::default());
        for (shard, moments) in self.layout.of_rank(self.link.rank()).zip(shards) {
            tree.push(shard..shard + 1, moments.clone(), &mut merge);
        }
        if !self.is_local {
            let channels = shards.first().map_or(0, Moments::channels);
            let mut mine = Vec::new();
            for (_, moments) in tree.nodes() {
                // A count is stored bit by bit, because f64 has fewer digits.
                mine.push(f64::from_bits(moments.count()));
                mine.extend(moments.mean());
                mine.extend(moments.m2());
            }
            let gathered = self.gathered(mine, 1 + 2 * channels)?;
            let each = gathered.chunks_exact(1 + 2 * channels);
            for (range, values) in self.layout.all_nodes().zip(each) {
                let (mean, m2) = values[1..].split_at(channels);
                let moments = Moments::from_parts(values[0].to_bits(), mean, m2)?;
                all.push(range.clone(), moments, &mut merge);
            }
            tree = all;
        }
        if let Some(moments) = tree.total(&mut merge) {
            whole.clone_from(moments);
        }
        Ok(result?)
    }

    fn sums(&self, shards: &[f64], whole: &mut [f64]) -> Result<(), LayerError> {
        self.add(shards, whole, self.is_local)
    }

    fn loss_sums(&self, shards: &[f64], whole: &mut [f64]) -> Result<(), LayerError> {
        self.add(shards, whole, false)
    }

    fn counts_whole(&self) -> bool {
        true
    }

    fn is_local(&self) -> bool {
        self.is_local
    }

    fn adds_gradients(&self) -> bool {
        self.link.size() > 1
    }
}
