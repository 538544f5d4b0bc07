use super::{
    Factor, Gemm, Packed, PackedRight, Right, Start,
    right::{PackAll, packed_len},
    transpose::Transpose,
};
use crate::simd::with_registers;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};
use pulp::Simd;
use std::cell::RefCell;

thread_local! {
    static PACKED_F32: RefCell<Packed<f32>> = RefCell::new(Packed::new());
    static PACKED_F64: RefCell<Packed<f64>> = RefCell::new(Packed::new());
}

/// The vector registers of a scalar type.
pub trait Vectors: NdFloat + Transpose {
    /// A register of this type.
    type Vector<S: Simd>: Copy;

    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// `a·b + c`, rounded once.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// The registers that the slice fills.
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Vector<S>];
    /// The registers that the slice fills, to write to.
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Vector<S>];
    /// The slice's elements, then zeros; it is no longer than a register.
    fn load<S: Simd>(simd: S, slice: &[Self]) -> Self::Vector<S>;
    /// [`Gemm`] with this processor's registers and this thread's buffers. A method of the type, so
    /// that the kernel is compiled once, here, and not in every crate that multiplies.
    fn gemm<'a>(
        a: Factor<'a, Self>,
        b: Right<'a, Self>,
        start: Start<'a, Self>,
        c: ArrayViewMut2<'a, Self>,
    );
    /// Packs `b: (K, N)` for several products by [`gemm`](Self::gemm), into a buffer of
    /// [`packed_len`](Self::packed_len) values.
    fn pack_right<'b>(b: ArrayView2<'_, Self>, buffer: &'b mut [Self]) -> PackedRight<'b, Self>;
    /// Values of the buffer that [`pack_right`](Self::pack_right) takes.
    fn packed_len(k: usize, n: usize) -> usize {
        packed_len::<Self>(k, n)
    }
    /// Allocates this thread's buffers.
    fn prepare_thread();
    /// As many of the register's elements as the slice has.
    fn store<S: Simd>(simd: S, slice: &mut [Self], vector: Self::Vector<S>);
}

impl Vectors for f32 {
    type Vector<S: Simd> = S::f32s;

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: f32) -> S::f32s {
        simd.splat_f32s(value)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_f32s(a, b, c)
    }
    #[inline(always)]
    fn plus<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.add_f32s(a, b)
    }
    #[inline(always)]
    fn vectors<S: Simd>(slice: &[f32]) -> &[S::f32s] {
        S::as_simd_f32s(slice).0
    }
    #[inline(always)]
    fn vectors_mut<S: Simd>(slice: &mut [f32]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(slice).0
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, slice: &[f32]) -> S::f32s {
        match S::as_simd_f32s(slice).0 {
            [vector] => *vector,
            _ => simd.partial_load_f32s(slice),
        }
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, slice: &mut [f32], vector: S::f32s) {
        match S::as_mut_simd_f32s(slice).0 {
            [whole] => *whole = vector,
            _ => simd.partial_store_f32s(slice, vector),
        }
    }
    fn gemm<'a>(
        a: Factor<'a, f32>,
        b: Right<'a, f32>,
        start: Start<'a, f32>,
        c: ArrayViewMut2<'a, f32>,
    ) {
        PACKED_F32.with_borrow_mut(|packed| {
            with_registers(Gemm {
                a,
                b,
                start,
                c,
                packed,
            })
        });
    }
    fn pack_right<'b>(b: ArrayView2<'_, f32>, buffer: &'b mut [f32]) -> PackedRight<'b, f32> {
        with_registers(PackAll { b, buffer })
    }
    fn prepare_thread() {
        PACKED_F32.with_borrow(|_| ());
    }
}

impl Vectors for f64 {
    type Vector<S: Simd> = S::f64s;

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: f64) -> S::f64s {
        simd.splat_f64s(value)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_f64s(a, b, c)
    }
    #[inline(always)]
    fn plus<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.add_f64s(a, b)
    }
    #[inline(always)]
    fn vectors<S: Simd>(slice: &[f64]) -> &[S::f64s] {
        S::as_simd_f64s(slice).0
    }
    #[inline(always)]
    fn vectors_mut<S: Simd>(slice: &mut [f64]) -> &mut [S::f64s] {
        S::as_mut_simd_f64s(slice).0
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, slice: &[f64]) -> S::f64s {
        match S::as_simd_f64s(slice).0 {
            [vector] => *vector,
            _ => simd.partial_load_f64s(slice),
        }
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, slice: &mut [f64], vector: S::f64s) {
        match S::as_mut_simd_f64s(slice).0 {
            [whole] => *whole = vector,
            _ => simd.partial_store_f64s(slice, vector),
        }
    }
    fn gemm<'a>(
        a: Factor<'a, f64>,
        b: Right<'a, f64>,
        start: Start<'a, f64>,
        c: ArrayViewMut2<'a, f64>,
    ) {
        PACKED_F64.with_borrow_mut(|packed| {
            with_registers(Gemm {
                a,
                b,
                start,
                c,
                packed,
            })
        });
    }
    fn pack_right<'b>(b: ArrayView2<'_, f64>, buffer: &'b mut [f64]) -> PackedRight<'b, f64> {
        with_registers(PackAll { b, buffer })
    }
    fn prepare_thread() {
        PACKED_F64.with_borrow(|_| ());
    }
}
