//! Writing IDX.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Idx;
use crate::{
    error::{Error, Result},
    whole_file::write_whole,
};

impl Idx {
    /// Writes the array to `path`, packed by gzip if the name ends in `.gz`.
    ///
    /// The file is written whole or not at all; see [`write_whole`](crate::write_whole). Equal arrays
    /// give equal bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::NotWritable`] or [`Error::Io`]. An existing file at `path` is
    /// then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let save = || {
            let header = self.header()?;
            let packed = path.extension() == Some(OsStr::new("gz"));
            write_whole(path, |file| self.write_file(&header, packed, file))?;
            Ok(())
        };
        save().map_err(|problem: Error| problem.in_file(path))
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
    /// [`Error::NotWritable`], before anything is written, or [`Error::Io`].
    pub fn to_writer(&self, mut writer: impl Write) -> Result<()> {
        writer.write_all(&self.header()?)?;
        self.write_elements(&mut writer)?;
        writer.flush()?;
        Ok(())
    }

    fn write_file(&self, header: &[u8], packed: bool, file: &mut File) -> io::Result<()> {
        let mut writer = BufWriter::new(file);
        if packed {
            let mut encoder = GzEncoder::new(&mut writer, Compression::default());
            let mut unpacked = BufWriter::new(&mut encoder);
            unpacked.write_all(header)?;
            self.write_elements(&mut unpacked)?;
            unpacked.flush()?;
            drop(unpacked);
            encoder.finish()?;
        } else {
            writer.write_all(header)?;
            self.write_elements(&mut writer)?;
        }
        // A BufWriter ignores errors when it is dropped.
        writer.flush()
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

    /// The elements in the order of the indices, whatever the memory layout.
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
