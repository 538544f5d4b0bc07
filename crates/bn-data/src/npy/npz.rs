//! The archive of named arrays.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Npy, NpyReader};
use crate::{
    error::{Error, Result},
    payload::Length,
    whole_file::check_regular,
};

/// An `.npz` file, whose directory is read once, and whose arrays are then read by their names.
///
/// It is a file, or bytes in memory. The limits of memory are those of [`NpyReader`].
///
/// ```
/// use bn_data::{Npy, Npz};
/// use std::io::Cursor;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let w = Npy::F32(ndarray::array![[1.0, 2.0], [3.0, 4.0]].into_dyn());
/// let mut bytes = Cursor::new(Vec::new());
/// Npy::write_npz(&mut bytes, [("W1", &w)])?;
/// let mut file = Npz::new(bytes)?;
/// assert_eq!(file.names(), ["W1"]);
/// assert_eq!(file.array("W1")?, w);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Npz<R> {
    archive: ZipArchive<R>,
    bytes: u64, // of the file
    reader: NpyReader,
    path: Option<PathBuf>, // for errors
}

impl Npz<BufReader<File>> {
    /// Opens the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::Io`], or around [`Error::NotNpy`] if it is not an intact ZIP archive.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || {
            check_regular(path)?;
            Self::new(BufReader::new(File::open(path)?))
        };
        let file = open().map_err(|problem| problem.in_file(path))?;
        Ok(Npz {
            path: Some(path.to_owned()),
            ..file
        })
    }
}

impl<R: Read + Seek> Npz<R> {
    /// Reads the directory of an archive, such as `std::io::Cursor::new(bytes)`.
    ///
    /// # Errors
    ///
    /// As [`open`](Npz::open), without a file's name.
    pub fn new(mut reader: R) -> Result<Self> {
        let bytes = reader.seek(SeekFrom::End(0))?;
        Ok(Npz {
            archive: ZipArchive::new(reader).map_err(not_npz)?,
            bytes,
            reader: NpyReader::new(),
            path: None,
        })
    }

    /// Sets how many bytes the elements of an array may take.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.reader = self.reader.limit(limit);
        self
    }

    /// The path that [`open`](Npz::open) was given.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The names of the arrays, in their order in the file.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let members = self.archive.file_names().filter_map(|name| name.ok());
        let names = members.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned));
        names.collect()
    }

    /// Reads the array `name`, compressed or not.
    ///
    /// # Errors
    ///
    /// As [`NpyReader::open_npz`]; in [`Error::InFile`] only after [`open`](Npz::open).
    pub fn array(&mut self, name: &str) -> Result<Npy> {
        let array = self.read(name);
        array.map_err(|problem| match &self.path {
            Some(path) => problem.in_file(path),
            None => problem,
        })
    }

    fn read(&mut self, name: &str) -> Result<Npy> {
        let Some(index) = self.archive.index_for_name(&format!("{name}.npy")) else {
            return Err(unknown(name, self.names()));
        };
        let member = self.archive.by_index(index).map_err(not_npz)?;
        let length = Length::of_gzip(member.compressed_size().min(self.bytes)); // both are deflate
        self.reader.read(member, length)
    }
}

/// An array that is not in the file, with the names of those that are.
fn unknown(name: &str, mut names: Vec<String>) -> Error {
    names.sort_unstable();
    names.truncate(20);
    Error::Setting {
        what: "the name of the array",
        value: format!("`{name}`"),
        must_be: format!("one of those in the file: {}", names.join(", ")),
    }
}

fn not_npz(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => Error::Io(error),
        other => Error::NotNpy {
            reason: other.to_string(),
        },
    }
}
