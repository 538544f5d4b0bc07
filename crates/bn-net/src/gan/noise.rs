use crate::error::Error;
use bn_tensor::{Scalar, try_resize, try_zeros};
use ndarray::{Array2, ArrayView2};
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The name of the noise in errors.
const WHAT: &str = "the noise of a Gan";

/// The input of a generator. The k-th draw depends only on the seed and k.
#[derive(Debug)]
pub(super) struct Noise<T> {
    seed: u64,
    draws: u64,
    width: usize,
    rows: usize,
    last: Vec<T>, // (rows, width)
}

impl<T: Scalar> Noise<T> {
    pub(super) fn new(seed: u64, width: usize) -> Self {
        Self {
            seed,
            draws: 0,
            width,
            rows: 0,
            last: Vec::new(),
        }
    }

    /// The seed and the number of draws.
    pub(super) fn state(&self) -> (u64, u64) {
        (self.seed, self.draws)
    }

    pub(super) fn restore(&mut self, (seed, draws): (u64, u64)) {
        (self.seed, self.draws) = (seed, draws);
    }

    /// Draws `rows` new points. If there is no memory for them, nothing has changed.
    pub(super) fn draw(&mut self, rows: usize) -> Result<(), Error> {
        try_resize(WHAT, &mut self.last, &[rows, self.width])?;
        let key = Xoshiro256PlusPlus::seed_from_u64(self.seed).next_u64();
        let rng = Xoshiro256PlusPlus::seed_from_u64(key.wrapping_add(self.draws));
        self.draws = self.draws.wrapping_add(1);
        self.rows = rows;
        fill(&mut self.last, rng);
        Ok(())
    }

    /// The points of the last draw, `(rows, width)`.
    pub(super) fn last(&self) -> ArrayView2<'_, T> {
        ArrayView2::from_shape((self.rows, self.width), &self.last)
            .unwrap_or_else(|_| unreachable!())
    }

    /// `rows` points of another seed. The state does not change.
    pub(super) fn fixed(&self, seed: u64, rows: usize) -> Result<Array2<T>, Error> {
        let mut points = try_zeros(WHAT, (rows, self.width))?;
        fill(&mut points, Xoshiro256PlusPlus::seed_from_u64(seed));
        Ok(points)
    }
}

/// Draws each value from the normal distribution.
fn fill<'a, T: Scalar>(values: impl IntoIterator<Item = &'a mut T>, rng: Xoshiro256PlusPlus) {
    let normal = rng.sample_iter::<f64, _>(StandardNormal);
    for (value, normal) in values.into_iter().zip(normal) {
        *value = T::from_f64(normal);
    }
}
