use crate::Error;
use std::path::Path;

/// Writes to a temporary file beside `path`, which then takes its name: whatever happens, the file is
/// the old one or the new one, whole.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // Readable for others, as a file made in the plain way; less what the umask takes away.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
        .tempfile_in(folder)
        .and_then(|mut file| {
            write(file.as_file_mut())?;
            file.as_file().sync_all()?; // its content before its name
            file.persist(path).map_err(|e| e.error)
        })
        .map(|_| ())
        .map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })
}
