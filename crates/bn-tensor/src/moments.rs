use crate::{
    Error, Scalar,
    channels::{Dims, in_order},
    reduce::{Kernel, Scratch, lanes, reduce, sum_run},
};
use ndarray::{ArrayView1, ArrayView3};
use std::ops::Range;

/// Count, mean and sum of squared deviations `m2 = Σ (x − mean)²` of each channel: all that a
/// mean and a variance need, in a form that merges.
///
/// `E[x²] − E[x]²` loses every digit when the mean is large beside the spread. Here each tile of
/// rows is read twice while it is in the first-level cache, once for its mean and once for the
/// deviations from it (with their rounding error taken back out), and tiles merge in double
/// precision by
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
        let dims = dims.one_channel_as_a_run();
        reduce(
            &Deviations { x, dims },
            dims,
            &mut self.mean_m2,
            &mut self.scratch,
        );
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
    if n_a == 0 {
        return (mean_b, m2_b);
    }
    if n_b == 0 {
        return (mean_a, m2_a);
    }
    let n = (n_a + n_b) as f64;
    let delta = mean_b - mean_a;
    let share = n_b as f64 / n;
    (
        mean_a + delta * share,
        m2_a + m2_b + delta * delta * (n_a as f64 * share),
    )
}

/// The reduction to `(mean, m2)` per channel.
struct Deviations<'a, T> {
    x: &'a [T],
    dims: Dims,
}

/// The mean and m2 of `n` values, from their rough mean and the sums of the deviations `d` from
/// it and of their squares. The rough mean's rounding error, `Σ d / n`, is taken back out.
#[inline(always)]
fn corrected<T: Scalar>(n: usize, rough: T, sum_d: T, sum_d2: T) -> CountMeanM2 {
    let (n_f, sum_d) = (n as f64, sum_d.as_f64());
    let mean = rough.as_f64() + sum_d / n_f;
    let m2 = sum_d2.as_f64() - sum_d * sum_d / n_f;
    (n as u64, mean, if m2 < 0.0 { 0.0 } else { m2 }) // a NaN stays
}

impl<T: Scalar> Deviations<'_, T> {
    #[inline(always)]
    fn add(&self, out: &mut [f64], seen: usize, c: usize, values: CountMeanM2) {
        let m2_at = self.dims.channels + c;
        (out[c], out[m2_at]) = merged((seen as u64, out[c], out[m2_at]), values);
    }
}

impl<T: Scalar> Kernel for Deviations<'_, T> {
    #[inline(always)]
    fn strip<const W: usize>(&self, rows: Range<usize>, j: usize, out: &mut [f64], seen: usize) {
        let channels = self.dims.channels;
        let row = |r: usize| lanes::<T, W>(&self.x[r * channels + j..]);
        let n = T::from_f64(rows.len() as f64);

        let mut rough = [T::zero(); W];
        for r in rows.clone() {
            let x = row(r);
            for k in 0..W {
                rough[k] += x[k];
            }
        }
        for mean in &mut rough {
            *mean /= n;
        }
        let (mut sum_d, mut sum_d2) = ([T::zero(); W], [T::zero(); W]);
        for r in rows.clone() {
            let x = row(r);
            for k in 0..W {
                let d = x[k] - rough[k];
                sum_d[k] += d;
                sum_d2[k] += d * d;
            }
        }
        for k in 0..W {
            let values = corrected(rows.len(), rough[k], sum_d[k], sum_d2[k]);
            self.add(out, seen, j + k, values);
        }
    }

    #[inline(always)]
    fn run(&self, range: Range<usize>, c: usize, out: &mut [f64], seen: usize) {
        let x = &self.x[range];
        let n = x.len();
        let rough = sum_run(0..n, |i| x[i]) / T::from_f64(n as f64);
        let sum_d = sum_run(0..n, |i| x[i] - rough);
        let sum_d2 = sum_run(0..n, |i| (x[i] - rough) * (x[i] - rough));
        self.add(out, seen, c, corrected(n, rough, sum_d, sum_d2));
    }

    fn combine(&self, out: &mut [f64], seen: usize, block: &[f64], count: usize) {
        let channels = self.dims.channels;
        for c in 0..channels {
            let values = (count as u64, block[c], block[channels + c]);
            self.add(out, seen, c, values);
        }
    }
}
