//! NumPy's legacy random numbers, for results that agree with a Python script.

use bn_tensor::{try_resize, try_zeros};
use ndarray::{Array, Dimension, IntoDimension};
use rand_mt::Mt;

use crate::error::{Error, Result};

/// `numpy.random.RandomState`: the numbers that `np.random.seed(s)` starts, bit for bit.
///
/// The same calls in the same order return the same values as `np.random.rand`, `randn`, `choice`,
/// `permutation` and `randint` of NumPy 1 and 2, whose legacy generator no longer changes (NEP 19). A
/// program can thus repeat the run of a Python script, such as those of the book. The generator is the
/// MT19937 of Matsumoto and Nishimura (1998).
///
/// | NumPy | here |
/// |---|---|
/// | `np.random.seed(42)` | `let mut random = RandomState::seed(42)` |
/// | `np.random.rand(2, 3)` | `random.rand((2, 3))?` |
/// | `np.random.randn(2, 3)` | `random.randn((2, 3))?` |
/// | `np.random.rand()`, `np.random.randn()` | `random.random_sample()`, `random.standard_normal()` |
/// | `np.random.choice(60000, 100)` | `random.choice(60_000, 100)?` |
/// | `np.random.choice(60000, 100, replace=False)` | `random.choice_without_replacement(60_000, 100)?` |
/// | `np.random.permutation(60000)` | `random.permutation(60_000)?` |
/// | `np.random.randint(-5, 5, size=10)` | `random.randint(-5, 5, 10)?` |
///
/// Integers are NumPy's 64-bit ones, its default except for NumPy 1 on Windows. Normal numbers need the
/// logarithm of the system's C library, as in NumPy; with another library than NumPy's, their last bit may
/// differ. A call that fails draws nothing.
///
/// ```
/// use bn_data::RandomState;
///
/// let mut random = RandomState::seed(42);
/// assert_eq!(random.rand(2)?.to_vec(), [0.3745401188473625, 0.9507143064099162]);
/// assert_eq!(random.choice(60_000, 3)?, [54343, 44732, 11284]);
/// # Ok::<(), bn_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RandomState {
    generator: Mt,
    gauss: Option<f64>, // the second normal number of the last pair
}

impl RandomState {
    /// The generator after `np.random.seed(seed)`.
    #[must_use]
    pub fn seed(seed: u32) -> Self {
        Self {
            generator: Mt::new(seed),
            gauss: None,
        }
    }

    /// A number from `[0, 1)` with 53 random bits.
    pub fn random_sample(&mut self) -> f64 {
        let high = f64::from(self.generator.next_u32() >> 5);
        let low = f64::from(self.generator.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0 // (high · 2²⁶ + low) / 2⁵³
    }

    /// A normal number with mean 0 and standard deviation 1, by the polar method of Marsaglia. It makes
    /// two numbers at a time, and the next call returns the second one.
    pub fn standard_normal(&mut self) -> f64 {
        if let Some(second) = self.gauss.take() {
            return second;
        }
        loop {
            let x1 = 2.0 * self.random_sample() - 1.0;
            let x2 = 2.0 * self.random_sample() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.gauss = Some(f * x1);
                return f * x2;
            }
        }
    }

    /// An array of this shape of [`random_sample`](Self::random_sample), in row-major order.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if there is no memory for the array.
    pub fn rand<D: Dimension>(
        &mut self,
        shape: impl IntoDimension<Dim = D>,
    ) -> Result<Array<f64, D>> {
        let mut numbers = try_zeros("random numbers", shape)?;
        numbers.map_inplace(|number| *number = self.random_sample());
        Ok(numbers)
    }

    /// An array of this shape of [`standard_normal`](Self::standard_normal), in row-major order.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if there is no memory for the array.
    pub fn randn<D: Dimension>(
        &mut self,
        shape: impl IntoDimension<Dim = D>,
    ) -> Result<Array<f64, D>> {
        let mut numbers = try_zeros("random numbers", shape)?;
        numbers.map_inplace(|number| *number = self.standard_normal());
        Ok(numbers)
    }

    /// `size` indices below `n`, with replacement. The book draws its mini-batches like this.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `n` is 0 and `size` is not, [`Error::Tensor`] if there is no memory for the
    /// indices.
    pub fn choice(&mut self, n: usize, size: usize) -> Result<Vec<usize>> {
        if n == 0 && size > 0 {
            return Err(Error::Setting {
                what: "the number of items to choose from",
                value: n.to_string(),
                must_be: "at least 1".to_owned(),
            });
        }
        let mut indices = Vec::new();
        try_resize("the indices of a choice", &mut indices, &[size])?;
        for index in &mut indices {
            *index = self.at_most(n as u64 - 1) as usize;
        }
        Ok(indices)
    }

    /// `size` different indices below `n`: the first ones of a [`permutation`](Self::permutation).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `size` is more than `n`, [`Error::Tensor`] if there is no memory for `n`
    /// indices.
    pub fn choice_without_replacement(&mut self, n: usize, size: usize) -> Result<Vec<usize>> {
        if size > n {
            return Err(Error::Setting {
                what: "the size of a choice without replacement",
                value: size.to_string(),
                must_be: format!("at most {n}, the number of items"),
            });
        }
        let mut indices = self.permutation(n)?;
        indices.truncate(size);
        Ok(indices)
    }

    /// The indices below `n` in random order.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if there is no memory for them.
    pub fn permutation(&mut self, n: usize) -> Result<Vec<usize>> {
        let mut indices = Vec::new();
        try_resize("a permutation", &mut indices, &[n])?;
        for (i, index) in indices.iter_mut().enumerate() {
            *index = i;
        }
        for i in (1..n).rev() {
            indices.swap(i, self.at_most(i as u64) as usize);
        }
        Ok(indices)
    }

    /// `size` integers from `low` to `high - 1`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `low` is not below `high` (and `size` is not 0, as in NumPy),
    /// [`Error::Tensor`] if there is no memory for the integers.
    pub fn randint(&mut self, low: i64, high: i64, size: usize) -> Result<Vec<i64>> {
        if low >= high && size > 0 {
            return Err(Error::Setting {
                what: "the lower bound of random integers",
                value: low.to_string(),
                must_be: format!("below {high}, the upper bound"),
            });
        }
        let mut integers = Vec::new();
        try_resize("random integers", &mut integers, &[size])?;
        for integer in &mut integers {
            let above_low = self.at_most(high.abs_diff(low) - 1);
            *integer = low.wrapping_add_unsigned(above_low);
        }
        Ok(integers)
    }

    /// An integer from 0 to `max`: random bits, as many as `max` has, until they are not above it. A `max`
    /// of 32 bits takes one number of the generator at a time, a larger one two, and 0 none.
    fn at_most(&mut self, max: u64) -> u64 {
        if max == 0 {
            return 0;
        }
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let mut bits = u64::from(self.generator.next_u32());
            if max > u64::from(u32::MAX) {
                bits = bits << 32 | u64::from(self.generator.next_u32());
            }
            if bits & mask <= max {
                return bits & mask;
            }
        }
    }
}
