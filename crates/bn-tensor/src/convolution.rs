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

use crate::{
    Error, Scalar, Window,
    error::same_len,
    matmul, matmul_nt, matmul_plus_row, matmul_tn, par,
    simd::{NullaryFnOnce, vectorize},
};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::ops::Range;

/// Bytes of the patches of a block, which is also all the memory that a convolution takes (or those
/// of one row of one image, if that is more). They are written and then read by the product: twice
/// as many no longer stay in the caches.
const BLOCK: usize = 1 << 21;

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
    mut y: ArrayViewMut2<'_, T>,
    scratch: &mut Vec<T>,
) -> Result<(), Error> {
    const OP: &str = "convolve";
    let out = check(OP, window, x.dim(), w.dim(), y.dim())?;
    same_len(OP, out, bias.map_or(out, <[T]>::len))?;
    let (x, y) = (read(OP, &x)?, write(OP, &mut y)?);
    for block in blocks::<T>(window, x.len() / window.image_len()) {
        let patches = block.patches(window, x, scratch)?;
        let y = &mut y[block.rows(window, out)];
        let y = ArrayViewMut2::from_shape((patches.nrows(), out), y).map_err(|_| bug(OP))?;
        match bias {
            Some(bias) => matmul_plus_row(patches, w, bias, y)?,
            None => matmul(patches, w, T::zero(), y)?,
        }
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
    let mut beta = beta;
    for block in blocks::<T>(window, x.len() / window.image_len()) {
        let patches = block.patches(window, x, scratch)?;
        let dout = &dout[block.rows(window, out)];
        let dout = ArrayView2::from_shape((patches.nrows(), out), dout).map_err(|_| bug(OP))?;
        matmul_tn(patches, dout, beta, dw.view_mut())?;
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
    for block in blocks::<T>(window, dx.len() / window.image_len()) {
        let rows = block.rows(window, out);
        let count = rows.len() / out.max(1);
        let dout = ArrayView2::from_shape((count, out), &dout[rows]).map_err(|_| bug(OP))?;
        let images = &mut dx[block.images.start * window.image_len()..]
            [..block.images.len() * window.image_len()];
        if window.is_pointwise() && bias.is_none() {
            let images =
                ArrayViewMut2::from_shape((count, window.patch()), images).map_err(|_| bug(OP))?;
            matmul_nt(dout, w, T::zero(), images)?;
            continue;
        }
        scratch.resize(count * window.patch(), T::zero());
        let patches = ArrayViewMut2::from_shape((count, window.patch()), &mut scratch[..])
            .map_err(|_| bug(OP))?;
        matmul_nt(dout, w, T::zero(), patches)?;
        block.unpatch(window, scratch, bias, images);
    }
    Ok(())
}

/// Some images, or some rows of places of one image.
struct Block {
    images: Range<usize>,
    places: Range<usize>, // rows of them
}

/// Blocks of as many images as fit, or of as many rows of places of one image.
fn blocks<T>(window: &Window, images: usize) -> impl Iterator<Item = Block> + use<T> {
    let (rows, columns) = window.output();
    let row = columns * window.patch() * size_of::<T>();
    let fit = (BLOCK / row.max(1)).max(1); // rows of places
    let (images_fit, rows_fit) = ((fit / rows).max(1), fit.min(rows));
    (0..images).step_by(images_fit).flat_map(move |image| {
        let images = image..(image + images_fit).min(images);
        (0..rows).step_by(rows_fit).map(move |row| Block {
            images: images.clone(),
            places: row..(row + rows_fit).min(rows),
        })
    })
}

impl Block {
    /// Of the rows `(places, out)` of all images, those of this block, as values.
    fn rows(&self, window: &Window, out: usize) -> Range<usize> {
        let (rows, columns) = window.output();
        let start = (self.images.start * rows + self.places.start) * columns * out;
        start..start + self.images.len() * self.places.len() * columns * out
    }

    /// The patches, one a row: `(images·places, patch)`.
    fn patches<'a, T: Scalar>(
        &self,
        window: &Window,
        x: &'a [T],
        scratch: &'a mut Vec<T>,
    ) -> Result<ArrayView2<'a, T>, Error> {
        let (patch, columns) = (window.patch(), window.output().1);
        let count = self.images.len() * self.places.len() * columns;
        if window.is_pointwise() {
            let x = &x[self.rows(window, patch)];
            return ArrayView2::from_shape((count, patch), x).map_err(|_| bug("patches"));
        }
        scratch.resize(count * patch, T::zero());
        let row = columns * patch;
        let work = scratch.len();
        par::for_each_piece(&mut scratch[..], row, work, &|start, patches: &mut [T]| {
            let place = start / row;
            let image = self.images.start + place / self.places.len();
            let image = &x[image * window.image_len()..][..window.image_len()];
            let row = self.places.start + place % self.places.len();
            vectorize(Patches {
                window,
                image,
                row,
                patches,
            });
        });
        ArrayView2::from_shape((count, patch), &scratch[..]).map_err(|_| bug("patches"))
    }

    /// Adds each pixel's values in the patches; the first block of an image begins with `bias`.
    fn unpatch<T: Scalar>(
        &self,
        window: &Window,
        patches: &[T],
        bias: Option<&[T]>,
        images: &mut [T],
    ) {
        let (height, width, channels) = window.image();
        let work = patches.len();
        par::for_each_piece(
            images,
            width * channels,
            work,
            &|start, pixels: &mut [T]| {
                let (image, y) = (
                    start / (width * channels) / height,
                    start / (width * channels) % height,
                );
                if self.places.start == 0 {
                    match bias {
                        Some(bias) => pixels
                            .chunks_exact_mut(channels)
                            .for_each(|p| p.copy_from_slice(bias)),
                        None => pixels.fill(T::zero()),
                    }
                }
                let image = self.places.len() * window.output().1 * window.patch() * image;
                vectorize(Unpatch {
                    window,
                    patches: &patches[image..],
                    places: self.places.clone(),
                    y,
                    pixels,
                });
            },
        );
    }
}

