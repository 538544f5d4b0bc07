//! Every kernel against its naive form, on random shapes, and at several thread counts.

use crate::common::{cube, matrix, random};
use bn_tensor::{
    ChannelAffine, Moments, Pool, Scalar, Scratch, channel_affine, channel_combine, channel_sum,
    channel_sum_and_dot, matmul, matmul_nt, matmul_tn, matmul_tn_largest, naive,
};
use ndarray::{Array2, Array3, s};
use proptest::prelude::*;

/// The largest difference, in units of `eps` times the largest value of `want`.
fn error_in_eps<'a, T: Scalar>(
    got: impl IntoIterator<Item = &'a T>,
    want: impl IntoIterator<Item = &'a T>,
) -> f64 {
    let (mut worst, mut size) = (0.0f64, f64::MIN_POSITIVE);
    for (g, w) in got.into_iter().zip(want) {
        worst = worst.max((g.as_f64() - w.as_f64()).abs());
        size = size.max(w.as_f64().abs());
    }
    worst / size / T::epsilon().as_f64()
}

fn check_matmul<T: Scalar>(m: usize, k: usize, n: usize) {
    let (a, b, old) = (matrix::<T>(m, k, 1), matrix(k, n, 2), matrix(m, n, 3));
    let want = naive::matmul(a.view(), b.view());
    let tolerance = 4.0 + 4.0 * (k as f64).sqrt();

    let mut c = Array2::from_elem((m, n), T::nan()); // beta = 0 must not read it
    matmul(a.view(), b.view(), T::zero(), c.view_mut()).unwrap();
    assert!(error_in_eps(&c, &want) < tolerance, "{m} {k} {n}");

    let at = a.t().as_standard_layout().into_owned();
    let bt = b.t().as_standard_layout().into_owned();
    c.fill(T::nan());
    matmul_tn(at.view(), b.view(), T::zero(), c.view_mut()).unwrap();
    assert!(error_in_eps(&c, &want) < tolerance, "{m} {k} {n}");
    c.fill(T::nan());
    matmul_nt(a.view(), bt.view(), T::zero(), c.view_mut()).unwrap();
    assert!(error_in_eps(&c, &want) < tolerance, "{m} {k} {n}");

    c.assign(&old);
    matmul(a.view(), b.view(), T::from_f64(0.5), c.view_mut()).unwrap();
    let want = want + old.mapv(|v| v * T::from_f64(0.5));
    assert!(error_in_eps(&c, &want) < tolerance, "{m} {k} {n}");
}

