//! Reductions and maps over the channels of an array, seen as `(outer, channels, inner)`: a matrix
//! `(N, D)` is `(N, D, 1)`, a channels-last image batch `(N·H·W, C, 1)`, a channels-first one
//! `(N, C, H·W)`.

pub(crate) mod backward;
mod deviations;
pub(crate) mod moments;
pub(crate) mod normalize;
pub(crate) mod reduce;
mod stream;
pub(crate) mod sums;

use crate::{
    contiguous::{in_order, in_order_mut},
    error::Error,
};
use ndarray::{ArrayView3, ArrayViewMut3};

/// The number of blocks that rows are cut into, if there are enough rows. It is also the largest number
/// of threads that share the work. A block has an overhead of about eight rows.
const BLOCKS: usize = 16;
/// The minimum number of values of a block: a few microseconds of work.
const MIN_BLOCK: usize = 1 << 15;

/// The shape `(outer, channels, inner)` of an array whose channels are reduced or scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dims {
    pub(crate) outer: usize,
    pub(crate) channels: usize,
    pub(crate) inner: usize,
}

/// The elements of `x` in memory order, and its shape.
pub(crate) fn elements<'a, T>(
    op: &'static str,
    x: &'a ArrayView3<'_, T>,
) -> Result<(&'a [T], Dims), Error> {
    Ok((in_order(op, x)?, Dims::of(x.dim())))
}

/// The elements of `y` in memory order, if it has the shape `dims`.
pub(crate) fn elements_mut<'a, T>(
    op: &'static str,
    dims: Dims,
    y: &'a mut ArrayViewMut3<'_, T>,
) -> Result<&'a mut [T], Error> {
    dims.expect(op, Dims::of(y.dim()))?;
    in_order_mut(op, y)
}

impl Dims {
    fn of((outer, channels, inner): (usize, usize, usize)) -> Self {
        Self {
            outer,
            channels,
            inner,
        }
    }

    /// Elements for one index of `outer`.
    pub(crate) fn row(&self) -> usize {
        self.channels * self.inner
    }

    pub(crate) fn len(&self) -> usize {
        self.outer * self.row()
    }

    /// Values per channel.
    pub(crate) fn count(&self) -> u64 {
        (self.outer * self.inner) as u64
    }

    /// The number of rows of a block. It depends only on the size of the array.
    pub(crate) fn block_rows(&self) -> usize {
        let enough = MIN_BLOCK.div_ceil(self.row().max(1));
        self.outer.div_ceil(BLOCKS).max(enough)
    }

    /// An array of one channel as a single run of memory, which the kernels process fastest.
    pub(crate) fn one_channel_as_a_run(self) -> Self {
        if self.channels == 1 {
            let inner = self.len();
            Self {
                outer: usize::from(inner > 0),
                channels: 1,
                inner,
            }
        } else {
            self
        }
    }

    pub(crate) fn expect(&self, op: &'static str, other: Self) -> Result<(), Error> {
        if *self == other {
            return Ok(());
        }
        let shape = |d: &Self| [d.outer, d.channels, d.inner];
        Err(Error::shape(op, &shape(self), &shape(&other)))
    }
}
