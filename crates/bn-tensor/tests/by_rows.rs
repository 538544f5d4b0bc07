//! Products whose rows do not depend on each other.

use bn_tensor::{Pool, Scalar, by_rows, naive};
use ndarray::{Array2, Axis, Slice};

fn matrix<T: Scalar>(rows: usize, columns: usize, phase: f64) -> Array2<T> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        T::from_f64(((i * columns + j) as f64 * 1.7 + phase).sin())
    })
}

/// `x·W + b` and `dout·Wᵀ` of all rows, and of any part of them by itself.
fn check<T: Scalar>(n: usize, d: usize, e: usize, tolerance: f64) {
    let (x, w, b) = (
        matrix::<T>(n, d, 0.0),
        matrix::<T>(d, e, 1.0),
        matrix::<T>(1, e, 2.0),
    );
    let (dout, row) = (matrix::<T>(n, e, 3.0), b.as_slice().unwrap());
    let (mut y, mut dx) = (Array2::zeros((n, e)), Array2::zeros((n, d)));
    by_rows::matmul(x.view(), w.view(), Some(row), y.view_mut()).unwrap();
    by_rows::matmul_nt(dout.view(), w.view(), dx.view_mut()).unwrap();

    let exact_y = naive::matmul(x.view(), w.view()) + &b;
    let exact_dx = naive::matmul(dout.view(), w.t());
    for (a, b) in [(&y, &exact_y), (&dx, &exact_dx)] {
        let close = |(a, b): (&T, &T)| (a.as_f64() - b.as_f64()).abs() <= tolerance;
        assert!(a.iter().zip(b).all(close), "({n}, {d})·({d}, {e})");
    }

    for rows in [0..1, 0..n / 2, n / 3..n, n - 1..n, n / 2..n / 2] {
        let of = Slice::from(rows.clone());
        let (mut part_y, mut part_dx) = (
            Array2::zeros((rows.len(), e)),
            Array2::zeros((rows.len(), d)),
        );
        let (x, dout) = (x.slice_axis(Axis(0), of), dout.slice_axis(Axis(0), of));
        by_rows::matmul(x, w.view(), Some(row), part_y.view_mut()).unwrap();
        by_rows::matmul_nt(dout, w.view(), part_dx.view_mut()).unwrap();
        assert!(
            part_y == y.slice_axis(Axis(0), of),
            "rows {rows:?} of y, ({n}, {d}, {e})"
        );
        assert!(
            part_dx == dx.slice_axis(Axis(0), of),
            "rows {rows:?} of dx, ({n}, {d}, {e})"
        );
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_rows_are_beside_it() {
    let sizes = [
        (1, 1, 1),
        (7, 3, 1),
        (50, 1, 9),
        (33, 17, 5),
        (301, 784, 100),
        (130, 100, 10),
        (97, 600, 65),
    ];
    for threads in [1, 2, 3] {
        Pool::new(threads).unwrap().install(|| {
            for (n, d, e) in sizes {
                check::<f32>(n, d, e, 1e-3);
                check::<f64>(n, d, e, 1e-11);
            }
        });
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (a, b, mut c) = (
        matrix::<f32>(2, 3, 0.0),
        matrix::<f32>(3, 4, 0.0),
        matrix::<f32>(2, 4, 0.0),
    );
    assert!(by_rows::matmul(a.view(), b.view(), Some(&[0.0; 3]), c.view_mut()).is_err());
    assert!(by_rows::matmul(a.view(), a.view(), None, c.view_mut()).is_err());
    assert!(by_rows::matmul_nt(a.view(), b.view(), c.view_mut()).is_err());
    assert!(by_rows::matmul(b.view(), b.view().reversed_axes(), None, c.view_mut()).is_err());
}
