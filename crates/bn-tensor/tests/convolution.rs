//! Convolutions against the naive form, and their gradients against the identity that defines them.

use bn_tensor::{
    ConvolutionGradients, ConvolutionScratch, Epilogue, Error, Padding, Pool, Scalar, Window,
    WindowConfig, convolve, convolve_backward, convolve_transposed, convolve_weights, naive,
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
    dilation: (usize, usize),
    groups: usize,
    out: usize,
}

impl Case {
    fn window(&self) -> Result<Window, Error> {
        let config = WindowConfig {
            dilation: self.dilation,
            ..WindowConfig::new(self.kernel, self.stride, self.padding)
        };
        Window::with_config(self.image, config)
    }
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
            let all = |size: usize, reach: usize, stride: usize, out: usize| {
                (((out - 1) * stride + reach).saturating_sub(size)) / 2
            };
            let ((h, w, _), (rows, columns)) = (case.image, window.output());
            let reach = |kernel: usize, dilation: usize| (kernel - 1) * dilation + 1;
            (
                all(
                    h,
                    reach(case.kernel.0, case.dilation.0),
                    case.stride.0,
                    rows,
                ),
                all(
                    w,
                    reach(case.kernel.1, case.dilation.1),
                    case.stride.1,
                    columns,
                ),
            )
        }
    }
}

