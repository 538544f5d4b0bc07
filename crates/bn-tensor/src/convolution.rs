//! Convolutions of channels-last images, lowered to one matrix product a block of images.
//!
//! A patch is what the window sees at one place, `kernel rows × kernel columns × channels` values in
//! that order, and the patches of a block are the rows of a matrix. With the weights `(patch, out)`,
//! which are Keras' `(rows, columns, in, out)` as they stand in memory:
//!
//! ```text
//! convolve          y  = patches(x)·w + bias
//! …_weights         dw = patches(x)ᵀ·dout
//! …_transposed      dx = unpatch(dout·wᵀ)        each pixel the sum over the patches it is in
//! ```
//!
//! The third is also a transposed convolution, whose gradients are the first two.

mod backward;
mod block;

pub use backward::{ConvolutionGradients, ConvolutionScratch, convolve_backward};

use crate::{Epilogue, Error, Scalar, Window, error::same_len, gemm::Start};
use block::{blocks, room_for_patches, weights_and_room};
use ndarray::{ArrayView2, ArrayViewMut2};

/// `y = convolution(x, w) + bias` for `n` images `x: (n, H·W·C)`, weights `w: (patch, out)`,
/// `bias: (out)` and `y: (n, places·out)`. PyTorch and Keras call this a convolution; it is a
/// cross-correlation. Naive form: [`naive::convolve`](crate::naive::convolve).
///
/// ```
/// use bn_tensor::{Padding, Window, convolve};
/// use ndarray::{Array2, array};
/// // The sum of 2×2 neighbours of an image of 2×3 pixels.
/// let window = Window::new((2, 3, 1), (2, 2), (1, 1), Padding::Valid)?;
/// let (x, w) = (array![[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], Array2::ones((4, 1)));
/// let mut y = Array2::zeros((1, 2));
/// convolve(&window, x.view(), w.view(), None, y.view_mut(), &mut Vec::new())?;
/// assert_eq!(y, array![[12.0, 16.0]]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn convolve<T: Scalar>(
    window: &Window,
    x: ArrayView2<'_, T>,
    w: ArrayView2<'_, T>,
    bias: Option<&[T]>,
    y: ArrayViewMut2<'_, T>,
    scratch: &mut Vec<T>,
) -> Result<(), Error> {
    convolve_then(window, x, w, bias, &Epilogue::NONE, y, scratch)
}

/// [`convolve`], and the epilogue on its values.
///
/// # Errors
/// As [`convolve`].
pub fn convolve_then<T: Scalar>(
    window: &Window,
    x: ArrayView2<'_, T>,
    w: ArrayView2<'_, T>,
    bias: Option<&[T]>,
    then: &Epilogue<T>,
    mut y: ArrayViewMut2<'_, T>,
    scratch: &mut Vec<T>,
) -> Result<(), Error> {
    const OP: &str = "convolve";
    let out = check(OP, window, x.dim(), w.dim(), y.dim())?;
    same_len(OP, out, bias.map_or(out, <[T]>::len))?;
    let (x, y) = (read(OP, &x)?, write(OP, &mut y)?);
    let images = x.len() / window.image_len();
    let (w, room) = weights_and_room(window, out, images, w, scratch);
    for block in blocks::<T>(window, out, images) {
        let rows = block.rows(window, out);
        let y = &mut y[rows.clone()];
        let product = matrix_mut(OP, y, rows.len() / out.max(1), out)?;
        let patches = block.patches(window, out, x, room)?;
        patches.times(
            w.reborrow(),
            bias.map_or(Start::Scaled(T::zero()), Start::Row),
            product,
        )?;
        then.forward(rows.start, y);
    }
    Ok(())
}

