//! The images that are turned into patches at a time.

use super::{matrix, matrix_mut};
use crate::{
    Error, Scalar, Window,
    gemm::{Factor, Patches, Right, Start},
    matmul::{is_ours, product},
    par,
    simd::{NullaryFnOnce, vectorize},
};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::ops::Range;

/// Bytes of the patches of a block and of its outputs, which is also all the memory that a convolution
/// takes (or those of one row of one image, if that is more). They are written and then read by the
/// product: twice as many no longer stay in the caches.
const BLOCK: usize = 1 << 21;

/// Some images, or some rows of places of one image.
pub(super) struct Block {
    images: Range<usize>,
    places: Range<usize>, // rows of them
}

/// Blocks of as many images as fit, or of as many rows of places of one image.
pub(super) fn blocks<T>(
    window: &Window,
    out: usize,
    images: usize,
) -> impl Iterator<Item = Block> + use<T> {
    let (rows, columns) = window.output();
    let row = columns * (window.patch() + out) * size_of::<T>();
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

/// The values of the patches of the largest block.
pub(super) fn room_for_patches<T>(window: &Window, out: usize, images: usize) -> usize {
    let largest = blocks::<T>(window, out, images).next();
    largest.map_or(0, |block| block.rows(window, window.patch()).len())
}

/// The weights `(K, N)` as all blocks' products take them, and room for the patches of a block.
pub(super) fn weights_and_room<'a, T: Scalar>(
    window: &Window,
    out: usize,
    images: usize,
    weights: ArrayView2<'a, T>,
    buffer: &'a mut Vec<T>,
) -> (Right<'a, T>, &'a mut [T]) {
    let patches = room_for_patches::<T>(window, out, images);
    let (k, n) = weights.dim();
    let packs = is_ours(patches / window.patch(), n, k, false);
    let packed = if packs { T::packed_len(k, n) } else { 0 };
    buffer.resize(packed + patches, T::zero());
    let (packed, room) = buffer.split_at_mut(packed);
    match packs {
        true => (Right::Packed(T::pack_right(weights, packed)), room),
        false => (Right::Matrix(weights), room),
    }
}

/// The patches of a block as the factor of a product.
pub(super) enum Patched<'a, T> {
    Written(ArrayView2<'a, T>),
    Unwritten(Patches<'a, T>),
}

impl<'a, T: Scalar> Patched<'a, T> {
    /// `c = patches·w + start`.
    pub(super) fn times(
        self,
        w: Right<'a, T>,
        start: Start<'a, T>,
        c: ArrayViewMut2<'a, T>,
    ) -> Result<(), Error> {
        let a = match self {
            Self::Written(patches) => Factor::Matrix(patches),
            Self::Unwritten(patches) => Factor::Patches(patches),
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
            Self::Written(patches) => Factor::Matrix(patches.reversed_axes()),
            Self::Unwritten(patches) => Factor::PatchesT(patches),
        };
        product("convolve_weights", a, Right::Matrix(dout), start, c)
    }
}

impl Block {
    /// Of the rows `(places, out)` of all images, those of this block, as values.
    pub(super) fn rows(&self, window: &Window, out: usize) -> Range<usize> {
        let (rows, columns) = window.output();
        let start = (self.images.start * rows + self.places.start) * columns * out;
        start..start + self.images.len() * self.places.len() * columns * out
    }

    /// Of the pixels `(images, H·W·C)` of all images, those of this block's images.
    pub(super) fn pixels(&self, window: &Window) -> Range<usize> {
        self.images.start * window.image_len()..self.images.end * window.image_len()
    }

    /// Writes, or adds to what the blocks before have written, `Σ dout·wᵀ` over the patches that a
    /// pixel is in, for `dout: (rows, out)`.
    pub(super) fn transpose<T: Scalar>(
        &self,
        window: &Window,
        dout: ArrayView2<'_, T>,
        wt: &Right<'_, T>, // (out, patch)
        bias: Option<&[T]>,
        images: &mut [T],
        room: &mut [T],
    ) -> Result<(), Error> {
        const OP: &str = "convolve_transposed";
        let (dout, start) = (Factor::Matrix(dout.view()), Start::Scaled(T::zero()));
        let count = dout.dim().0;
        if window.is_pointwise() && bias.is_none() {
            let images = matrix_mut(OP, images, count, window.patch())?;
            return product(OP, dout, wt.reborrow(), start, images);
        }
        let patches = &mut room[..count * window.patch()];
        let all = matrix_mut(OP, patches, count, window.patch())?;
        product(OP, dout, wt.reborrow(), start, all)?;
        self.unpatch(window, patches, bias, images);
        Ok(())
    }

    /// The patches, one a row: `(places, patch)`.
    pub(super) fn patches<'a, T: Scalar>(
        &self,
        window: &'a Window,
        out: usize,
        x: &'a [T],
        room: &'a mut [T],
    ) -> Result<Patched<'a, T>, Error> {
        let (patch, columns) = (window.patch(), window.output().1);
        let places = self.rows(window, 1);
        let count = places.len();
        if window.is_pointwise() {
            return Ok(Patched::Written(matrix(
                "patches",
                &x[self.rows(window, patch)],
                patch,
            )?));
        }
        if Patches::<T>::can_pack(window) && is_ours(count, out, patch, false) {
            let parts = 0..patch;
            return Ok(Patched::Unwritten(Patches {
                window,
                x,
                places,
                parts,
            }));
        }
        let room = &mut room[..count * patch];
        let row = columns * patch;
        let work = room.len();
        par::for_each_piece(&mut *room, row, work, &|start, patches: &mut [T]| {
            let place = start / row;
            let image = self.images.start + place / self.places.len();
            let image = &x[image * window.image_len()..][..window.image_len()];
            let row = self.places.start + place % self.places.len();
            vectorize(Patch {
                window,
                image,
                row,
                patches,
            });
        });
        Ok(Patched::Written(matrix("patches", room, patch)?))
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
struct Patch<'a, T> {
    window: &'a Window,
    image: &'a [T], // (H, W, C)
    row: usize,
    patches: &'a mut [T], // (columns, patch)
}

impl<T: Scalar> NullaryFnOnce for Patch<'_, T> {
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