fn check<T: Scalar>(case: Case) {
    let window = case.window().unwrap();
    let of_group = window.patch() / case.groups;
    let ((h, w, c), (rows, columns)) = (case.image, window.output());
    let (n, pixels, places) = (case.images, h * w * c, rows * columns * case.out);
    let (x, weights) = (
        random::<T>(n, pixels, 1),
        random::<T>(of_group, case.out, 2),
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
    let shape = (case.kernel.0, case.kernel.1, c / case.groups, case.out);
    let w4 = weights.clone().into_shape_with_order(shape).unwrap();
    let output = window.output();
    let want: Array4<T> = naive::convolve(
        x4.view(),
        w4.view(),
        case.stride,
        case.dilation,
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
    let old = random::<T>(of_group, case.out, 5);
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
    check_backward(&case, &window, [&x, &plain, &g], &weights, &dx);

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

/// All gradients at once have the bits of each by itself.
fn check_backward<T: Scalar>(
    case: &Case,
    window: &Window,
    [x, y, dout]: [&Array2<T>; 3],
    w: &Array2<T>,
    want_dx: &Array2<T>,
) {
    let nan = |array: &Array2<T>| Array2::from_elem(array.dim(), T::nan());
    let (mut want_dw, mut dw, mut dx) = (nan(w), nan(w), nan(x));
    let mut db = vec![T::nan(); case.out];
    let (views, zero) = ([x.view(), y.view(), dout.view()], T::zero());
    convolve_weights(
        window,
        views[0],
        views[2],
        zero,
        want_dw.view_mut(),
        &mut Vec::new(),
    )
    .unwrap();
    let gradients = ConvolutionGradients {
        dw: Some(dw.view_mut()),
        db: Some(&mut db),
        dx: Some(dx.view_mut()),
    };
    let scratch = &mut ConvolutionScratch::default();
    convolve_backward(window, views, w.view(), &Epilogue::NONE, gradients, scratch).unwrap();
    assert!(dw == want_dw && dx == *want_dx, "{case:?}");
    for (o, db) in db.iter().enumerate() {
        let sum: f64 = dout
            .iter()
            .skip(o)
            .step_by(case.out)
            .map(|d| d.as_f64())
            .sum();
        assert!(
            (db.as_f64() - sum).abs() < 1e-4 * dout.len() as f64,
            "{case:?}"
        );
    }
}

/// Every kind of padding, with at most so many zeros on each side.
fn paddings(most: usize) -> impl Strategy<Value = Padding> {
    let side = 0..=most;
    let sides = (side.clone(), side.clone(), side.clone(), side);
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        sides.prop_map(|(top, bottom, left, right)| Padding::Explicit {
            top,
            bottom,
            left,
            right,
        }),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let padding = paddings(2);
    let image = (1usize..12, 1usize..12, 1usize..5, 1usize..5);
    let kernel = (1usize..6, 1usize..6);
    (
        1usize..5,
        image,
        kernel,
        (1usize..4, 1usize..4),
        padding,
        (1usize..4, 1usize..4),
        1usize..7,
    )
        .prop_map(
            |(images, (h, w, channels, groups), kernel, stride, padding, dilation, out)| Case {
                images,
                image: (h, w, channels * groups),
                kernel,
                stride,
                padding,
                dilation,
                groups,
                out: out * groups,
            },
        )
        .prop_filter("it fits", |case| case.window().is_ok())
}

/// Without groups and dilation and with enough outputs, where images are read without patches.
fn direct_cases() -> impl Strategy<Value = Case> {
    let padding = paddings(7);
    (
        1usize..5,
        (1usize..24, 1usize..24, 1usize..20),
        (1usize..7, 1usize..7),
        (1usize..6, 1usize..6),
        padding,
        8usize..40,
    )
        .prop_map(|(images, image, kernel, stride, padding, out)| Case {
            images,
            image,
            kernel,
            stride,
            padding,
            dilation: (1, 1),
            groups: 1,
            out,
        })
        .prop_filter("it fits", |case| case.window().is_ok())
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

    #[test]
    fn direct_convolutions_agree_with_the_naive_form(case in direct_cases()) {
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
        dilation: (1, 1),
        groups: 1,
        out,
    };
    check::<f32>(case(40, (28, 28, 32), 3, 1, 16)); // several blocks of images
    check::<f32>(case(2, (90, 80, 90), 3, 2, 8)); // an image larger than a block
    check::<f32>(case(2, (70, 60, 20), 5, 1, 3)); // an image in several blocks
    check::<f64>(case(3, (40, 45, 30), 3, 2, 4));
    check::<f32>(case(3, (9, 9, 17), 1, 1, 5)); // the patches are the image
}

#[test]
fn blocks_of_groups_and_of_dilated_windows_agree_with_the_naive_form() {
    let case = |images, image, kernel, stride, dilation, groups, out| Case {
        images,
        image,
        kernel: (kernel, kernel),
        stride: (stride, stride),
        padding: Padding::Same,
        dilation: (dilation, dilation),
        groups,
        out,
    };
    check::<f32>(case(40, (14, 14, 32), 3, 1, 2, 1, 64)); // patches that are not stored
    check::<f32>(case(2, (70, 60, 20), 3, 1, 3, 2, 4)); // an image in several blocks
    check::<f32>(case(9, (28, 28, 32), 3, 1, 1, 32, 32)); // several blocks, each in several parts
    check::<f64>(case(3, (130, 65, 40), 3, 2, 2, 40, 80)); // an image in several blocks
    check::<f32>(case(3, (9, 9, 18), 1, 1, 1, 3, 6)); // the patches are the image
    check::<f32>(case(3, (9, 9, 18), 1, 1, 1, 18, 18));
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for groups in [1, 4, 8, 16] {
        check_threads(groups);
    }
}

fn check_threads(groups: usize) {
    let window = Window::new((28, 28, 16), (3, 3), (2, 2), Padding::Same).unwrap();
    let (x, w) = (
        random::<f32>(50, 28 * 28 * 16, 1),
        random::<f32>(144 / groups, 48, 2),
    );
    let g = random::<f32>(50, 14 * 14 * 48, 3);
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
        assert!(run(threads) == one, "{groups} groups, {threads} threads");
    }
}

#[test]
fn a_gradient_of_weights_in_another_order_is_refused_and_left_as_it_is() {
    let window = Window::new((4, 4, 2), (3, 3), (1, 1), Padding::Same).unwrap();
    let (x, dout) = (random::<f32>(3, 32, 1), random::<f32>(3, 128, 2));
    let old = random::<f32>(8, 18, 3).reversed_axes();
    let mut dw = old.clone();
    let (views, scratch) = ((x.view(), dout.view()), &mut Vec::new());
    let result = convolve_weights(&window, views.0, views.1, 0.0, dw.view_mut(), scratch);
    assert!(matches!(result, Err(Error::NotContiguous { .. })));
    assert_eq!(dw, old);
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
    // Three groups do not divide two channels, nor two groups five outputs.
    for dim in [(6, 5), (9, 5)] {
        let w = random::<f32>(dim.0, dim.1, 2);
        refused(convolve(
            &window,
            x.view(),
            w.view(),
            None,
            out.view_mut(),
            scratch,
        ));
    }
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
