//! The part of each batch that one of several processes has.

use std::ops::Range;

use crate::error::{Error, Result};

/// The part of each batch that one of several processes trains on: some of the equal pieces into which a
/// batch is cut. By default it is the whole batch.
///
/// Piece `i` of `k` has the rows from `i·n / k` to `(i + 1)·n / k` of a batch of `n` rows, rounded down.
///
/// ```
/// use bn_data::{BatchPart, Batches, Digits};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let (train, _test) = Digits::load()?.into_parts();
/// let mut whole = Batches::new(&train, 100, 42)?;
/// // The second of two processes, each with 8 of 16 pieces.
/// let mut part = Batches::new(&train, 100, 42)?.with_part(BatchPart::new(8..16, 16)?)?;
/// let (whole, part) = (whole.next_batch().unwrap(), part.next_batch().unwrap());
/// assert_eq!(part.labels(), &whole.labels()[50..]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPart {
    pieces: Range<usize>,
    of: usize,
}

impl Default for BatchPart {
    fn default() -> Self {
        BatchPart {
            pieces: 0..1,
            of: 1,
        }
    }
}

impl BatchPart {
    /// The pieces in this range, of a batch that is cut into `of` pieces. The range may be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there are no such pieces.
    pub fn new(pieces: Range<usize>, of: usize) -> Result<Self> {
        let (start, end) = (pieces.start, pieces.end);
        if of == 0 || start > end || end > of {
            return Err(Error::Setting {
                what: "the pieces of a batch",
                value: format!("{start}..{end}"),
                must_be: format!("a range within the {of} pieces, which are at least 1"),
            });
        }
        Ok(BatchPart { pieces, of })
    }

    /// The rows of the part, of a batch of `rows` rows.
    #[must_use]
    pub fn rows(&self, rows: usize) -> Range<usize> {
        cut(self.pieces.start, rows, self.of)..cut(self.pieces.end, rows, self.of)
    }

    /// The number of rows of each piece of the part.
    pub fn piece_rows(&self, rows: usize) -> impl ExactSizeIterator<Item = usize> {
        let of = self.of;
        let pieces = self.pieces.clone();
        pieces.map(move |i| cut(i + 1, rows, of) - cut(i, rows, of))
    }
}

/// The first row of piece `i`.
fn cut(i: usize, rows: usize, of: usize) -> usize {
    (i as u128 * rows as u128 / of as u128) as usize
}
