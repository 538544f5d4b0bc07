use super::{
    Dims, elements, elements_mut,
    normalize::ChannelAffine,
    reduce::{Reduction, Results, Scratch, reduce},
    stream,
};
use crate::{
    accumulate::{ACCUMULATORS, RUN, fold},
    error::{Error, same_len},
    parallel::{self, PIECE},
    scalar::Scalar,
    simd::{NullaryFnOnce, chunk, vectorize},
};
use ndarray::{ArrayView3, ArrayViewMut3};
use std::{array::from_fn, ops::Range};

/// The reduction to `(Σ d, Σ d·(x − center))` per channel, where `d` is the output of the gate.
struct SumAndDot<'a, T, G> {
    x: &'a [T],
    d: &'a [T],
    affine: ChannelAffine<'a, T>,
    gate: &'a G,
    dims: Dims,
}

/// `x − center`, and `gate((x − center)·scale + shift, d)`.
#[inline(always)]
fn gated<T: Scalar>(
    [x, d]: [T; 2],
    [center, scale, shift]: [T; 3],
    gate: &impl Fn(T, T) -> T,
) -> [T; 2] {
    let xc = x - center;
    [xc, gate(xc * scale + shift, d)]
}

impl<T: Scalar, G: Fn(T, T) -> T + Sync> Reduction for SumAndDot<'_, T, G> {
    type T = T;
    const TWO_INPUTS: bool = true;

    #[inline(always)]
    fn strip<const R: usize, const W: usize>(
        &self,
        row: usize,
        column: usize,
        _: &[T; W],
        [sums, dots]: [&mut [T; W]; 2],
    ) {
        let of = |values: &[T]| *chunk::<T, W>(&values[column..]);
        let (center, scale) = (of(self.affine.center), of(self.affine.scale));
        let shift = of(self.affine.shift);
        let (mut sum, mut dot) = (*sums, *dots);
        for r in row..row + R {
            let at = r * self.dims.channels + column;
            let (x, d) = (chunk::<T, W>(&self.x[at..]), chunk::<T, W>(&self.d[at..]));
            for k in 0..W {
                let [xc, d] = gated([x[k], d[k]], [center[k], scale[k], shift[k]], self.gate);
                sum[k] += d;
                dot[k] += d * xc;
            }
        }
        (*sums, *dots) = (sum, dot);
    }

    #[inline(always)]
    fn flush(&self, seen: (u64, f64, f64), _: u64, _: &mut T, sums: [T; 2]) -> (f64, f64) {
        (seen.1 + sums[0].as_f64(), seen.2 + sums[1].as_f64())
    }

    #[inline(always)]
    fn channel(&self, rows: Range<usize>, c: usize) -> (f64, f64) {
        let Dims {
            channels, inner, ..
        } = self.dims;
        let affine = self.affine;
        let coefficients = [affine.center[c], affine.scale[c], affine.shift[c]];
        let (mut sum, mut dot) = (0.0, 0.0);
        for o in rows {
            let at = (o * channels + c) * inner;
            let (x, d) = (&self.x[at..at + inner], &self.d[at..at + inner]);
            for (x, d) in x.chunks(RUN).zip(d.chunks(RUN)) {
                let (mut sums, mut dots) = ([T::zero(); ACCUMULATORS], [T::zero(); ACCUMULATORS]);
                let (x, x_rest) = x.as_chunks::<ACCUMULATORS>();
                let (d, d_rest) = d.as_chunks::<ACCUMULATORS>();
                let mut add = |k: usize, x: T, d: T| {
                    let [xc, d] = gated([x, d], coefficients, self.gate);
                    sums[k] += d;
                    dots[k] += d * xc;
                };
                for (x, d) in x.iter().zip(d) {
                    (0..ACCUMULATORS).for_each(|k| add(k, x[k], d[k]));
                }
                for (k, (&x, &d)) in x_rest.iter().zip(d_rest).enumerate() {
                    add(k, x, d);
                }
                sum += fold(sums);
                dot += fold(dots);
            }
        }
        (sum, dot)
    }

    #[inline(always)]
    fn combine(&self, seen: (u64, f64, f64), later: (u64, f64, f64)) -> (f64, f64) {
        (seen.1 + later.1, seen.2 + later.2)
    }
}

/// `sum[c] = Σ d` and `dot[c] = Σ d·(x − center)` over each channel, where
/// `d = gate((x − center)·scale + shift, dout)`, for `x, dout: (outer, C, inner)` and the rest of
/// shape `(C)`.
///
/// These are the two sums of BatchNormalization's backward pass. The gate is the backward pass of the
/// activation after it. Naive form:
/// [`naive::channel_sum_and_dot`](crate::naive::channel_sum_and_dot).
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_sum_and_dot<T: Scalar>(
    x: ArrayView3<'_, T>,
    affine: ChannelAffine<'_, T>,
    dout: ArrayView3<'_, T>,
    gate: impl Fn(T, T) -> T + Sync,
    [sum, dot]: [&mut [f64]; 2],
    scratch: &mut Scratch,
) -> Result<(), Error> {
    const OP: &str = "channel_sum_and_dot";
    let (x, dims) = elements(OP, &x)?;
    let (d, d_dims) = elements(OP, &dout)?;
    dims.expect(OP, d_dims)?;
    affine.check(OP, dims.channels)?;
    same_len(OP, dims.channels, sum.len())?;
    same_len(OP, dims.channels, dot.len())?;
    let dims = dims.one_channel_as_a_run();
    let gate = &gate;
    let sums = SumAndDot {
        x,
        d,
        affine,
        gate,
        dims,
    };
    reduce(&sums, dims, Results { a: sum, b: dot }, scratch);
    Ok(())
}

