//! Reading NumPy's files without trusting the sizes in their headers.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ndarray::ArrayD;

use super::{
    Npy, Npz,
    header::{Element, Header},
};
use crate::{
    error::{Error, Result},
    limit::DEFAULT_LIMIT,
    payload::{Length, Payload},
};

/// Reads NumPy's files that need no more memory than a limit.
///
/// The limit holds for the bytes of the elements of an array; it is 1 GiB by default. A header that
/// promises more than the file can hold allocates nothing. So an array takes at most four times the size of a `.npy`
/// file, and 1032 times that of an `.npz` file, the limit of its compression; a data set of two arrays takes up to 16
/// times as much, because a label of one byte becomes eight. Buffers take 256 KiB at most.
///
/// ```
/// use bn_data::{Npy, NpyReader};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let mut bytes = b"\x93NUMPY\x01\x00\x46\x00".to_vec(); // version 1, a header of 70 bytes
/// let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }";
/// bytes.extend(format!("{header:<69}\n").as_bytes());
/// bytes.extend([7i32, 8, 9].map(i32::to_le_bytes).as_flattened());
/// assert_eq!(NpyReader::new().from_reader(&bytes[..])?, Npy::I32(ndarray::arr1(&[7, 8, 9]).into_dyn()));
/// assert!(NpyReader::new().limit(11).from_reader(&bytes[..]).is_err()); // 12 bytes of elements
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NpyReader {
    limit: u64,
}

impl Default for NpyReader {
    fn default() -> Self {
        NpyReader {
            limit: DEFAULT_LIMIT,
        }
    }
}

impl NpyReader {
    /// Creates a reader with a limit of 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many bytes the elements of an array may take.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the array in the `.npy` file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::Io`], [`Error::NotNpy`], [`Error::TooLarge`],
    /// [`Error::OverLimit`], [`Error::Truncated`] or [`Error::TrailingBytes`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Npy> {
        let path = path.as_ref();
        let read = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            // The length of a pipe or a device is not known.
            let length = match metadata.is_file() {
                true => Length::Exactly(metadata.len()),
                false => Length::Unknown,
            };
            self.read(BufReader::new(file), length)
        };
        read().map_err(|problem: Error| problem.in_file(path))
    }

    /// Reads an array from a stream up to its end. Memory grows with the data that arrive.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), without a file's name.
    pub fn from_reader(self, reader: impl Read) -> Result<Npy> {
        self.read(reader, Length::Unknown)
    }

    /// Reads the array `name` in the `.npz` file at `path`, compressed or not. [`Npz`] reads several.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`Error::NotNpy`] also if the file is not an intact ZIP archive, and
    /// [`Error::Setting`] if it has no array of this name.
    pub fn open_npz(self, path: impl AsRef<Path>, name: &str) -> Result<Npy> {
        Npz::open(path)?.limit(self.limit).array(name)
    }

    /// The names of the arrays in the `.npz` file at `path`, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::NotNpy`], in [`Error::InFile`].
    pub fn npz_names(path: impl AsRef<Path>) -> Result<Vec<String>> {
        Ok(Npz::open(path)?.names())
    }

    pub(super) fn read(self, mut reader: impl Read, length: Length) -> Result<Npy> {
        let Header {
            element,
            is_big_endian: big,
            is_fortran,
            mut dims,
            bytes,
        } = Header::read(&mut reader)?;
        if is_fortran {
            dims.reverse(); // as the elements lie in row-major order
        }
        let payload = Payload::new(bytes, dims, element.size(), length)?;
        let (limit, r) = (self.limit, reader);
        Ok(match element {
            Element::U8 => {
                let array = payload.array(limit, r, u8::from_le_bytes)?;
                Npy::U8(ordered(array, is_fortran))
            }
            Element::I32 => {
                let from = if big {
                    i32::from_be_bytes
                } else {
                    i32::from_le_bytes
                };
                Npy::I32(ordered(payload.array(limit, r, from)?, is_fortran))
            }
            Element::I64 => {
                let from = if big {
                    i64::from_be_bytes
                } else {
                    i64::from_le_bytes
                };
                Npy::I64(ordered(payload.array(limit, r, from)?, is_fortran))
            }
            Element::F32 => {
                let from = if big {
                    f32::from_be_bytes
                } else {
                    f32::from_le_bytes
                };
                Npy::F32(ordered(payload.array(limit, r, from)?, is_fortran))
            }
            Element::F64 => {
                let from = if big {
                    f64::from_be_bytes
                } else {
                    f64::from_le_bytes
                };
                Npy::F64(ordered(payload.array(limit, r, from)?, is_fortran))
            }
        })
    }
}

/// The array with its axes in the order of the file's shape.
fn ordered<T>(array: ArrayD<T>, is_fortran: bool) -> ArrayD<T> {
    match is_fortran {
        true => array.reversed_axes(),
        false => array,
    }
}

impl Npy {
    /// Reads the array in the `.npy` file at `path`.
    ///
    /// # Errors
    ///
    /// As [`NpyReader::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        NpyReader::new().open(path)
    }
}
