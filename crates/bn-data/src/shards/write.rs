//! Writing shards.

use std::fs;
use std::path::{Path, PathBuf};

use bn_tensor::Scalar;

use super::files::{self, Kind};
use crate::{
    dataset::Dataset,
    error::{Error, Result},
};

/// Writes a data set in parts, each of which fits into memory, for
/// [`ShardedBatches`](crate::ShardedBatches).
///
/// Shard 0 is the IDX file `shard-00000-images.idx`, `(N, H, W, C)` of `f32` or `f64`, and beside it
/// `shard-00000-labels.idx`, `(N)` of `i32`, or `shard-00000-values.idx`, `(N, E)`. Each file is written
/// whole or not at all, and the images come last: a shard that was interrupted is not read.
///
/// ```
/// use bn_data::{Digits, ShardWriter};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let folder = tempfile::tempdir()?;
/// let mut writer = ShardWriter::create(folder.path())?;
/// let (train, test) = Digits::load()?.into_parts();
/// for part in [&train, &test] {
///     writer.write(part)?; // a shard each
/// }
/// assert_eq!(writer.shards(), 2);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ShardWriter {
    folder: PathBuf,
    shards: usize,
    kind: Option<Kind>, // of the first
}

impl ShardWriter {
    /// Creates the folder if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::Io`], or around [`Error::Setting`] if the folder has shards
    /// already, which would be mixed with the new ones.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let create = || {
            fs::create_dir_all(folder)?;
            match files::names(folder)?.len() {
                0 => Ok(()),
                found => Err(Error::Setting {
                    what: "the number of files of shards in the folder",
                    value: found.to_string(),
                    must_be: "0; remove them or choose another folder".to_owned(),
                }),
            }
        };
        create().map_err(|problem: Error| problem.in_file(folder))?;
        Ok(ShardWriter {
            folder: folder.to_owned(),
            shards: 0,
            kind: None,
        })
    }

    /// Writes `data` as the next shard.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without images; [`Error::ShapeMismatch`], [`Error::ElementType`] or
    /// [`Error::Setting`] if images or targets are of another kind than those of the first shard;
    /// [`Error::LabelOutOfRange`] for a label of 2^31 or more; [`Error::InFile`] around [`Error::Io`] or
    /// [`Error::NotWritable`]. The shard can be written again then.
    pub fn write<T: Scalar>(&mut self, data: &Dataset<T>) -> Result<()> {
        if data.is_empty() {
            return Err(Error::Empty { op: "ShardWriter" });
        }
        let kind = Kind::of(data);
        kind.check(self.kind.unwrap_or(kind))?;
        files::write(&files::stem(&self.folder, self.shards), data)?;
        self.shards += 1;
        self.kind = Some(kind);
        Ok(())
    }

    /// The number of shards that were written.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards
    }
}

/// Writes `data` in shards of `rows` images; the last may be smaller. Returns the number of shards.
///
/// ```
/// use bn_data::{Digits, write_shards};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let folder = tempfile::tempdir()?;
/// assert_eq!(write_shards(Digits::load()?.train(), folder.path(), 500)?, 3); // of 1,415 images
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`ShardWriter`]; [`Error::Setting`] if `rows` is 0.
pub fn write_shards<T: Scalar>(
    data: &Dataset<T>,
    folder: impl AsRef<Path>,
    rows: usize,
) -> Result<usize> {
    if rows == 0 {
        return Err(Error::Setting {
            what: "the number of images in a shard",
            value: "0".to_owned(),
            must_be: "at least 1".to_owned(),
        });
    }
    let mut writer = ShardWriter::create(folder)?;
    let all: Vec<usize> = (0..data.len()).collect();
    for rows in all.chunks(rows) {
        writer.write(&data.selected(rows))?;
    }
    Ok(writer.shards())
}