/// `dx = p·d + q·(x − center) + r` per channel, with `d` as in [`channel_sum_and_dot`]: the gradient of
/// BatchNormalization with known sums. Naive form:
/// [`naive::channel_combine`](crate::naive::channel_combine).
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_combine<T: Scalar>(
    x: ArrayView3<'_, T>,
    affine: ChannelAffine<'_, T>,
    dout: ArrayView3<'_, T>,
    gate: impl Fn(T, T) -> T + Sync,
    pqr: [&[T]; 3],
    mut dx: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    const OP: &str = "channel_combine";
    let (x, dims) = elements(OP, &x)?;
    let (d, d_dims) = elements(OP, &dout)?;
    dims.expect(OP, d_dims)?;
    affine.check(OP, dims.channels)?;
    for values in pqr {
        same_len(OP, dims.channels, values.len())?;
    }
    let dx = elements_mut(OP, dims, &mut dx)?;
    let row = dims.row().max(1);
    let piece = PIECE.next_multiple_of(if dims.channels == 1 { 1 } else { row });
    let gate = &gate;
    if dims.inner == 1 && stream::bypasses_caches(dx, row) {
        let piece = stream::piece_len(row);
        parallel::for_each_piece(dx, piece, dims.len(), &|start, dx: &mut [T]| {
            let values = Combined {
                x: &x[start..start + dx.len()],
                d: &d[start..start + dx.len()],
                affine,
                pqr,
                gate,
            };
            stream::write_rows(dx, row, values);
        });
        return Ok(());
    }
    parallel::for_each_piece(dx, piece, dims.len(), &|start, dx: &mut [T]| {
        vectorize(Rows {
            x: &x[start..start + dx.len()],
            d: &d[start..start + dx.len()],
            affine,
            pqr,
            inner: if dims.channels == 1 {
                dx.len()
            } else {
                dims.inner
            },
            gate,
            dx,
        });
    });
    Ok(())
}

/// The values of [`channel_combine`] if `inner` is 1.
struct Combined<'a, T, G> {
    x: &'a [T],
    d: &'a [T],
    affine: ChannelAffine<'a, T>,
    pqr: [&'a [T]; 3],
    gate: &'a G,
}

impl<T: Scalar, G: Fn(T, T) -> T> stream::Values for Combined<'_, T, G> {
    type T = T;

    #[inline(always)]
    fn strip<const W: usize>(&self, at: usize, j: usize) -> [T; W] {
        let of = |values: &[T]| *chunk::<T, W>(&values[j..]);
        let (x, d) = (chunk::<T, W>(&self.x[at..]), chunk::<T, W>(&self.d[at..]));
        let (center, [p, q, r]) = (of(self.affine.center), self.pqr.map(of));
        let (scale, shift) = (of(self.affine.scale), of(self.affine.shift));
        from_fn(|k| {
            let coefficients = [center[k], scale[k], shift[k]];
            combined([x[k], d[k]], coefficients, [p[k], q[k], r[k]], self.gate)
        })
    }
}

/// `p·d + q·(x − center) + r`, with `d` after the gate.
#[inline(always)]
fn combined<T: Scalar>(
    values: [T; 2],
    coefficients: [T; 3],
    [p, q, r]: [T; 3],
    gate: &impl Fn(T, T) -> T,
) -> T {
    let [xc, d] = gated(values, coefficients, gate);
    p * d + q * xc + r
}

/// Writes whole rows, or any part of a single channel.
struct Rows<'a, T, G> {
    x: &'a [T],
    d: &'a [T],
    affine: ChannelAffine<'a, T>,
    pqr: [&'a [T]; 3],
    inner: usize,
    gate: &'a G,
    dx: &'a mut [T],
}

impl<T: Scalar, G: Fn(T, T) -> T> NullaryFnOnce for Rows<'_, T, G> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let row = self.inner * self.affine.center.len();
        let rows = self.x.chunks_exact(row).zip(self.d.chunks_exact(row));
        for (dx, (x, d)) in self.dx.chunks_exact_mut(row).zip(rows) {
            combine_row([x, d], self.affine, self.pqr, self.inner, self.gate, dx);
        }
    }
}

/// Writes one row: `(C, inner)` values.
#[inline(always)]
fn combine_row<T: Scalar>(
    [x, d]: [&[T]; 2],
    affine: ChannelAffine<'_, T>,
    [p, q, r]: [&[T]; 3],
    inner: usize,
    gate: &impl Fn(T, T) -> T,
    dx: &mut [T],
) {
    if inner == 1 {
        let n = dx.len();
        let (x, d, p, q, r) = (&x[..n], &d[..n], &p[..n], &q[..n], &r[..n]);
        let affine = affine.channels(0, n);
        for j in 0..n {
            let coefficients = [affine.center[j], affine.scale[j], affine.shift[j]];
            dx[j] = combined([x[j], d[j]], coefficients, [p[j], q[j], r[j]], gate);
        }
        return;
    }
    let runs = x.chunks_exact(inner).zip(d.chunks_exact(inner));
    for (c, (dx, (x, d))) in dx.chunks_exact_mut(inner).zip(runs).enumerate() {
        let coefficients = [affine.center[c], affine.scale[c], affine.shift[c]];
        let pqr = [p[c], q[c], r[c]];
        for ((dx, &x), &d) in dx.iter_mut().zip(x).zip(d) {
            *dx = combined([x, d], coefficients, pqr, gate);
        }
    }
}
