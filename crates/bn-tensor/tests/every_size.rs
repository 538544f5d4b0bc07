//! Sizes of every magnitude give an error or a result, never a panic or an abort.

use crate::common::memory_limit::with_little_memory;
use bn_tensor::{
    ConvolutionGradients, ConvolutionScratch, Epilogue, Error, Moments, Padding, Window,
    WindowConfig, checked_len, convolve, convolve_backward, convolve_transposed, convolve_weights,
    matmul, try_resize, try_zeros,
};
use ndarray::{Array2, Array3, ArrayView2};

const SIZES: [usize; 6] = [0, 1, 2, 1 << 31, (1 << 62) + 1, usize::MAX];

/// Image, kernel, stride, zeros above, below, to the left and to the right, and dilation.
type WindowSizes = [usize; 13];
const SMALL: WindowSizes = [3, 4, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1];

fn windows(sizes: WindowSizes) -> impl Iterator<Item = Window> {
    let [
        h,
        w,
        c,
        lines,
        columns,
        down,
        across,
        top,
        bottom,
        left,
        right,
        dilation @ ..,
    ] = sizes;
    let explicit = Padding::Explicit {
        top,
        bottom,
        left,
        right,
    };
    let paddings = [Padding::Valid, Padding::Same, explicit].into_iter();
    let modes = paddings.flat_map(|padding| [false, true].map(|ceil_mode| (padding, ceil_mode)));
    modes.filter_map(move |(padding, ceil_mode)| {
        let config = WindowConfig {
            dilation: dilation.into(),
            ceil_mode,
            ..WindowConfig::new((lines, columns), (down, across), padding)
        };
        Window::with_config((h, w, c), config).ok()
    })
}

/// `SMALL` with every pair of its sizes replaced by every pair of `SIZES`.
fn pairs() -> impl Iterator<Item = WindowSizes> {
    let places = (0..SMALL.len()).flat_map(|i| (i..SMALL.len()).map(move |j| (i, j)));
    places.flat_map(|(i, j)| {
        SIZES.iter().flat_map(move |&a| {
            SIZES.iter().map(move |&b| {
                let mut sizes = SMALL;
                (sizes[i], sizes[j]) = (a, b);
                sizes
            })
        })
    })
}

/// Runs every convolution of one image, if the image and the outputs are small. The weights may have any
/// size: a view that repeats one value takes no memory.
fn run(window: &Window) -> Option<Result<(), Error>> {
    let ((h, w, c), (rows, columns)) = (window.image(), window.output());
    let small = |sizes: &[usize]| {
        let len = checked_len::<f32>("", sizes).ok();
        len.filter(|&len| len <= 1 << 12)
    };
    let (pixels, places) = (small(&[h, w, c])?, small(&[rows, columns])?);
    let one = Array2::<f32>::ones((1, 1));
    let depthwise = small(&[window.patch(), 1]).zip(small(&[rows, columns, c]));
    if let Some((weights, outputs)) = depthwise {
        let w = Array2::ones((weights / c, c));
        run_with(window, w.view(), pixels, outputs).unwrap();
    }
    let weights = one.broadcast((window.patch(), 1))?;
    Some(run_with(window, weights, pixels, places))
}

fn run_with(
    window: &Window,
    weights: ArrayView2<'_, f32>,
    pixels: usize,
    outputs: usize,
) -> Result<(), Error> {
    let (x, y) = (Array2::<f32>::ones((1, pixels)), Array2::ones((1, outputs)));
    let scratch = &mut Vec::new();
    let mut out = y.clone();
    convolve(window, x.view(), weights, None, out.view_mut(), scratch)?;
    let mut dx = x.clone();
    convolve_transposed(window, y.view(), weights, None, dx.view_mut(), scratch)?;
    let mut dw = try_zeros("dw", weights.dim())?;
    convolve_weights(window, x.view(), y.view(), 0.0, dw.view_mut(), scratch)?;
    let gradients = ConvolutionGradients {
        dw: Some(dw.view_mut()),
        db: None,
        dx: Some(dx.view_mut()),
    };
    let (arrays, none) = ([x.view(), y.view(), y.view()], &Epilogue::NONE);
    let scratch = &mut ConvolutionScratch::default();
    convolve_backward(window, arrays, weights, none, gradients, scratch)
}

#[test]
fn windows_of_every_size() {
    with_little_memory("every_size::windows_of_every_size", || {
        let (mut ran, mut too_large) = (0, 0);
        for window in pairs().flat_map(windows) {
            let _ = (
                window.patch(),
                window.reach(),
                window.clip_rows(0),
                window.clip_columns(0),
            );
            let (rows, columns) = window.output();
            let _ = (window.clip_rows(rows - 1), window.clip_columns(columns - 1));
            let _ = (
                window.padded_rows(rows - 1),
                window.padded_columns(columns - 1),
            );
            match run(&window) {
                Some(Ok(())) => ran += 1,
                Some(Err(Error::TooLarge { .. })) => too_large += 1,
                Some(Err(error)) => panic!("{window:?}: {error}"),
                None => {}
            }
        }
        assert!(ran > 1000 && too_large > 10, "{ran}, {too_large}");
    });
}

#[test]
fn a_window_with_more_values_than_can_be_addressed_is_refused() {
    let many = 1 << 40;
    for (image, kernel, padding) in [
        ((many, many, 1), (1, 1), Padding::Valid),
        ((1, 1, 1), (1, 1), Padding::all(many)),
        ((1, 1, 1), (many, many), Padding::Same),
        (((1 << 62) + 1, 4, 1), (1, 1), Padding::Valid),
    ] {
        let error = Window::new(image, kernel, (1, 1), padding).unwrap_err();
        assert!(error.to_string().contains("more values than"), "{error}");
    }
}

