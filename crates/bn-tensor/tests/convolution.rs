//! Convolutions against the naive form, and their gradients against the identity that defines them.

use bn_tensor::{
    Error, Padding, Pool, Scalar, Window, convolve, convolve_transposed, convolve_weights, naive,
};
use ndarray::{Array2, Array4};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

#[derive(Debug, Clone, Copy)]
struct Case {
    images: usize,
    image: (usize, usize, usize),
    kernel: (usize, usize),
    stride: (usize, usize),
    padding: Padding,
    out: usize,
}

fn random<T: Scalar>(rows: usize, columns: usize, seed: u64) -> Array2<T> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, columns), || {
        T::from_f64(rng.random::<f64>() * 2.0 - 1.0)
    })
}

fn dot<T: Scalar>(a: &Array2<T>, b: &Array2<T>) -> f64 {
    assert_eq!(a.dim(), b.dim());
    a.iter().zip(b).map(|(a, b)| a.as_f64() * b.as_f64()).sum()
}

/// Zeros above and to the left.
fn before(case: &Case, window: &Window) -> (usize, usize) {
    match case.padding {
        Padding::Valid => (0, 0),
        Padding::Explicit { top, left, .. } => (top, left),
        Padding::Same => {
            let all = |size: usize, kernel: usize, stride: usize, out: usize| {
                (((out - 1) * stride + kernel).saturating_sub(size)) / 2
            };
            let ((h, w, _), (rows, columns)) = (case.image, window.output());
            (
                all(h, case.kernel.0, case.stride.0, rows),
                all(w, case.kernel.1, case.stride.1, columns),
            )
        }
    }
}

