//! The blocks of images whose patches form one matrix product.

use super::{
    im2col::{Col2Im, Im2Col},
    shapes::{matrix, matrix_mut},
};
use crate::{
    error::Error,
    matmul::{
        gemm::{
            kernel::Start,
            left::LeftHandSide,
            patches::Patches,
            right::{RightHandSide, pack_all, packed_len},
        },
        product::{gemm_is_faster, product},
    },
    memory::{checked_len, try_resize},
    parallel,
    scalar::Scalar,
    simd::vectorize,
    window::Window,
};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::ops::Range;

/// The most bytes of the patches of a block and its outputs, unless one row of one image takes more.
/// It is also all the memory that a convolution needs. The patches are written and then read by the
/// product; twice as many no longer stay in cache.
const BLOCK: usize = 1 << 21;

/// Some images, or some rows of positions of one image.
pub(super) struct Block {
    images: Range<usize>,
    places: Range<usize>, // rows of positions
}

/// Blocks of as many images as fit, or else of as many rows of positions of one image.
pub(super) fn blocks<T>(
    window: &Window,
    out: usize,
    images: usize,
) -> impl Iterator<Item = Block> + use<T> {
    let (rows, columns) = window.output();
    let values = columns.saturating_mul(window.patch().saturating_add(out));
    let row = values.saturating_mul(size_of::<T>());
    let fit = (BLOCK / row.max(1)).max(1); // rows of positions
    let (images_fit, rows_fit) = ((fit / rows).max(1), fit.min(rows));
    (0..images).step_by(images_fit).flat_map(move |image| {
        let images = image..(image + images_fit).min(images);
        (0..rows).step_by(rows_fit).map(move |row| Block {
            images: images.clone(),
            places: row..(row + rows_fit).min(rows),
        })
    })
}

/// The shape `(positions, patch)` of the patches of the largest block.
pub(super) fn largest_patches<T>(window: &Window, out: usize, images: usize) -> [usize; 2] {
    let largest = blocks::<T>(window, out, images).next();
    let positions = largest.map_or(0, |block| block.positions(window));
    [positions, window.patch()]
}

/// The weights `(K, N)`, packed if the products of all blocks need them packed, and room for the patches
/// of a block.
pub(super) fn weights_and_room<'a, T: Scalar>(
    op: &'static str,
    window: &Window,
    out: usize,
    images: usize,
    weights: ArrayView2<'a, T>,
    buffer: &'a mut Vec<T>,
) -> Result<(RightHandSide<'a, T>, &'a mut [T]), Error> {
    let shape = largest_patches::<T>(window, out, images);
    let patches = checked_len::<T>(op, &shape)?;
    let (k, n) = weights.dim();
    let packs = gemm_is_faster(shape[0], n, k, false);
    let packed = if packs { packed_len::<T>(k, n) } else { 0 };
    try_resize(op, buffer, &[packed.saturating_add(patches)])?;
    let (packed, room) = buffer.split_at_mut(packed);
    Ok(match packs {
        true => (RightHandSide::Packed(pack_all(weights, packed)), room),
        false => (RightHandSide::Matrix(weights), room),
    })
}

