//! Which rank has which shards.

use bn_layers::ShardTree;
use std::ops::Range;

/// The shards of a batch, spread over the ranks as evenly as possible.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) shards: usize,
    ranks: usize,
    nodes: Vec<Vec<Range<usize>>>, // of each rank: the shards that its sums are over
    pub(crate) additions: Vec<(usize, usize)>,
}

impl Layout {
    pub(crate) fn new(shards: usize, ranks: usize) -> Self {
        let of_rank = |rank: usize| rank * shards / ranks..(rank + 1) * shards / ranks;
        let nodes: Vec<Vec<_>> = (0..ranks)
            .map(|rank| {
                let mut tree = ShardTree::default();
                of_rank(rank).for_each(|shard| tree.push(shard..shard + 1, (), |(), ()| {}));
                tree.nodes()
                    .iter()
                    .map(|(range, ())| range.clone())
                    .collect()
            })
            .collect();
        // The tree over the sums of all ranks, as a list of additions.
        let (mut tree, mut additions) = (ShardTree::default(), Vec::new());
        let mut add = |to: &mut usize, from: &usize| additions.push((*to, *from));
        for (i, range) in nodes.iter().flatten().enumerate() {
            tree.push(range.clone(), i, &mut add);
        }
        tree.total(&mut add);
        Self {
            shards,
            ranks,
            nodes,
            additions,
        }
    }

    /// The shards of a rank.
    pub(crate) fn of_rank(&self, rank: usize) -> Range<usize> {
        rank * self.shards / self.ranks..(rank + 1) * self.shards / self.ranks
    }

    /// The ranges of shards over which a rank has sums.
    pub(crate) fn nodes(&self, rank: usize) -> &[Range<usize>] {
        &self.nodes[rank]
    }

    /// The ranges of all ranks, in order.
    pub(crate) fn all_nodes(&self) -> impl Iterator<Item = &Range<usize>> {
        self.nodes.iter().flatten()
    }

    /// The number of sums of all ranks.
    pub(crate) fn node_count(&self) -> usize {
        self.nodes.iter().map(Vec::len).sum()
    }
}
