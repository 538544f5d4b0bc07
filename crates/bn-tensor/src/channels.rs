use crate::Error;
use ndarray::ArrayView3;

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
    let (outer, channels, inner) = x.dim();
    let slice = x.as_slice().ok_or(Error::NotContiguous { op })?;
    let dims = Dims {
        outer,
        channels,
        inner,
    };
    Ok((slice, dims))
}

impl Dims {
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
