//! What all ranks tell each other before each step, so that one that does something else is found.

use crate::{error::Error, world::Link};
use std::collections::BTreeMap;

/// What a rank is about to do, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) kind: u64,
    pub(crate) step: u64,          // the number of steps before it
    pub(crate) rows: u64,          // of this rank
    pub(crate) wants_to_stop: u64, // 0 or 1
    /// Digests.
    pub(crate) network: u64,
    pub(crate) optimizer: u64,
    pub(crate) settings: u64,
    pub(crate) values: u64,
}

// Kinds; 0 is a step.
const READ: u64 = 1;
const END: u64 = 2;
const BARRIER: u64 = 3;

impl Header {
    /// A rank begins a step.
    pub(crate) fn step() -> Self {
        Self::default()
    }

    /// A rank wants what rank 0 reads from a file of `len` bytes.
    pub(crate) fn read(len: u64) -> Self {
        Self {
            kind: READ,
            rows: len,
            ..Self::default()
        }
    }

    /// A rank waits for the others.
    pub(crate) fn barrier() -> Self {
        Self {
            kind: BARRIER,
            ..Self::default()
        }
    }

    /// A rank makes no more steps.
    pub(crate) fn end() -> Self {
        Self {
            kind: END,
            ..Self::default()
        }
    }

    /// Exchanges the headers of all ranks.
    ///
    /// # Errors
    /// [`Error::Differ`], the same on every rank.
    pub(crate) fn meet(self, link: &Link) -> Result<Vec<Header>, Error> {
        let mut all = vec![Header::default(); link.size()];
        let counts = vec![size_of::<Header>(); link.size()];
        link.all_gather(
            bytemuck::bytes_of(&self),
            &counts,
            bytemuck::cast_slice_mut(&mut all),
        )?;
        check(&all)?;
        Ok(all)
    }
}

type Part = (fn(&Header) -> u64, &'static str);

fn check(all: &[Header]) -> Result<(), Error> {
    let parts: [Part; 6] = [
        (
            |h| h.kind,
            "does something else: it has ended, has read a checkpoint, or makes more steps",
        ),
        (
            |h| h.step,
            "is at another step: it has skipped or repeated one",
        ),
        (
            |h| h.network,
            "has another network: the layers, their sizes or what is frozen differ",
        ),
        (
            |h| h.optimizer,
            "has another optimizer, other settings of it or another learning rate",
        ),
        (
            |h| h.settings,
            "has other settings: of the run, such as the batch size, the number of batches or the seed, \
          or of the ranks, such as the number of shards",
        ),
        (
            |h| h.values,
            "has other parameters or running statistics; build the network from the same seed, or restore \
          the same file, on all ranks",
        ),
    ];
    for (part, what) in parts {
        let mut ranks_of = BTreeMap::<u64, Vec<usize>>::new();
        for (rank, header) in all.iter().enumerate() {
            ranks_of.entry(part(header)).or_default().push(rank);
        }
        if ranks_of.len() > 1 {
            // Most are right; of two halves, the one with rank 0.
            let right = ranks_of
                .values()
                .max_by_key(|ranks| (ranks.len(), ranks.contains(&0)));
            let is_right = |rank: &usize| right.is_some_and(|right| right.contains(rank));
            let wrong: Vec<usize> = (0..all.len()).filter(|rank| !is_right(rank)).collect();
            return Err(Error::Differ {
                ranks: named(&wrong),
                what: what.to_owned(),
            });
        }
    }
    Ok(())
}

/// `rank 2`, `ranks 0, 3`.
fn named(ranks: &[usize]) -> String {
    let list: Vec<String> = ranks.iter().map(usize::to_string).collect();
    match &list[..] {
        [one] => format!("rank {one}"),
        _ => format!("ranks {}: each", list.join(", ")),
    }
}
