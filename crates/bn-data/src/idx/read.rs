//! Reading IDX, without belief in what a header promises.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ndarray::{ArrayD, IxDyn};

use super::{Element, Idx};
use crate::error::{Error, Result};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

impl Idx {
    /// Reads the file at `path`, plain or packed by gzip.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::Io`], [`Error::NotIdx`], [`Error::UnknownElementType`],
    /// [`Error::TooLarge`], [`Error::Truncated`], [`Error::TrailingBytes`] or [`Error::Gzip`].
    /// Nothing is allocated for a promise that a plain file is too short to hold; what a gzip
    /// stream holds shows only as it unpacks, so there memory grows with the data that arrive.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        open(path).map_err(|problem| problem.in_file(path))
    }

    /// Reads IDX data in memory, plain or packed by gzip.
    ///
    /// # Errors
    ///
    /// As [`Idx::open`], without a file's name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        read_either(bytes, Some(bytes.len() as u64))
    }

    /// Reads plain IDX data from a stream up to its end; memory grows with the data that arrive.
    ///
    /// # Errors
    ///
    /// As [`Idx::open`], without a file's name.
    pub fn from_reader(reader: impl Read) -> Result<Self> {
        read_plain(reader, None)
    }
}

fn open(path: &Path) -> Result<Idx> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // A pipe or a device says nothing of its length.
    let length = metadata.is_file().then_some(metadata.len());
    read_either(BufReader::new(file), length)
}

fn read_either(mut reader: impl BufRead, length: Option<u64>) -> Result<Idx> {
    // One byte is proof enough, an IDX file begins with 0; a buffer may hold no more than one.
    if reader.fill_buf()?.first() == Some(&GZIP_MAGIC[0]) {
        read_plain(GzipErrors(MultiGzDecoder::new(reader)), None)
    } else {
        read_plain(reader, length)
    }
}

/// `length` is that of the whole data, header included, where it is known in advance.
fn read_plain(mut reader: impl Read, length: Option<u64>) -> Result<Idx> {
    let mut magic = [0; 4];
    fill(&mut reader, &mut magic, 0)?;
    let [0, 0, code, rank] = magic else {
        return Err(Error::NotIdx { found: magic });
    };
    let element = Element::from_code(code)?;

    let mut dims = Vec::with_capacity(rank.into());
    for axis in 0..u64::from(rank) {
        let mut dim = [0; 4];
        fill(&mut reader, &mut dim, 4 + 4 * axis)?;
        dims.push(u32::from_be_bytes(dim) as usize);
    }
    let header = 4 + 4 * u64::from(rank);
    let payload = payload_size(&dims, element)?;
    let expected = header + payload as u64;

    let mut bytes = Vec::new();
    if let Some(got) = length {
        if got < expected {
            return Err(Error::Truncated { expected, got });
        }
        if got > expected {
            return Err(Error::TrailingBytes { expected });
        }
        bytes
            .try_reserve_exact(payload)
            .map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    }
    // One byte more than promised, to see that none is there; a gzip stream is thereby read to
    // its end, which is where its checksum stands.
    let mut bounded = reader.take(payload as u64 + 1);
    if let Err(error) = bounded.read_to_end(&mut bytes) {
        return Err(into_error(error, expected, header + bytes.len() as u64));
    }
    if bytes.len() > payload {
        return Err(Error::TrailingBytes { expected });
    }
    if bytes.len() < payload {
        let got = header + bytes.len() as u64;
        return Err(Error::Truncated { expected, got });
    }
    decode(element, dims, bytes)
}

/// Bytes of the elements, refused where no array could hold them.
fn payload_size(dims: &[usize], element: Element) -> Result<usize> {
    dims.iter()
        .try_fold(element.size(), |size, &dim| size.checked_mul(dim))
        .filter(|&size| size < isize::MAX as usize)
        .ok_or_else(|| Error::TooLarge {
            dims: dims.to_vec(),
        })
}

/// Fills `buffer` with header bytes, of which `before` came already.
fn fill(reader: &mut impl Read, buffer: &mut [u8], before: u64) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let expected = before + buffer.len() as u64;
        let got = before + filled as u64;
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => return Err(Error::Truncated { expected, got }),
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(into_error(error, expected, got)),
        }
    }
    Ok(())
}

fn decode(element: Element, dims: Vec<usize>, bytes: Vec<u8>) -> Result<Idx> {
    Ok(match element {
        Element::U8 => Idx::U8(shaped(dims, bytes)?),
        Element::I8 => Idx::I8(shaped(dims, elements(&bytes, i8::from_be_bytes))?),
        Element::I16 => Idx::I16(shaped(dims, elements(&bytes, i16::from_be_bytes))?),
        Element::I32 => Idx::I32(shaped(dims, elements(&bytes, i32::from_be_bytes))?),
        Element::F32 => Idx::F32(shaped(dims, elements(&bytes, f32::from_be_bytes))?),
        Element::F64 => Idx::F64(shaped(dims, elements(&bytes, f64::from_be_bytes))?),
    })
}

fn elements<T, const SIZE: usize>(bytes: &[u8], from_be: fn([u8; SIZE]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<SIZE>();
    chunks.iter().map(|&chunk| from_be(chunk)).collect()
}

/// Refuses also an array that is empty by one axis and too large by the others.
fn shaped<T>(dims: Vec<usize>, elements: Vec<T>) -> Result<ArrayD<T>> {
    ArrayD::from_shape_vec(IxDyn(&dims), elements).map_err(|_| Error::TooLarge { dims })
}

/// Marks the errors of a gzip stream, to distinguish them from those of the file itself.
struct GzipErrors<R>(R);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct GzipError(io::Error);

impl<R: Read> Read for GzipErrors<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                io::Error::new(error.kind(), GzipError(error))
            }
            _ => error,
        })
    }
}

fn into_error(error: io::Error, expected: u64, got: u64) -> Error {
    match error.downcast::<GzipError>() {
        Ok(GzipError(inner)) => Error::Gzip(inner),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::Truncated { expected, got }
        }
        Err(error) => Error::Io(error),
    }
}
