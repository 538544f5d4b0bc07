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
use std::ops::Range;

/// Values that are added at a time, so that they stay in the cache.
const BLOCK: usize = 1024;

/// The memory of one bucket.
#[derive(Debug)]
pub(crate) struct Bucket<T> {
    mine: Vec<Vec<T>>,   // the sums of this rank, each over a range of shards
    theirs: Vec<Vec<T>>, // a piece of those of all ranks, in order
    piece: Vec<T>,       // this rank's piece of the whole sum
    whole: Vec<T>,       // all pieces
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
                piece: Vec::new(),
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
    size: usize, // of a full bucket, in values
    post: &'p mut dyn Post<'a>,
    free: std::slice::IterMut<'a, Bucket<T>>,
    used: &'a mut usize,
    filling: Option<&'a mut Bucket<T>>,
    travelling: Vec<Travel<'a, T>>,
    timer: &'a Timer,
}

/// A bucket on its way.
struct Travel<'a, T> {
    number: i32,
    parts: Vec<Part<'a, T>>, // what is added to this rank's piece, in the order of the nodes
    piece: Option<&'a mut [T]>, // until it is summed
    own: Option<&'a mut [T]>, // this rank's piece in the whole sum
    others: Vec<(usize, Option<&'a mut [T]>)>, // the pieces of other ranks in it
    expected: Vec<Ticket>,
}

/// A piece of a sum over a range of shards.
enum Part<'a, T> {
    Here(&'a [T]),
    Expected(Ticket),
}

/// Piece `rank` of a bucket of `len` values.
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
            travelling: Vec::new(),
            timer,
        }
    }

    /// Adds the gradients of a layer to the stream, and sends the buckets that are full.
    pub(crate) fn add(&mut self, gradients: &ShardGradients<T>) -> Result<(), Error> {
        let (timer, mut start) = (self.timer, 0);
        let len = gradients.first().map_or(0, |(_, values)| values.len());
        timer.communication(|| {
            while start < len {
                let size = self.size;
                let bucket = match &mut self.filling {
                    Some(bucket) => bucket,
                    none => {
                        let bucket = self.free.next().ok_or_else(too_many)?;
                        bucket.mine.resize_with(gradients.len(), Vec::new);
                        bucket.mine.iter_mut().for_each(Vec::clear);
                        none.insert(bucket)
                    }
                };
                let end = len.min(start + size - bucket.mine[0].len());
                for (to, (_, values)) in bucket.mine.iter_mut().zip(gradients) {
                    to.extend_from_slice(&values[start..end]);
                }
                start = end;
                if bucket.mine[0].len() == size {
                    self.send();
                }
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
        let number = *self.used as i32;
        *self.used += 1;
        let Bucket {
            mine,
            theirs,
            piece: sum,
            whole,
        } = bucket;
        let mine: &'a [Vec<T>] = mine;
        let len = mine[0].len();
        let here = piece(self.rank, self.ranks, len);
        for to in (0..self.ranks).filter(|&to| to != self.rank) {
            for (i, values) in mine.iter().enumerate() {
                let values = &values[piece(to, self.ranks, len)];
                self.post.send(to, tag(number, i), cast_slice(values));
            }
        }
        // From all ranks, in the order of their nodes.
        let mut parts = Vec::with_capacity(self.layout.node_count());
        theirs.resize_with(self.layout.node_count(), Vec::new);
        let mut theirs = theirs.iter_mut();
        for from in 0..self.ranks {
            let nodes = self.layout.nodes(from).len();
            for (i, to) in theirs.by_ref().take(nodes).enumerate() {
                parts.push(match from == self.rank {
                    true => Part::Here(&mine[i][here.clone()]),
                    false => {
                        to.resize(here.len(), T::zero());
                        let to = cast_slice_mut(to.as_mut_slice());
                        Part::Expected(self.post.receive(from, tag(number, i), to))
                    }
                });
            }
        }
        sum.resize(here.len(), T::zero());
        whole.resize(len, T::zero());
        let (mut rest, mut own, mut others) = (&mut whole[..], None, Vec::new());
        for rank in 0..self.ranks {
            let (values, after) = rest.split_at_mut(piece(rank, self.ranks, len).len());
            rest = after;
            match rank == self.rank {
                true => own = Some(values),
                false => others.push((rank, Some(values))),
            }
        }
        self.travelling.push(Travel {
            number,
            parts,
            piece: Some(sum),
            own,
            others,
            expected: Vec::new(),
        });
    }

    /// Takes what has arrived, without waiting.
    fn poll(&mut self) {
        let (layout, post) = (self.layout, &mut *self.post);
        self.travelling.retain_mut(|travel| {
            travel.collect(post);
            travel.sum(layout, post);
            let is_summed = travel.piece.is_none();
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
        let (Some(sum), Some(own)) = (self.piece.take(), self.own.take()) else {
            return;
        };
        add_up(&layout.additions, &parts, sum);
        own.copy_from_slice(sum);
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

/// The message of a bucket with a piece of the whole sum. The others are numbered from 0, one for each sum of a rank,
/// which has at most two for each power of two below the number of shards.
const WHOLE: usize = 63;

/// Tells the messages of a step between two ranks apart.
fn tag(bucket: i32, message: usize) -> i32 {
    FIRST_TAG + bucket * 64 + message as i32
}
