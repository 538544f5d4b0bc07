//! Convolutions of channels-last images, lowered to one matrix product per block of images.
//!
//! A patch is the `kernel rows × kernel columns × channels` values in the window at one position, in
//! that order, and the patches of a block are the rows of a matrix. With the weights `(patch, out)`,
//! which have the memory layout of Keras' `(rows, columns, in, out)`:
//!
//! ```text
//! convolve          y  = patches(x)·w + bias
//! …_weights         dw = patches(x)ᵀ·dout
//! …_transposed      dx = col2im(dout·wᵀ)         each pixel the sum over the patches it is in
//! ```
//!
//! The third is also a transposed convolution, whose gradients are the first two.

pub(crate) mod backward;
mod block;
pub(crate) mod epilogue;
mod im2col;
mod shapes;

use crate::{
    contiguous::{in_order, in_order_mut},
    error::{Error, same_len},
    matmul::gemm::kernel::Start,
    memory::try_resize,
    scalar::Scalar,
    window::Window,
};
use block::{blocks, largest_patches, weights_and_room};
use epilogue::Epilogue;
use ndarray::{ArrayView2, ArrayViewMut2};
use shapes::{check, matrix, matrix_mut};

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
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`]; [`Error::TooLarge`] if there is no memory for the
/// patches.
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

/// [`convolve`], and then `then` on each value of `y` while its block is still in cache.
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
    let (x, y) = (in_order(OP, &x)?, in_order_mut(OP, &mut y)?);
    let images = x.len() / window.image_len();
    let (w, room) = weights_and_room(OP, window, out, images, w, scratch)?;
    for block in blocks::<T>(window, out, images) {
        let rows = block.rows(window, out);
        let y = &mut y[rows.clone()];
        let product = matrix_mut(OP, y, block.positions(window), out)?;
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
    let (x, dout) = (in_order(OP, &x)?, in_order(OP, &dout)?);
    let (mut beta, images) = (beta, x.len() / window.image_len());
    if images == 0 {
        scale(beta, &mut dw);
    }
    try_resize(OP, scratch, &largest_patches::<T>(window, out, images))?;
    for block in blocks::<T>(window, out, images) {
        let patches = block.patches(window, out, x, scratch)?;
        let dout = &dout[block.rows(window, out)];
        let dout = matrix(OP, dout, block.positions(window), out)?;
        patches.transposed_times(dout, Start::Scaled(beta), dw.view_mut())?;
        beta = T::one();
    }
    Ok(())
}

/// `dw = beta·dw`: all that is left of [`convolve_weights`] without images. A `beta` of 0 replaces `dw`,
/// also where it is NaN.
fn scale<T: Scalar>(beta: T, dw: &mut ArrayViewMut2<'_, T>) {
    match beta == T::zero() {
        true => dw.fill(T::zero()),
        false => dw.mapv_inplace(|dw| beta * dw),
    }
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
    let (dout, dx) = (in_order(OP, &dout)?, in_order_mut(OP, &mut dx)?);
    let images = dx.len() / window.image_len();
    let (wt, room) = weights_and_room(OP, window, out, images, w.reversed_axes(), scratch)?;
    for block in blocks::<T>(window, out, images) {
        let dout = &dout[block.rows(window, out)];
        let dout = matrix(OP, dout, block.positions(window), out)?;
        let images = &mut dx[block.pixels(window)];
        block.transposed(window, dout, &wt, bias, images, room)?;
    }
    Ok(())
}
