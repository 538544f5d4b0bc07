use crate::simd::Vectors;
use bytemuck::Zeroable;
use ndarray::NdFloat;
use std::iter::Sum;

/// A floating-point type that every crate here computes with: `f32` or `f64`.
///
/// The trait is sealed, so that a kernel may rely on what these two types offer: a BLAS, vector
/// registers and IEEE 754 arithmetic.
///
/// ```
/// use bn_tensor::Scalar;
/// assert_eq!(f32::from_f64(0.5).as_f64(), 0.5);
/// ```
///
/// No other type can implement it, because one of its supertraits is private:
///
/// ```compile_fail,E0277
/// use bn_tensor::Scalar;
/// struct Half<T>(T);
/// impl<T> Scalar for Half<T>
/// where
///     Half<T>: ndarray::NdFloat + Default + std::iter::Sum,
/// {
///     fn from_f64(_: f64) -> Self { todo!() }
///     fn as_f64(self) -> f64 { todo!() }
/// }
/// ```
///
/// The items of that supertrait, vector registers and compiled kernels, cannot be called from
/// outside either:
///
/// ```compile_fail,E0624
/// fn transposed<T: bn_tensor::Scalar>(block: [[T; 4]; 4]) -> [[T; 4]; 4] {
///     T::transpose(block)
/// }
/// ```
#[allow(private_bounds)] // seals the trait, and keeps its kernels out of the public interface
pub trait Scalar: NdFloat + Default + Sum + Zeroable + Vectors {
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;

    /// The value in double precision (exact).
    fn as_f64(self) -> f64;

    /// The complementary error function, `1 − erf(x)`, accurate for large `x` too.
    fn erfc(self) -> Self;
}

impl Scalar for f32 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
    fn erfc(self) -> Self {
        libm::erfcf(self)
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }
    fn erfc(self) -> Self {
        libm::erfc(self)
    }
}
