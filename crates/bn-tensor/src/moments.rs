use crate::{
    Error, Scalar,
    channels::{Dims, in_order},
    reduce::{Figures, LANES, RUN, Reduction, Scratch, add, fold, lanes, reduce},
};
use ndarray::{ArrayView1, ArrayView3};
use std::ops::Range;

/// Count, mean and sum of squared deviations `m2 = Σ (x − mean)²` of each channel: all that a
/// mean and a variance need, in a form that merges.
///
/// `E[x²] − E[x]²` loses every digit when the mean is large beside the spread. Here the values are
/// read once, as deviations from the mean so far, and tiles of them merge in double precision by
///
/// ```text
/// delta = mean_b − mean_a;   n = n_a + n_b
/// mean  = mean_a + delta·n_b/n
/// m2    = m2_a + m2_b + delta²·n_a·n_b/n
/// ```
///
/// Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample
/// variances*, 1979. Merging two `Moments` equals one over both (to rounding), whatever their
/// counts, so a batch may be spread over micro-batches or machines.
///
/// A NaN or an infinity in a channel makes that channel's mean and variance NaN, no other's.
///
/// ```
/// use bn_tensor::Moments;
/// use ndarray::array;
/// // A matrix (N, D) is the view (N, D, 1).
/// let x = array![[[1.0f32], [10.0]], [[3.0], [30.0]]];
/// let moments = Moments::of(x.view())?;
/// assert_eq!(moments.mean().to_vec(), [2.0, 20.0]);
/// assert_eq!(moments.variance()?.collect::<Vec<_>>(), [1.0, 100.0]);
/// assert_eq!(moments.unbiased_variance()?.collect::<Vec<_>>(), [2.0, 200.0]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Moments {
    count: u64,
    channels: usize,
    mean_m2: Vec<f64>, // (2·C): the means, then the m2s
    scratch: Scratch,
}

impl Moments {
    /// The moments of nothing, for `channels` channels: count 0.
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            mean_m2: vec![0.0; 2 * channels],
            ..Self::default()
        }
    }

    /// The moments of `x: (outer, channels, inner)`.
    ///
    /// # Errors
    /// [`Error::NotContiguous`].
    pub fn of<T: Scalar>(x: ArrayView3<'_, T>) -> Result<Self, Error> {
        let mut moments = Self::default();
        moments.measure(x)?;
        Ok(moments)
    }

    /// Overwrites these with the moments of `x: (outer, channels, inner)`; once warm, without
    /// allocating.
    ///
    /// # Errors
    /// [`Error::NotContiguous`], and then nothing has changed.
    pub fn measure<T: Scalar>(&mut self, x: ArrayView3<'_, T>) -> Result<(), Error> {
        let (x, dims) = in_order("Moments::measure", &x)?;
        self.count = dims.count();
        self.channels = dims.channels;
        self.mean_m2.resize(2 * dims.channels, 0.0);
        let (a, b) = self.mean_m2.split_at_mut(dims.channels);
        let dims = dims.one_channel_as_a_run();
        let deviations = Deviations { x, dims };
        reduce(&deviations, dims, Figures { a, b }, &mut self.scratch);
        Ok(())
    }

    /// Adds what `other` has seen.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] when the numbers of channels differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.channels != other.channels {
            let (expected, got) = (&[self.channels], &[other.channels]);
            return Err(Error::shape("Moments::merge", expected, got));
        }
        if other.count == 0 {
            return Ok(());
        }
        let (mean, m2) = self.mean_m2.split_at_mut(self.channels);
        let (other_mean, other_m2) = other.mean_m2.split_at(self.channels);
        for c in 0..self.channels {
            let b = (other.count, other_mean[c], other_m2[c]);
            (mean[c], m2[c]) = merged((self.count, mean[c], m2[c]), b);
        }
        self.count += other.count;
        Ok(())
    }

    /// The number of values seen per channel.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The mean of each channel, shape `(C)`; 0 where nothing was seen.
    pub fn mean(&self) -> ArrayView1<'_, f64> {
        ArrayView1::from(&self.mean_m2[..self.channels])
    }

    /// The sum of squared deviations of each channel, shape `(C)`.
    pub fn m2(&self) -> ArrayView1<'_, f64> {
        ArrayView1::from(&self.mean_m2[self.channels..])
    }

    /// The biased variance `m2/count` of each channel.
    ///
    /// # Errors
    /// [`Error::TooFewValues`] when nothing was seen.
    pub fn variance(&self) -> Result<impl ExactSizeIterator<Item = f64> + '_, Error> {
        self.variance_with("Moments::variance", 0)
    }

    /// The unbiased variance `m2/(count − 1)` of each channel.
    ///
    /// # Errors
    /// [`Error::TooFewValues`] when fewer than two values per channel were seen.
    pub fn unbiased_variance(&self) -> Result<impl ExactSizeIterator<Item = f64> + '_, Error> {
        self.variance_with("Moments::unbiased_variance", 1)
    }

    fn variance_with(
        &self,
        op: &'static str,
        ddof: u64,
    ) -> Result<impl ExactSizeIterator<Item = f64> + '_, Error> {
        if self.count <= ddof {
            let (needed, got) = (ddof + 1, self.count);
            return Err(Error::TooFewValues { op, needed, got });
        }
        let divisor = (self.count - ddof) as f64;
        Ok(self.mean_m2[self.channels..]
            .iter()
            .map(move |m2| m2 / divisor))
    }
}

