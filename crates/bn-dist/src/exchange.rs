//! The gradients of all ranks, added up while the layers below compute theirs.
//!
//! Gradients travel in buckets. Each rank adds up one piece of a bucket, from the sums of all ranks and in the order
//! of the tree over shards (reduce-scatter), and sends the result to all others (all-gather): with as many nodes as
//! ranks, a rank sends and receives as many bytes as in a ring.

use crate::{
    error::Error,
    layout::Layout,
    timing::Timer,
    world::{FIRST_TAG, Post, Ticket},
};
use bn_net::ShardGradients;
use bn_tensor::Scalar;
use bytemuck::{Pod, cast_slice, cast_slice_mut};
use std::{
    mem::{swap, take},
    ops::Range,
};

/// Values that are added at a time, so that they stay in the cache.
const BLOCK: usize = 1024;

/// The memory of one bucket: a large layer, or small ones one after another.
#[derive(Debug)]
pub(crate) struct Bucket<T> {
    mine: Vec<Vec<T>>,   // the sums of this rank, each over a range of shards
    theirs: Vec<Vec<T>>, // this rank's pieces of those of all ranks, in order
    whole: Vec<T>,       // the sum over all shards
}

/// The buckets of a rank, kept from step to step.
#[derive(Debug)]
pub(crate) struct Buckets<T> {
    buckets: Vec<Bucket<T>>,
    used: usize, // of them, in the last step
}

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        Self {
            buckets: Vec::new(),
            used: 0,
        }
    }
}

impl<T: Scalar + Pod> Buckets<T> {
    /// Makes sure that `count` buckets exist.
    pub(crate) fn reserve(&mut self, count: usize) {
        while self.buckets.len() < count {
            self.buckets.push(Bucket {
                mine: Vec::new(),
                theirs: Vec::new(),
                whole: Vec::new(),
            });
        }
        self.used = 0;
    }

    /// The sums over all ranks of what was added in the last step, in the same order.
    pub(crate) fn read(&self) -> impl Iterator<Item = &[T]> {
        let used = self.buckets[..self.used].iter();
        used.map(|bucket| &bucket.whole[..])
    }
}

/// The exchange of one step.
pub(crate) struct Exchange<'a, 'p, T> {
    layout: &'a Layout,
    rank: usize,
    ranks: usize,
    size: usize, // of a full bucket and of the largest message, in values
    post: &'p mut dyn Post<'a>,
    free: std::slice::IterMut<'a, Bucket<T>>,
    used: &'a mut usize,
    filling: Option<&'a mut Bucket<T>>,
    sent: i32, // parts of buckets
    travelling: Vec<Travel<'a, T>>,
    timer: &'a Timer,
}

/// A part of a bucket on its way.
struct Travel<'a, T> {
    number: i32,
    parts: Vec<Part<'a, T>>, // what is added to this rank's piece, in the order of the nodes
    own: Option<&'a mut [T]>, // this rank's piece of the whole sum, until it is known
    others: Vec<(usize, Option<&'a mut [T]>)>, // the pieces of other ranks
    expected: Vec<Ticket>,
}

/// A piece of a sum over a range of shards.
enum Part<'a, T> {
    Here(&'a [T]),
    Expected(Ticket),
}

/// The piece of `len` values that a rank adds up.
fn piece(rank: usize, ranks: usize, len: usize) -> Range<usize> {
    rank * len / ranks..(rank + 1) * len / ranks
}

impl<'a, 'p, T: Scalar + Pod> Exchange<'a, 'p, T> {
    pub(crate) fn new(
        layout: &'a Layout,
        [rank, ranks]: [usize; 2],
        size: usize,
        post: &'p mut dyn Post<'a>,
        buckets: &'a mut Buckets<T>,
        timer: &'a Timer,
    ) -> Self {
        Self {
            layout,
            rank,
            ranks,
            size,
            post,
            free: buckets.buckets.iter_mut(),
            used: &mut buckets.used,
            filling: None,
            sent: 0,
            travelling: Vec::new(),
            timer,
        }
    }

