//! The elements of an IDX file.

use std::io::{self, ErrorKind, Read};

use ndarray::{ArrayD, IxDyn};

use super::{
    Element, Idx,
    gzip::{self, into_error},
};
use crate::error::{Error, Result};

/// The elements are converted in blocks of so many bytes, a multiple of every element's size.
const BLOCK: usize = 64 << 10;

/// What is known about the length of the data before they are read, header included.
#[derive(Clone, Copy)]
pub(super) enum Length {
    Exactly(u64),
    AtMost(u64),
    Unknown,
}

impl Length {
    /// That of the data in a gzip file of `packed` bytes.
    pub(super) fn of_gzip(packed: u64) -> Self {
        Self::AtMost(packed.saturating_mul(gzip::MAX_RATIO))
    }
}

/// The elements of an array, which the header announces.
pub(super) struct Payload {
    pub(super) header: u64, // bytes of the header
    pub(super) size: u64,   // bytes of the elements
    pub(super) count: usize,
    pub(super) length: Length,
}

impl Payload {
    /// Refuses data whose known length is not that of the header.
    pub(super) fn check_length(&self) -> Result<()> {
        let expected = self.header + self.size;
        match self.length {
            Length::Exactly(got) if got < expected => Err(Error::Truncated { expected, got }),
            Length::Exactly(got) if got > expected => Err(Error::TrailingBytes { expected }),
            _ => Ok(()),
        }
    }

    pub(super) fn read(
        &self,
        reader: impl Read,
        element: Element,
        dims: Vec<usize>,
    ) -> Result<Idx> {
        Ok(match element {
            Element::U8 => Idx::U8(shaped(dims, self.elements(reader, u8::from_be_bytes)?)?),
            Element::I8 => Idx::I8(shaped(dims, self.elements(reader, i8::from_be_bytes)?)?),
            Element::I16 => Idx::I16(shaped(dims, self.elements(reader, i16::from_be_bytes)?)?),
            Element::I32 => Idx::I32(shaped(dims, self.elements(reader, i32::from_be_bytes)?)?),
            Element::F32 => Idx::F32(shaped(dims, self.elements(reader, f32::from_be_bytes)?)?),
            Element::F64 => Idx::F64(shaped(dims, self.elements(reader, f64::from_be_bytes)?)?),
        })
    }

    fn elements<T, const SIZE: usize>(
        &self,
        mut reader: impl Read,
        from_be: fn([u8; SIZE]) -> T,
    ) -> Result<Vec<T>> {
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
        reserve(&mut elements, possible)?;
        let mut block = vec![0; BLOCK.min(self.size as usize)];
        let mut left = self.size as usize;
        while left > 0 {
            let block = &mut block[..BLOCK.min(left)];
            let before = expected - left as u64;
            fill(&mut reader, block).map_err(|broken| broken.in_data(expected, before))?;
            let (chunks, _) = block.as_chunks::<SIZE>();
            if elements.capacity() - elements.len() < chunks.len() {
                let (doubled, left) = (elements.len(), self.count - elements.len());
                reserve(&mut elements, chunks.len().max(doubled).min(left))?;
            }
            elements.extend(chunks.iter().map(|&chunk| from_be(chunk)));
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

fn reserve<T>(elements: &mut Vec<T>, more: usize) -> Result<()> {
    let reserved = elements.try_reserve_exact(more);
    Ok(reserved.map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?)
}

/// Data that ended (`error: None`) or could not be read before a buffer was full.
pub(super) struct Broken {
    got: u64, // bytes in the buffer
    error: Option<io::Error>,
}

impl Broken {
    /// `before` bytes of the `expected` ones were read before the buffer.
    pub(super) fn in_data(self, expected: u64, before: u64) -> Error {
        let got = before + self.got;
        match self.error {
            None => Error::Truncated { expected, got },
            Some(error) => into_error(error, expected, got),
        }
    }
}

pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::result::Result<(), Broken> {
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

/// Refuses also an array that is empty by one axis and too large by the others.
fn shaped<T>(dims: Vec<usize>, elements: Vec<T>) -> Result<ArrayD<T>> {
    ArrayD::from_shape_vec(IxDyn(&dims), elements).map_err(|_| Error::TooLarge { dims })
}
