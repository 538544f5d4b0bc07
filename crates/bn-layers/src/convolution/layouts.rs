//! Converts images and kernels from and to the layouts of channels-first frameworks.

use bn_tensor::Scalar;
use ndarray::{Array4, ArrayView4};

/// Converts images `(N, C, H, W)` to `(N, H, W, C)`.
///
/// ```
/// use ndarray::Array4;
/// let first = Array4::from_shape_fn((2, 3, 4, 5), |(n, c, h, w)| (n, c, h, w).1 as f32);
/// let last = bn_layers::images_to_channels_last(first.view());
/// assert_eq!(last.dim(), (2, 4, 5, 3));
/// assert_eq!(last[[0, 0, 0, 2]], 2.0);
/// assert_eq!(bn_layers::images_to_channels_first(last.view()), first);
/// ```
pub fn images_to_channels_last<T: Scalar>(images: ArrayView4<'_, T>) -> Array4<T> {
    moved(images, [0, 2, 3, 1])
}

/// Converts images `(N, H, W, C)` to `(N, C, H, W)`.
pub fn images_to_channels_first<T: Scalar>(images: ArrayView4<'_, T>) -> Array4<T> {
    moved(images, [0, 3, 1, 2])
}

/// Converts PyTorch's `Conv2d.weight (out, in, rows, columns)` to `(rows, columns, in, out)`. With groups,
/// `in` is `in / groups` in both.
///
/// ```
/// use ndarray::Array4;
/// let torch = Array4::<f32>::zeros((64, 3, 5, 5));
/// assert_eq!(bn_layers::kernel_from_pytorch(torch.view()).dim(), (5, 5, 3, 64));
/// ```
pub fn kernel_from_pytorch<T: Scalar>(w: ArrayView4<'_, T>) -> Array4<T> {
    moved(w, [2, 3, 1, 0])
}

/// Converts `(rows, columns, in, out)` to PyTorch's `Conv2d.weight (out, in, rows, columns)`.
pub fn kernel_to_pytorch<T: Scalar>(w: ArrayView4<'_, T>) -> Array4<T> {
    moved(w, [3, 2, 0, 1])
}

/// Converts PyTorch's `ConvTranspose2d.weight (in, out, rows, columns)` to
/// `(rows, columns, out, in)`. With groups, `out` is `out / groups` in both.
pub fn transposed_kernel_from_pytorch<T: Scalar>(w: ArrayView4<'_, T>) -> Array4<T> {
    moved(w, [2, 3, 1, 0])
}

/// Converts `(rows, columns, out, in)` to PyTorch's `ConvTranspose2d.weight (in, out, rows,
/// columns)`.
pub fn transposed_kernel_to_pytorch<T: Scalar>(w: ArrayView4<'_, T>) -> Array4<T> {
    moved(w, [3, 2, 0, 1])
}

fn moved<T: Scalar>(array: ArrayView4<'_, T>, axes: [usize; 4]) -> Array4<T> {
    array.permuted_axes(axes).as_standard_layout().into_owned()
}
