use super::vector::{add_dot_products, add_outer_product, add_row_product, scale};
use crate::scalar::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// `c = a·b + beta·c` for a small product, or one row, by loops over vectors, which allocate nothing.
/// Returns false, and changes nothing, if the loops cannot use the memory layout.
pub(super) fn add_small_product<T: Scalar>(
    a: ArrayView2<'_, T>, // (M, K)
    b: ArrayView2<'_, T>, // (K, N)
    beta: T,
    c: &mut ArrayViewMut2<'_, T>, // (M, N)
) -> bool {
    let [a_rows, a_columns] = [Axis(1), Axis(0)].map(|axis| a.stride_of(axis) == 1);
    let [b_rows, b_columns] = [Axis(1), Axis(0)].map(|axis| b.stride_of(axis) == 1);
    if c.stride_of(Axis(1)) != 1 || !(a_rows && (b_rows || b_columns) || a_columns && b_rows) {
        return false;
    }
    if !a_rows {
        for (k, (a, b)) in a.columns().into_iter().zip(b.outer_iter()).enumerate() {
            let beta = if k == 0 { beta } else { T::one() };
            let b = b.to_slice().unwrap_or_default();
            add_outer_product(a, b, beta, c.view_mut());
        }
        return true;
    }
    for (a, c) in a.outer_iter().zip(c.view_mut().into_outer_iter_mut()) {
        let (a, c) = (a.to_slice().unwrap_or_default(), c.into_slice());
        let c = c.unwrap_or_default();
        if b_rows {
            scale(&mut *c, beta);
            add_row_product(a, b, c);
        } else {
            add_dot_products(b.reversed_axes(), a, beta, c);
        }
    }
    true
}
