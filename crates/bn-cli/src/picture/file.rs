//! PNG and JPEG files.

use crate::error::Error;
use image::{ImageReader, Limits, Rgb, Rgb32FImage};
use std::{io::Cursor, path::Path};

/// A picture that is larger in one direction is refused.
pub(super) const MOST_SIDE: u32 = 16_384;

/// The pixels of a picture: 16 bytes each while it is read.
const MOST_PIXELS: u64 = 32 << 20;

/// What the decoder may allocate.
const DECODER_BYTES: u64 = 512 << 20;

/// Reads a picture, whatever its name ends in. Transparent pixels are on white.
pub(super) fn read(path: &Path) -> Result<Rgb32FImage, Error> {
    let bytes = bn_data::read_whole(path).map_err(|error| Error::read(path, &error))?;
    let refuse = |reason: String| {
        let message = format!(
            "{} is not a picture that can be read: {reason}",
            path.display()
        );
        Error::input(message, "give an intact PNG or JPEG file")
    };
    let open = || {
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
        reader.map_err(|error| refuse(error.to_string()))
    };
    let (width, height) = open()?
        .into_dimensions()
        .map_err(|error| refuse(error.to_string()))?;
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(refuse(format!(
            "{width}×{height} pixels are more than {MOST_PIXELS}"
        )));
    }
    let mut reader = open()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_SIDE);
    limits.max_image_height = Some(MOST_SIDE);
    limits.max_alloc = Some(DECODER_BYTES);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| refuse(error.to_string()))?;
    let with_alpha = picture.into_rgba32f();
    let mut opaque = Rgb32FImage::new(width, height);
    for (to, from) in opaque.pixels_mut().zip(with_alpha.pixels()) {
        let [r, g, b, alpha] = from.0;
        *to = Rgb([r, g, b].map(|value| value * alpha + 1.0 - alpha));
    }
    Ok(opaque)
}
