//! Downloads a data set to the cache folder.

mod transfer;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::{
    error::{Error, Result},
    source::{Source, SourceFile, find_file},
};
use transfer::{Failure, PATIENCE, Transfer};

/// The mirrors from which data sets are downloaded, and the folder in which they are stored.
///
/// By default these are the data set's well-known mirrors, one after another, the platform's cache folder
/// (`~/.cache/bn-data` on Linux, `~/Library/Caches/bn-data` on macOS, `%LOCALAPPDATA%\bn-data\cache`
/// on Windows), and a progress bar is shown if standard error is a terminal.
///
/// An interrupted download is resumed at the next mirror or by the next call. A file gets its name
/// only when it is complete and the SHA-256 of its unpacked bytes is right. Several processes may
/// download at once: the second waits for the first.
///
/// ```no_run
/// use bn_data::{Download, LoadOptions, Mnist};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let download = Download::default()
///     .mirrors(["https://mirror.example.org/mnist/"])
///     .cache_dir("/srv/data")
///     .progress(false);
/// let mnist = Mnist::load_or_download_with(&download, LoadOptions::default())?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Download {
    mirrors: Option<Vec<String>>,
    cache_dir: Option<PathBuf>,
    progress: bool,
}

impl Default for Download {
    fn default() -> Self {
        Download {
            mirrors: None,
            cache_dir: None,
            progress: true,
        }
    }
}

impl Download {
    /// Sets the addresses of folders that hold the packed files. They replace the well-known ones and
    /// are tried one after another.
    #[must_use]
    pub fn mirrors<S: Into<String>>(mut self, mirrors: impl IntoIterator<Item = S>) -> Self {
        self.mirrors = Some(mirrors.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the cache folder, in place of the platform's. Each data set has its own sub-folder: `mnist`,
    /// `fashion-mnist`.
    #[must_use]
    pub fn cache_dir(mut self, cache_dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(cache_dir.into());
        self
    }

    /// Sets whether a progress bar is shown on standard error, if that is a terminal.
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// The cache folder of `source`, with all its files in it.
    pub(crate) fn fetch(&self, source: &Source) -> Result<PathBuf> {
        let folder = match &self.cache_dir {
            Some(dir) => dir.clone(),
            None => ProjectDirs::from("", "", "bn-data")
                .ok_or(Error::NoCacheFolder)?
                .cache_dir()
                .to_owned(),
        }
        .join(source.place.folders[0]);

        if source.files.find(&folder).is_none() {
            let _lock = lock(&folder).map_err(|problem| Error::CacheFolder {
                folder: folder.clone(),
                problem,
            })?;
            let transfer = Transfer::new(self.progress, PATIENCE);
            for file in source.files.iter() {
                // Another process may have downloaded it while this one waited for the lock.
                if find_file(file.name, &folder).is_none() {
                    self.fetch_file(&transfer, source, file, &folder)?;
                }
            }
        }
        // An interrupted download leaves its part, also if the file then comes in another way.
        for file in source.files.iter() {
            let _ = fs::remove_file(part_of(file, &folder)); // most often there is none
        }
        Ok(folder)
    }

    fn fetch_file(
        &self,
        transfer: &Transfer,
        source: &Source,
        file: &SourceFile,
        folder: &Path,
    ) -> Result<()> {
        let packed = format!("{}.gz", file.name);
        let part = part_of(file, folder);
        let cache_error = |problem| Error::CacheFolder {
            folder: folder.to_owned(),
            problem,
        };
        let well_known = || source.mirrors.iter().map(|&mirror| mirror.into()).collect();
        let mut tried = String::new();
        for mirror in self.mirrors.clone().unwrap_or_else(well_known) {
            let url = format!("{}/{packed}", mirror.trim_end_matches('/'));
            match transfer.fetch(&url, file, &part) {
                Ok(()) => return fs::rename(&part, folder.join(&packed)).map_err(cache_error),
                Err(Failure::Cache(problem)) => return Err(cache_error(problem)),
                Err(Failure::Mirror(answer)) => tried += &format!("\n  {url}: {answer}"),
            }
        }
        Err(Error::Download {
            dataset: source.place.name,
            file: packed,
            folder: folder.to_owned(),
            tried,
        })
    }
}

/// The unfinished download of a file.
fn part_of(file: &SourceFile, folder: &Path) -> PathBuf {
    folder.join(format!("{}.gz.part", file.name))
}

/// Creates the folder and waits until no other process downloads into it. The lock is released when
/// the file is closed, also if the process is killed.
fn lock(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join("download.lock"))?;
    match file.lock() {
        // Some network file systems have no locks; the download continues without one.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(file),
    }
}
