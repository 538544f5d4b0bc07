use super::{
    deviations::{Deviations, merged},
    elements,
    reduce::{Results, Scratch, reduce},
};
use crate::{
    error::{Error, check_setting, same_len},
    memory::try_resize,
    scalar::Scalar,
};
use ndarray::{ArrayView1, ArrayView3};

/// Count, mean and sum of squared deviations `m2 = Σ (x − mean)²` of each channel: all that a
/// mean and a variance need, in a form that merges.
///
/// `E[x²] − E[x]²` loses every digit if the mean is much larger than the spread. Here the values are
/// read once, as deviations from the mean so far, and tiles of them are merged in double precision:
///
/// ```text
/// delta = mean_b − mean_a;   n = n_a + n_b
/// mean  = mean_a + delta·n_b/n
/// m2    = m2_a + m2_b + delta²·n_a·n_b/n
/// ```
///
/// Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample
/// variances*, 1979. Two merged `Moments` equal one over both sets of values (except for rounding),
/// whatever their counts, so a batch may be spread over micro-batches or machines.
///
/// A NaN or an infinity makes the mean and variance of its channel NaN, and those of no other channel.
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
    /// Creates moments of no values, for `channels` channels.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there is no memory for so many channels.
    pub fn new(channels: usize) -> Result<Self, Error> {
        let mut moments = Self::default();
        try_resize("Moments::new", &mut moments.mean_m2, &[2, channels])?;
        moments.channels = channels;
        Ok(moments)
    }

    /// Computes the moments of `x: (outer, channels, inner)`.
    ///
    /// # Errors
    /// [`Error::NotContiguous`].
    pub fn of<T: Scalar>(x: ArrayView3<'_, T>) -> Result<Self, Error> {
        let mut moments = Self::default();
        moments.measure(x)?;
        Ok(moments)
    }

    /// Replaces these moments by those of `x: (outer, channels, inner)`. A warm call does not allocate.
    ///
    /// # Errors
    /// [`Error::NotContiguous`], [`Error::TooLarge`]. On an error, nothing has changed.
    pub fn measure<T: Scalar>(&mut self, x: ArrayView3<'_, T>) -> Result<(), Error> {
        const OP: &str = "Moments::measure";
        let (x, dims) = elements(OP, &x)?;
        try_resize(OP, &mut self.mean_m2, &[2, dims.channels])?;
        self.count = dims.count();
        self.channels = dims.channels;
        let (a, b) = self.mean_m2.split_at_mut(dims.channels);
        let dims = dims.one_channel_as_a_run();
        let deviations = Deviations { x, dims };
        reduce(&deviations, dims, Results { a, b }, &mut self.scratch);
        Ok(())
    }

    /// Creates moments from their parts, such as those received from another machine: the number of
    /// values per channel, and mean and m2 of each channel, `(C)` both. A `count` of 0 gives the same as
    /// [`new`](Self::new).
    ///
    /// ```
    /// use bn_tensor::Moments;
    /// use ndarray::Array3;
    /// let x = Array3::from_shape_fn((10, 2, 1), |(n, c, _)| (n * c) as f64);
    /// let sent = Moments::of(x.view())?;
    /// let (mean, m2) = (sent.mean().to_vec(), sent.m2().to_vec());
    /// let received = Moments::from_parts(sent.count(), &mean, &m2)?;
    /// assert_eq!(received.mean(), sent.mean());
    /// # Ok::<(), bn_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the lengths differ, [`Error::InvalidSetting`] for an m2 below 0.
    pub fn from_parts(count: u64, mean: &[f64], m2: &[f64]) -> Result<Self, Error> {
        let mut moments = Self::default();
        moments.set_parts(count, mean, m2)?;
        Ok(moments)
    }

    /// Replaces these moments by others, given as parts; see [`from_parts`](Self::from_parts). It does
    /// not allocate if there were at least as many channels before.
    ///
    /// ```
    /// let mut moments = bn_tensor::Moments::new(2)?;
    /// moments.set_parts(4, &[1.0, 2.0], &[8.0, 0.0])?;
    /// assert_eq!(moments.variance()?.collect::<Vec<_>>(), [2.0, 0.0]);
    /// # Ok::<(), bn_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_parts`](Self::from_parts). On an error, nothing has changed.
    pub fn set_parts(&mut self, count: u64, mean: &[f64], m2: &[f64]) -> Result<(), Error> {
        same_len("Moments::set_parts", mean.len(), m2.len())?;
        for &m2 in m2 {
            check_setting("m2", "at least 0", m2, m2 >= 0.0 || m2.is_nan())?;
        }
        self.count = count;
        self.channels = mean.len();
        self.mean_m2.clear();
        if count == 0 {
            self.mean_m2.resize(2 * mean.len(), 0.0);
        } else {
            self.mean_m2.extend(mean.iter().chain(m2));
        }
        Ok(())
    }

    /// Merges the moments of other values into these.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the numbers of channels differ, [`Error::InvalidSetting`] if the counts
    /// add up to more than `u64::MAX`; nothing has changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.channels != other.channels {
            let (expected, got) = (&[self.channels], &[other.channels]);
            return Err(Error::shape("Moments::merge", expected, got));
        }
        if other.count == 0 {
            return Ok(());
        }
        let count = self.count.checked_add(other.count);
        let (what, sum) = (
            "the sum of both counts",
            self.count as f64 + other.count as f64,
        );
        check_setting(what, "at most u64::MAX", sum, count.is_some())?;
        let (mean, m2) = self.mean_m2.split_at_mut(self.channels);
        let (other_mean, other_m2) = other.mean_m2.split_at(self.channels);
        for c in 0..self.channels {
            let b = (other.count, other_mean[c], other_m2[c]);
            (mean[c], m2[c]) = merged((self.count, mean[c], m2[c]), b);
        }
        self.count += other.count;
        Ok(())
    }

    /// The number of values per channel.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The mean of each channel, shape `(C)`; 0 if there are no values.
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
    /// [`Error::TooFewValues`] if there are no values.
    pub fn variance(&self) -> Result<impl ExactSizeIterator<Item = f64> + '_, Error> {
        self.variance_with("Moments::variance", 0)
    }

    /// The unbiased variance `m2/(count − 1)` of each channel.
    ///
    /// # Errors
    /// [`Error::TooFewValues`] if there are fewer than two values per channel.
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
