//! Files that are written whole or not at all, and read whole.

#[cfg(unix)]
mod locked;
mod partial;
mod target;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use partial::Partial;
use target::Target;

/// Creates or replaces the file at `path` with what `write` writes, whole or not at all.
///
/// The data go to a partial file in the same folder (`.NAME.part0`), which is synced and then renamed
/// to `path`. So whoever opens `path` finds the old file or the new one, also after a crash. If the
/// process is killed, the partial file remains until the next save to the same path, which removes
/// it. (On Windows, and on a file system without locks, it has a random name and remains.) Several
/// processes or threads may save to the same path at once: the last one to finish wins.
///
/// If `path` is a symbolic link, the file that it points to is replaced. An existing file keeps its
/// permissions, but a hard link to it keeps the old content. A new file has the permissions of any
/// other new file (0666 less the umask, on Unix).
///
/// ```
/// use std::io::Write;
///
/// # fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("greeting.txt");
/// bn_data::write_whole(&path, |file| file.write_all(b"hello"))?;
/// assert_eq!(std::fs::read(&path)?, b"hello");
///
/// let failed = bn_data::write_whole(&path, |file| {
///     file.write_all(b"good")?;
///     Err(std::io::Error::other("the disk is on fire"))
/// });
/// assert!(failed.is_err());
/// assert_eq!(std::fs::read(&path)?, b"hello"); // still the old file
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// The error of `write`, or of creating, syncing or renaming the file. `path` must not be a directory,
/// a device, a pipe or a file that may not be written. The partial file is removed after an error, and
/// an existing file at `path` is unchanged.
pub fn write_whole(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let target = Target::find(path.as_ref())?;
    let mut partial = Partial::create(&target)?;
    write(&mut partial.file)?;
    // Before the rename, so that a crash never leaves the new name with missing content.
    partial.file.sync_all()?;
    partial.rename_to(&target.path)
}

/// The bytes of the regular file at `path`.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// assert!(bn_data::read_whole(folder.path()).is_err());
/// let path = folder.path().join("greeting.txt");
/// std::fs::write(&path, "hello")?;
/// assert_eq!(bn_data::read_whole(&path)?, b"hello");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// That of reading the file. `path` must not be a directory, a device, which may have no end, or a pipe, which may have
/// no writer.
pub fn read_whole(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    check_regular(path)?;
    fs::read(path)
}

/// Refuses a directory, a device, which may have no end, and a pipe, which may have no writer.
pub(crate) fn check_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        )),
    }
}
