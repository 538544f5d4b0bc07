//! NumPy's files: `.npy` has an array, `.npz` has several by name.

mod dataset;
mod header;
mod npz;
mod read;
mod write;

use ndarray::ArrayD;

use crate::error::{Error, Result};
pub use npz::Npz;
pub use read::NpyReader;

/// An array of any rank, with one of five element types of a NumPy file.
///
/// The format is NumPy's (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>),
/// versions 1 to 3, in either byte order and either memory layout. Pickled objects are refused. The
/// elements may take 1 GiB of memory; [`NpyReader`] has other limits.
///
/// ```no_run
/// use bn_data::{Dataset, Npy};
/// use ndarray::ArrayD;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let x: ArrayD<f32> = Npy::open("x.npy")?.try_into()?; // np.save("x.npy", x)
/// let data: Dataset = Dataset::from_npz("data.npz", "x", "y")?; // np.savez("data.npz", x=x, y=y)
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Npy {
    /// Unsigned bytes, `uint8`.
    U8(ArrayD<u8>),
    /// 32-bit integers, `int32`.
    I32(ArrayD<i32>),
    /// 64-bit integers, `int64`.
    I64(ArrayD<i64>),
    /// 32-bit floats, `float32`.
    F32(ArrayD<f32>),
    /// 64-bit floats, `float64`.
    F64(ArrayD<f64>),
}

impl Npy {
    /// The lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Npy::U8(a) => a.shape(),
            Npy::I32(a) => a.shape(),
            Npy::I64(a) => a.shape(),
            Npy::F32(a) => a.shape(),
            Npy::F64(a) => a.shape(),
        }
    }

    /// The element type, by its Rust name.
    #[must_use]
    pub fn element_type(&self) -> &'static str {
        match self {
            Npy::U8(_) => "u8",
            Npy::I32(_) => "i32",
            Npy::I64(_) => "i64",
            Npy::F32(_) => "f32",
            Npy::F64(_) => "f64",
        }
    }
}

// A macro, because the five implementations differ only in a name.
macro_rules! conversions {
    ($($variant:ident $type:ty),*) => {$(
        impl TryFrom<Npy> for ArrayD<$type> {
            type Error = Error;

            /// The array, or [`Error::ElementType`] if its elements have another type.
            fn try_from(npy: Npy) -> Result<Self> {
                match npy {
                    Npy::$variant(array) => Ok(array),
                    other => Err(Error::ElementType {
                        expected: stringify!($type),
                        got: other.element_type(),
                    }),
                }
            }
        }
    )*};
}
conversions!(U8 u8, I32 i32, I64 i64, F32 f32, F64 f64);
