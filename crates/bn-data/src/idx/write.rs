//! Writing IDX, whole or not at all.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Idx;
use crate::{Error, Result};

impl Idx {
    /// Writes the array to `path`, packed by gzip if the name ends in `.gz`.
    ///
    /// The data go to a temporary file in the same folder, which then takes the name: whoever
    /// opens `path` finds the old file or the new one, whole. The same array gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::NotWritable`] or [`Error::Io`]; a file that stood at
    /// `path` before then stands there still.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.write_atomically(path)
            .map_err(|problem| problem.in_file(path))
    }

    /// The array as the bytes of a plain IDX file.
    ///
    /// # Errors
    ///
    /// [`Error::NotWritable`] for more than 255 axes or an axis of 2^32 or more.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = self.header()?;
        self.write_elements(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes the array to a stream, as a plain IDX file.
    ///
    /// # Errors
    ///
    /// [`Error::NotWritable`] before anything is written, or [`Error::Io`].
    pub fn to_writer(&self, mut writer: impl Write) -> Result<()> {
        writer.write_all(&self.header()?)?;
        self.write_elements(&mut writer)?;
        writer.flush()?;
        Ok(())
    }

    fn write_atomically(&self, path: &Path) -> Result<()> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        // tempfile keeps its files private; this one is to become an ordinary file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut temporary = builder.tempfile_in(folder)?;

        let mut writer = BufWriter::new(&mut temporary);
        if path.extension() == Some(OsStr::new("gz")) {
            let mut encoder = GzEncoder::new(&mut writer, Compression::default());
            self.to_writer(BufWriter::new(&mut encoder))?;
            encoder.finish()?;
        } else {
            self.to_writer(&mut writer)?;
        }
        // Dropped without this, a BufWriter would swallow its last error.
        writer.flush()?;
        drop(writer);
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn header(&self) -> Result<Vec<u8>> {
        let not_writable = || Error::NotWritable {
            shape: self.shape().to_vec(),
        };
        let rank = u8::try_from(self.shape().len()).map_err(|_| not_writable())?;
        let mut header = vec![0, 0, self.element() as u8, rank];
        for &dim in self.shape() {
            let dim = u32::try_from(dim).map_err(|_| not_writable())?;
            header.extend(dim.to_be_bytes());
        }
        Ok(header)
    }

    /// In the order of the indices, however the array lies in memory.
    fn write_elements(&self, w: &mut impl Write) -> io::Result<()> {
        match self {
            Idx::U8(a) => a.iter().try_for_each(|x| w.write_all(&x.to_be_bytes())),
            Idx::I8(a) => a.iter().try_for_each(|x| w.write_all(&x.to_be_bytes())),
            Idx::I16(a) => a.iter().try_for_each(|x| w.write_all(&x.to_be_bytes())),
            Idx::I32(a) => a.iter().try_for_each(|x| w.write_all(&x.to_be_bytes())),
            Idx::F32(a) => a.iter().try_for_each(|x| w.write_all(&x.to_be_bytes())),
            Idx::F64(a) => a.iter().try_for_each(|x| w.write_all(&x.to_be_bytes())),
        }
    }
}
