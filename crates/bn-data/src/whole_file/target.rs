//! Which file a save replaces.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The number of links that Linux follows.
const MAX_LINKS: usize = 40;

/// The file that a save creates or replaces.
pub(super) struct Target {
    /// Not a symbolic link.
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) name: OsString,
    /// Those of the existing file.
    pub(super) permissions: Option<Permissions>,
}

impl Target {
    /// Follows symbolic links from `path`, and checks that what is there can be replaced.
    pub(super) fn find(path: &Path) -> io::Result<Self> {
        let path = follow_links(path)?;
        let permissions = permissions_of(&path)?;
        let Some(name) = path.file_name() else {
            let reason = "the path does not end in a file name";
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        };
        Ok(Self {
            folder: folder_of(&path).to_owned(),
            name: name.to_owned(),
            permissions,
            path,
        })
    }

    /// The mode to create the file with, from which the system takes the bits of the umask.
    #[cfg(unix)]
    pub(super) fn mode(&self) -> u32 {
        self.permissions.as_ref().map_or(0o666, Permissions::mode)
    }
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The path that all symbolic links lead to. A file may exist there or not.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {}
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => return Ok(path),
        }
        let folder = folder_of(&path);
        // Linux lists open files as links in /proc/PID/fd; /dev/stdout leads there.
        if fs::canonicalize(folder)?.starts_with("/proc") {
            let reason = "it is an open file of a process, such as standard output, \
                          which cannot be replaced; name a regular file";
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        }
        path = folder.join(fs::read_link(&path)?);
    }
    let reason = "there are too many symbolic links, perhaps in a circle";
    Err(io::Error::new(ErrorKind::InvalidInput, reason))
}

/// The permissions of the regular file at `path`, if there is one.
fn permissions_of(path: &Path) -> io::Result<Option<Permissions>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if metadata.is_dir() {
        let reason = "it is a directory; add a file name";
        return Err(io::Error::new(ErrorKind::IsADirectory, reason));
    }
    if !metadata.is_file() {
        let reason = "it is a device, a pipe or a socket, which cannot be replaced; \
                      name a regular file";
        return Err(io::Error::new(ErrorKind::InvalidInput, reason));
    }
    // A rename would replace a write-protected file too.
    OpenOptions::new().write(true).open(path)?;
    let permissions = metadata.permissions();
    #[cfg(unix)]
    let permissions = without_special_bits(&permissions);
    Ok(Some(permissions))
}

/// The new file may have another owner, for whom setuid must not hold.
#[cfg(unix)]
fn without_special_bits(permissions: &Permissions) -> Permissions {
    Permissions::from_mode(permissions.mode() & 0o777)
}
