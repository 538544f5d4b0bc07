//! Partial files with a fixed name and a lock.
//!
//! A killed process cannot remove its partial file, so the next save to the same target must find it.
//! Its name therefore follows from the target's, and the process that writes it holds a lock on it,
//! which the system releases when the process ends. A partial file without a lock is removed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::target::Target;

/// How many saves to one target at once have a partial file with a fixed name.
const SLOTS: usize = 8;

/// Creates and locks the first partial file that no other save holds, and removes those that killed
/// processes have left. `None` if none can be created and locked.
pub(super) fn create(target: &Target) -> Option<(File, PathBuf)> {
    let mut created = None;
    for slot in 0..SLOTS {
        let path = target.folder.join(name(target, slot));
        if created.is_some() {
            let _ = remove_left(&path); // most often there is none
        } else if let Ok(file) = create_at(&path, target.mode()) {
            created = Some((file, path));
        }
    }
    created
}

/// `.NAME.part0`. Targets whose own name is too long to be extended share one name.
fn name(target: &Target, slot: usize) -> OsString {
    let mut name = OsString::from(".");
    name.push(match target.name.len() {
        0..=240 => &target.name,
        _ => OsStr::new("long-name"),
    });
    name.push(format!(".part{slot}"));
    name
}

fn create_at(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(mode);
    let file = options.open(path).or_else(|error| {
        if error.kind() != ErrorKind::AlreadyExists {
            return Err(error);
        }
        remove_left(path)?;
        options.open(path)
    })?;
    match file.try_lock() {
        // Before it was locked, another save may have taken it for one that was left.
        Ok(()) if is_at(&file, path)? => Ok(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => {
            fs::remove_file(path)?; // without locks nobody else removes it
            Err(error)
        }
    }
}

/// Removes the file of a killed process. Fails if a running save holds it, or if there is none.
fn remove_left(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.try_lock()?;
    // Only the holder of the lock renames or removes the file, so nobody comes between.
    if is_at(&file, path)? {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Whether `path` still names this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}