type CountMeanM2 = (u64, f64, f64);

/// Chan's formula; see [`Moments`].
#[inline(always)]
fn merged(a: CountMeanM2, b: CountMeanM2) -> (f64, f64) {
    let (n_a, mean_a, m2_a) = a;
    let (n_b, mean_b, m2_b) = b;
    let n = (n_a + n_b) as f64;
    let delta = mean_b - mean_a;
    let share = n_b as f64 / n;
    (
        mean_a + delta * share,
        m2_a + m2_b + delta * delta * (n_a as f64 * share),
    )
}

/// The reduction to `(mean, m2)` per channel.
///
/// Sums run over deviations from what is about the mean: that of the first values, and from the
/// second tile on the mean so far. Where it is off by `delta`, cancellation costs
/// `eps·count·delta²` of a tile's m2, but then the total has gained that much without `eps`.
struct Deviations<'a, T> {
    x: &'a [T],
    dims: Dims,
}

/// Values whose mean is what the first tile's deviations are taken from.
const FIRST: usize = 4;

/// The mean and m2 of `n` values, from the sums of the deviations `d` from `shift` and of their
/// squares.
#[inline(always)]
fn corrected<T: Scalar>(n: u64, shift: T, sum_d: f64, sum_d2: f64) -> CountMeanM2 {
    let n_f = n as f64;
    let mean = shift.as_f64() + sum_d / n_f;
    let m2 = sum_d2 - sum_d * sum_d / n_f;
    (n, mean, if m2 < 0.0 { 0.0 } else { m2 }) // a NaN stays
}

impl<T: Scalar> Reduction for Deviations<'_, T> {
    type T = T;

    #[inline(always)]
    fn begin(&self, rows: Range<usize>, first: usize, shift: &mut [T]) {
        let few = rows.start..(rows.start + FIRST).min(rows.end);
        let share = T::one() / T::from_f64(few.len() as f64);
        for r in few {
            let row = &self.x[r * self.dims.channels + first..];
            shift.iter_mut().zip(row).for_each(|(s, &x)| *s += x);
        }
        shift.iter_mut().for_each(|s| *s *= share);
    }

    #[inline(always)]
    fn strip<const R: usize, const W: usize>(
        &self,
        row: usize,
        column: usize,
        shift: &[T; W],
        [sums_d, sums_d2]: [&mut [T; W]; 2],
    ) {
        let (mut sum_d, mut sum_d2) = ([T::zero(); W], [T::zero(); W]);
        for r in row..row + R {
            let x = lanes::<T, W>(&self.x[r * self.dims.channels + column..]);
            for k in 0..W {
                let d = x[k] - shift[k];
                sum_d[k] += d;
                sum_d2[k] += d * d;
            }
        }
        add(sums_d, sum_d);
        add(sums_d2, sum_d2);
    }

    #[inline(always)]
    fn flush(
        &self,
        seen: CountMeanM2,
        count: u64,
        shift: &mut T,
        [sum_d, sum_d2]: [T; 2],
    ) -> (f64, f64) {
        let values = corrected(count, *shift, sum_d.as_f64(), sum_d2.as_f64());
        let (mean, m2) = merged(seen, values);
        *shift = T::from_f64(mean);
        (mean, m2)
    }

    #[inline(always)]
    fn channel(&self, rows: Range<usize>, c: usize) -> (f64, f64) {
        let Dims {
            channels, inner, ..
        } = self.dims;
        let run = |o: usize| &self.x[(o * channels + c) * inner..][..inner];
        let few = &run(rows.start)[..FIRST.min(inner)];
        let mut shift = few.iter().copied().sum::<T>() / T::from_f64(few.len() as f64);
        let (mut seen, mut mean, mut m2) = (0, 0.0, 0.0);
        let (mut sum_d, mut sum_d2, mut count) = ([T::zero(); LANES], [T::zero(); LANES], 0);
        for o in rows.clone() {
            let mut pieces = run(o).chunks(RUN).peekable();
            while let Some(x) = pieces.next() {
                let (whole, rest) = x.as_chunks::<LANES>();
                for x in whole {
                    for k in 0..LANES {
                        let d = x[k] - shift;
                        sum_d[k] += d;
                        sum_d2[k] += d * d;
                    }
                }
                for (k, &x) in rest.iter().enumerate() {
                    let d = x - shift;
                    sum_d[k] += d;
                    sum_d2[k] += d * d;
                }
                count += x.len();
                let is_last = o + 1 == rows.end && pieces.peek().is_none();
                if count >= RUN || is_last {
                    let values = corrected(count as u64, shift, fold(sum_d), fold(sum_d2));
                    (mean, m2) = merged((seen, mean, m2), values);
                    seen += count as u64;
                    shift = T::from_f64(mean);
                    (sum_d, sum_d2, count) = ([T::zero(); LANES], [T::zero(); LANES], 0);
                }
            }
        }
        (mean, m2)
    }

    #[inline(always)]
    fn combine(&self, seen: CountMeanM2, later: CountMeanM2) -> (f64, f64) {
        merged(seen, later)
    }
}
