//! Loops over the rows of a batch, in parallel.

use crate::error::Error;
use bn_tensor::{Scalar, fill_pieces, in_order, in_order_mut};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::array::from_fn;

/// Values that a thread computes at a time, unless a row has more.
const PIECE: usize = 1 << 12;

/// Calls `f` for each row, with its values in each of the arrays `from` and in `to`. The number beside an
/// array is that of the values of a row.
///
/// # Errors
/// [`bn_tensor::Error::ShapeMismatch`] if the arrays do not have these widths and the same number of rows.
pub(crate) fn for_each_row<T: Scalar, const K: usize>(
    op: &'static str,
    from: [(&ArrayView2<'_, T>, usize); K],
    (to, len): (&mut ArrayViewMut2<'_, T>, usize),
    f: impl Fn([&[T]; K], &mut [T]) + Sync,
) -> Result<(), Error> {
    let n = to.nrows();
    let dims = from.iter().map(|(x, len)| (x.dim(), (n, *len)));
    for (got, expected) in dims.chain([(to.dim(), (n, len))]) {
        if got != expected {
            let (expected, got) = ([expected.0, expected.1], [got.0, got.1]);
            return Err(Error::shape(op, &expected, &got));
        }
    }
    let mut values = [&[][..]; K];
    for (values, (x, _)) in values.iter_mut().zip(&from) {
        *values = in_order(op, x)?;
    }
    let rows = (PIECE / len.max(1)).max(1); // short ones several at a time
    fill_pieces(
        in_order_mut(op, to)?,
        rows.saturating_mul(len),
        |piece, to| {
            for (i, to) in to.chunks_exact_mut(len).enumerate() {
                let row = piece * rows + i;
                f(from_fn(|k| &values[k][row * from[k].1..][..from[k].1]), to);
            }
        },
    );
    Ok(())
}
