//! Reading IDX data without trusting the sizes in their header.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{Element, Idx};
use crate::{
    error::{Error, Result},
    limit::DEFAULT_LIMIT,
    payload::{GZIP_MAGIC, GzipErrors, Length, Payload, read_header},
};

/// Reads IDX data that need no more memory than a limit.
///
/// A gzip file of 4 MB may unpack to 4 GiB. The limit holds for the bytes of the elements, whatever the
/// file looks like; it is 1 GiB by default. Reading allocates the array and 64 KiB.
///
/// ```
/// use bn_data::{Error, Idx, IdxReader};
/// use ndarray::ArrayD;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let bytes = Idx::from(ArrayD::<f64>::zeros(vec![100, 10])).to_bytes()?; // 8000 bytes of elements
/// let error = IdxReader::new().limit(7999).from_bytes(&bytes).unwrap_err();
/// assert!(matches!(error, Error::OverLimit { size: 8000, limit: 7999 }));
/// assert!(IdxReader::new().limit(8000).from_bytes(&bytes).is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdxReader {
    limit: u64,
}

impl Default for IdxReader {
    fn default() -> Self {
        IdxReader {
            limit: DEFAULT_LIMIT,
        }
    }
}

impl IdxReader {
    /// Creates a reader with a limit of 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many bytes the elements may take.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the file at `path`, plain or packed by gzip.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::Io`], [`Error::NotIdx`], [`Error::UnknownElementType`],
    /// [`Error::TooLarge`], [`Error::OverLimit`], [`Error::Truncated`], [`Error::TrailingBytes`] or
    /// [`Error::Gzip`]. No memory is allocated for elements that the file is too short to hold.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Idx> {
        let path = path.as_ref();
        self.open_file(path)
            .map_err(|problem| problem.in_file(path))
    }

    /// Reads IDX data in memory, plain or packed by gzip.
    ///
    /// # Errors
    ///
    /// As [`IdxReader::open`], without a file's name.
    pub fn from_bytes(self, bytes: &[u8]) -> Result<Idx> {
        self.read_either(bytes, Some(bytes.len() as u64))
    }

    /// Reads plain IDX data from a stream up to its end. Memory grows with the data that arrive.
    ///
    /// # Errors
    ///
    /// As [`IdxReader::open`], without a file's name.
    pub fn from_reader(self, reader: impl Read) -> Result<Idx> {
        self.read_plain(reader, Length::Unknown)
    }

    fn open_file(self, path: &Path) -> Result<Idx> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        // The length of a pipe or a device is not known.
        let length = metadata.is_file().then_some(metadata.len());
        self.read_either(BufReader::new(file), length)
    }

    fn read_either(self, mut reader: impl BufRead, length: Option<u64>) -> Result<Idx> {
        // An IDX file begins with 0, so one byte is enough; a buffer may hold no more than one.
        if reader.fill_buf()?.first() == Some(&GZIP_MAGIC[0]) {
            let length = length.map_or(Length::Unknown, Length::of_gzip);
            self.read_plain(GzipErrors(MultiGzDecoder::new(reader)), length)
        } else {
            let length = length.map_or(Length::Unknown, Length::Exactly);
            self.read_plain(reader, length)
        }
    }

    fn read_plain(self, mut reader: impl Read, length: Length) -> Result<Idx> {
        let (element, dims) = read_dims(&mut reader)?;
        let payload = announced(element, dims, length)?;
        let limit = self.limit;
        Ok(match element {
            Element::U8 => Idx::U8(payload.array(limit, reader, u8::from_be_bytes)?),
            Element::I8 => Idx::I8(payload.array(limit, reader, i8::from_be_bytes)?),
            Element::I16 => Idx::I16(payload.array(limit, reader, i16::from_be_bytes)?),
            Element::I32 => Idx::I32(payload.array(limit, reader, i32::from_be_bytes)?),
            Element::F32 => Idx::F32(payload.array(limit, reader, f32::from_be_bytes)?),
            Element::F64 => Idx::F64(payload.array(limit, reader, f64::from_be_bytes)?),
        })
    }
}

/// The element type and the lengths of the axes.
fn read_dims(reader: &mut impl Read) -> Result<(Element, Vec<usize>)> {
    let mut magic = [0; 4];
    read_header(reader, &mut magic, 0)?;
    let [0, 0, code, rank] = magic else {
        return Err(Error::NotIdx { found: magic });
    };
    let element = Element::from_code(code)?;
    let mut dims = Vec::with_capacity(rank.into());
    for axis in 0..u64::from(rank) {
        let mut dim = [0; 4];
        read_header(reader, &mut dim, 4 + 4 * axis)?;
        dims.push(u32::from_be_bytes(dim) as usize);
    }
    Ok((element, dims))
}

/// The elements that the header announces.
fn announced(element: Element, dims: Vec<usize>, length: Length) -> Result<Payload> {
    Payload::new(4 + 4 * dims.len() as u64, dims, element.size(), length)
}

/// The element type and the dimensions in the plain file at `path`, whose length must be right.
pub(crate) fn header_of(path: &Path) -> Result<(&'static str, Vec<usize>)> {
    let read = || {
        let file = File::open(path)?;
        let length = Length::Exactly(file.metadata()?.len());
        let (element, dims) = read_dims(&mut BufReader::new(file))?;
        announced(element, dims.clone(), length)?;
        Ok((element.name(), dims))
    };
    read().map_err(|problem: Error| problem.in_file(path))
}

impl Idx {
    /// Reads the file at `path`, plain or packed by gzip. The elements may take 1 GiB;
    /// [`IdxReader`] has other limits.
    ///
    /// # Errors
    ///
    /// As [`IdxReader::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        IdxReader::new().open(path)
    }

    /// Reads IDX data in memory, plain or packed by gzip. The elements may take 1 GiB.
    ///
    /// # Errors
    ///
    /// As [`IdxReader::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        IdxReader::new().from_bytes(bytes)
    }

    /// Reads plain IDX data from a stream up to its end. The elements may take 1 GiB.
    ///
    /// # Errors
    ///
    /// As [`IdxReader::from_reader`].
    pub fn from_reader(reader: impl Read) -> Result<Self> {
        IdxReader::new().from_reader(reader)
    }
}