fn check_channels<T: Scalar>(dims: (usize, usize, usize), mean: f64) {
    let x = cube::<T>(dims, 1).mapv(|v| v + T::from_f64(mean));
    let d = cube::<T>(dims, 2);
    let c = dims.1;
    let scratch = &mut Scratch::default();
    let count = (dims.0 * dims.2) as f64;
    let eps = T::epsilon().as_f64();

    let moments = Moments::of(x.view()).unwrap();
    // The oracle takes `x − mean`, which is exact here: a plain sum of values around 100 would be less
    // precise than the kernel.
    let about = x.mapv(|v| v - T::from_f64(mean));
    let want_mean = naive::channel_mean(about.view()) + mean;
    let want_var = naive::channel_variance(about.view());
    // The sums of deviations are in T; the mean itself is in double precision.
    for (got, want) in moments.mean().iter().zip(&want_mean) {
        let tolerance = 8.0 * (eps + f64::EPSILON * mean);
        assert!((got - want).abs() <= tolerance, "mean {got} {want}");
    }
    for (got, want) in moments.variance().unwrap().zip(&want_var) {
        // The second term comes from the condition number of a variance with a large mean, eps·mean/std
        // (Chan, Golub and LeVeque): means are merged in double precision.
        let tolerance = 64.0 * eps * want + 8.0 * f64::EPSILON * mean * want.sqrt();
        assert!((got - want).abs() <= tolerance, "variance {got} {want}");
    }

    let mut sum = vec![f64::NAN; c];
    channel_sum(x.view(), &mut sum, scratch).unwrap();
    let bound = 16.0 * eps * count * (1.0 + mean.abs());
    for (got, want) in sum.iter().zip(&naive::channel_sum(x.view())) {
        assert!((got - want).abs() <= bound, "sum {got} {want}");
    }

    let center: Vec<T> = want_mean.iter().map(|&m| T::from_f64(m)).collect();
    let [scale, shift]: [Vec<T>; 2] = [3, 4].map(|seed| random(c, seed).to_vec());
    let affine = ChannelAffine {
        center: &center,
        scale: &scale,
        shift: &shift,
    };
    let double = |y: T| y + y;
    let mut y = Array3::from_elem(dims, T::nan());
    channel_affine(x.view(), affine, double, y.view_mut()).unwrap();
    let want_y = naive::channel_affine(x.view(), &center, &scale, &shift);
    assert_eq!(y, want_y.mapv(double));

    // A gate that passes the gradients of positive values.
    let gate = |y: T, d: T| if y > T::zero() { d } else { T::zero() };
    let y = naive::channel_affine(x.view(), &center, &scale, &shift);
    let passed = Array3::from_shape_fn(dims, |i| gate(y[i], d[i]));
    let (want_sum, want_dot) = naive::channel_sum_and_dot(x.view(), &center, passed.view());
    let mut sums = [vec![f64::NAN; c], vec![f64::NAN; c]];
    let [sum, dot] = &mut sums;
    channel_sum_and_dot(x.view(), affine, d.view(), gate, [sum, dot], scratch).unwrap();
    for (got, want) in sums.iter().flatten().zip(want_sum.iter().chain(&want_dot)) {
        let bound = 16.0 * eps * count;
        assert!((got - want).abs() <= bound, "sum and dot {got} {want}");
    }
    let pqr: [Vec<T>; 3] = [5, 6, 7].map(|seed| random(c, seed).to_vec());
    let pqr = [&pqr[0][..], &pqr[1], &pqr[2]];
    let mut dx = Array3::from_elem(dims, T::nan());
    channel_combine(x.view(), affine, d.view(), gate, pqr, dx.view_mut()).unwrap();
    let want = naive::channel_combine(x.view(), &center, passed.view(), pqr);
    assert_eq!(dx, want);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn matmul_agrees_with_the_naive_form(m in 1usize..90, k in 1usize..90, n in 1usize..90) {
        check_matmul::<f32>(m, k, n);
        check_matmul::<f64>(m, k, n);
    }

    #[test]
    fn channels_agree_with_the_naive_form(
        outer in 1usize..300, channels in 1usize..80, inner in 1usize..40,
        mean in prop_oneof![Just(0.0), Just(100.0)],
    ) {
        check_channels::<f32>((outer, channels, 1), mean);
        check_channels::<f64>((outer, channels, 1), mean);
        check_channels::<f32>((outer / 20 + 1, channels / 4 + 1, inner), mean);
        check_channels::<f64>((outer / 20 + 1, channels / 4 + 1, inner), mean);
    }
}

/// Products of every kind: by vectors, by the BLAS, by gemm in one block and in several, cut or not.
#[test]
fn a_measured_product_is_the_product_and_its_largest_magnitude() {
    fn check<T: Scalar>((m, k, n): (usize, usize, usize)) {
        let (a, b) = (matrix::<T>(k, m, 1), matrix::<T>(k, n, 2));
        let mut want = Array2::zeros((m, n));
        matmul_tn(a.view(), b.view(), T::zero(), want.view_mut()).unwrap();
        let mut c = Array2::from_elem((m, n), T::nan());
        let largest = matmul_tn_largest(a.view(), b.view(), c.view_mut()).unwrap();
        assert_eq!(c, want);
        let values: Vec<T> = want.iter().copied().collect();
        assert_eq!(largest, naive::largest_magnitude(&values), "{m} {k} {n}");
        for bad in [T::nan(), T::infinity()] {
            let mut a = a.clone();
            a[[k / 2, m - 1]] = bad;
            let largest = matmul_tn_largest(a.view(), b.view(), c.view_mut()).unwrap();
            assert!(!largest.is_finite(), "{m} {k} {n}");
        }
    }
    let shapes = [
        (1, 1, 1),
        (1, 9, 30),
        (30, 9, 1),
        (30, 1, 9),
        (20, 30, 40),
        (784, 100, 100),
        (100, 100, 100),
        (300, 1100, 270),
        (130, 20, 1000),
    ];
    for threads in [1, 3] {
        Pool::new(threads).unwrap().install(|| {
            for shape in shapes {
                check::<f32>(shape);
                check::<f64>(shape);
            }
        });
    }
}

#[test]
fn large_products_in_tiles_agree_with_the_naive_form() {
    check_matmul::<f32>(300, 200, 257);
    check_matmul::<f32>(1, 784, 100);
    check_matmul::<f64>(1000, 64, 10);
    check_matmul::<f64>(10, 64, 1000);
    check_matmul::<f32>(500, 700, 300); // above the size from which the BLAS is not used
    check_matmul::<f64>(2100, 600, 70);
    check_matmul::<f32>(256, 300, 100); // the last columns in a narrow tile
    check_matmul::<f64>(100, 110, 99);
}

