//! An image in a PNG file.

use std::fs::File;
use std::io::{BufReader, ErrorKind};

use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use super::{Image, Room};
use crate::error::{Error, Result};

/// The decoder needs room for a line, and for text and colour profiles.
const DECODER_BYTES: usize = 64 << 20;

/// Reads an image, grey or as RGB. [`Error::NotImage`] if it is damaged or has transparency.
pub(super) fn read(file: BufReader<File>, room: Room) -> Result<Image> {
    let limits = Limits {
        bytes: DECODER_BYTES,
    };
    let mut decoder = Decoder::new_with_limits(file, limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(not_png)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::Rgb => 3,
        other => {
            return Err(Error::NotImage {
                format: "PNG",
                reason: format!(
                    "its colours are {other:?}; save it as grey or RGB, without transparency"
                ),
            });
        }
    };
    let mut values = room.for_values(reader.output_buffer_size())?;
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
        other => Error::NotImage {
            format: "PNG",
            reason: other.to_string(),
        },
    }
}
