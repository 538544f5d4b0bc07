//! Loops over elements: plain closures, vectorised for the processor and shared between threads
//! in pieces of fixed size.

use crate::{
    Error, Scalar,
    channels::{Dims, in_order},
    error::same_len,
    par,
    simd::vectorize,
};
use ndarray::{ArrayView3, ArrayViewMut3};

/// Elements of one piece of work: 64 KiB of f32, a few microseconds.
const PIECE: usize = 1 << 14;

/// `y[i] = f(x[i])`.
///
/// ```
/// let mut y = [0.0; 3];
/// bn_tensor::map(&[-1.0, 0.0, 2.0], &mut y, |x: f32| x.abs())?;
/// assert_eq!(y, [1.0, 0.0, 2.0]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] when the lengths differ.
pub fn map<T: Scalar>(x: &[T], y: &mut [T], f: impl Fn(T) -> T + Sync) -> Result<(), Error> {
    same_len("map", y.len(), x.len())?;
    let work = y.len();
    par::for_each_piece(y, PIECE, work, &|start, y: &mut [T]| {
        let x = &x[start..start + y.len()];
        vectorize(|| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(x);
            }
        });
    });
    Ok(())
}

/// `y[i] = f(a[i], b[i])`.
///
/// # Errors
/// [`Error::ShapeMismatch`] when the lengths differ.
pub fn zip_map<T: Scalar>(
    a: &[T],
    b: &[T],
    y: &mut [T],
    f: impl Fn(T, T) -> T + Sync,
) -> Result<(), Error> {
    same_len("zip_map", y.len(), a.len())?;
    same_len("zip_map", y.len(), b.len())?;
    let work = y.len();
    par::for_each_piece(y, PIECE, work, &|start, y: &mut [T]| {
        let (a, b) = (&a[start..start + y.len()], &b[start..start + y.len()]);
        vectorize(|| {
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = f(a, b);
            }
        });
    });
    Ok(())
}

/// `f(&mut p[i], g[i])`: an optimizer without state.
///
/// # Errors
/// [`Error::ShapeMismatch`] when the lengths differ.
pub fn update<T: Scalar>(p: &mut [T], g: &[T], f: impl Fn(&mut T, T) + Sync) -> Result<(), Error> {
    same_len("update", p.len(), g.len())?;
    let work = p.len();
    par::for_each_piece(p, PIECE, work, &|start, p: &mut [T]| {
        let g = &g[start..start + p.len()];
        vectorize(|| p.iter_mut().zip(g).for_each(|(p, &g)| f(p, g)));
    });
    Ok(())
}

/// `f(&mut p[i], &mut s[i], g[i])`: an optimizer with one state per parameter.
///
/// # Errors
/// [`Error::ShapeMismatch`] when the lengths differ.
pub fn update_with_state<T: Scalar>(
    p: &mut [T],
    s: &mut [T],
    g: &[T],
    f: impl Fn(&mut T, &mut T, T) + Sync,
) -> Result<(), Error> {
    same_len("update_with_state", p.len(), s.len())?;
    same_len("update_with_state", p.len(), g.len())?;
    let work = p.len();
    par::for_each_piece(
        (p, s),
        PIECE,
        work,
        &|start, (p, s): (&mut [T], &mut [T])| {
            let g = &g[start..start + p.len()];
            vectorize(|| {
                for ((p, s), &g) in p.iter_mut().zip(s).zip(g) {
                    f(p, s, g);
                }
            });
        },
    );
    Ok(())
}

/// `f(&mut p[i], &mut s[i], &mut v[i], g[i])`: an optimizer with two states per parameter.
///
/// # Errors
/// [`Error::ShapeMismatch`] when the lengths differ.
pub fn update_with_two_states<T: Scalar>(
    p: &mut [T],
    (s, v): (&mut [T], &mut [T]),
    g: &[T],
    f: impl Fn(&mut T, &mut T, &mut T, T) + Sync,
) -> Result<(), Error> {
    for len in [s.len(), v.len(), g.len()] {
        same_len("update_with_two_states", p.len(), len)?;
    }
    let work = p.len();
    let pieces = (p, (s, v));
    par::for_each_piece(pieces, PIECE, work, &|start,
                                               (p, (s, v)): (
        &mut [T],
        (&mut [T], &mut [T]),
    )| {
        let g = &g[start..start + p.len()];
        vectorize(|| {
            for (((p, s), v), &g) in p.iter_mut().zip(s).zip(v).zip(g) {
                f(p, s, v, g);
            }
        });
    });
    Ok(())
}

/// Calls `f(i, piece)` for the i-th piece of `piece_len` values of `y` (the last may be shorter):
/// for what a piece can compute from its own place, such as random numbers.
///
/// ```
/// let mut y = [0; 5];
/// bn_tensor::fill_pieces(&mut y, 2, |i, piece| piece.fill(i));
/// assert_eq!(y, [0, 0, 1, 1, 2]);
/// ```
pub fn fill_pieces<T: Send>(y: &mut [T], piece_len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let work = y.len();
    let piece_len = piece_len.max(1);
    par::for_each_piece(y, piece_len, work, &|start, y: &mut [T]| {
        f(start / piece_len, y)
    });
}