#[test]
fn arrays_of_every_size() {
    with_little_memory("every_size::arrays_of_every_size", || {
        for a in SIZES {
            let _ = Moments::new(a).map(|moments| moments.mean().len());
            for b in SIZES {
                match try_zeros::<f32, _>("test", (a, b)) {
                    Ok(zeros) => assert_eq!(zeros.dim(), (a, b)),
                    Err(_) => assert!(a > 2 || b > 2),
                }
                let mut buffer = vec![1.0f64; 3];
                match try_resize("test", &mut buffer, &[a, b]) {
                    Ok(()) => assert_eq!(buffer.len(), a * b),
                    Err(_) => assert_eq!(buffer, [1.0; 3]),
                }
            }
        }
        // An array without rows may have any number of channels.
        let wide = Array3::<f32>::zeros((0, 1 << 60, 1));
        let error = Moments::of(wide.view()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    });
}

#[test]
fn counts_whose_sum_is_too_large() {
    let mut moments = Moments::from_parts(u64::MAX, &[1.0], &[2.0]).unwrap();
    let other = Moments::from_parts(1, &[5.0], &[0.0]).unwrap();
    assert!(matches!(
        moments.merge(&other),
        Err(Error::InvalidSetting { .. })
    ));
    assert_eq!((moments.count(), moments.mean()[0]), (u64::MAX, 1.0));
}

#[test]
fn products_of_views_that_repeat_their_rows() {
    // A sum of no products, and one whose number of multiply-adds exceeds usize::MAX.
    let one = Array2::<f32>::ones((1, 1));
    let tall: ArrayView2<'_, f32> = one.broadcast((1 << 62, 1)).unwrap();
    let none = Array2::zeros((0, 1 << 62));
    let mut c = Array2::zeros((0, 1));
    matmul(none.view(), tall, 0.0, c.view_mut()).unwrap();
}

/// A transposed convolution of no channels is its bias, and a convolution to none has no values.
#[test]
fn convolutions_of_no_channels() {
    let window = Window::new((3, 3, 2), (2, 2), (1, 1), Padding::Valid).unwrap();
    let (x, dout, w) = (
        Array2::<f32>::ones((5, 18)),
        Array2::zeros((5, 0)),
        Array2::zeros((8, 0)),
    );
    let (mut dx, mut y, mut dw) = (x.clone(), dout.clone(), w.clone());
    let scratch = &mut Vec::new();
    let bias = Some(&[7.0, 8.0][..]);
    convolve_transposed(&window, dout.view(), w.view(), bias, dx.view_mut(), scratch).unwrap();
    assert_eq!(
        dx,
        Array2::from_shape_fn((5, 18), |(_, i)| 7.0 + (i % 2) as f32)
    );
    convolve_transposed(&window, dout.view(), w.view(), None, dx.view_mut(), scratch).unwrap();
    assert_eq!(dx, Array2::zeros((5, 18)));
    convolve(&window, x.view(), w.view(), None, y.view_mut(), scratch).unwrap();
    convolve_weights(&window, x.view(), dout.view(), 0.0, dw.view_mut(), scratch).unwrap();
}

/// The two columns under a window, many pixels apart, whose distance in memory cannot be counted.
#[test]
fn a_dilation_that_is_larger_than_memory() {
    let config = WindowConfig {
        dilation: (1, 1 << 62),
        ..WindowConfig::new(
            (1, 2),
            (1, 1),
            Padding::Explicit {
                top: 0,
                bottom: 0,
                left: 1 << 62,
                right: 0,
            },
        )
    };
    let window = Window::with_config((2, 3, 8), config).unwrap();
    assert_eq!(window.output(), (2, 3));
    for (groups, out) in [(1, 3), (4, 4), (8, 8)] {
        let w = Array2::ones((16 / groups, out));
        run_with(&window, w.view(), 48, 6 * out).unwrap();
    }
}

#[test]
fn no_images_replace_the_gradient_of_the_weights() {
    let window = Window::new((3, 3, 1), (2, 2), (1, 1), Padding::Valid).unwrap();
    let (x, dout) = (Array2::<f32>::zeros((0, 9)), Array2::zeros((0, 8)));
    for (beta, old, expected) in [(0.0, 7.0, 0.0), (0.0, f32::NAN, 0.0), (0.5, 6.0, 3.0)] {
        let mut dw = Array2::from_elem((4, 2), old);
        let scratch = &mut Vec::new();
        convolve_weights(&window, x.view(), dout.view(), beta, dw.view_mut(), scratch).unwrap();
        assert_eq!(dw, Array2::from_elem((4, 2), expected));
    }
    let (mut dw, mut db, w) = (Array2::ones((4, 2)), [1.0; 2], Array2::ones((4, 2)));
    let gradients = ConvolutionGradients {
        dw: Some(dw.view_mut()),
        db: Some(&mut db),
        dx: None,
    };
    let arrays = [x.view(), dout.view(), dout.view()];
    let scratch = &mut ConvolutionScratch::default();
    convolve_backward(
        &window,
        arrays,
        w.view(),
        &Epilogue::NONE,
        gradients,
        scratch,
    )
    .unwrap();
    assert_eq!((dw, db), (Array2::zeros((4, 2)), [0.0; 2]));
}