    /// Adds the gradients of a layer, and sends a bucket that is full. A large layer is a bucket by itself, which takes
    /// the memory of its gradients and leaves its own.
    pub(crate) fn add(&mut self, gradients: &mut ShardGradients<T>) -> Result<(), Error> {
        let timer = self.timer;
        let len = gradients.first().map_or(0, |(_, values)| values.len());
        let is_large = len >= self.size;
        timer.communication(|| {
            if len == 0 {
                self.poll();
                return Ok(());
            }
            if is_large {
                self.send();
            }
            let bucket = match &mut self.filling {
                Some(bucket) => bucket,
                none => {
                    let bucket = self.free.next().ok_or_else(too_many)?;
                    bucket.mine.resize_with(gradients.len(), Vec::new);
                    bucket.mine.iter_mut().for_each(Vec::clear);
                    none.insert(bucket)
                }
            };
            for (to, (_, values)) in bucket.mine.iter_mut().zip(gradients) {
                match is_large {
                    true => swap(to, values),
                    false => to.extend_from_slice(values),
                }
            }
            if bucket.mine.first().is_some_and(|to| to.len() >= self.size) {
                self.send();
            }
            self.poll();
            Ok(())
        })
    }

    /// Sends the last bucket and waits for all of them.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        let timer = self.timer;
        timer.communication(|| {
            self.send();
            loop {
                self.poll();
                if self.travelling.is_empty() {
                    return Ok(());
                }
                self.post.wait()?;
            }
        })
    }

    /// Begins the exchange of the bucket that is being filled.
    fn send(&mut self) {
        let Some(bucket) = self.filling.take() else {
            return;
        };
        *self.used += 1;
        let mine: &'a [Vec<T>] = &bucket.mine;
        let len = mine.first().map_or(0, Vec::len);
        let (largest, rank, ranks) = (self.size, self.rank, self.ranks);
        let parts = || {
            let starts = (0..len).step_by(largest);
            starts.map(|start| start..len.min(start + largest))
        };
        let of_rank = parts().map(|part| piece(rank, ranks, part.len()).len());
        let size = of_rank.sum();
        bucket
            .theirs
            .resize_with(self.layout.node_count(), Vec::new);
        bucket.whole.resize(len, T::zero());
        let theirs = bucket.theirs.iter_mut();
        let mut theirs: Vec<&'a mut [T]> = theirs
            .map(|values| {
                values.resize(size, T::zero());
                &mut values[..]
            })
            .collect();
        let mut whole = &mut bucket.whole[..];
        for part in parts() {
            let (whole_part, rest) = whole.split_at_mut(part.len());
            whole = rest;
            let mine = mine.iter().map(|values| &values[part.clone()]);
            let travel = self.send_part(&mine.collect::<Vec<_>>(), &mut theirs, whole_part);
            self.travelling.push(travel);
        }
    }

    /// Begins the exchange of a part of a bucket: the same values of the sums of this rank, of `theirs`, from which the
    /// memory is taken, and of the whole sum.
    fn send_part(
        &mut self,
        mine: &[&'a [T]],
        theirs: &mut [&'a mut [T]],
        mut whole: &'a mut [T],
    ) -> Travel<'a, T> {
        let (number, len) = (self.sent, whole.len());
        self.sent += 1;
        let here = piece(self.rank, self.ranks, len);
        for to in (0..self.ranks).filter(|&to| to != self.rank) {
            for (i, values) in mine.iter().enumerate() {
                let values = &values[piece(to, self.ranks, len)];
                self.post.send(to, tag(number, i), cast_slice(values));
            }
        }
        // From all ranks, in the order of their nodes.
        let mut parts = Vec::with_capacity(self.layout.node_count());
        let mut theirs = theirs.iter_mut();
        for from in 0..self.ranks {
            let nodes = self.layout.nodes(from).len();
            for (i, theirs) in theirs.by_ref().take(nodes).enumerate() {
                parts.push(match from == self.rank {
                    true => Part::Here(&mine[i][here.clone()]),
                    false => {
                        let (to, rest) = take(theirs).split_at_mut(here.len());
                        *theirs = rest;
                        let to = cast_slice_mut(to);
                        Part::Expected(self.post.receive(from, tag(number, i), to))
                    }
                });
            }
        }
        let (mut own, mut others) = (None, Vec::new());
        for rank in 0..self.ranks {
            let (values, rest) = whole.split_at_mut(piece(rank, self.ranks, len).len());
            whole = rest;
            match rank == self.rank {
                true => own = Some(values),
                false => others.push((rank, Some(values))),
            }
        }
        Travel {
            number,
            parts,
            own,
            others,
            expected: Vec::new(),
        }
    }

    /// Takes what has arrived, without waiting.
    fn poll(&mut self) {
        let (layout, post) = (self.layout, &mut *self.post);
        self.travelling.retain_mut(|travel| {
            travel.collect(post);
            travel.sum(layout, post);
            let is_summed = travel.own.is_none();
            travel
                .expected
                .retain(|&ticket| post.arrived(ticket).is_none());
            !(is_summed && travel.expected.is_empty())
        });
    }
}

