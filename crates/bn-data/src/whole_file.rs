//! Files that are written whole or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

/// Creates or replaces the file at `path` with what `write` writes, whole or not at all.
///
/// The data go to a temporary file in the same folder, which is synced and then renamed to `path`. So
/// whoever opens `path` finds the old file or the new one, also after a crash. The file has the
/// permissions of an ordinary new file (0666 less the umask, on Unix).
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
/// The error of `write`, or of creating, syncing or renaming the file. The temporary file is removed
/// then, and an existing file at `path` is unchanged.
pub fn write_whole(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let path = path.as_ref();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // tempfile makes its files private by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder)?;
    write(temporary.as_file_mut())?;
    // Before the rename, so that a crash never leaves the new name with missing content.
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}
