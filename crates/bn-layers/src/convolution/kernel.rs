use crate::{error::Error, weights::Weights};
use bn_tensor::Scalar;
use ndarray::{Array1, Array4};

/// Reshapes the weights `w: (kernel rows, kernel columns, a, b)` to the matrix `(rows·columns·a, b)`
/// of a lowered convolution, and checks that the bias has `out` values.
pub(super) fn checked_kernel<T: Scalar>(
    op: &'static str,
    w: Array4<T>,
    b: Option<Array1<T>>,
    out: usize,
) -> Result<Weights<T>, Error> {
    let (rows, columns, inner, outer) = w.dim();
    if !w.is_standard_layout() {
        return Err(bn_tensor::Error::NotContiguous { op }.into());
    }
    let matrix = w
        .into_shape_with_order((rows * columns * inner, outer))
        .map_err(|_| bn_tensor::Error::NotContiguous { op })?;
    Weights::new(op, matrix, &[rows, columns, inner, outer], b, out)
}
