//! Means and variances: merging, precision, and bad input.

use crate::common::cube;
use bn_tensor::{Error, Moments, naive};
use ndarray::{Array3, s};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn merging_two_equals_one_over_both(rows in 2usize..600, cut in 0.0f64..1.0, c in 1usize..9) {
        let x = cube::<f64>((rows, c, 1), 7);
        let cut = (rows as f64 * cut) as usize;
        let mut merged = Moments::of(x.slice(s![..cut, .., ..])).unwrap();
        merged.merge(&Moments::of(x.slice(s![cut.., .., ..])).unwrap()).unwrap();
        let whole = Moments::of(x.view()).unwrap();
        prop_assert_eq!(merged.count(), whole.count());
        for (a, b) in merged.mean().iter().zip(whole.mean()) {
            prop_assert!((a - b).abs() < 1e-14);
        }
        for (a, b) in merged.m2().iter().zip(whole.m2()) {
            prop_assert!((a - b).abs() < 1e-12 * b.abs().max(1.0));
        }
    }

    /// Merging moments that were sent as their parts gives the bits of merging the moments.
    #[test]
    fn parts_merge_like_the_moments(a in 0usize..300, b in 0usize..300, c in 1usize..9) {
        let [a, b] = [(a, 1), (b, 2)].map(|(rows, seed)| {
            Moments::of(cube::<f32>((rows, c, 1), seed).view()).unwrap()
        });
        let parts = |m: &Moments| (m.count(), m.mean().to_vec(), m.m2().to_vec());
        let mut merged = a.clone();
        merged.merge(&b).unwrap();

        let (count, mean, m2) = parts(&a);
        let mut received = Moments::from_parts(count, &mean, &m2).unwrap();
        let (count, mean, m2) = parts(&b);
        let mut other = Moments::new(3).unwrap();
        other.set_parts(count, &mean, &m2).unwrap();
        received.merge(&other).unwrap();
        prop_assert_eq!(parts(&received), parts(&merged));
    }
}

#[test]
fn the_variance_of_a_column_with_a_large_mean_keeps_its_digits() {
    // x = 1e4 + N(0, 1), f32, a million rows, as one column and as three.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for channels in [1usize, 3] {
        let x = Array3::from_shape_simple_fn((1_000_000, channels, 1), || {
            // Box and Muller.
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            let z = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
            (1e4 + z) as f32
        });
        let got = Moments::of(x.view()).unwrap();
        let want = naive::channel_variance(x.view());
        for (got, want) in got.variance().unwrap().zip(&want) {
            let relative = (got - want).abs() / want;
            assert!(relative < 1e-5, "{got} {want}: relative {relative:e}");
        }
    }
}

#[test]
fn a_nan_stays_in_its_channel() {
    let mut x = cube::<f32>((200, 40, 1), 1);
    x[[150, 33, 0]] = f32::NAN;
    let moments = Moments::of(x.view()).unwrap();
    for (c, variance) in moments.variance().unwrap().enumerate() {
        assert_eq!(variance.is_nan(), c == 33);
        assert_eq!(moments.mean()[c].is_nan(), c == 33);
    }
}

#[test]
fn a_transposed_array_is_refused_and_nothing_changes() {
    let x = cube::<f32>((4, 3, 2), 1);
    let transposed = x.view().permuted_axes([2, 1, 0]);
    let mut moments = Moments::of(x.view()).unwrap();
    let before = moments.mean().to_owned();
    let op = "Moments::measure";
    assert_eq!(
        moments.measure(transposed),
        Err(Error::NotContiguous { op })
    );
    assert_eq!(moments.mean(), before);
    assert!(moments.merge(&Moments::new(2).unwrap()).is_err());

    for dims in [(0, 3, 1), (0, 1, 1), (4, 3, 0), (4, 1, 0)] {
        let empty = Moments::of(Array3::<f32>::zeros(dims).view()).unwrap();
        assert!(empty.count() == 0 && empty.variance().is_err());
    }
    let one = Moments::of(Array3::<f32>::zeros((1, 3, 1)).view()).unwrap();
    assert!(one.variance().is_ok() && one.unbiased_variance().is_err());
}

#[test]
fn parts_that_disagree_are_refused_and_nothing_changes() {
    let mut moments = Moments::from_parts(3, &[1.0], &[2.0]).unwrap();
    let error = moments.set_parts(2, &[1.0, 2.0], &[3.0]).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }));
    let error = moments.set_parts(2, &[1.0], &[-3.0]).unwrap_err();
    assert_eq!(error.to_string(), "m2 must be at least 0, got -3");
    assert_eq!((moments.count(), moments.channels()), (3, 1));
    assert_eq!((moments.mean()[0], moments.m2()[0]), (1.0, 2.0));

    // With a count of 0, the mean and m2 are ignored.
    let mut none = Moments::from_parts(0, &[7.0], &[f64::NAN]).unwrap();
    assert_eq!((none.mean()[0], none.m2()[0]), (0.0, 0.0));
    none.merge(&moments).unwrap();
    assert_eq!(none.mean(), moments.mean());
}
