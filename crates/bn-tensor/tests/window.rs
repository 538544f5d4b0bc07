//! Windows against a search over all positions and pixels, and windows that do not fit.

use bn_tensor::{Error, Padding, Window, WindowConfig};

/// The positions of a window along an axis, by PyTorch's rule, and for each the places of its pixels in
/// the padded axis.
fn positions(
    size: usize,
    [kernel, dilation, stride, before, after]: [usize; 5],
    ceil_mode: bool,
) -> Vec<Vec<usize>> {
    let (padded, reach) = (before + size + after, (kernel - 1) * dilation + 1);
    let at = |begin: usize| (0..kernel).map(|k| begin + k * dilation).collect();
    let mut all = Vec::new();
    let mut covered = 0; // the end of the last window
    for begin in (0..padded).step_by(stride) {
        let is_inside = begin + reach <= padded;
        let starts_inside = ceil_mode && begin < before + size && covered < padded;
        if is_inside || starts_inside {
            all.push(at(begin));
            covered = begin + reach;
        }
    }
    all
}

fn check(size: usize, axis: [usize; 5], ceil_mode: bool) {
    let [kernel, dilation, stride, before, after] = axis;
    let config = WindowConfig {
        kernel: (kernel, 1),
        stride: (stride, 1),
        padding: Padding::Explicit {
            top: before,
            bottom: after,
            left: 0,
            right: 0,
        },
        dilation: (dilation, 7),
        ceil_mode,
    };
    let fits = (kernel - 1) * dilation < before + size + after;
    let what = format!("{size} {axis:?} {ceil_mode}");
    let Ok(window) = Window::with_config((size, 2, 1), config) else {
        assert!(!fits, "{what}");
        return;
    };
    assert!(fits, "{what}");
    let want = positions(size, axis, ceil_mode);
    assert_eq!(window.output(), (want.len(), 2), "{what}");
    for (row, places) in want.iter().enumerate() {
        let image = before..before + size;
        let inside: Vec<usize> = (0..kernel)
            .filter(|&k| image.contains(&places[k]))
            .collect();
        let (clipped, first) = window.clip_rows(row);
        assert_eq!(clipped.clone().collect::<Vec<_>>(), inside, "{what}");
        for (i, k) in clipped.enumerate() {
            let y = first + i * window.dilation().0;
            assert_eq!(y + before, places[k], "{what}");
        }
        let padded = places
            .iter()
            .filter(|&&place| place < before + size + after);
        assert_eq!(window.padded_rows(row), padded.count(), "{what}");
    }
}

#[test]
fn positions_and_the_pixels_under_them() {
    for size in 1..8 {
        for kernel in 1..5 {
            for (dilation, stride) in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 2), (5, 4)] {
                for (before, after) in [(0, 0), (1, 1), (0, 2), (3, 1)] {
                    let axis = [kernel, dilation, stride, before, after];
                    check(size, axis, false);
                    check(size, axis, true);
                }
            }
        }
    }
}

/// Keras' `same` with dilation: the size of the output does not depend on the dilation.
#[test]
fn same_padding_of_a_dilated_window() {
    for size in 1..12 {
        for (kernel, dilation, stride) in [(3, 2, 1), (4, 3, 1), (3, 2, 2), (2, 5, 3)] {
            for ceil_mode in [false, true] {
                let config = WindowConfig {
                    dilation: (dilation, 1),
                    ceil_mode,
                    ..WindowConfig::new((kernel, 1), (stride, 1), Padding::Same)
                };
                let window = Window::with_config((size, 1, 1), config).unwrap();
                assert_eq!(window.output().0, size.div_ceil(stride));
            }
        }
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
    for (dilation, why) in [
        ((0, 1), "dilation must be at least 1"),
        ((3, 1), "dilated kernel is larger than the padded image"),
        ((1, usize::MAX), "dilated kernel is too large"),
    ] {
        let config = WindowConfig {
            dilation,
            ..WindowConfig::new((3, 3), (1, 1), Padding::Valid)
        };
        let error = Window::with_config(image, config).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}
