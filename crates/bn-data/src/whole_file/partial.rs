//! The file that a save writes before it gets its name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::target::Target;

/// A file in the target's folder, which is removed unless it is renamed.
pub(super) struct Partial {
    pub(super) file: File,
    path: PathBuf,
    is_renamed: bool,
}

impl Partial {
    /// Creates the file, with the permissions that the target is to have.
    pub(super) fn create(target: &Target) -> io::Result<Self> {
        #[cfg(unix)]
        let created = super::locked::create(target);
        #[cfg(not(unix))]
        let created = None; // std cannot tell whether a path still names an open file
        let (file, path) = match created {
            Some(created) => created,
            None => create_with_random_name(target).map_err(|error| {
                let folder = target.folder.display();
                let reason = format!("cannot create a file in the folder {folder}: {error}");
                io::Error::new(error.kind(), reason)
            })?,
        };
        let partial = Self {
            file,
            path,
            is_renamed: false,
        };
        if let Some(permissions) = &target.permissions {
            // The umask may have taken some away.
            partial.file.set_permissions(permissions.clone())?;
        }
        Ok(partial)
    }

    pub(super) fn rename_to(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = fs::remove_file(&self.path); // the save has failed already
        }
    }
}

fn create_with_random_name(target: &Target) -> io::Result<(File, PathBuf)> {
    let mut builder = tempfile::Builder::new();
    // tempfile makes its files private by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(target.mode()));
    Ok(builder.tempfile_in(&target.folder)?.keep()?)
}