/// Writes `row: (D)` to every row of `y: (N, D)`, given in memory order.
///
/// # Errors
/// [`Error::ShapeMismatch`] when `y` is not whole rows.
pub fn broadcast_row<T: Scalar>(row: &[T], y: &mut [T]) -> Result<(), Error> {
    if row.is_empty() || !y.len().is_multiple_of(row.len()) {
        return Err(Error::shape("broadcast_row", &[row.len()], &[y.len()]));
    }
    let (work, piece) = (y.len(), PIECE.next_multiple_of(row.len()));
    par::for_each_piece(y, piece, work, &|_, y: &mut [T]| {
        for y in y.chunks_exact_mut(row.len()) {
            y.copy_from_slice(row);
        }
    });
    Ok(())
}

/// `y = (x − center)·scale + shift` per channel, for `x, y: (outer, C, inner)` and the three
/// of shape `(C)`: BatchNormalization once its statistics are known.
///
/// `x − center` is taken first, so that a mean large beside the spread costs no digits. Naive
/// form: [`naive::channel_affine`](crate::naive::channel_affine).
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_affine<T: Scalar>(
    x: ArrayView3<'_, T>,
    center: &[T],
    scale: &[T],
    shift: &[T],
    mut y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    const OP: &str = "channel_affine";
    let (x, dims) = in_order(OP, &x)?;
    for len in [center.len(), scale.len(), shift.len()] {
        same_len(OP, dims.channels, len)?;
    }
    for_each_row_block(OP, dims, &mut y, |start, y| {
        let x = &x[start..start + y.len()];
        if dims.inner == 1 {
            for (y, x) in y
                .chunks_exact_mut(dims.channels)
                .zip(x.chunks_exact(dims.channels))
            {
                let per_channel = center.iter().zip(scale).zip(shift);
                for ((y, &x), ((&center, &scale), &shift)) in y.iter_mut().zip(x).zip(per_channel) {
                    *y = (x - center) * scale + shift;
                }
            }
        } else {
            let runs = y
                .chunks_exact_mut(dims.inner)
                .zip(x.chunks_exact(dims.inner));
            for (i, (y, x)) in runs.enumerate() {
                let c = i % dims.channels;
                let (center, scale, shift) = (center[c], scale[c], shift[c]);
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = (x - center) * scale + shift;
                }
            }
        }
    })
}

/// `y = p·d + q·(x − center) + r` per channel, for `x, d, y: (outer, C, inner)` and the four of
/// shape `(C)`: the gradient of BatchNormalization once its sums are known. Naive form:
/// [`naive::channel_combine`](crate::naive::channel_combine).
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_combine<T: Scalar>(
    x: ArrayView3<'_, T>,
    center: &[T],
    d: ArrayView3<'_, T>,
    [p, q, r]: [&[T]; 3],
    mut y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    const OP: &str = "channel_combine";
    let (x, dims) = in_order(OP, &x)?;
    let (d, d_dims) = in_order(OP, &d)?;
    dims.expect(OP, d_dims)?;
    for len in [center.len(), p.len(), q.len(), r.len()] {
        same_len(OP, dims.channels, len)?;
    }
    for_each_row_block(OP, dims, &mut y, |start, y| {
        let (x, d) = (&x[start..start + y.len()], &d[start..start + y.len()]);
        if dims.inner == 1 {
            let rows = y
                .chunks_exact_mut(dims.channels)
                .zip(x.chunks_exact(dims.channels))
                .zip(d.chunks_exact(dims.channels));
            for ((y, x), d) in rows {
                let per_channel = center.iter().zip(p).zip(q).zip(r);
                let values = y.iter_mut().zip(x).zip(d).zip(per_channel);
                for (((y, &x), &d), (((&center, &p), &q), &r)) in values {
                    *y = p * d + q * (x - center) + r;
                }
            }
        } else {
            let runs = y
                .chunks_exact_mut(dims.inner)
                .zip(x.chunks_exact(dims.inner))
                .zip(d.chunks_exact(dims.inner));
            for (i, ((y, x), d)) in runs.enumerate() {
                let c = i % dims.channels;
                let (center, p, q, r) = (center[c], p[c], q[c], r[c]);
                for ((y, &x), &d) in y.iter_mut().zip(x).zip(d) {
                    *y = p * d + q * (x - center) + r;
                }
            }
        }
    })
}

/// Calls `f(start, piece)` for pieces of whole rows of `y`, which must have the shape `dims`.
fn for_each_row_block<T: Scalar>(
    op: &'static str,
    dims: Dims,
    y: &mut ArrayViewMut3<'_, T>,
    f: impl Fn(usize, &mut [T]) + Sync,
) -> Result<(), Error> {
    let (_, y_dims) = in_order(op, &y.view())?;
    dims.expect(op, y_dims)?;
    let y = y.as_slice_mut().ok_or(Error::NotContiguous { op })?;
    let (work, piece) = (y.len(), PIECE.next_multiple_of(dims.row().max(1)));
    par::for_each_piece(y, piece, work, &|start, y: &mut [T]| {
        vectorize(|| f(start, y))
    });
    Ok(())
}
