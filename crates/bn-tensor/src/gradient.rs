use crate::{
    ChannelAffine, Error, Scalar,
    channels::{Dims, expect_output, in_order},
    elementwise::PIECE,
    error::same_len,
    par,
    reduce::{Figures, LANES, RUN, Reduction, SWEEP, Scratch, fold, for_each_tile, reduce},
    simd::vectorize,
};
use ndarray::{ArrayView3, ArrayViewMut3};
use std::{array, ops::Range};

/// The reduction to `(Σ d, Σ d·(x − center))` per channel, where `d` has passed the gate.
struct SumAndDot<'a, T, G> {
    x: &'a [T],
    d: &'a [T],
    affine: ChannelAffine<'a, T>,
    gate: &'a G,
    dims: Dims,
}

/// `x − center`, and `d` past the gate of `(x − center)·scale + shift`.
#[inline(always)]
fn gated<T: Scalar>(
    [x, d]: [T; 2],
    [center, scale, shift]: [T; 3],
    gate: &impl Fn(T, T) -> T,
) -> [T; 2] {
    let xc = x - center;
    [xc, gate(xc * scale + shift, d)]
}

impl<T: Scalar, G: Fn(T, T) -> T> SumAndDot<'_, T, G> {
    #[inline(always)]
    fn add_rows<const R: usize>(
        &self,
        [x, d]: [[&[T]; R]; 2],
        affine: ChannelAffine<'_, T>,
        [sum, dot]: &mut [&mut [T]; 2],
    ) {
        let n = affine.center.len();
        let (scale, shift) = (&affine.scale[..n], &affine.shift[..n]);
        let (sum, dot) = (&mut sum[..n], &mut dot[..n]);
        let (x, d) = (x.map(|row| &row[..n]), d.map(|row| &row[..n]));
        for j in 0..n {
            let coefficients = [affine.center[j], scale[j], shift[j]];
            let mut sums = [T::zero(); 2];
            for i in 0..R {
                let [xc, d] = gated([x[i][j], d[i][j]], coefficients, self.gate);
                sums[0] += d;
                sums[1] += d * xc;
            }
            sum[j] += sums[0];
            dot[j] += sums[1];
        }
    }
}

impl<T: Scalar, G: Fn(T, T) -> T + Sync> Reduction for SumAndDot<'_, T, G> {
    #[inline(always)]
    fn columns<const MAX: usize>(
        &self,
        rows: Range<usize>,
        first: usize,
        Figures { a, b }: Figures<'_>,
    ) {
        let width = a.len();
        let affine = self.affine.panel(first, width);
        let rows_of = |r: usize| {
            let at = r * self.dims.channels + first;
            [&self.x[at..at + width], &self.d[at..at + width]]
        };
        a.fill(0.0);
        b.fill(0.0);
        for_each_tile(rows, |tile| {
            let (mut sum, mut dot) = ([T::zero(); MAX], [T::zero(); MAX]);
            let mut sums = [&mut sum[..width], &mut dot[..width]];
            let mut r = tile.start;
            while r + SWEEP <= tile.end {
                let pairs: [_; SWEEP] = array::from_fn(|i| rows_of(r + i));
                let rows = [pairs.map(|p| p[0]), pairs.map(|p| p[1])];
                self.add_rows(rows, affine, &mut sums);
                r += SWEEP;
            }
            for r in r..tile.end {
                let [x, d] = rows_of(r);
                self.add_rows([[x], [d]], affine, &mut sums);
            }
            a.iter_mut()
                .zip(&*sums[0])
                .for_each(|(a, s)| *a += s.as_f64());
            b.iter_mut()
                .zip(&*sums[1])
                .for_each(|(b, s)| *b += s.as_f64());
        });
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
                let (mut sums, mut dots) = ([T::zero(); LANES], [T::zero(); LANES]);
                let (x, x_rest) = x.as_chunks::<LANES>();
                let (d, d_rest) = d.as_chunks::<LANES>();
                let mut add = |k: usize, x: T, d: T| {
                    let [xc, d] = gated([x, d], coefficients, self.gate);
                    sums[k] += d;
                    dots[k] += d * xc;
                };
                for (x, d) in x.iter().zip(d) {
                    (0..LANES).for_each(|k| add(k, x[k], d[k]));
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
/// These are the two sums of BatchNormalization's backward pass; the gate is the derivative of the
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
    let (x, dims) = in_order(OP, &x)?;
    let (d, d_dims) = in_order(OP, &dout)?;
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
    reduce(&sums, dims, Figures { a: sum, b: dot }, scratch);
    Ok(())
}

/// `dx = p·d + q·(x − center) + r` per channel, with `d` as in [`channel_sum_and_dot`]: the
/// gradient of BatchNormalization once its sums are known. Naive form:
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
    let (x, dims) = in_order(OP, &x)?;
    let (d, d_dims) = in_order(OP, &dout)?;
    dims.expect(OP, d_dims)?;
    affine.check(OP, dims.channels)?;
    for values in pqr {
        same_len(OP, dims.channels, values.len())?;
    }
    expect_output(OP, dims, &dx)?;
    let dx = dx.as_slice_mut().ok_or(Error::NotContiguous { op: OP })?;
    let row = dims.row().max(1);
    let piece = PIECE.next_multiple_of(if dims.channels == 1 { 1 } else { row });
    par::for_each_piece(dx, piece, dims.len(), &|start, dx: &mut [T]| {
        let (x, d) = (&x[start..start + dx.len()], &d[start..start + dx.len()]);
        vectorize(|| {
            if dims.channels == 1 {
                // One run, wherever it is cut.
                return combine_row([x, d], affine, pqr, dx.len(), &gate, dx);
            }
            let rows = x.chunks_exact(row).zip(d.chunks_exact(row));
            for (dx, (x, d)) in dx.chunks_exact_mut(row).zip(rows) {
                combine_row([x, d], affine, pqr, dims.inner, &gate, dx);
            }
        });
    });
    Ok(())
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
    let one = |x, d, affine, [p, q, r]: [T; 3]| {
        let [xc, d] = gated([x, d], affine, gate);
        p * d + q * xc + r
    };
    if inner == 1 {
        let n = dx.len();
        let (x, d, p, q, r) = (&x[..n], &d[..n], &p[..n], &q[..n], &r[..n]);
        let affine = affine.panel(0, n);
        for j in 0..n {
            let coefficients = [affine.center[j], affine.scale[j], affine.shift[j]];
            dx[j] = one(x[j], d[j], coefficients, [p[j], q[j], r[j]]);
        }
        return;
    }
    let runs = x.chunks_exact(inner).zip(d.chunks_exact(inner));
    for (c, (dx, (x, d))) in dx.chunks_exact_mut(inner).zip(runs).enumerate() {
        let coefficients = [affine.center[c], affine.scale[c], affine.shift[c]];
        let pqr = [p[c], q[c], r[c]];
        for ((dx, &x), &d) in dx.iter_mut().zip(x).zip(d) {
            *dx = one(x, d, coefficients, pqr);
        }
    }
}
