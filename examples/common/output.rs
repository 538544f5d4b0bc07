//! Files that are written completely or not at all.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::{Builder, NamedTempFile};

/// Checks that the file can be written, before the work whose results it will hold.
pub fn check_writable(path: &Path) -> Result<()> {
    let name = path.display();
    if path.is_dir() {
        bail!("cannot write {name}: it is a folder; give the name of a file");
    }
    if path.exists() && !path.is_file() {
        bail!("cannot write {name}: it is a device or a pipe; give the name of a file");
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        let folder = folder.display();
        bail!("cannot write {name}: there is no folder {folder}; create it first");
    }
    temporary(&folder).with_context(|| format!("cannot write {name}"))?;
    Ok(())
}

/// Checks that `folder` is a folder that can be written to, or can be created.
pub fn check_folder(folder: &Path) -> Result<()> {
    let existing = folder.ancestors().find(|path| path.exists());
    let existing = match existing {
        Some(path) if !path.as_os_str().is_empty() => path,
        _ => Path::new("."),
    };
    let name = folder.display();
    if !existing.is_dir() {
        let file = existing.display();
        bail!("cannot write to the folder {name}: {file} is a file; give another folder");
    }
    temporary(existing).with_context(|| format!("cannot write to the folder {name}"))?;
    Ok(())
}

/// Checks that no two of the files are the same one.
pub fn check_different(paths: &[&Path]) -> Result<()> {
    for (i, path) in paths.iter().enumerate() {
        if paths[..i].contains(path) {
            let path = path.display();
            bail!("two outputs have the same name {path}; give each its own");
        }
    }
    Ok(())
}

/// Writes a temporary file in the same folder and then renames it.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let held = interrupt::hold();
    let written = temporary(&folder_of(path)).and_then(|mut file| {
        file.write_all(content)?;
        file.persist(path).map_err(|e| e.error)
    });
    held.release();
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Prints the name of a file that was written.
pub fn announce(what: &str, path: &Path) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{what}: {}", path.display())?)
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
    // The permissions of any other new file: the umask takes away from these.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_the_previous_one_and_leaves_nothing_else() {
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
    fn a_path_that_cannot_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing").join("a.png");
        let error = check_writable(&missing).unwrap_err().to_string();
        assert!(error.contains("there is no folder"), "{error}");
        let error = check_writable(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is a folder"), "{error}");
        assert!(write_whole(&missing, b"").is_err());

        check_folder(&folder.path().join("new/nested")).unwrap();
        check_folder(folder.path()).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = check_folder(&file.join("new")).unwrap_err().to_string();
        assert!(error.contains("is a file; give another"), "{error}");

        let (a, b) = (Path::new("a"), Path::new("b"));
        check_different(&[a, b]).unwrap();
        assert!(check_different(&[a, b, a]).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_device_is_not_replaced_by_a_file() {
        let error = check_writable(Path::new("/dev/null")).unwrap_err();
        assert!(error.to_string().contains("a device"), "{error}");
    }
}
