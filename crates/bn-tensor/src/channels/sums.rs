use super::{
    elements,
    reduce::{Reduction, Results, Scratch, reduce},
};
use crate::{
    accumulate::{ACCUMULATORS, RUN, add, fold},
    error::{Error, same_len},
    scalar::Scalar,
    simd::chunk,
};
use ndarray::ArrayView3;
use std::ops::Range;

/// The sum of each channel, as the first result; the second is 0.
struct Sum<'a, T> {
    x: &'a [T],
    channels: usize,
    inner: usize,
}

impl<T: Scalar> Reduction for Sum<'_, T> {
    type T = T;

    #[inline(always)]
    fn strip<const R: usize, const W: usize>(
        &self,
        row: usize,
        column: usize,
        _: &[T; W],
        [sums, _]: [&mut [T; W]; 2],
    ) {
        let mut sum = [T::zero(); W];
        for r in row..row + R {
            let x = chunk::<T, W>(&self.x[r * self.channels + column..]);
            for k in 0..W {
                sum[k] += x[k];
            }
        }
        add(sums, sum);
    }

    #[inline(always)]
    fn flush(&self, seen: (u64, f64, f64), _: u64, _: &mut T, [sum, _]: [T; 2]) -> (f64, f64) {
        (seen.1 + sum.as_f64(), 0.0)
    }

    #[inline(always)]
    fn channel(&self, rows: Range<usize>, c: usize) -> (f64, f64) {
        let mut total = 0.0;
        for o in rows {
            let run = &self.x[(o * self.channels + c) * self.inner..][..self.inner];
            for run in run.chunks(RUN) {
                let mut sum = [T::zero(); ACCUMULATORS];
                let (whole, rest) = run.as_chunks::<ACCUMULATORS>();
                for x in whole {
                    (0..ACCUMULATORS).for_each(|k| sum[k] += x[k]);
                }
                sum.iter_mut().zip(rest).for_each(|(s, &x)| *s += x);
                total += fold(sum);
            }
        }
        (total, 0.0)
    }

    #[inline(always)]
    fn combine(&self, seen: (u64, f64, f64), later: (u64, f64, f64)) -> (f64, f64) {
        (seen.1 + later.1, 0.0)
    }
}

/// `out[c] = Σ x` over each channel, for `x: (outer, C, inner)`, `out: (C)`.
///
/// Tiles are summed in the element type, and their sums are added in double precision. Naive form:
/// [`naive::channel_sum`](crate::naive::channel_sum).
///
/// ```
/// use ndarray::Array3;
/// let x = Array3::<f32>::ones((100, 3, 1)); // a (100, 3) matrix
/// let mut sum = [0.0; 3];
/// bn_tensor::channel_sum(x.view(), &mut sum, &mut Default::default())?;
/// assert_eq!(sum, [100.0; 3]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_sum<T: Scalar>(
    x: ArrayView3<'_, T>,
    out: &mut [f64],
    scratch: &mut Scratch,
) -> Result<(), Error> {
    let (x, dims) = elements("channel_sum", &x)?;
    same_len("channel_sum", dims.channels, out.len())?;
    let dims = dims.one_channel_as_a_run();
    let sum = Sum {
        x,
        channels: dims.channels,
        inner: dims.inner,
    };
    let mut unused = std::mem::take(&mut scratch.unused);
    unused.resize(dims.channels, 0.0);
    let results = Results {
        a: out,
        b: &mut unused,
    };
    reduce(&sum, dims, results, scratch);
    scratch.unused = unused;
    Ok(())
}
