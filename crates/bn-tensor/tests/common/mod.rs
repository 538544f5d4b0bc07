//! Random arrays, a process with little memory, and tests in a process of their own.

pub(crate) mod child;
pub(crate) mod memory_limit;

use bn_tensor::Scalar;
use ndarray::{Array1, Array2, Array3};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

pub(crate) fn random<T: Scalar>(len: usize, seed: u64) -> Array1<T> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..len)
        .map(|_| T::from_f64(rng.random::<f64>() * 2.0 - 1.0))
        .collect()
}

pub(crate) fn matrix<T: Scalar>(n: usize, d: usize, seed: u64) -> Array2<T> {
    random(n * d, seed).into_shape_with_order((n, d)).unwrap()
}

pub(crate) fn cube<T: Scalar>(dims: (usize, usize, usize), seed: u64) -> Array3<T> {
    random(dims.0 * dims.1 * dims.2, seed)
        .into_shape_with_order(dims)
        .unwrap()
}
