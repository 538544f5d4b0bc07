//! Reading IDX data without trusting the sizes in their header.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{
    Element, Idx,
    gzip::{self, GzipErrors},
    payload::{Length, Payload, fill},
};
use crate::error::{Error, Result};

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
        IdxReader { limit: 1 << 30 }
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
        if reader.fill_buf()?.first() == Some(&gzip::MAGIC[0]) {
            let length = length.map_or(Length::Unknown, Length::of_gzip);
            self.read_plain(GzipErrors(MultiGzDecoder::new(reader)), length)
        } else {
            let length = length.map_or(Length::Unknown, Length::Exactly);
            self.read_plain(reader, length)
        }
    }

    fn read_plain(self, mut reader: impl Read, length: Length) -> Result<Idx> {
        let mut magic = [0; 4];
        read_header(&mut reader, &mut magic, 0)?;
        let [0, 0, code, rank] = magic else {
            return Err(Error::NotIdx { found: magic });
        };
        let element = Element::from_code(code)?;
        let mut dims = Vec::with_capacity(rank.into());
        for axis in 0..u64::from(rank) {
            let mut dim = [0; 4];
            read_header(&mut reader, &mut dim, 4 + 4 * axis)?;
            dims.push(u32::from_be_bytes(dim) as usize);
        }
        let count = count(&dims, element)?;
        let size = (count * element.size()) as u64;
        let payload = Payload {
            header: 4 + 4 * u64::from(rank),
            size,
            count,
            length,
        };
        payload.check_length()?;
        if size > self.limit {
            let limit = self.limit;
            return Err(Error::OverLimit { size, limit });
        }
        payload.read(reader, element, dims)
    }
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

/// The number of elements, refused where no array could hold them.
fn count(dims: &[usize], element: Element) -> Result<usize> {
    let count = dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    count
        .filter(|&count| count < isize::MAX as usize / element.size())
        .ok_or_else(|| Error::TooLarge {
            dims: dims.to_vec(),
        })
}

/// Fills `buffer` with bytes of the header, of which `before` were read already.
fn read_header(reader: &mut impl Read, buffer: &mut [u8], before: u64) -> Result<()> {
    let expected = before + buffer.len() as u64;
    fill(reader, buffer).map_err(|broken| broken.in_data(expected, before))
}