#[test]
fn channels_in_many_blocks_and_many_columns_agree_with_the_naive_form() {
    for mean in [0.0, 100.0] {
        check_channels::<f32>((200_000, 3, 1), mean);
        check_channels::<f64>((70_000, 1, 1), mean);
        check_channels::<f32>((700, 600, 1), mean);
        check_channels::<f32>((40, 5000, 1), mean);
        check_channels::<f32>((300, 5, 700), mean);
    }
}

/// 40 MiB are written with stores that bypass the caches. Parts of it are not.
#[test]
fn stores_that_bypass_the_caches_write_the_same_bits() {
    const DIMS: (usize, usize, usize) = (8192, 1280, 1);
    let (x, d) = (cube::<f32>(DIMS, 1), cube::<f32>(DIMS, 2));
    let vectors: [Vec<f32>; 6] = std::array::from_fn(|i| random(DIMS.1, 3 + i as u64).to_vec());
    let [center, scale, shift, p, q, r] = vectors.each_ref().map(|v| &v[..]);
    let affine = ChannelAffine {
        center,
        scale,
        shift,
    };
    let relu = |y: f32| y.max(0.0);
    let gate = |y: f32, d: f32| if y > 0.0 { d } else { 0.0 };
    let mut whole = [
        Array3::from_elem(DIMS, f32::NAN),
        Array3::from_elem(DIMS, f32::NAN),
    ];
    let [y, dx] = &mut whole;
    channel_affine(x.view(), affine, relu, y.view_mut()).unwrap();
    channel_combine(x.view(), affine, d.view(), gate, [p, q, r], dx.view_mut()).unwrap();
    for first in (0..DIMS.0).step_by(64) {
        let rows = s![first..first + 64, .., ..];
        let (x, d) = (x.slice(rows), d.slice(rows));
        let mut part = Array3::from_elem((64, DIMS.1, 1), f32::NAN);
        channel_affine(x, affine, relu, part.view_mut()).unwrap();
        assert_eq!(part, y.slice(rows));
        part.fill(f32::NAN);
        channel_combine(x, affine, d, gate, [p, q, r], part.view_mut()).unwrap();
        assert_eq!(part, dx.slice(rows));
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let (a, b) = (matrix::<f32>(500, 300, 1), matrix::<f32>(300, 400, 2));
    let x = cube::<f32>((3000, 70, 1), 3);
    let images = cube::<f32>((64, 20, 49), 4);
    let run = |threads| {
        Pool::new(threads).unwrap().install(|| {
            let mut c = Array2::zeros((500, 400));
            matmul(a.view(), b.view(), 0.0, c.view_mut()).unwrap();
            let moments = [x.view(), images.view()].map(|x| Moments::of(x).unwrap());
            let mut sums = vec![0.0; 140];
            let center = vec![0.5; 70];
            let scratch = &mut Scratch::default();
            let (sum, dot) = sums.split_at_mut(70);
            let affine = ChannelAffine {
                center: &center,
                scale: &center,
                shift: &center,
            };
            let all = |_, d| d;
            channel_sum_and_dot(x.view(), affine, x.view(), all, [sum, dot], scratch).unwrap();
            let reductions = moments
                .iter()
                .flat_map(|m| m.mean().iter().chain(m.m2()).copied().collect::<Vec<_>>())
                .chain(sums)
                .map(f64::to_bits)
                .collect::<Vec<_>>();
            (c.mapv(f32::to_bits), reductions)
        })
    };
    let one = run(1);
    for threads in [2, 3, 4, 8] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

#[test]
fn shapes_that_disagree_are_refused_and_the_destination_is_unchanged() {
    let (a, b) = (matrix::<f32>(2, 3, 1), matrix::<f32>(4, 5, 2));
    let mut c = Array2::from_elem((2, 5), 7.0);
    let error = matmul(a.view(), b.view(), 0.0, c.view_mut()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "matmul: expected shape [3, 5], got [4, 5]"
    );
    assert!(c.iter().all(|&v| v == 7.0));
}

#[test]
fn empty_products_are_allowed() {
    let mut c = Array2::from_elem((2, 3), 1.0f32);
    let (a, b) = (Array2::zeros((2, 0)), Array2::zeros((0, 3)));
    matmul(a.view(), b.view(), 0.0, c.view_mut()).unwrap();
    assert!(c.iter().all(|&v| v == 0.0));
    let mut none = Array2::<f32>::zeros((0, 3));
    matmul(
        Array2::zeros((0, 4)).view(),
        Array2::zeros((4, 3)).view(),
        0.0,
        none.view_mut(),
    )
    .unwrap();
}
