//! IDX, the format of the MNIST files: a short header, followed by a big-endian array.

mod read;
mod write;

use ndarray::ArrayD;

use crate::error::{Error, Result};
pub use read::IdxReader;
pub(crate) use read::header_of;

/// An array of any rank, with one of the six element types of an IDX file.
///
/// The format is described at the end of <http://yann.lecun.com/exdb/mnist/>: two zero bytes, one
/// byte for the element type, one for the number of axes, the length of each axis as a big-endian
/// `u32`, then the elements, big-endian, in row-major order. An array of rank 0 has no axes and one
/// element, a scalar. An axis of length 0 gives an array without elements.
///
/// [`Idx::open`] and [`Idx::from_bytes`] recognise a gzip file by its first byte, not by its name.
///
/// ```
/// use bn_data::Idx;
/// use ndarray::{ArrayD, arr2};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let idx = Idx::from(arr2(&[[1i16, -2], [3, 4]]).into_dyn());
/// let bytes = idx.to_bytes()?;
/// assert_eq!(bytes[..4], [0, 0, 0x0b, 2]); // i16, two axes
///
/// let back: ArrayD<i16> = Idx::from_bytes(&bytes)?.try_into()?;
/// assert_eq!(back[[1, 0]], 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Idx {
    /// Unsigned bytes, type 0x08.
    U8(ArrayD<u8>),
    /// Signed bytes, type 0x09.
    I8(ArrayD<i8>),
    /// 16-bit integers, type 0x0b.
    I16(ArrayD<i16>),
    /// 32-bit integers, type 0x0c.
    I32(ArrayD<i32>),
    /// 32-bit floats, type 0x0d.
    F32(ArrayD<f32>),
    /// 64-bit floats, type 0x0e.
    F64(ArrayD<f64>),
}

impl Idx {
    /// The lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Idx::U8(a) => a.shape(),
            Idx::I8(a) => a.shape(),
            Idx::I16(a) => a.shape(),
            Idx::I32(a) => a.shape(),
            Idx::F32(a) => a.shape(),
            Idx::F64(a) => a.shape(),
        }
    }

    /// The element type, by its Rust name.
    #[must_use]
    pub fn element_type(&self) -> &'static str {
        self.element().name()
    }

    fn element(&self) -> Element {
        match self {
            Idx::U8(_) => Element::U8,
            Idx::I8(_) => Element::I8,
            Idx::I16(_) => Element::I16,
            Idx::I32(_) => Element::I32,
            Idx::F32(_) => Element::F32,
            Idx::F64(_) => Element::F64,
        }
    }
}

/// The element types, by their codes in the header.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Element {
    U8 = 0x08,
    I8 = 0x09,
    I16 = 0x0b,
    I32 = 0x0c,
    F32 = 0x0d,
    F64 = 0x0e,
}

impl Element {
    fn from_code(code: u8) -> Result<Self> {
        [
            Element::U8,
            Element::I8,
            Element::I16,
            Element::I32,
            Element::F32,
            Element::F64,
        ]
        .into_iter()
        .find(|&element| element as u8 == code)
        .ok_or(Error::UnknownElementType { code })
    }

    /// Bytes of one element.
    fn size(self) -> usize {
        match self {
            Element::U8 | Element::I8 => 1,
            Element::I16 => 2,
            Element::I32 | Element::F32 => 4,
            Element::F64 => 8,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Element::U8 => "u8",
            Element::I8 => "i8",
            Element::I16 => "i16",
            Element::I32 => "i32",
            Element::F32 => "f32",
            Element::F64 => "f64",
        }
    }
}

// A macro, because the six implementations differ only in a name.
macro_rules! conversions {
    ($($variant:ident $type:ty),*) => {$(
        impl From<ArrayD<$type>> for Idx {
            fn from(array: ArrayD<$type>) -> Self {
                Idx::$variant(array)
            }
        }

        impl TryFrom<Idx> for ArrayD<$type> {
            type Error = Error;

            /// The array, or [`Error::ElementType`] if its elements have another type.
            fn try_from(idx: Idx) -> Result<Self> {
                match idx {
                    Idx::$variant(array) => Ok(array),
                    other => Err(Error::ElementType {
                        expected: Element::$variant.name(),
                        got: other.element_type(),
                    }),
                }
            }
        }
    )*};
}
conversions!(U8 u8, I8 i8, I16 i16, I32 i32, F32 f32, F64 f64);