impl<'a, T: Scalar + Pod> Travel<'a, T> {
    fn collect(&mut self, post: &mut dyn Post<'a>) {
        for part in &mut self.parts {
            if let Part::Expected(ticket) = part
                && let Some(bytes) = post.arrived(*ticket)
            {
                *part = Part::Here(cast_slice(bytes));
            }
        }
    }

    /// Once all parts are here, adds them up and sends the sum to all others.
    fn sum(&mut self, layout: &Layout, post: &mut dyn Post<'a>) {
        let parts = self.parts.iter().map(|part| match part {
            Part::Here(values) => Some(*values),
            Part::Expected(_) => None,
        });
        let Some(parts) = parts.collect::<Option<Vec<&[T]>>>() else {
            return;
        };
        let Some(sum) = self.own.take() else {
            return;
        };
        add_up(&layout.additions, &parts, sum);
        let sum: &'a [T] = sum;
        for (rank, values) in &mut self.others {
            if let Some(values) = values.take() {
                let tag = tag(self.number, WHOLE);
                let ticket = post.receive(*rank, tag, cast_slice_mut(values));
                self.expected.push(ticket);
                post.send(*rank, tag, cast_slice(sum));
            }
        }
    }
}

fn too_many() -> Error {
    Error::Differ {
        ranks: "this rank".to_owned(),
        what: "has more gradients than parameters".to_owned(),
    }
}

/// Adds the parts as the tree over shards does.
fn add_up<T: Scalar>(additions: &[(usize, usize)], parts: &[&[T]], sum: &mut [T]) {
    if let ([(0, 1)], [a, b]) = (additions, parts) {
        let each = sum.iter_mut().zip(*a).zip(*b);
        return each.for_each(|((sum, &a), &b)| *sum = a + b);
    }
    let mut blocks: Vec<Vec<T>> = vec![Vec::with_capacity(BLOCK); parts.len()];
    for (i, sum) in sum.chunks_mut(BLOCK).enumerate() {
        for (block, part) in blocks.iter_mut().zip(parts) {
            block.clear();
            block.extend_from_slice(&part[i * BLOCK..][..sum.len()]);
        }
        for &(to, from) in additions {
            let (before, after) = blocks.split_at_mut(from);
            let each = before[to].iter_mut().zip(&after[0]);
            each.for_each(|(to, &from)| *to += from);
        }
        sum.copy_from_slice(&blocks[0]);
    }
}

/// The message of a part with a piece of the whole sum. The others are numbered from 0, one for each sum of a rank,
/// which has at most two for each power of two below the number of shards.
const WHOLE: usize = 63;

/// Tells the messages of a step between two ranks apart.
fn tag(part: i32, message: usize) -> i32 {
    FIRST_TAG + part * 64 + message as i32
}
