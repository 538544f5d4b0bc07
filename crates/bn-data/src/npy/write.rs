//! Writes `.npz` files.

use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::Npy;
use crate::{
    error::{Error, Result},
    whole_file::write_whole,
};

/// Elements that are converted to bytes at a time.
const CHUNK: usize = 1 << 14;

/// The header is padded so that the elements begin at a multiple of this.
const ALIGNMENT: usize = 64;

impl Npy {
    /// Writes named arrays to the `.npz` file at `path`, as `np.savez` does: not compressed, in row-major order. The
    /// file is written whole or not at all, and the same arrays give the same bytes.
    ///
    /// ```
    /// use bn_data::{Npy, NpyReader};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("params.npz");
    /// let w = Npy::F32(ndarray::array![[1.0, 2.0], [3.0, 4.0]].into_dyn());
    /// Npy::save_npz(&path, [("W1", &w)])?; // np.savez("params.npz", W1=w)
    /// assert_eq!(NpyReader::new().open_npz(&path, "W1")?, w);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`], in [`Error::InFile`]; also for two arrays of one name.
    pub fn save_npz<'a>(
        path: impl AsRef<Path>,
        arrays: impl IntoIterator<Item = (&'a str, &'a Npy)>,
    ) -> Result<()> {
        let path = path.as_ref();
        let written = write_whole(path, |file| write_archive(BufWriter::new(file), arrays));
        written.map_err(|error| Error::Io(error).in_file(path))
    }

    /// Writes the bytes of [`save_npz`](Self::save_npz), for example to a `Cursor` over a vector.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; also for two arrays of one name. Some of the bytes are then written.
    pub fn write_npz<'a>(
        writer: impl Write + Seek,
        arrays: impl IntoIterator<Item = (&'a str, &'a Npy)>,
    ) -> Result<()> {
        Ok(write_archive(writer, arrays)?)
    }

    /// Calls `write` with the bytes of the elements, little-endian and in row-major order.
    fn write_elements(&self, write: &mut impl Write) -> io::Result<()> {
        // A macro, because the types have no trait with `to_le_bytes`.
        macro_rules! write_all {
            ($array:expr) => {{
                let mut bytes = Vec::new();
                let mut elements = $array.iter().peekable();
                while elements.peek().is_some() {
                    bytes.clear();
                    let chunk = elements.by_ref().take(CHUNK);
                    chunk.for_each(|element| bytes.extend_from_slice(&element.to_le_bytes()));
                    write.write_all(&bytes)?;
                }
                Ok(())
            }};
        }
        match self {
            Npy::U8(array) => write_all!(array),
            Npy::I32(array) => write_all!(array),
            Npy::I64(array) => write_all!(array),
            Npy::F32(array) => write_all!(array),
            Npy::F64(array) => write_all!(array),
        }
    }

    /// NumPy's name of the element type.
    fn descr(&self) -> &'static str {
        match self {
            Npy::U8(_) => "|u1",
            Npy::I32(_) => "<i4",
            Npy::I64(_) => "<i8",
            Npy::F32(_) => "<f4",
            Npy::F64(_) => "<f8",
        }
    }
}

fn write_archive<'a>(
    writer: impl Write + Seek,
    arrays: impl IntoIterator<Item = (&'a str, &'a Npy)>,
) -> io::Result<()> {
    let mut archive = ZipWriter::new(writer);
    // Sizes above 4 GiB have fields of their own, as in NumPy's files. Without a time, so that the bytes are the same.
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .large_file(true);
    for (name, array) in arrays {
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&header(array)?)?;
        array.write_elements(&mut archive)?;
    }
    let mut writer = archive.finish().map_err(|error| match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    })?;
    writer.flush()
}

/// The header, in the version of the format that NumPy writes too.
fn header(array: &Npy) -> io::Result<Vec<u8>> {
    let shape = array.shape().iter().map(|n| format!("{n}, "));
    let (descr, shape) = (array.descr(), shape.collect::<String>());
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let before = 10; // the magic bytes, the version and the length
    let len = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - before;
    let Ok(stored_len) = u16::try_from(len) else {
        let reason = "an array has too many axes for a file of NumPy";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    };
    text.extend(std::iter::repeat_n(' ', len - 1 - text.len()));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&stored_len.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}
