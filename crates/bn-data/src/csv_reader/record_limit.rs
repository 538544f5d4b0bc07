//! A stream that ends in an error if a record is too long to be one.

use std::io::{self, ErrorKind, Read};

/// A million numbers.
const MOST_BYTES: usize = 16 << 20;

pub(super) struct RecordLimit<R> {
    inner: R,
    bytes: usize, // read since the record began
}

impl<R> RecordLimit<R> {
    pub(super) fn new(inner: R) -> Self {
        RecordLimit { inner, bytes: 0 }
    }

    /// A record begins.
    pub(super) fn restart(&mut self) {
        self.bytes = 0;
    }
}

impl<R: Read> Read for RecordLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read;
        if self.bytes > MOST_BYTES {
            let reason =
                "a line is longer than 16 MiB; this is not a CSV file, or a quote is not closed";
            return Err(io::Error::new(ErrorKind::InvalidData, reason));
        }
        Ok(read)
    }
}
