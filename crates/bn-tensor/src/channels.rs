use crate::Error;
use ndarray::{ArrayView3, ArrayViewMut3};

/// Rows are cut into so many blocks, where they are enough: work for as many threads. Each costs
/// about as much as eight rows to begin and to end.
const BLOCKS: usize = 16;
/// Values of a block at least, a few microseconds of work.
const MIN_BLOCK: usize = 1 << 15;

/// The shape `(outer, channels, inner)` of an array whose channels are reduced or scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dims {
    pub(crate) outer: usize,
    pub(crate) channels: usize,
    pub(crate) inner: usize,
}

/// The elements of `x` in memory order, and its shape.
pub(crate) fn in_order<'a, T>(
    op: &'static str,
    x: &'a ArrayView3<'_, T>,
) -> Result<(&'a [T], Dims), Error> {
    let slice = x.as_slice().ok_or(Error::NotContiguous { op })?;
    Ok((slice, Dims::of(x.dim())))
}

/// `Ok` when `y` is in memory order and has the shape `dims`.
pub(crate) fn expect_output<T>(
    op: &'static str,
    dims: Dims,
    y: &ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    dims.expect(op, Dims::of(y.dim()))?;
    match y.is_standard_layout() {
        true => Ok(()),
        false => Err(Error::NotContiguous { op }),
    }
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

    /// Rows of a block, by the size of the whole alone.
    pub(crate) fn block_rows(&self) -> usize {
        let enough = MIN_BLOCK.div_ceil(self.row().max(1));
        self.outer.div_ceil(BLOCKS).max(enough)
    }

    /// One channel is one run of memory however it is seen; see it as the kernels like it.
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
