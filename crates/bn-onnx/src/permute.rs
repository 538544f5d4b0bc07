//! Axes in another order, and the order of the values of flattened images.

use crate::settings::Image;

/// The values of a row-major array of shape `from`, with its axes in the order `axes`: axis `i` of the result is axis
/// `axes[i]`.
pub(crate) fn axes(values: &[f32], from: [usize; 4], axes: [usize; 4]) -> Vec<f32> {
    let strides = [from[1] * from[2] * from[3], from[2] * from[3], from[3], 1];
    let ([a, b, c, d], [sa, sb, sc, sd]) = (axes.map(|i| from[i]), axes.map(|i| strides[i]));
    let mut to = Vec::with_capacity(values.len());
    for i in 0..a {
        for j in 0..b {
            for k in 0..c {
                let first = i * sa + j * sb + k * sc;
                to.extend((0..d).map(|l| values[first + l * sd]));
            }
        }
    }
    to
}

/// For each position of a flattened image with its channels first, its position with its channels last.
pub(crate) fn first_from_last((height, width, channels): Image) -> Vec<usize> {
    let pixels = height * width;
    let of_channel = |channel| (0..pixels).map(move |pixel| pixel * channels + channel);
    (0..channels).flat_map(of_channel).collect()
}

/// For each position of a flattened image with its channels last, its position with its channels first.
pub(crate) fn last_from_first((height, width, channels): Image) -> Vec<usize> {
    let pixels = height * width;
    let of_pixel = |pixel| (0..channels).map(move |channel| channel * pixels + pixel);
    (0..pixels).flat_map(of_pixel).collect()
}

/// The rows of `matrix: (rows, width)` in the order `from`: row `i` of the result is row `from[i]`.
pub(crate) fn rows(matrix: &[f32], width: usize, from: &[usize]) -> Vec<f32> {
    let rows = from.iter().map(|&row| &matrix[row * width..][..width]);
    rows.flatten().copied().collect()
}

/// `matrix: (rows, columns)`, transposed.
pub(crate) fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    axes(matrix, [1, 1, rows, columns], [0, 1, 3, 2])
}

/// Whether the values of an image have the same order with its channels first and last.
pub(crate) fn is_same_order((height, width, channels): Image) -> bool {
    channels == 1 || height * width == 1
}
