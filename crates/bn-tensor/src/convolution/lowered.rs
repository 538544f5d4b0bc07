//! The convolution of a block as matrix products.

use super::{
    block::{Block, most_images, most_positions},
    depthwise, direct,
    im2col::{Col2Im, Im2Col},
    shapes::{Sizes, To, matrix, matrix_mut},
};
use crate::{
    contiguous::{in_order, in_order_mut},
    error::Error,
    matmul::{
        gemm::{
            kernel::Start,
            left::LeftHandSide,
            patches::Patches,
            right::{RightHandSide, pack_all, packed_len},
        },
        product::{gemm_is_faster, product},
        vector::scale,
    },
    memory::{checked_len, try_resize},
    parallel,
    scalar::Scalar,
    simd::vectorize,
};
use ndarray::{ArrayView2, ArrayViewMut2, s};

/// The weights `(patch / groups, out)` of a convolution, as the blocks use them.
pub(super) enum Weights<'a, T> {
    /// The right-hand side of one product. To the images, of the transposed weights `(out, patch)`.
    Product(RightHandSide<'a, T>),
    /// Those of one product for each group.
    Groups(ArrayView2<'a, T>),
    Depthwise(&'a [T]), // (kernel, out)
    Direct(&'a [T]),    // packed
}

/// The length of the room for a block.
pub(super) fn room_len<T>(op: &'static str, sizes: &Sizes<'_>) -> Result<usize, Error> {
    let positions = most_positions::<T>(sizes);
    if sizes.is_depthwise() {
        return checked_len::<T>(op, &depthwise::room(sizes, positions));
    }
    let are_direct = [To::Outputs, To::Images].map(|to| direct::is_used(sizes, to));
    let direct = match are_direct {
        [false, false] => 0,
        _ => direct::room_len::<T>(op, sizes, most_images::<T>(sizes))?,
    };
    let patches = match are_direct {
        [true, true] => 0,
        _ => checked_len::<T>(op, &[positions, sizes.window.patch()])?,
    };
    Ok(direct.max(patches))
}

/// The weights, packed if the products of all blocks need them packed, and the room for a block.
pub(super) fn weights_and_room<'a, T: Scalar>(
    op: &'static str,
    sizes: &Sizes<'_>,
    w: &'a ArrayView2<'_, T>,
    to: To,
    buffer: &'a mut Vec<T>,
) -> Result<(Weights<'a, T>, &'a mut [T]), Error> {
    let room = room_len::<T>(op, sizes)?;
    let w_of_product = match to {
        To::Outputs => w.view(),
        To::Images => w.view().reversed_axes(),
    };
    let (k, n) = w_of_product.dim();
    let is_direct = direct::is_used(sizes, to);
    let packs =
        sizes.groups == 1 && !is_direct && gemm_is_faster(most_positions::<T>(sizes), n, k, false);
    let packed = if is_direct {
        direct::packed_len::<T>(sizes, to)
    } else if packs {
        packed_len::<T>(k, n)
    } else {
        0
    };
    try_resize(op, buffer, &[packed.saturating_add(room)])?;
    let (packed, room) = buffer.split_at_mut(packed);
    let weights = if is_direct {
        Weights::Direct(direct::pack_all(sizes, to, w.view(), packed))
    } else if sizes.is_depthwise() {
        Weights::Depthwise(in_order(op, w)?)
    } else if sizes.groups > 1 {
        Weights::Groups(w.view())
    } else if packs {
        Weights::Product(RightHandSide::Packed(pack_all(w_of_product, packed)))
    } else {
        Weights::Product(RightHandSide::Matrix(w_of_product))
    };
    Ok((weights, room))
}

/// The patches of a block, one in each row, as the left-hand side of a product.
enum PatchMatrix<'a, T> {
    Stored(ArrayView2<'a, T>), // (places, patch)
    Implicit(Patches<'a, T>),  // packed from the images by the product
}

impl<'a, T> PatchMatrix<'a, T> {
    /// The patches `(places, patch)`.
    fn rows(self) -> LeftHandSide<'a, T> {
        match self {
            Self::Stored(patches) => LeftHandSide::Matrix(patches),
            Self::Implicit(patches) => LeftHandSide::Patches(patches),
        }
    }

    /// The patches `(patch, places)`.
    fn columns(self) -> LeftHandSide<'a, T> {
        match self {
            Self::Stored(patches) => LeftHandSide::Matrix(patches.reversed_axes()),
            Self::Implicit(patches) => LeftHandSide::PatchesT(patches),
        }
    }
}

impl Block {
    /// `y = convolution(x, w) + bias` for the images `x` of all blocks and the outputs `y: (places, out)`
    /// of this block.
    pub(super) fn convolve<T: Scalar>(
        &self,
        sizes: &Sizes<'_>,
        x: &[T],
        w: &Weights<'_, T>,
        bias: Option<&[T]>,
        y: &mut [T],
        room: &mut [T],
    ) -> Result<(), Error> {
        const OP: &str = "convolve";
        let count = self.positions(sizes);
        match w {
            Weights::Product(w) => {
                let y = matrix_mut(OP, y, count, sizes.out)?;
                let patches = self.patches(sizes, x, room)?.rows();
                product(OP, patches, w.reborrow(), start(bias), y)
            }
            Weights::Groups(w) => {
                let mut y = matrix_mut(OP, y, count, sizes.out)?;
                let patches = self.stored_patches(sizes, x, room)?;
                for group in 0..sizes.groups {
                    let (ks, os) = sizes.group(group);
                    let a = LeftHandSide::Matrix(patches.slice(s![.., ks]));
                    let b = RightHandSide::Matrix(w.slice(s![.., os.clone()]));
                    let start = start(bias.map(|bias| &bias[os.clone()]));
                    product(OP, a, b, start, y.slice_mut(s![.., os]))?;
                }
                Ok(())
            }
            Weights::Depthwise(w) => {
                depthwise::convolve(self, sizes, x, w, bias, y);
                Ok(())
            }
            Weights::Direct(w) => {
                let x = &x[self.pixels(sizes)];
                direct::convolve(sizes, To::Outputs, x, w, bias, y, room);
                Ok(())
            }
        }
    }

    /// `dw = beta·dw + patches(x)ᵀ·dout` for the images `x` of all blocks and the gradient
    /// `dout: (places, out)` of this block's outputs.
    pub(super) fn weights<T: Scalar>(
        &self,
        sizes: &Sizes<'_>,
        x: &[T],
        dout: &[T],
        beta: T,
        mut dw: ArrayViewMut2<'_, T>,
        room: &mut [T],
    ) -> Result<(), Error> {
        const OP: &str = "convolve_weights";
        if sizes.is_depthwise() {
            return depthwise::weights(OP, self, sizes, [x, dout], beta, &mut dw, room);
        }
        if direct::is_used(sizes, To::Outputs) {
            let (x, dw) = (&x[self.pixels(sizes)], in_order_mut(OP, &mut dw)?);
            scale(&mut *dw, beta);
            direct::weights(sizes, [x, dout], dw, room);
            return Ok(());
        }
        let dout = matrix(OP, dout, self.positions(sizes), sizes.out)?;
        if sizes.groups == 1 {
            let patches = self.patches(sizes, x, room)?.columns();
            let dout = RightHandSide::Matrix(dout);
            return product(OP, patches, dout, Start::Scaled(beta), dw);
        }
        let patches = self.stored_patches(sizes, x, room)?;
        for group in 0..sizes.groups {
            let (ks, os) = sizes.group(group);
            let a = LeftHandSide::Matrix(patches.slice(s![.., ks]).reversed_axes());
            let b = RightHandSide::Matrix(dout.slice(s![.., os.clone()]));
            product(OP, a, b, Start::Scaled(beta), dw.slice_mut(s![.., os]))?;
        }
        Ok(())
    }

    /// For each pixel, `Σ dout·wᵀ` over the patches of this block that it is in, for
    /// `dout: (places, out)`. The first block of an image writes to `images`, the others add to them.
    pub(super) fn transposed<T: Scalar>(
        &self,
        sizes: &Sizes<'_>,
        dout: &[T],
        w: &Weights<'_, T>,
        bias: Option<&[T]>,
        images: &mut [T],
        room: &mut [T],
    ) -> Result<(), Error> {
        const OP: &str = "convolve_transposed";
        if let Weights::Depthwise(w) = w {
            depthwise::transposed(self, sizes, dout, w, bias, images);
            return Ok(());
        }
        if let Weights::Direct(w) = w {
            direct::convolve(sizes, To::Images, dout, w, bias, images, room);
            return Ok(());
        }
        let (count, patch) = (self.positions(sizes), sizes.window.patch());
        let dout = matrix(OP, dout, count, sizes.out)?;
        let is_direct = sizes.window.is_pointwise() && bias.is_none();
        let patches = match is_direct {
            true => &mut *images,
            false => &mut room[..count * patch],
        };
        let mut all = matrix_mut(OP, patches, count, patch)?;
        let zero = || Start::Scaled(T::zero());
        match w {
            Weights::Product(wt) => {
                product(OP, LeftHandSide::Matrix(dout), wt.reborrow(), zero(), all)?;
            }
            Weights::Groups(w) => {
                for group in 0..sizes.groups {
                    let (ks, os) = sizes.group(group);
                    let a = LeftHandSide::Matrix(dout.slice(s![.., os.clone()]));
                    let b = RightHandSide::Matrix(w.slice(s![.., os]).reversed_axes());
                    product(OP, a, b, zero(), all.slice_mut(s![.., ks]))?;
                }
            }
            Weights::Depthwise(_) | Weights::Direct(_) => {}
        }
        if !is_direct {
            self.col2im(sizes, &room[..count * patch], bias, images);
        }
        Ok(())
    }

    /// The patches of this block; `room` is used if they must be stored.
    fn patches<'a, T: Scalar>(
        &self,
        sizes: &Sizes<'a>,
        x: &'a [T],
        room: &'a mut [T],
    ) -> Result<PatchMatrix<'a, T>, Error> {
        let (window, patch) = (sizes.window, sizes.window.patch());
        let (places, count) = (self.rows(sizes, 1), self.positions(sizes));
        if !window.is_pointwise()
            && Patches::<T>::can_pack(window)
            && gemm_is_faster(count, sizes.out, patch, false)
        {
            let parts = 0..patch;
            return Ok(PatchMatrix::Implicit(Patches {
                window,
                x,
                places,
                parts,
            }));
        }
        Ok(PatchMatrix::Stored(self.stored_patches(sizes, x, room)?))
    }

    /// The patches `(places, patch)` of this block. A patch has the values of one group of channels after
    /// those of another.
    fn stored_patches<'a, T: Scalar>(
        &self,
        sizes: &Sizes<'_>,
        x: &'a [T],
        room: &'a mut [T],
    ) -> Result<ArrayView2<'a, T>, Error> {
        const OP: &str = "patches";
        let (window, groups) = (sizes.window, sizes.groups);
        let (patch, count) = (window.patch(), self.positions(sizes));
        if window.is_pointwise() {
            return matrix(OP, &x[self.rows(sizes, patch)], count, patch);
        }
        let room = &mut room[..count * patch];
        let row = window.output().1 * patch;
        let work = room.len();
        parallel::for_each_piece(&mut *room, row, work, &|start, patches: &mut [T]| {
            let (image, row) = self.row(start / row);
            let image = &x[image * window.image_len()..][..window.image_len()];
            vectorize(Im2Col {
                window,
                groups,
                image,
                row,
                patches,
            });
        });
        matrix(OP, room, count, patch)
    }

    /// Adds to each pixel its values in the patches. The first block of an image starts from `bias`.
    fn col2im<T: Scalar>(
        &self,
        sizes: &Sizes<'_>,
        patches: &[T],
        bias: Option<&[T]>,
        images: &mut [T],
    ) {
        let (window, groups) = (sizes.window, sizes.groups);
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
                self.begin(bias, pixels);
                let image = self.places.len() * window.output().1 * window.patch() * image;
                vectorize(Col2Im {
                    window,
                    groups,
                    patches: &patches[image..],
                    places: self.places.clone(),
                    y,
                    pixels,
                });
            },
        );
    }
}

/// What a product is added to: `bias` in each row, or nothing.
fn start<T: Scalar>(bias: Option<&[T]>) -> Start<'_, T> {
    bias.map_or(Start::Scaled(T::zero()), Start::Row)
}
