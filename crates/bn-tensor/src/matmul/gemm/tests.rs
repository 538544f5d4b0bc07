use super::{InBlocks, Operands, kernel::Start, left::LeftHandSide, right::RightHandSide};
use crate::{naive, packing::Buffers, scalar::Scalar};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis};
use pulp::Simd;

fn matrix<T: Scalar>(rows: usize, columns: usize, rate: f64) -> Array2<T> {
    let value = |(i, j)| T::from_f64(((i * columns + j) as f64 * rate).sin());
    Array2::from_shape_fn((rows, columns), value)
}

fn gemm<'a, T: Scalar, S: Simd>(
    simd: S,
    a: ArrayView2<'a, T>,
    b: ArrayView2<'a, T>,
    start: Start<'a, T>,
    mut c: ArrayViewMut2<'_, T>,
) {
    let operands = Operands {
        a: LeftHandSide::Matrix(a),
        b: RightHandSide::Matrix(b),
        start,
        c: c.view_mut(),
        measures: true,
    };
    let buffers = &mut Buffers::new();
    let largest = simd.vectorize(InBlocks { operands, buffers });
    let values: Vec<T> = c.iter().copied().collect();
    assert_eq!(largest, naive::largest_magnitude(&values));
}

fn check<T: Scalar, S: Simd>(simd: S, (m, k, n): (usize, usize, usize)) {
    let (a, b) = (matrix::<T>(m, k, 0.37), matrix::<T>(k, n, 0.73));
    let (old, row) = (
        matrix::<T>(m, n, 0.11),
        Array1::from_shape_fn(n, |j| T::from_f64(j as f64)),
    );
    let product = naive::matmul(a.view(), b.view());
    let tolerance = T::epsilon().as_f64() * (8.0 + 4.0 * k as f64);
    let close = |got: &Array2<T>, want: &Array2<T>, what: &str| {
        for (place, (got, want)) in got.indexed_iter().map(|(p, g)| (p, (g, want[p]))) {
            let difference = (got.as_f64() - want.as_f64()).abs();
            assert!(
                difference <= tolerance * (1.0 + want.as_f64().abs()),
                "{what} {m} {k} {n}: {place:?}"
            );
        }
    };

    let mut c = Array2::from_elem((m, n), T::nan()); // beta = 0 must not read it
    gemm(
        simd,
        a.view(),
        b.view(),
        Start::Scaled(T::zero()),
        c.view_mut(),
    );
    close(&c, &product, "a·b");
    let whole = c.clone();

    // The bits are the same if either side is stored transposed.
    let (at, bt) = (
        a.t().as_standard_layout().into_owned(),
        b.t().as_standard_layout().into_owned(),
    );
    for (a, b) in [(at.t(), b.view()), (a.view(), bt.t()), (at.t(), bt.t())] {
        c.fill(T::nan());
        gemm(simd, a, b, Start::Scaled(T::zero()), c.view_mut());
        assert_eq!(c, whole);
    }

    // The bits are the same if `c` is computed in two parts.
    for (axis, len) in [(Axis(0), m), (Axis(1), n)] {
        c.fill(T::nan());
        let at = len / 3;
        let (c0, c1) = c.view_mut().split_at(axis, at);
        let zero = Start::Scaled(T::zero());
        if axis == Axis(0) {
            let (a0, a1) = a.view().split_at(axis, at);
            gemm(simd, a0, b.view(), zero, c0);
            gemm(simd, a1, b.view(), zero, c1);
        } else {
            let (b0, b1) = b.view().split_at(axis, at);
            gemm(simd, a.view(), b0, zero, c0);
            gemm(simd, a.view(), b1, zero, c1);
        }
        assert_eq!(c, whole, "{m} {k} {n} cut along {axis:?}");
    }

    c.assign(&old);
    gemm(
        simd,
        a.view(),
        b.view(),
        Start::Scaled(T::from_f64(0.5)),
        c.view_mut(),
    );
    close(
        &c,
        &(&product + &old.mapv(|v| v * T::from_f64(0.5))),
        "a·b + c/2",
    );
    gemm(
        simd,
        a.view(),
        b.view(),
        Start::Row(row.as_slice().unwrap()),
        c.view_mut(),
    );
    close(&c, &(&product + &row), "a·b + row");
}

/// Panels of every height and width, blocks of several panels, several blocks.
const SHAPES: [(usize, usize, usize); 14] = [
    (1, 1, 1),
    (3, 2, 5),
    (4, 7, 16),
    (5, 3, 17),
    (12, 64, 32),
    (13, 65, 33),
    (16, 10, 48),
    (23, 5, 100),
    (40, 100, 63),
    (100, 30, 10),
    (7, 1100, 20),
    (1030, 9, 12),
    (30, 20, 700),
    (25, 1030, 270),
];

#[test]
fn it_agrees_with_the_naive_form_and_the_cut_does_not_change_the_bits() {
    for shape in SHAPES {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                check::<f32, _>(simd, shape);
                check::<f64, _>(simd, shape);
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                check::<f32, _>(simd, shape);
                check::<f64, _>(simd, shape);
            }
        }
    }
}
