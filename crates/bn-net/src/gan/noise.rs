use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2};
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a generator turns into images. The k-th draw follows from the seed and k alone.
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

    /// Draws `rows` points anew.
    pub(super) fn draw(&mut self, rows: usize) {
        let key = Xoshiro256PlusPlus::seed_from_u64(self.seed).next_u64();
        let rng = Xoshiro256PlusPlus::seed_from_u64(key.wrapping_add(self.draws));
        self.draws = self.draws.wrapping_add(1);
        self.rows = rows;
        self.last.clear();
        let values = rng.sample_iter::<f64, _>(StandardNormal);
        self.last
            .extend(values.take(rows * self.width).map(T::from_f64));
    }

    /// The points of the last draw, `(rows, width)`.
    pub(super) fn last(&self) -> ArrayView2<'_, T> {
        ArrayView2::from_shape((self.rows, self.width), &self.last)
            .unwrap_or_else(|_| unreachable!())
    }

    /// Points of another seed, which leave the state alone.
    pub(super) fn fixed(&self, seed: u64, rows: usize) -> Array2<T> {
        let mut values =
            Xoshiro256PlusPlus::seed_from_u64(seed).sample_iter::<f64, _>(StandardNormal);
        Array2::from_shape_simple_fn((rows, self.width), || {
            T::from_f64(values.next().unwrap_or_default())
        })
    }
}
