//! Element-wise loops and the largest magnitude, at lengths around those of vectors and pieces.

use crate::common::random;
use bn_tensor::{Pool, Scalar, largest_magnitude, naive, sum_of_squares, zip_map3};

const LENGTHS: [usize; 10] = [0, 1, 5, 63, 64, 65, 1000, 16_384, 16_385, 100_001];

fn check_largest_magnitude<T: Scalar>() {
    for len in LENGTHS {
        let mut x = random::<T>(len, len as u64).to_vec();
        assert_eq!(largest_magnitude(&x), naive::largest_magnitude(&x), "{len}");
        for at in [0, len / 3, len / 2, len.saturating_sub(1)] {
            let Some(&old) = x.get(at) else { continue };
            x[at] = T::from_f64(-7.0);
            assert_eq!(largest_magnitude(&x), T::from_f64(7.0), "{at} of {len}");
            x[at] = T::neg_infinity();
            assert_eq!(largest_magnitude(&x), T::infinity(), "{at} of {len}");
            for nan in [T::nan(), -T::nan()] {
                // The result is NaN even with an infinity before and after the NaN.
                let last = len - 1;
                let ends = (x[0], x[last]);
                (x[0], x[last]) = (T::infinity(), T::infinity());
                x[at] = nan;
                assert!(largest_magnitude(&x).is_nan(), "{at} of {len}");
                assert!(naive::largest_magnitude(&x).is_nan(), "{at} of {len}");
                (x[0], x[last]) = ends;
            }
            x[at] = old;
        }
    }
    let zeros = [-T::zero(), T::zero()];
    assert!(largest_magnitude(&zeros) == T::zero() && largest_magnitude(&zeros).is_sign_positive());
    let least = T::from_f64(5e-324).max(T::min_positive_value() * T::epsilon()); // subnormal
    assert_eq!(largest_magnitude(&[T::zero(), -least]), least);
}

#[test]
fn the_largest_magnitude_agrees_with_the_naive_form() {
    for threads in [1, 3] {
        Pool::new(threads).unwrap().install(|| {
            check_largest_magnitude::<f32>();
            check_largest_magnitude::<f64>();
        });
    }
}

#[test]
fn the_sum_of_squares_agrees_with_the_naive_form_on_any_number_of_threads() {
    for len in LENGTHS {
        let x = random::<f32>(len, len as u64).mapv(|x| x * 1e19).to_vec();
        let expected = naive::sum_of_squares(&x);
        let sums = [1, 2, 3, 8].map(|n| Pool::new(n).unwrap().install(|| sum_of_squares(&x)));
        assert!(sums.iter().all(|sum| sum.to_bits() == sums[0].to_bits()));
        assert!((sums[0] - expected).abs() <= 1e-13 * expected, "{len}");
    }
    assert_eq!(sum_of_squares(&[1.0, f32::INFINITY]), f64::INFINITY);
    assert!(sum_of_squares(&[f64::NAN]).is_nan());
}

#[test]
fn zip_map3_takes_the_values_at_the_same_position() {
    for len in LENGTHS {
        let [a, b, c] = [1, 2, 3].map(|seed| random::<f32>(len, seed).to_vec());
        let mut y = vec![f32::NAN; len];
        zip_map3(&a, &b, &c, &mut y, |a, b, c| a * b + c).unwrap();
        for i in 0..len {
            assert_eq!(y[i], a[i] * b[i] + c[i]);
        }
    }
    let (short, long) = ([0.0; 2], [0.0; 3]);
    for (a, b, c) in [
        (&short[..], &long[..], &long[..]),
        (&long, &short, &long),
        (&long, &long, &short),
    ] {
        let mut y = [7.0; 3];
        assert!(zip_map3(a, b, c, &mut y, |a, _, _| a).is_err());
        assert_eq!(y, [7.0; 3]);
    }
}
