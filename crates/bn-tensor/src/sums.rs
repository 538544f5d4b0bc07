use crate::{
    Error, Scalar,
    channels::in_order,
    error::same_len,
    reduce::{Figures, LANES, RUN, Reduction, SWEEP, Scratch, fold, for_each_tile, reduce},
};
use ndarray::ArrayView3;
use std::{array, ops::Range};

/// The sum of each channel, as the first figure; the second is 0.
struct Sum<'a, T> {
    x: &'a [T],
    channels: usize,
    inner: usize,
}

#[inline(always)]
fn add_rows<T: Scalar, const R: usize>(rows: [&[T]; R], sum: &mut [T]) {
    let rows = rows.map(|row| &row[..sum.len()]);
    for (j, sum) in sum.iter_mut().enumerate() {
        let mut rows_sum = rows[0][j];
        for row in &rows[1..] {
            rows_sum += row[j];
        }
        *sum += rows_sum;
    }
}

impl<T: Scalar> Reduction for Sum<'_, T> {
    #[inline(always)]
    fn columns<const MAX: usize>(
        &self,
        rows: Range<usize>,
        first: usize,
        Figures { a, b }: Figures<'_>,
    ) {
        let width = a.len();
        let row = |r: usize| &self.x[r * self.channels + first..][..width];
        a.fill(0.0);
        b.fill(0.0);
        for_each_tile(rows, |tile| {
            let mut sum = [T::zero(); MAX];
            let sum = &mut sum[..width];
            let mut r = tile.start;
            while r + SWEEP <= tile.end {
                add_rows::<T, SWEEP>(array::from_fn(|i| row(r + i)), sum);
                r += SWEEP;
            }
            (r..tile.end).for_each(|r| add_rows([row(r)], sum));
            a.iter_mut().zip(sum).for_each(|(a, s)| *a += s.as_f64());
        });
    }

    #[inline(always)]
    fn channel(&self, rows: Range<usize>, c: usize) -> (f64, f64) {
        let mut total = 0.0;
        for o in rows {
            let run = &self.x[(o * self.channels + c) * self.inner..][..self.inner];
            for run in run.chunks(RUN) {
                let mut sum = [T::zero(); LANES];
                let (whole, rest) = run.as_chunks::<LANES>();
                for x in whole {
                    (0..LANES).for_each(|k| sum[k] += x[k]);
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
/// Tiles are summed in the element type and added up in double precision. Naive form:
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
    let (x, dims) = in_order("channel_sum", &x)?;
    same_len("channel_sum", dims.channels, out.len())?;
    let dims = dims.one_channel_as_a_run();
    let sum = Sum {
        x,
        channels: dims.channels,
        inner: dims.inner,
    };
    let mut unused = std::mem::take(&mut scratch.unused);
    unused.resize(dims.channels, 0.0);
    let figures = Figures {
        a: out,
        b: &mut unused,
    };
    reduce(&sum, dims, figures, scratch);
    scratch.unused = unused;
    Ok(())
}
