//! How much memory a reader may take.

use std::io::{self, ErrorKind};

use crate::error::{Error, Result};

/// The bytes that the elements of a file may take, if the user sets no other limit: 1 GiB.
pub(crate) const DEFAULT_LIMIT: u64 = 1 << 30;

/// Refuses elements of `size` bytes if that is above `limit`.
pub(crate) fn check_limit(size: u64, limit: u64) -> Result<()> {
    match size > limit {
        true => Err(Error::OverLimit { size, limit }),
        false => Ok(()),
    }
}

/// Room for `more` elements and as many others, or an error if there is no memory for them.
#[cfg(any(feature = "csv", feature = "images"))]
pub(crate) fn reserve<T>(elements: &mut Vec<T>, more: usize) -> Result<()> {
    let reserved = elements.try_reserve(more);
    Ok(reserved.map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?)
}

/// Room for exactly `more` elements, or an error if there is no memory for them.
pub(crate) fn reserve_exact<T>(elements: &mut Vec<T>, more: usize) -> Result<()> {
    let reserved = elements.try_reserve_exact(more);
    Ok(reserved.map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?)
}
