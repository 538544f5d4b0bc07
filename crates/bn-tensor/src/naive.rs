//! The plain form of every kernel: the code to read first, and the oracle of the tests.
//!
//! Nothing here is fast, blocked or parallel, and every sum runs in double precision. Shapes are those
//! of the kernels; if they do not agree, these functions panic, as ndarray's indexing does.

use crate::scalar::Scalar;
use ndarray::{Array1, Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4};

/// `a·b` for `a: (M, K)`, `b: (K, N)`: the definition. Transposed forms: pass `a.t()` or `b.t()`.
pub fn matmul<T: Scalar>(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) -> Array2<T> {
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| {
        let sum: f64 = (0..a.ncols())
            .map(|k| a[[i, k]].as_f64() * b[[k, j]].as_f64())
            .sum();
        T::from_f64(sum)
    })
}

/// The largest `|x|`: 0 without values, NaN if there is a NaN.
pub fn largest_magnitude<T: Scalar>(x: &[T]) -> T {
    x.iter().fold(T::zero(), |largest, x| {
        if largest.is_nan() || x.abs() <= largest {
            largest
        } else {
            x.abs()
        }
    })
}

/// Sum of each channel of `x: (outer, C, inner)`, shape `(C)`.
pub fn channel_sum<T: Scalar>(x: ArrayView3<'_, T>) -> Array1<f64> {
    channels(x, |values| values.iter().sum())
}

/// Mean of each channel of `x: (outer, C, inner)`, shape `(C)`.
pub fn channel_mean<T: Scalar>(x: ArrayView3<'_, T>) -> Array1<f64> {
    channels(x, |values| values.iter().sum::<f64>() / values.len() as f64)
}

/// Biased variance `E[(x − E[x])²]` of each channel of `x: (outer, C, inner)`, shape `(C)`.
pub fn channel_variance<T: Scalar>(x: ArrayView3<'_, T>) -> Array1<f64> {
    channels(x, |values| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count
    })
}

fn channels<T: Scalar>(x: ArrayView3<'_, T>, f: impl Fn(&[f64]) -> f64) -> Array1<f64> {
    x.axis_iter(ndarray::Axis(1))
        .map(|channel| f(&channel.iter().map(|v| v.as_f64()).collect::<Vec<_>>()))
        .collect()
}

/// `(Σ d, Σ d·(x − center))` of each channel, each of shape `(C)`.
pub fn channel_sum_and_dot<T: Scalar>(
    x: ArrayView3<'_, T>,
    center: &[T],
    d: ArrayView3<'_, T>,
) -> (Array1<f64>, Array1<f64>) {
    let mut sum = Array1::zeros(x.dim().1);
    let mut dot = Array1::zeros(x.dim().1);
    for ((o, c, i), &d) in d.indexed_iter() {
        sum[c] += d.as_f64();
        dot[c] += d.as_f64() * (x[[o, c, i]].as_f64() - center[c].as_f64());
    }
    (sum, dot)
}

/// `y = (x − center)·scale + shift`, the three of shape `(C)`; `x, y: (outer, C, inner)`.
pub fn channel_affine<T: Scalar>(
    x: ArrayView3<'_, T>,
    center: &[T],
    scale: &[T],
    shift: &[T],
) -> Array3<T> {
    Array3::from_shape_fn(x.dim(), |(o, c, i)| {
        (x[[o, c, i]] - center[c]) * scale[c] + shift[c]
    })
}

/// `y = p·d + q·(x − center) + r`, the four of shape `(C)`; `x, d, y: (outer, C, inner)`.
pub fn channel_combine<T: Scalar>(
    x: ArrayView3<'_, T>,
    center: &[T],
    d: ArrayView3<'_, T>,
    [p, q, r]: [&[T]; 3],
) -> Array3<T> {
    Array3::from_shape_fn(x.dim(), |(o, c, i)| {
        p[c] * d[[o, c, i]] + q[c] * (x[[o, c, i]] - center[c]) + r[c]
    })
}

/// A convolution of `x: (N, H, W, C)` with `w: (kernel rows, kernel columns, C / groups, out)`. The image
/// is padded with `(top, left)` zeros, and below and to the right with as many as `output = (rows,
/// columns)` needs. With `dilation` (1, 1) and one group it is
///
/// ```text
/// y[n, i, j, o] = Σ x[n, i·stride + a − top, j·stride + b − left, c]·w[a, b, c, o]
/// ```
///
/// Else `a` and `b` in the index of `x` are multiplied by the dilation, and `c` runs over the group of
/// channels that belongs to the group of output `o`.
pub fn convolve<T: Scalar>(
    x: ArrayView4<'_, T>,
    w: ArrayView4<'_, T>,
    stride: (usize, usize),
    dilation: (usize, usize),
    (top, left): (usize, usize),
    (rows, columns): (usize, usize),
) -> Array4<T> {
    let (n, height, width, all) = x.dim();
    let (lines, across, channels, out) = w.dim();
    let groups = all / channels;
    Array4::from_shape_fn((n, rows, columns, out), |(n, i, j, o)| {
        let group = o / (out / groups);
        let mut sum = 0.0;
        for a in 0..lines {
            for b in 0..across {
                // In the padded image.
                let (y, x_) = (i * stride.0 + a * dilation.0, j * stride.1 + b * dilation.1);
                if y < top || x_ < left || y - top >= height || x_ - left >= width {
                    continue;
                }
                for c in 0..channels {
                    let x = x[[n, y - top, x_ - left, group * channels + c]];
                    sum += x.as_f64() * w[[a, b, c, o]].as_f64();
                }
            }
        }
        T::from_f64(sum)
    })
}
