//! Which rank has which shards.

use crate::error::Error;
use bn_data::BatchPart;
use bn_layers::ShardTree;
use std::ops::Range;

/// The largest number of shards.
const MOST: usize = 1 << 16;

/// The shards of a batch, spread over the ranks as evenly as possible.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) shards: usize,
    parts: Vec<BatchPart>,         // of each rank
    nodes: Vec<Vec<Range<usize>>>, // of each rank: the shards that its sums are over
    /// The tree over the sums of all ranks: sum `.1` is added to sum `.0`, one after another.
    pub(crate) additions: Vec<(usize, usize)>,
}

impl Layout {
    /// # Errors
    /// [`Error::Setting`] for fewer shards than ranks, or too many.
    pub(crate) fn new(shards: usize, ranks: usize) -> Result<Self, Error> {
        let refused = || Error::Setting {
            what: "the number of shards",
            value: shards.to_string(),
            must_be: format!("at least {ranks}, the number of ranks, and at most {MOST}"),
        };
        if shards < ranks || shards > MOST {
            return Err(refused());
        }
        let each = (0..ranks).map(|rank| of_rank(rank, shards, ranks));
        let parts = each.clone().map(|range| BatchPart::new(range, shards));
        let nodes: Vec<Vec<_>> = each
            .map(|range| ShardTree::ranges(range).collect())
            .collect();
        let (mut tree, mut additions) = (ShardTree::default(), Vec::new());
        let mut add = |to: &mut usize, from: &usize| additions.push((*to, *from));
        for (i, range) in nodes.iter().flatten().enumerate() {
            tree.push(range.clone(), i, &mut add);
        }
        tree.total(&mut add);
        Ok(Self {
            shards,
            parts: parts.collect::<Result<_, _>>().map_err(|_| refused())?,
            nodes,
            additions,
        })
    }

    /// The shards of a rank.
    pub(crate) fn of_rank(&self, rank: usize) -> Range<usize> {
        of_rank(rank, self.shards, self.parts.len())
    }

    /// The part of each batch that a rank has.
    pub(crate) fn part(&self, rank: usize) -> &BatchPart {
        &self.parts[rank]
    }

    /// The numbers of rows of a rank's shards, of a batch of which each rank has so many rows: those of its
    /// [`part`](Self::part), or if the ranks have others, equal ones.
    pub(crate) fn rows_of_shards(&self, rank: usize, rows: &[usize]) -> Vec<usize> {
        let whole = rows.iter().sum();
        let mut each = self.parts.iter().zip(rows);
        if each.all(|(part, &rows)| part.rows(whole).len() == rows) {
            return self.parts[rank].piece_rows(whole).collect();
        }
        let (rows, shards) = (rows[rank], self.of_rank(rank).len());
        let cut = |i: usize| i * rows / shards;
        (0..shards).map(|i| cut(i + 1) - cut(i)).collect()
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

fn of_rank(rank: usize, shards: usize, ranks: usize) -> Range<usize> {
    rank * shards / ranks..(rank + 1) * shards / ranks
}
