use crate::error::Error;
use std::path::Path;

/// [`bn_data::write_whole`] with this crate's error.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<(), Error> {
    bn_data::write_whole(path, write).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
