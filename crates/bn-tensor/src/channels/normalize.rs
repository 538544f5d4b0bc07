use super::{elements, elements_mut, stream};
use crate::{
    error::{Error, same_len},
    parallel::{self, PIECE},
    scalar::Scalar,
    simd::{NullaryFnOnce, chunk, vectorize},
};
use ndarray::{ArrayView3, ArrayViewMut3};
use std::array::from_fn;

/// Per channel, the coefficients of `(x − center)·scale + shift`, `(C)` each.
///
/// `x − center` is computed first, so that a mean much larger than the spread costs no digits.
#[derive(Debug, Clone, Copy)]
pub struct ChannelAffine<'a, T> {
    /// Subtracted first.
    pub center: &'a [T],
    /// The factor of the difference.
    pub scale: &'a [T],
    /// Added last.
    pub shift: &'a [T],
}

impl<'a, T> ChannelAffine<'a, T> {
    pub(super) fn check(&self, op: &'static str, channels: usize) -> Result<(), Error> {
        same_len(op, channels, self.center.len())?;
        same_len(op, channels, self.scale.len())?;
        same_len(op, channels, self.shift.len())
    }

    /// The coefficients of `channels` channels from `first` on.
    pub(super) fn channels(&self, first: usize, channels: usize) -> Self {
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
/// BatchNormalization with known statistics, and the activation after it. Naive form:
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
    let (x, dims) = elements(OP, &x)?;
    affine.check(OP, dims.channels)?;
    let y = elements_mut(OP, dims, &mut y)?;
    let row = dims.row().max(1);
    let piece = PIECE.next_multiple_of(if dims.channels == 1 { 1 } else { row });
    if dims.inner == 1 && stream::bypasses_caches(y, row) {
        parallel::for_each_piece(
            y,
            stream::piece_len(row),
            dims.len(),
            &|start, y: &mut [T]| {
                let x = &x[start..start + y.len()];
                stream::write_rows(y, row, Normalized { x, affine, f: &f });
            },
        );
        return Ok(());
    }
    parallel::for_each_piece(y, piece, dims.len(), &|start, y: &mut [T]| {
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

/// The values of [`channel_affine`] if `inner` is 1.
struct Normalized<'a, T, F> {
    x: &'a [T],
    affine: ChannelAffine<'a, T>,
    f: &'a F,
}

impl<T: Scalar, F: Fn(T) -> T> stream::Values for Normalized<'_, T, F> {
    type T = T;

    #[inline(always)]
    fn strip<const W: usize>(&self, at: usize, j: usize) -> [T; W] {
        let x = chunk::<T, W>(&self.x[at..]);
        let affine = self.affine.channels(j, W);
        let (center, scale) = (chunk::<T, W>(affine.center), chunk::<T, W>(affine.scale));
        let shift = chunk::<T, W>(affine.shift);
        from_fn(|k| (self.f)((x[k] - center[k]) * scale[k] + shift[k]))
    }
}

/// Writes whole rows, or any part of a single channel.
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
