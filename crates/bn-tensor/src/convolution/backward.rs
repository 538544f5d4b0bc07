use super::{
    block::blocks,
    epilogue::Epilogue,
    lowered::weights_and_room,
    shapes::{Sizes, To, matrix, same_dim},
};
use crate::{
    channels::{reduce::Scratch, sums::channel_sum},
    contiguous::{in_order, in_order_mut},
    error::{Error, same_len},
    matmul::vector::scale,
    memory::try_resize,
    scalar::Scalar,
    window::Window,
};
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, Axis};

/// Destinations for the gradients of a convolution. A gradient with `None` is not computed.
#[derive(Debug)]
pub struct ConvolutionGradients<'a, T> {
    /// Of the weights, `(patch / groups, out)`.
    pub dw: Option<ArrayViewMut2<'a, T>>,
    /// Of the bias, `(out)`.
    pub db: Option<&'a mut [T]>,
    /// Of the images, `(n, H·W·C)`.
    pub dx: Option<ArrayViewMut2<'a, T>>,
}

/// Memory that a convolution computes in, to be reused from call to call.
#[derive(Debug, Clone, Default)]
pub struct ConvolutionScratch<T> {
    /// The scratch of the functions that take only a `Vec`.
    pub patches: Vec<T>,
    dz: Vec<T>,     // of a block: (rows, out)
    sums: Vec<f64>, // (2, out): over all blocks, and of one
    reduction: Scratch,
}

/// The gradients of [`convolve_then`](crate::convolve_then) for the images `x: (n, H·W·C)`, the outputs
/// `y: (n, places·out)` and their gradient `dout`, which has the shape of `y`. They are computed block by
/// block, so that the backward pass of the epilogue, `dw`, `db` and `dx` find the block in cache.
///
/// # Errors
/// As [`convolve`](crate::convolve).
pub fn convolve_backward<T: Scalar>(
    window: &Window,
    [x, y, dout]: [ArrayView2<'_, T>; 3],
    w: ArrayView2<'_, T>,
    then: &Epilogue<T>,
    gradients: ConvolutionGradients<'_, T>,
    scratch: &mut ConvolutionScratch<T>,
) -> Result<(), Error> {
    const OP: &str = "convolve_backward";
    let ConvolutionGradients { dw, db, dx } = gradients;
    let (mut dw, mut db, mut dx) = (dw, db, dx);
    let sizes = Sizes::check(OP, window, x.dim(), w.dim(), dout.dim())?;
    let out = sizes.out;
    same_dim(OP, dout.dim(), y.dim())?;
    same_dim(OP, w.dim(), dw.as_ref().map_or(w.dim(), |dw| dw.dim()))?;
    same_dim(OP, x.dim(), dx.as_ref().map_or(x.dim(), |dx| dx.dim()))?;
    same_len(OP, out, db.as_ref().map_or(out, |db| db.len()))?;
    let (x, y, dout) = (in_order(OP, &x)?, in_order(OP, &y)?, in_order(OP, &dout)?);
    let mut dx = dx.as_mut().map(|dx| in_order_mut(OP, dx)).transpose()?;

    let ConvolutionScratch {
        patches,
        dz,
        sums,
        reduction,
    } = scratch;
    sums.clear();
    try_resize(OP, sums, &[2, out])?;
    let (sums, block_sums) = sums.split_at_mut(out);
    let mut beta = T::zero();
    let (w, room) = weights_and_room(OP, &sizes, &w, To::Images, patches)?;
    if let (Some(dw), 0) = (&mut dw, sizes.images) {
        scale(dw, beta);
    }
    for block in blocks::<T>(&sizes) {
        let rows = block.rows(&sizes, out);
        let dz = if then.is_none() {
            &dout[rows]
        } else {
            try_resize(OP, dz, &[rows.len()])?;
            then.backward(rows.start, &y[rows.clone()], &dout[rows], dz);
            &dz[..]
        };
        if db.is_some() {
            let pixels = matrix(OP, dz, block.positions(&sizes), out)?;
            let pixels: ArrayView3<'_, T> = pixels.insert_axis(Axis(2));
            channel_sum(pixels, block_sums, reduction)?;
            sums.iter_mut()
                .zip(&*block_sums)
                .for_each(|(all, of_block)| *all += of_block);
        }
        if let Some(dw) = &mut dw {
            block.weights(&sizes, x, dz, beta, dw.view_mut(), room)?;
            beta = T::one();
        }
        if let Some(dx) = &mut dx {
            let images = &mut dx[block.pixels(&sizes)];
            block.transposed(&sizes, dz, &w, None, images, room)?;
        }
    }
    if let Some(db) = &mut db {
        db.iter_mut()
            .zip(&*sums)
            .for_each(|(db, &sum)| *db = T::from_f64(sum));
    }
    Ok(())
}