/// The patches of one row of places of an image.
struct Patches<'a, T> {
    window: &'a Window,
    image: &'a [T], // (H, W, C)
    row: usize,
    patches: &'a mut [T], // (columns, patch)
}

impl<T: Scalar> NullaryFnOnce for Patches<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            image,
            row,
            patches,
        } = self;
        let ((_, width, channels), (_, kernel)) = (window.image(), window.kernel());
        let (lines, y) = window.clip_rows(row);
        for (column, patch) in patches.chunks_exact_mut(window.patch()).enumerate() {
            let (across, x) = window.clip_columns(column);
            let len = across.len() * channels;
            if len < kernel * channels || lines.len() < window.kernel().0 {
                patch.fill(T::zero()); // what lies outside the image
            }
            for (y, line) in (y..).zip(lines.clone()) {
                let from = &image[(y * width + x) * channels..][..len];
                let to = &mut patch[(line * kernel + across.start) * channels..][..len];
                for (to, from) in to.iter_mut().zip(from) {
                    *to = *from;
                }
            }
        }
    }
}

/// What the patches of some rows of places add to one row of pixels.
struct Unpatch<'a, T> {
    window: &'a Window,
    patches: &'a [T], // of the image: (places, patch)
    places: Range<usize>,
    y: usize,
    pixels: &'a mut [T], // (W, C)
}

impl<T: Scalar> NullaryFnOnce for Unpatch<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            patches,
            places,
            y,
            pixels,
        } = self;
        let (channels, (lines, kernel)) = (window.image().2, window.kernel());
        let columns = window.output().1;
        for line in 0..lines {
            let Some(row) = window.place_row(y, line).filter(|row| places.contains(row)) else {
                continue;
            };
            let patches = &patches[(row - places.start) * columns * window.patch()..];
            for (column, patch) in patches
                .chunks_exact(window.patch())
                .take(columns)
                .enumerate()
            {
                let (across, x) = window.clip_columns(column);
                let from =
                    &patch[(line * kernel + across.start) * channels..][..across.len() * channels];
                for (pixel, from) in pixels[x * channels..].iter_mut().zip(from) {
                    *pixel += *from;
                }
            }
        }
    }
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

/// What cannot happen: the blocks are cut from shapes that were checked.
fn bug(op: &'static str) -> Error {
    Error::NotContiguous { op }
}
