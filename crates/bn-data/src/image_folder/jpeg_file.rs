//! An image in a JPEG file.

use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{Image, Room};
use crate::error::{Error, Result};

/// What a file begins with.
pub(super) const START: [u8; 2] = [0xff, 0xd8];
/// What the values of a scan begin with.
const SCAN: [u8; 2] = [0xff, 0xda];
/// What a file ends with; it cannot be among the values of a scan.
const END: [u8; 2] = [0xff, 0xd9];

/// Reads an image, grey or as RGB. [`Error::NotImage`] if it is damaged or truncated.
pub(super) fn read(bytes: &[u8], room: Room) -> Result<Image> {
    let options = DecoderOptions::default().set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(not_jpeg)?;
    let (colours, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let mut values = room.for_values(decoder.output_buffer_size())?;
    decoder.decode_into(&mut values).map_err(not_jpeg)?;
    if !has_end(bytes) {
        return Err(refused("it is truncated")); // the decoder makes what is missing grey
    }
    Ok(Image {
        shape: (height, width, channels),
        values,
    })
}

/// Whether the last scan ends.
fn has_end(bytes: &[u8]) -> bool {
    let last_scan = bytes.windows(2).rposition(|two| two == SCAN).unwrap_or(0);
    bytes[last_scan..].windows(2).any(|two| two == END)
}

fn not_jpeg(error: DecodeErrors) -> Error {
    refused(&error.to_string())
}

fn refused(reason: &str) -> Error {
    Error::NotImage {
        format: "JPEG",
        reason: reason.to_owned(),
    }
}
