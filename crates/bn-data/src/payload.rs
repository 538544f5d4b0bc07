//! The elements of a binary file, whose header announces how many there are.

mod gzip;

use std::io::{self, ErrorKind, Read};

use ndarray::{ArrayD, IxDyn};

use crate::{
    error::{Error, Result},
    limit::{check_limit, reserve_exact},
};
use gzip::into_error;
pub(crate) use gzip::{GzipErrors, MAGIC as GZIP_MAGIC};

/// The elements are converted in blocks of so many bytes, a multiple of every element's size.
const BLOCK: usize = 64 << 10;

/// What is known about the length of the data before they are read, header included.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Exactly(u64),
    AtMost(u64),
    Unknown,
}

impl Length {
    /// That of the data in a gzip file of `packed` bytes.
    pub(crate) fn of_gzip(packed: u64) -> Self {
        Self::AtMost(packed.saturating_mul(gzip::MAX_RATIO))
    }
}

/// The elements of an array, which the header announces.
pub(crate) struct Payload {
    dims: Vec<usize>,
    header: u64, // bytes of the header
    size: u64,   // bytes of the elements
    count: usize,
    length: Length,
}

impl Payload {
    /// The elements of an array of these dimensions, `element_size` bytes each, after a header of so many
    /// bytes. Refuses dimensions that no array can have, and data whose known length is not that of the
    /// header.
    pub(crate) fn new(
        header: u64,
        dims: Vec<usize>,
        element_size: usize,
        length: Length,
    ) -> Result<Self> {
        let count = count(&dims, element_size)?;
        let payload = Payload {
            dims,
            header,
            size: (count * element_size) as u64,
            count,
            length,
        };
        payload.check_length()?;
        Ok(payload)
    }

    fn check_length(&self) -> Result<()> {
        let expected = self.header + self.size;
        match self.length {
            Length::Exactly(got) if got < expected => Err(Error::Truncated { expected, got }),
            Length::Exactly(got) if got > expected => Err(Error::TrailingBytes { expected }),
            _ => Ok(()),
        }
    }

    /// Reads the array, whose elements may take `limit` bytes, and finds the end of the data after them.
    pub(crate) fn array<T, const SIZE: usize>(
        self,
        limit: u64,
        reader: impl Read,
        from_bytes: fn([u8; SIZE]) -> T,
    ) -> Result<ArrayD<T>> {
        let elements = self.elements(limit, reader, from_bytes)?;
        // Refuses also an array that is empty by one axis and too large by the others.
        ArrayD::from_shape_vec(IxDyn(&self.dims), elements)
            .map_err(|_| Error::TooLarge { dims: self.dims })
    }

    fn elements<T, const SIZE: usize>(
        &self,
        limit: u64,
        mut reader: impl Read,
        from_bytes: fn([u8; SIZE]) -> T,
    ) -> Result<Vec<T>> {
        check_limit(self.size, limit)?;
        let expected = self.header + self.size;
        let mut elements = Vec::new();
        // Reserve what the data can hold. For a stream, the capacity doubles as the data arrive.
        let possible = match self.length {
            Length::Exactly(_) => self.count,
            Length::AtMost(length) => self
                .count
                .min(usize::try_from(length).unwrap_or(usize::MAX) / SIZE),
            Length::Unknown => 0,
        };
        reserve_exact(&mut elements, possible)?;
        let mut block = vec![0; BLOCK.min(self.size as usize)];
        let mut left = self.size as usize;
        while left > 0 {
            let block = &mut block[..BLOCK.min(left)];
            let before = expected - left as u64;
            fill(&mut reader, block).map_err(|broken| broken.in_data(expected, before))?;
            let (chunks, _) = block.as_chunks::<SIZE>();
            if elements.capacity() - elements.len() < chunks.len() {
                let (doubled, left) = (elements.len(), self.count - elements.len());
                reserve_exact(&mut elements, chunks.len().max(doubled).min(left))?;
            }
            elements.extend(chunks.iter().map(|&chunk| from_bytes(chunk)));
            left -= block.len();
        }
        // This reads a gzip stream to its end, where its checksum is.
        match fill(&mut reader, &mut [0]) {
            Ok(()) => Err(Error::TrailingBytes { expected }),
            Err(Broken { error: None, .. }) => Ok(elements),
            Err(broken) => Err(broken.in_data(expected, expected)),
        }
    }
}

/// Data that ended (`error: None`) or could not be read before a buffer was full.
struct Broken {
    got: u64, // bytes in the buffer
    error: Option<io::Error>,
}

impl Broken {
    /// `before` bytes of the `expected` ones were read before the buffer.
    fn in_data(self, expected: u64, before: u64) -> Error {
        let got = before + self.got;
        match self.error {
            None => Error::Truncated { expected, got },
            Some(error) => into_error(error, expected, got),
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::result::Result<(), Broken> {
    let mut filled = 0;
    while filled < buffer.len() {
        let error = match reader.read(&mut buffer[filled..]) {
            Ok(0) => None,
            Ok(n) => {
                filled += n;
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Some(error),
        };
        let got = filled as u64;
        return Err(Broken { got, error });
    }
    Ok(())
}

/// Fills `buffer` with bytes of the header, of which `before` were read already.
pub(crate) fn read_header(reader: &mut impl Read, buffer: &mut [u8], before: u64) -> Result<()> {
    let expected = before + buffer.len() as u64;
    fill(reader, buffer).map_err(|broken| broken.in_data(expected, before))
}

/// The number of elements, refused where no array could hold them.
fn count(dims: &[usize], element_size: usize) -> Result<usize> {
    let count = dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    count
        .filter(|&count| count < isize::MAX as usize / element_size)
        .ok_or_else(|| Error::TooLarge {
            dims: dims.to_vec(),
        })
}
