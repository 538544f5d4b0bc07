use crate::error::Error;
use bn_tensor::Moments;
use std::{fmt::Debug, ops::Range};

/// What the processes that share one batch tell each other. The batch is cut into shards, and each process
/// has some of them, next to each other. A process is a micro-batch, a thread or a machine.
///
/// Batch Normalization passes its per-channel sums through it, so that a batch in shards is normalised as a
/// whole. Every process must make the same calls in the same order.
pub trait ShardReduction: Debug + Sync {
    /// The number of rows of each shard that this process has, in order.
    fn rows(&self) -> &[usize];

    /// The number of shards of the batch before those of this process.
    fn first_shard(&self) -> usize;

    /// The number of rows of the batch before those of this process.
    fn first_row(&self) -> usize;

    /// Sets `whole` to the moments of the whole batch, from those of each shard of this process
    /// ([`Moments::merge`], always in the same order).
    ///
    /// # Errors
    /// [`Error::Shards`] if the other processes cannot be reached or do not fit.
    fn moments(&self, shards: &[Moments], whole: &mut Moments) -> Result<(), Error>;

    /// Sets `whole` to sums over the whole batch, from those of each shard of this process, one after
    /// another, always added in the same order.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    fn sums(&self, shards: &[f64], whole: &mut [f64]) -> Result<(), Error>;

    /// Whether this process counts the gradients that every process knows: those of gamma and beta come from
    /// sums over the whole batch. If the caller adds up the gradients of all processes, exactly one of them
    /// counts these; the others have zeros.
    fn counts_whole(&self) -> bool;

    /// Sums for the loss: as [`sums`](Self::sums), but always over the whole batch, also if
    /// [`is_local`](Self::is_local).
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    fn loss_sums(&self, shards: &[f64], whole: &mut [f64]) -> Result<(), Error> {
        self.sums(shards, whole)
    }

    /// Whether [`moments`](Self::moments) and [`sums`](Self::sums) are those of this process only, so that
    /// each process normalises its own rows.
    fn is_local(&self) -> bool {
        false
    }

    /// Whether the caller adds up the gradients of the shards of all processes. The layers of a network then
    /// have neither the sum over the shards of this process nor the gradient of weight decay.
    fn adds_gradients(&self) -> bool {
        false
    }
}

/// The rows of each shard.
pub(crate) fn ranges(rows: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    rows.iter().map(move |rows| {
        end += rows;
        end - rows..end
    })
}

/// Sums over the shards of a batch, added in one fixed binary tree, so that their bits do not depend on which
/// process has which shards.
///
/// Two neighbours are added as soon as both are there, if they are the halves of a part of the batch whose
/// length in shards is a power of two. What then remains is added from the last to the first.
///
/// ```
/// use bn_layers::ShardTree;
/// let add = |a: &mut f32, b: &f32| *a += b;
/// let shards = [1e8f32, 1.0, -1e8, 1.0];
/// let mut one = ShardTree::default();
/// for (i, &sum) in shards.iter().enumerate() {
///     one.push(i..i + 1, sum, add);
/// }
/// // Two processes, of which one has three shards.
/// let mut first = ShardTree::default();
/// for (i, &sum) in shards[..3].iter().enumerate() {
///     first.push(i..i + 1, sum, add);
/// }
/// let mut all = ShardTree::default();
/// for (range, sum) in first.nodes() {
///     all.push(range.clone(), *sum, add);
/// }
/// all.push(3..4, shards[3], add);
/// assert_eq!(all.total(add), one.total(add));
/// ```
#[derive(Debug, Clone)]
pub struct ShardTree<V> {
    nodes: Vec<(Range<usize>, V)>, // of shards, next to each other
    spare: Vec<V>,
}

impl<V> Default for ShardTree<V> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            spare: Vec::new(),
        }
    }
}

impl ShardTree<()> {
    /// The ranges over which a process with these shards has sums: those of its [`nodes`](Self::nodes).
    ///
    /// ```
    /// use bn_layers::ShardTree;
    /// assert!(ShardTree::ranges(3..8).eq([3..4, 4..8]));
    /// ```
    pub fn ranges(shards: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut tree = Self::default();
        shards.for_each(|shard| tree.push(shard..shard + 1, (), |(), ()| {}));
        tree.nodes.into_iter().map(|(range, ())| range)
    }
}

impl<V> ShardTree<V> {
    /// Adds the sum of the next shards. `add(a, b)` adds `b` to `a`.
    pub fn push(&mut self, shards: Range<usize>, sum: V, mut add: impl FnMut(&mut V, &V)) {
        self.nodes.push((shards, sum));
        while let [.., (left, _), (right, _)] = &self.nodes[..]
            && left.len() == right.len()
            && left.len().is_power_of_two()
            && left.start.is_multiple_of(2 * left.len())
        {
            self.add_last(&mut add);
        }
    }

    /// The sums so far, each over the shards in its range, in order.
    pub fn nodes(&self) -> &[(Range<usize>, V)] {
        &self.nodes
    }

    /// As [`nodes`](Self::nodes), for a caller who needs them no longer and may exchange their memory.
    pub fn nodes_mut(&mut self) -> &mut [(Range<usize>, V)] {
        &mut self.nodes
    }

    /// The sum of all shards, if there are any.
    pub fn total(&mut self, mut add: impl FnMut(&mut V, &V)) -> Option<&V> {
        while self.nodes.len() > 1 {
            self.add_last(&mut add);
        }
        self.nodes.first().map(|(_, sum)| sum)
    }

    /// Forgets all sums, but keeps their memory for [`spare`](Self::spare).
    pub fn clear(&mut self) {
        self.spare.extend(self.nodes.drain(..).map(|(_, sum)| sum));
    }

    /// A sum that is no longer needed, to be overwritten.
    pub fn spare(&mut self) -> Option<V> {
        self.spare.pop()
    }

    /// Adds the last node to the one before it.
    fn add_last(&mut self, add: &mut impl FnMut(&mut V, &V)) {
        if let Some((shards, sum)) = self.nodes.pop()
            && let Some((before, to)) = self.nodes.last_mut()
        {
            add(to, &sum);
            before.end = shards.end;
            self.spare.push(sum);
        }
    }
}