fn check<T: Scalar>(case: Case) {
    let window = Window::new(case.image, case.kernel, case.stride, case.padding).unwrap();
    let ((h, w, c), (rows, columns)) = (case.image, window.output());
    let (n, pixels, places) = (case.images, h * w * c, rows * columns * case.out);
    let (x, weights) = (
        random::<T>(n, pixels, 1),
        random::<T>(window.patch(), case.out, 2),
    );
    let bias: Vec<T> = random::<T>(1, case.out, 3).into_raw_vec_and_offset().0;
    let scratch = &mut Vec::new();
    let tolerance = T::epsilon().as_f64() * 8.0 * (window.patch() as f64).sqrt() * 4.0;

    let mut y = Array2::from_elem((n, places), T::nan());
    convolve(
        &window,
        x.view(),
        weights.view(),
        Some(&bias),
        y.view_mut(),
        scratch,
    )
    .unwrap();
    let x4 = x.clone().into_shape_with_order((n, h, w, c)).unwrap();
    let shape = (case.kernel.0, case.kernel.1, c, case.out);
    let w4 = weights.clone().into_shape_with_order(shape).unwrap();
    let output = window.output();
    let want: Array4<T> = naive::convolve(
        x4.view(),
        w4.view(),
        case.stride,
        before(&case, &window),
        output,
    );
    for (i, (got, want)) in y.iter().zip(&want).enumerate() {
        let want = want.as_f64() + bias[i % case.out].as_f64();
        let difference = (got.as_f64() - want).abs();
        assert!(
            difference <= tolerance * (1.0 + want.abs()),
            "{case:?}: {got} for {want}"
        );
    }
    let mut plain = Array2::from_elem((n, places), T::nan());
    convolve(
        &window,
        x.view(),
        weights.view(),
        None,
        plain.view_mut(),
        scratch,
    )
    .unwrap();

    // ⟨conv(x, w), g⟩ is linear in w and in x, so it equals ⟨w, dw⟩ and ⟨x, dx⟩. dw does not depend on
    // w, nor dx on x.
    let g = random::<T>(n, places, 4);
    let form = dot(&plain, &g);
    let size = tolerance * (places as f64 * n as f64 * window.patch() as f64).sqrt() * 4.0;
    let old = random::<T>(window.patch(), case.out, 5);
    let mut dw = old.clone();
    convolve_weights(
        &window,
        x.view(),
        g.view(),
        T::from_f64(0.5),
        dw.view_mut(),
        scratch,
    )
    .unwrap();
    let got = dot(&weights, &dw) - 0.5 * dot(&weights, &old);
    assert!((got - form).abs() < size, "{case:?}: dw {got} for {form}");

    let mut dx = Array2::from_elem((n, pixels), T::nan());
    convolve_transposed(
        &window,
        g.view(),
        weights.view(),
        None,
        dx.view_mut(),
        scratch,
    )
    .unwrap();
    let got = dot(&x, &dx);
    assert!((got - form).abs() < size, "{case:?}: dx {got} for {form}");

    let bias: Vec<T> = random::<T>(1, c, 6).into_raw_vec_and_offset().0;
    let mut with_bias = Array2::from_elem((n, pixels), T::nan());
    convolve_transposed(
        &window,
        g.view(),
        weights.view(),
        Some(&bias),
        with_bias.view_mut(),
        scratch,
    )
    .unwrap();
    for (i, (with, without)) in with_bias.iter().zip(&dx).enumerate() {
        let want = without.as_f64() + bias[i % c].as_f64();
        assert!(
            (with.as_f64() - want).abs() <= tolerance * (1.0 + want.abs()),
            "{case:?}"
        );
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0usize..3, 0usize..3, 0usize..3, 0usize..3).prop_map(|(top, bottom, left, right)| {
            Padding::Explicit {
                top,
                bottom,
                left,
                right,
            }
        }),
    ];
    let image = (1usize..12, 1usize..12, 1usize..5);
    let kernel = (1usize..6, 1usize..6);
    (
        1usize..5,
        image,
        kernel,
        (1usize..4, 1usize..4),
        padding,
        1usize..7,
    )
        .prop_map(|(images, image, kernel, stride, padding, out)| Case {
            images,
            image,
            kernel,
            stride,
            padding,
            out,
        })
        .prop_filter("it fits", |c| {
            Window::new(c.image, c.kernel, c.stride, c.padding).is_ok()
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_agrees_with_the_naive_form(case in cases()) {
        check::<f32>(case);
        check::<f64>(case);
    }
}

#[test]
fn blocks_of_images_and_of_rows_agree_with_the_naive_form() {
    let case = |images, image, kernel, stride, out| Case {
        images,
        image,
        kernel: (kernel, kernel),
        stride: (stride, stride),
        padding: Padding::Same,
        out,
    };
    check::<f32>(case(40, (14, 14, 32), 3, 1, 16)); // several blocks of images
    check::<f32>(case(2, (70, 60, 20), 5, 1, 3)); // an image in several blocks
    check::<f64>(case(3, (40, 45, 30), 3, 2, 4));
    check::<f32>(case(3, (9, 9, 17), 1, 1, 5)); // the patches are the image
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let window = Window::new((28, 28, 16), (3, 3), (2, 2), Padding::Same).unwrap();
    let (x, w) = (
        random::<f32>(50, 28 * 28 * 16, 1),
        random::<f32>(144, 24, 2),
    );
    let g = random::<f32>(50, 14 * 14 * 24, 3);
    let run = |threads| {
        Pool::new(threads).unwrap().install(|| {
            let scratch = &mut Vec::new();
            let (mut y, mut dw, mut dx) = (g.clone(), w.clone(), x.clone());
            convolve(&window, x.view(), w.view(), None, y.view_mut(), scratch).unwrap();
            convolve_weights(&window, x.view(), g.view(), 0.0, dw.view_mut(), scratch).unwrap();
            convolve_transposed(&window, g.view(), w.view(), None, dx.view_mut(), scratch).unwrap();
            (y, dw, dx)
        })
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn windows_that_do_not_fit_say_why() {
    let image = (5, 7, 2);
    for (image, kernel, stride, padding, why) in [
        ((0, 7, 2), (3, 3), (1, 1), Padding::Valid, "image is empty"),
        ((5, 7, 0), (3, 3), (1, 1), Padding::Valid, "image is empty"),
        (image, (0, 3), (1, 1), Padding::Same, "kernel is empty"),
        (
            image,
            (3, 3),
            (1, 0),
            Padding::Same,
            "stride must be at least 1",
        ),
        (
            image,
            (6, 3),
            (1, 1),
            Padding::Valid,
            "larger than the padded image",
        ),
        (
            image,
            (8, 3),
            (1, 1),
            Padding::all(1),
            "larger than the padded image",
        ),
        (
            image,
            (3, 3),
            (1, 1),
            Padding::all(usize::MAX),
            "padding is too large",
        ),
    ] {
        let error = Window::new(image, kernel, stride, padding).unwrap_err();
        assert!(matches!(error, Error::Window { .. }));
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(Window::new(image, (7, 3), (1, 1), Padding::all(1)).is_ok());
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let window = Window::new((4, 4, 2), (3, 3), (1, 1), Padding::Valid).unwrap();
    let scratch = &mut Vec::new();
    let (x, w, y) = (
        random::<f32>(3, 32, 1),
        random::<f32>(18, 5, 2),
        random::<f32>(3, 20, 3),
    );
    let narrow = random::<f32>(3, 31, 1);
    let mut out = y.clone();
    let refused = |result: Result<(), Error>| {
        assert!(matches!(
            result,
            Err(Error::ShapeMismatch { .. } | Error::NotContiguous { .. })
        ));
    };
    refused(convolve(
        &window,
        narrow.view(),
        w.view(),
        None,
        out.view_mut(),
        scratch,
    ));
    refused(convolve(
        &window,
        x.view(),
        w.t(),
        None,
        out.view_mut(),
        scratch,
    ));
    refused(convolve(
        &window,
        x.view(),
        w.view(),
        Some(&[1.0; 4]),
        out.view_mut(),
        scratch,
    ));
    let mut turned = Array2::zeros((20, 3)).reversed_axes();
    refused(convolve(
        &window,
        x.view(),
        w.view(),
        None,
        turned.view_mut(),
        scratch,
    ));
    assert_eq!(out, y);
    let mut dx = x.clone();
    refused(convolve_transposed(
        &window,
        y.view(),
        w.view(),
        Some(&[0.0; 3]),
        dx.view_mut(),
        scratch,
    ));
    assert_eq!(dx, x);
    let mut dw = Array2::zeros((17, 5));
    refused(convolve_weights(
        &window,
        x.view(),
        y.view(),
        0.0,
        dw.view_mut(),
        scratch,
    ));
}
