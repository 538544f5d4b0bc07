//! What is particular to data packed by gzip.

use std::io::{self, ErrorKind, Read};

use crate::error::Error;

pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate packs at most 258 bytes into 2 bits (<https://www.zlib.net/zlib_tech.html>).
pub(super) const MAX_RATIO: u64 = 1032;

/// Marks the errors of a gzip stream, to distinguish them from those of the file itself.
pub(crate) struct GzipErrors<R>(pub(crate) R);

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

pub(super) fn into_error(error: io::Error, expected: u64, got: u64) -> Error {
    match error.downcast::<GzipError>() {
        Ok(GzipError(inner)) => Error::Gzip(inner),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::Truncated { expected, got }
        }
        Err(error) => Error::Io(error),
    }
}
