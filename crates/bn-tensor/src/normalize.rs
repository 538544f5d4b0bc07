use crate::{
    Error, Scalar,
    channels::{expect_output, in_order},
    elementwise::PIECE,
    error::same_len,
    par,
    reduce::lanes,
    simd::{NullaryFnOnce, vectorize},
    stream,
};
use ndarray::{ArrayView3, ArrayViewMut3};
use std::array::from_fn;

/// Per channel, the coefficients of `(x − center)·scale + shift`, `(C)` each.
///
/// `x − center` is taken first, so that a mean large beside the spread costs no digits.
#[derive(Debug, Clone, Copy)]
pub struct ChannelAffine<'a, T> {
    /// What is subtracted first.
    pub center: &'a [T],
    /// What the difference is multiplied by.
    pub scale: &'a [T],
    /// What is added last.
    pub shift: &'a [T],
}

impl<'a, T> ChannelAffine<'a, T> {
    pub(crate) fn check(&self, op: &'static str, channels: usize) -> Result<(), Error> {
        same_len(op, channels, self.center.len())?;
        same_len(op, channels, self.scale.len())?;
        same_len(op, channels, self.shift.len())
    }

    /// Those of the channels from `first` on, so many.
    pub(crate) fn panel(&self, first: usize, channels: usize) -> Self {
        let of = |values: &'a [T]| &values[first..first + channels];
        Self {
            center: of(self.center),
            scale: of(self.scale),
            shift: of(self.shift),
        }
    }
}

/// Writes one row: `(C, inner)` values of `x` and `y`.
#[inline(always)]
fn affine_row<T: Scalar>(
    x: &[T],
    affine: ChannelAffine<'_, T>,
    inner: usize,
    f: &impl Fn(T) -> T,
    y: &mut [T],
) {
    if inner == 1 {
        let n = y.len();
        let (x, center) = (&x[..n], &affine.center[..n]);
        let (scale, shift) = (&affine.scale[..n], &affine.shift[..n]);
        for j in 0..n {
            y[j] = f((x[j] - center[j]) * scale[j] + shift[j]);
        }
        return;
    }
    let runs = y.chunks_exact_mut(inner).zip(x.chunks_exact(inner));
    for (c, (y, x)) in runs.enumerate() {
        let (center, scale, shift) = (affine.center[c], affine.scale[c], affine.shift[c]);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = f((x - center) * scale + shift);
        }
    }
}

/// `y = f((x − center)·scale + shift)` per channel, for `x, y: (outer, C, inner)`:
/// BatchNormalization once its statistics are known, and the activation after it. Naive form:
/// [`naive::channel_affine`](crate::naive::channel_affine).
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_affine<T: Scalar>(
    x: ArrayView3<'_, T>,
    affine: ChannelAffine<'_, T>,
    f: impl Fn(T) -> T + Sync,
    mut y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    const OP: &str = "channel_affine";
    let (x, dims) = in_order(OP, &x)?;
    affine.check(OP, dims.channels)?;
    expect_output(OP, dims, &y)?;
    let y = y.as_slice_mut().ok_or(Error::NotContiguous { op: OP })?;
    let row = dims.row().max(1);
    let piece = PIECE.next_multiple_of(if dims.channels == 1 { 1 } else { row });
    if dims.inner == 1 && stream::is_far(y, row) {
        par::for_each_piece(y, stream::piece(row), dims.len(), &|start, y: &mut [T]| {
            let x = &x[start..start + y.len()];
            stream::write_rows(y, row, Normalized { x, affine, f: &f });
        });
        return Ok(());
    }
    par::for_each_piece(y, piece, dims.len(), &|start, y: &mut [T]| {
        vectorize(Rows {
            x: &x[start..start + y.len()],
            affine,
            inner: if dims.channels == 1 {
                y.len()
            } else {
                dims.inner
            },
            f: &f,
            y,
        });
    });
    Ok(())
}

/// The values of [`channel_affine`] where `inner` is 1.
struct Normalized<'a, T, F> {
    x: &'a [T],
    affine: ChannelAffine<'a, T>,
    f: &'a F,
}

impl<T: Scalar, F: Fn(T) -> T> stream::Values for Normalized<'_, T, F> {
    type T = T;

    #[inline(always)]
    fn strip<const W: usize>(&self, at: usize, j: usize) -> [T; W] {
        let x = lanes::<T, W>(&self.x[at..]);
        let affine = self.affine.panel(j, W);
        let (center, scale) = (lanes::<T, W>(affine.center), lanes::<T, W>(affine.scale));
        let shift = lanes::<T, W>(affine.shift);
        from_fn(|k| (self.f)((x[k] - center[k]) * scale[k] + shift[k]))
    }
}

/// Writes whole rows, or a run of the only channel, wherever it is cut.
struct Rows<'a, T, F> {
    x: &'a [T],
    affine: ChannelAffine<'a, T>,
    inner: usize,
    f: &'a F,
    y: &'a mut [T],
}

impl<T: Scalar, F: Fn(T) -> T> NullaryFnOnce for Rows<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let row = self.inner * self.affine.center.len();
        for (y, x) in self.y.chunks_exact_mut(row).zip(self.x.chunks_exact(row)) {
            affine_row(x, self.affine, self.inner, self.f, y);
        }
    }
}
