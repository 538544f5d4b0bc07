use super::geometry::Plan;
use crate::{
    convolution::shapes::To,
    scalar::Scalar,
    simd::{PerType, with_registers},
};
use ndarray::ArrayView2;
use pulp::{Simd, WithSimd};

pub(super) enum Pack {}

impl<'a> PerType<'a> for Pack {
    type Input<T: 'a> = Weights<'a, T>;
    type Output<T: 'a> = ();
    fn run_f32(weights: Weights<'a, f32>) {
        with_registers(weights)
    }
    fn run_f64(weights: Weights<'a, f64>) {
        with_registers(weights)
    }
}

/// Weights that are packed into panels of two vectors of columns: for each class of outputs one panel after
/// another, each with a row for each value under the kernel.
pub(super) struct Weights<'a, T> {
    pub(super) plan: &'a Plan,
    pub(super) to: To,
    pub(super) kernel_columns: usize,
    pub(super) w: ArrayView2<'a, T>, // (patch, out)
    pub(super) packed: &'a mut [T],
}

impl<T: Scalar> WithSimd for Weights<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        assert!(!S::IS_SCALAR, "the caller has checked `has_registers`");
        let width = 2 * T::lanes::<S>();
        let (channels, columns) = (self.plan.source.2, self.plan.out.2);
        let mut packed = self.packed;
        for [rows, across] in self.plan.classes() {
            for first in (0..columns).step_by(width) {
                let js = first..columns.min(first + width);
                for (i, j) in (0..rows.taps).flat_map(|i| (0..across.taps).map(move |j| (i, j))) {
                    let tap = rows.place(i) * self.kernel_columns + across.place(j);
                    let (values, rest) = packed.split_at_mut(channels * width);
                    packed = rest;
                    for (k, row) in values.chunks_exact_mut(width).enumerate() {
                        let (values, padding) = row.split_at_mut(js.len());
                        for (value, j) in values.iter_mut().zip(js.clone()) {
                            *value = match self.to {
                                To::Outputs => self.w[[tap * channels + k, j]],
                                To::Images => self.w[[tap * columns + j, k]],
                            };
                        }
                        padding.fill(T::zero());
                    }
                }
            }
        }
    }
}
