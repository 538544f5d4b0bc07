//! An image in a PNG file.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use crate::{
    error::{Error, Result},
    limit::{check_limit, reserve_exact},
};

pub(super) struct Image {
    pub(super) shape: (usize, usize, usize), // (H, W, C)
    pub(super) values: Vec<u8>,              // H*W*C
}

/// The decoder needs room for a line, and for text and colour profiles.
const DECODER_BYTES: usize = 64 << 20;

/// Reads an image. As `f32`, its values and the `before` bytes of others may take `limit` bytes.
pub(super) fn read(path: &Path, before: u64, limit: u64) -> Result<Image> {
    let limits = Limits {
        bytes: DECODER_BYTES,
    };
    let mut decoder = Decoder::new_with_limits(BufReader::new(File::open(path)?), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(not_png)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::Rgb => 3,
        other => {
            return Err(Error::NotPng {
                reason: format!(
                    "its colours are {other:?}; save it as grey or RGB, without transparency"
                ),
            });
        }
    };
    let size = reader.output_buffer_size().unwrap_or(usize::MAX);
    check_limit(
        before.saturating_add((size as u64).saturating_mul(4)),
        limit,
    )?;
    let mut values = Vec::new();
    reserve_exact(&mut values, size)?;
    values.resize(size, 0);
    let info = reader.next_frame(&mut values).map_err(not_png)?;
    reader.finish().map_err(not_png)?;
    Ok(Image {
        shape: (info.height as usize, info.width as usize, channels),
        values,
    })
}

fn not_png(error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => {
            Error::Io(error)
        }
        other => Error::NotPng {
            reason: other.to_string(),
        },
    }
}
