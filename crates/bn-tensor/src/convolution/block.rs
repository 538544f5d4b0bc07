//! The blocks of images that are convolved at a time.

use super::{
    direct,
    shapes::{Sizes, To},
};
use crate::scalar::Scalar;
use std::ops::Range;

/// The most bytes of the patches of a block and its outputs, unless one row of one image takes more, or one
/// image of those that are read without patches.
/// It is also all the memory that a convolution needs. The patches are written and then read by the
/// product; twice as many no longer stay in cache.
const BLOCK: usize = 1 << 21;

/// Some images, or some rows of positions of one image.
pub(super) struct Block {
    pub(super) images: Range<usize>,
    pub(super) places: Range<usize>, // rows of positions
}

/// Blocks of as many images as fit, or else of as many rows of positions of one image.
pub(super) fn blocks<T>(sizes: &Sizes<'_>) -> impl Iterator<Item = Block> + use<T> {
    let ((rows, columns), images) = (sizes.window.output(), sizes.images);
    let is_direct = direct::is_used(sizes, To::Outputs);
    let read = match sizes.is_depthwise() || is_direct {
        true => sizes.window.image().2, // no patches are stored
        false => sizes.window.patch(),
    };
    let values = columns.saturating_mul(read.saturating_add(sizes.out));
    let row = values.saturating_mul(size_of::<T>());
    let fit = (BLOCK / row.max(1)).max(1); // rows of positions
    let rows_fit = if is_direct { rows } else { fit.min(rows) };
    let images_fit = (fit / rows).max(1);
    (0..images).step_by(images_fit).flat_map(move |image| {
        let images = image..(image + images_fit).min(images);
        (0..rows).step_by(rows_fit).map(move |row| Block {
            images: images.clone(),
            places: row..(row + rows_fit).min(rows),
        })
    })
}

/// Positions in the largest block.
pub(super) fn most_positions<T>(sizes: &Sizes<'_>) -> usize {
    let largest = blocks::<T>(sizes).next();
    largest.map_or(0, |block| block.positions(sizes))
}

/// Images in the largest block.
pub(super) fn most_images<T>(sizes: &Sizes<'_>) -> usize {
    let largest = blocks::<T>(sizes).next();
    largest.map_or(0, |block| block.images.len())
}

impl Block {
    /// The number of positions of the window in this block.
    pub(super) fn positions(&self, sizes: &Sizes<'_>) -> usize {
        self.images.len() * self.places.len() * sizes.window.output().1
    }

    /// The image and the row of positions in it that are the `i`-th row of positions in this block.
    pub(super) fn row(&self, i: usize) -> (usize, usize) {
        let rows = self.places.len();
        (self.images.start + i / rows, self.places.start + i % rows)
    }

    /// The range of this block's positions in those of all images, each of `width` values.
    pub(super) fn rows(&self, sizes: &Sizes<'_>, width: usize) -> Range<usize> {
        let (rows, columns) = sizes.window.output();
        let start = (self.images.start * rows + self.places.start) * columns * width;
        start..start + self.positions(sizes) * width
    }

    /// The range of this block's images in the pixels `(images, H·W·C)` of all images.
    pub(super) fn pixels(&self, sizes: &Sizes<'_>) -> Range<usize> {
        let len = sizes.window.image_len();
        self.images.start * len..self.images.end * len
    }

    /// Sets a row of pixels to what their sums start from, if this is the first block of their image.
    pub(super) fn begin<T: Scalar>(&self, bias: Option<&[T]>, pixels: &mut [T]) {
        if self.places.start == 0 {
            fill(bias, pixels);
        }
    }
}

/// Sets `values` to `bias` again and again, or to 0.
pub(super) fn fill<T: Scalar>(bias: Option<&[T]>, values: &mut [T]) {
    match bias {
        Some(bias) => values
            .chunks_exact_mut(bias.len())
            .for_each(|values| values.copy_from_slice(bias)),
        None => values.fill(T::zero()),
    }
}