/// `dw = beta·dw + patches(x)ᵀ·dout`, the gradient of [`convolve`] with respect to its weights, for
/// `dout: (n, places·out)`; all blocks' products are summed in order.
///
/// # Errors
/// As [`convolve`].
pub fn convolve_weights<T: Scalar>(
    window: &Window,
    x: ArrayView2<'_, T>,
    dout: ArrayView2<'_, T>,
    beta: T,
    mut dw: ArrayViewMut2<'_, T>,
    scratch: &mut Vec<T>,
) -> Result<(), Error> {
    const OP: &str = "convolve_weights";
    let out = check(OP, window, x.dim(), dw.dim(), dout.dim())?;
    let (x, dout) = (read(OP, &x)?, read(OP, &dout)?);
    let (mut beta, images) = (beta, x.len() / window.image_len());
    scratch.resize(room_for_patches::<T>(window, out, images), T::zero());
    for block in blocks::<T>(window, out, images) {
        let patches = block.patches(window, out, x, scratch)?;
        let dout = matrix(OP, &dout[block.rows(window, out)], out)?;
        patches.transposed_times(dout, Start::Scaled(beta), dw.view_mut())?;
        beta = T::one();
    }
    Ok(())
}

/// `dx = bias + Σ dout·wᵀ` over the patches that a pixel is in: the gradient of [`convolve`] with
/// respect to its images, or a transposed convolution of `dout: (n, places·out)` to images
/// `dx: (n, H·W·C)`, whose `bias: (C)`.
///
/// # Errors
/// As [`convolve`].
pub fn convolve_transposed<T: Scalar>(
    window: &Window,
    dout: ArrayView2<'_, T>,
    w: ArrayView2<'_, T>,
    bias: Option<&[T]>,
    mut dx: ArrayViewMut2<'_, T>,
    scratch: &mut Vec<T>,
) -> Result<(), Error> {
    const OP: &str = "convolve_transposed";
    let out = check(OP, window, dx.dim(), w.dim(), dout.dim())?;
    let channels = window.image().2;
    same_len(OP, channels, bias.map_or(channels, <[T]>::len))?;
    let (dout, dx) = (read(OP, &dout)?, write(OP, &mut dx)?);
    let images = dx.len() / window.image_len();
    let (wt, room) = weights_and_room(window, out, images, w.reversed_axes(), scratch);
    for block in blocks::<T>(window, out, images) {
        let dout = matrix(OP, &dout[block.rows(window, out)], out)?;
        let images = &mut dx[block.pixels(window)];
        block.transpose(window, dout, &wt, bias, images, room)?;
    }
    Ok(())
}

/// The number of output channels, when `images: (n, H·W·C)`, `w: (patch, out)` and
/// `y: (n, places·out)` fit.
fn check(
    op: &'static str,
    window: &Window,
    images: (usize, usize),
    w: (usize, usize),
    y: (usize, usize),
) -> Result<usize, Error> {
    let (n, out) = (images.0, w.1);
    for (expected, got) in [
        ((n, window.image_len()), images),
        ((window.patch(), out), w),
        ((n, window.places() * out), y),
    ] {
        if expected != got {
            return Err(Error::shape(op, &[expected.0, expected.1], &[got.0, got.1]));
        }
    }
    Ok(out)
}

fn read<'a, T>(op: &'static str, x: &'a ArrayView2<'_, T>) -> Result<&'a [T], Error> {
    x.as_slice().ok_or(Error::NotContiguous { op })
}

fn write<'a, T>(op: &'static str, x: &'a mut ArrayViewMut2<'_, T>) -> Result<&'a mut [T], Error> {
    x.as_slice_mut().ok_or(Error::NotContiguous { op })
}

/// The rows `(rows, columns)` that the values are.
fn matrix<'a, T>(
    op: &'static str,
    values: &'a [T],
    columns: usize,
) -> Result<ArrayView2<'a, T>, Error> {
    ArrayView2::from_shape((values.len() / columns.max(1), columns), values).map_err(|_| bug(op))
}

fn matrix_mut<'a, T>(
    op: &'static str,
    values: &'a mut [T],
    rows: usize,
    columns: usize,
) -> Result<ArrayViewMut2<'a, T>, Error> {
    ArrayViewMut2::from_shape((rows, columns), values).map_err(|_| bug(op))
}

/// What cannot happen: the blocks are cut from shapes that were checked.
fn bug(op: &'static str) -> Error {
    Error::NotContiguous { op }
}
