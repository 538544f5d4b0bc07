//! Convolutions of channels-last images, [`direct`] or lowered to one matrix product per block of images.
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
//!
//! A grouped convolution divides the channels and the outputs into groups, and each group of outputs sees
//! one group of channels. Its weights are `(patch / groups, out)`, from which the number of groups follows.
//! There is one product for each group, of some columns of the patches. If each group has one channel, the
//! convolution is [`depthwise`], and loops over the channels replace the products.

pub(crate) mod backward;
mod block;
mod depthwise;
mod direct;
pub(crate) mod epilogue;
mod im2col;
mod lowered;
mod shapes;

use crate::{
    contiguous::{in_order, in_order_mut},
    error::{Error, same_len},
    matmul::vector::scale,
    memory::try_resize,
    scalar::Scalar,
    window::Window,
};
use block::blocks;
use epilogue::Epilogue;
use lowered::{room_len, weights_and_room};
use ndarray::{ArrayView2, ArrayViewMut2};
use shapes::{Sizes, To};

/// `y = convolution(x, w) + bias` for `n` images `x: (n, H·W·C)`, weights `w: (patch, out)`,
/// `bias: (out)` and `y: (n, places·out)`. PyTorch and Keras call this a convolution; it is a
/// cross-correlation. Naive form: [`naive::convolve`](crate::naive::convolve).
///
/// With weights `(patch / groups, out)` the convolution is grouped: outputs `g·out/groups` and following
/// see only channels `g·C/groups` and following, as in PyTorch's and Keras' `groups`. This holds for all
/// functions here.
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
/// patches. The weights may have any memory layout, except those of groups of one channel; the gradient of the
/// weights must be in standard layout.
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
    let sizes = Sizes::check(OP, window, x.dim(), w.dim(), y.dim())?;
    same_len(OP, sizes.out, bias.map_or(sizes.out, <[T]>::len))?;
    let (x, y) = (in_order(OP, &x)?, in_order_mut(OP, &mut y)?);
    let (w, room) = weights_and_room(OP, &sizes, &w, To::Outputs, scratch)?;
    for block in blocks::<T>(&sizes) {
        let rows = block.rows(&sizes, sizes.out);
        let y = &mut y[rows.clone()];
        block.convolve(&sizes, x, &w, bias, y, room)?;
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
    let sizes = Sizes::check(OP, window, x.dim(), dw.dim(), dout.dim())?;
    let (x, dout) = (in_order(OP, &x)?, in_order(OP, &dout)?);
    if sizes.images == 0 {
        scale(&mut dw, beta); // all that is left
    }
    try_resize(OP, scratch, &[room_len::<T>(OP, &sizes)?])?;
    let mut beta = beta;
    for block in blocks::<T>(&sizes) {
        let dout = &dout[block.rows(&sizes, sizes.out)];
        block.weights(&sizes, x, dout, beta, dw.view_mut(), scratch)?;
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
    let sizes = Sizes::check(OP, window, dx.dim(), w.dim(), dout.dim())?;
    let channels = window.image().2;
    same_len(OP, channels, bias.map_or(channels, <[T]>::len))?;
    let (dout, dx) = (in_order(OP, &dout)?, in_order_mut(OP, &mut dx)?);
    let (w, room) = weights_and_room(OP, &sizes, &w, To::Images, scratch)?;
    for block in blocks::<T>(&sizes) {
        let dout = &dout[block.rows(&sizes, sizes.out)];
        let images = &mut dx[block.pixels(&sizes)];
        block.transposed(&sizes, dout, &w, bias, images, room)?;
    }
    Ok(())
}
