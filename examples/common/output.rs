//! Files that appear whole or not at all.

use anyhow::{Context, Result, bail};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::{Builder, NamedTempFile};

/// Whether a file can be written here; asked before the work whose result it is to hold.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        bail!("cannot write {}: it is a folder", path.display());
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        let (path, folder) = (path.display(), folder.display());
        bail!("cannot write {path}: there is no folder {folder}");
    }
    temporary(&folder).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Writes a temporary file in the same folder, which then takes the name.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    temporary(&folder_of(path))
        .and_then(|mut file| {
            file.write_all(content)?;
            file.persist(path).map_err(|e| e.error)
        })
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".bn-");
    // Readable for others, as a file made in the plain way; less what the umask takes away.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_the_one_before_it_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for content in ["a longer text", "short"] {
            check_writable(&path).unwrap();
            write_whole(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing").join("a.png");
        let error = check_writable(&missing).unwrap_err().to_string();
        assert!(error.contains("there is no folder"), "{error}");
        let error = check_writable(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("it is a folder"), "{error}");
        assert!(write_whole(&missing, b"").is_err());
    }
}
