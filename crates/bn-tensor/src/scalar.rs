use crate::gemm::Vectors;
use ndarray::NdFloat;

/// A floating-point type that every crate here computes with: `f32` or `f64`.
///
/// Sealed (by a private trait, the vector registers of a type), so that a kernel may rely on what these two do (a BLAS, vector registers, IEEE 754).
///
/// ```
/// use bn_tensor::Scalar;
/// assert_eq!(f32::from_f64(0.5).as_f64(), 0.5);
/// ```
pub trait Scalar: NdFloat + Default + std::iter::Sum + Vectors {
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;

    /// The value in double precision (exact).
    fn as_f64(self) -> f64;
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
}