/// The patches of a block, one in each row, as the left-hand side of a product.
pub(super) enum PatchMatrix<'a, T> {
    Stored(ArrayView2<'a, T>), // (places, patch)
    Implicit(Patches<'a, T>),  // packed from the images by the product
}

impl<'a, T: Scalar> PatchMatrix<'a, T> {
    /// `c = patches·w + start`.
    pub(super) fn times(
        self,
        w: RightHandSide<'a, T>,
        start: Start<'a, T>,
        c: ArrayViewMut2<'a, T>,
    ) -> Result<(), Error> {
        let a = match self {
            Self::Stored(patches) => LeftHandSide::Matrix(patches),
            Self::Implicit(patches) => LeftHandSide::Patches(patches),
        };
        product("convolve", a, w, start, c)
    }

    /// `c = patchesᵀ·dout + start`.
    pub(super) fn transposed_times(
        self,
        dout: ArrayView2<'a, T>,
        start: Start<'a, T>,
        c: ArrayViewMut2<'a, T>,
    ) -> Result<(), Error> {
        let a = match self {
            Self::Stored(patches) => LeftHandSide::Matrix(patches.reversed_axes()),
            Self::Implicit(patches) => LeftHandSide::PatchesT(patches),
        };
        product("convolve_weights", a, RightHandSide::Matrix(dout), start, c)
    }
}

impl Block {
    /// The number of positions of the window in this block.
    pub(super) fn positions(&self, window: &Window) -> usize {
        self.images.len() * self.places.len() * window.output().1
    }

    /// The range of this block's values in the rows `(places, out)` of all images.
    pub(super) fn rows(&self, window: &Window, out: usize) -> Range<usize> {
        let (rows, columns) = window.output();
        let start = (self.images.start * rows + self.places.start) * columns * out;
        start..start + self.positions(window) * out
    }

    /// The range of this block's images in the pixels `(images, H·W·C)` of all images.
    pub(super) fn pixels(&self, window: &Window) -> Range<usize> {
        self.images.start * window.image_len()..self.images.end * window.image_len()
    }

    /// For each pixel, `Σ dout·wᵀ` over the patches of this block that it is in, for
    /// `dout: (rows, out)`. The first block of an image writes to `images`, the others add to them.
    pub(super) fn transposed<T: Scalar>(
        &self,
        window: &Window,
        dout: ArrayView2<'_, T>,
        wt: &RightHandSide<'_, T>, // (out, patch)
        bias: Option<&[T]>,
        images: &mut [T],
        room: &mut [T],
    ) -> Result<(), Error> {
        const OP: &str = "convolve_transposed";
        let (dout, start) = (LeftHandSide::Matrix(dout.view()), Start::Scaled(T::zero()));
        let count = dout.dim().0;
        if window.is_pointwise() && bias.is_none() {
            let images = matrix_mut(OP, images, count, window.patch())?;
            return product(OP, dout, wt.reborrow(), start, images);
        }
        let patches = &mut room[..count * window.patch()];
        let all = matrix_mut(OP, patches, count, window.patch())?;
        product(OP, dout, wt.reborrow(), start, all)?;
        self.col2im(window, patches, bias, images);
        Ok(())
    }

    /// The patches of this block; `room` is used if they must be stored.
    pub(super) fn patches<'a, T: Scalar>(
        &self,
        window: &'a Window,
        out: usize,
        x: &'a [T],
        room: &'a mut [T],
    ) -> Result<PatchMatrix<'a, T>, Error> {
        let (patch, columns) = (window.patch(), window.output().1);
        let places = self.rows(window, 1);
        let count = places.len();
        if window.is_pointwise() {
            return Ok(PatchMatrix::Stored(matrix(
                "patches",
                &x[self.rows(window, patch)],
                count,
                patch,
            )?));
        }
        if Patches::<T>::can_pack(window) && gemm_is_faster(count, out, patch, false) {
            let parts = 0..patch;
            return Ok(PatchMatrix::Implicit(Patches {
                window,
                x,
                places,
                parts,
            }));
        }
        let room = &mut room[..count * patch];
        let row = columns * patch;
        let work = room.len();
        parallel::for_each_piece(&mut *room, row, work, &|start, patches: &mut [T]| {
            let place = start / row;
            let image = self.images.start + place / self.places.len();
            let image = &x[image * window.image_len()..][..window.image_len()];
            let row = self.places.start + place % self.places.len();
            vectorize(Im2Col {
                window,
                image,
                row,
                patches,
            });
        });
        Ok(PatchMatrix::Stored(matrix("patches", room, count, patch)?))
    }

    /// Adds to each pixel its values in the patches. The first block of an image starts from `bias`.
    fn col2im<T: Scalar>(
        &self,
        window: &Window,
        patches: &[T],
        bias: Option<&[T]>,
        images: &mut [T],
    ) {
        let (height, width, channels) = window.image();
        let work = patches.len();
        parallel::for_each_piece(
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
                vectorize(Col2Im {
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
