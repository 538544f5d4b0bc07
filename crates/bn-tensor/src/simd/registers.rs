use super::transpose::Transpose;
use ndarray::NdFloat;
use pulp::Simd;

/// A computation that is compiled once for each scalar type, in this crate.
///
/// A generic function is compiled again in every crate that calls it. For a kernel as large as the
/// matrix product that would cost each of them seconds, so it is a pair of functions here, and
/// [`Vectors::run`] chooses between them.
pub(crate) trait PerType<'a> {
    type Input<T: 'a>;
    type Output<T: 'a>;
    fn run_f32(input: Self::Input<f32>) -> Self::Output<f32>;
    fn run_f64(input: Self::Input<f64>) -> Self::Output<f64>;
}

/// The vector registers of a scalar type.
pub(crate) trait Vectors: NdFloat + Transpose {
    /// A register of this type.
    type Vector<S: Simd>: Copy;

    /// Elements of a register.
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
    /// The slice as whole registers; a remainder is left out.
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Vector<S>];
    /// The slice as whole registers, mutable; a remainder is left out.
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Vector<S>];
    /// The slice's elements, then zeros; the slice is no longer than a register.
    fn load<S: Simd>(simd: S, slice: &[Self]) -> Self::Vector<S>;
    /// Stores as many of the register's elements as the slice holds.
    fn store<S: Simd>(simd: S, slice: &mut [Self], vector: Self::Vector<S>);
    /// The bits of `|x|` as an integer.
    type Bits: Ord + Default + Copy + Send;
    /// The bits of `|self|`. As integers they have the order of the magnitudes, with infinity above
    /// every number and NaN above infinity.
    fn magnitude_bits(self) -> Self::Bits;
    /// The value with these bits.
    fn from_magnitude_bits(bits: Self::Bits) -> Self;
    /// Runs the version of `K` that is compiled for this type.
    fn run<'a, K: PerType<'a>>(input: K::Input<Self>) -> K::Output<Self>;
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
    type Bits = i32;
    #[inline(always)]
    fn magnitude_bits(self) -> i32 {
        self.abs().to_bits() as i32
    }
    #[inline(always)]
    fn from_magnitude_bits(bits: i32) -> f32 {
        f32::from_bits(bits as u32)
    }
    fn run<'a, K: PerType<'a>>(input: K::Input<f32>) -> K::Output<f32> {
        K::run_f32(input)
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
    type Bits = i64;
    #[inline(always)]
    fn magnitude_bits(self) -> i64 {
        self.abs().to_bits() as i64
    }
    #[inline(always)]
    fn from_magnitude_bits(bits: i64) -> f64 {
        f64::from_bits(bits as u64)
    }
    fn run<'a, K: PerType<'a>>(input: K::Input<f64>) -> K::Output<f64> {
        K::run_f64(input)
    }
}
