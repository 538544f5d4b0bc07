//! Grey images.

use crate::picture::Area;
use anyhow::Result;
use ndarray::{ArrayView1, ArrayView2};
use plotters::prelude::*;

/// The gap between two images, in pixels of the images.
const GAP: usize = 2;

/// The width in pixels of `images` images side by side.
pub fn extent(images: usize, side: usize, scale: usize) -> i32 {
    (images * (side + GAP) * scale - GAP * scale) as i32
}

/// Draws images `(n, side·side)` with values from −1 (black) to 1 (white) at `(left, top)`, with
/// `columns` images in a row. A pixel is a square of `scale` pixels.
pub fn draw(
    area: &Area<'_>,
    (left, top): (i32, i32),
    images: ArrayView2<'_, f32>,
    columns: usize,
    scale: usize,
) -> Result<()> {
    let side = images.ncols().isqrt();
    let step = ((side + GAP) * scale) as i32;
    for (i, image) in images.outer_iter().enumerate() {
        let (row, column) = ((i / columns) as i32, (i % columns) as i32);
        let corner = (left + column * step, top + row * step);
        draw_one(area, corner, image, side, scale as i32)?;
    }
    Ok(())
}

fn draw_one(
    area: &Area<'_>,
    (left, top): (i32, i32),
    image: ArrayView1<'_, f32>,
    side: usize,
    scale: i32,
) -> Result<()> {
    let grey: Vec<u8> = image
        .iter()
        .map(|v| ((v + 1.0) * 127.5).round() as u8)
        .collect();
    for (y, row) in (0..).zip(grey.chunks(side)) {
        let mut x = 0;
        // Neighbouring pixels of the same grey are one rectangle.
        for run in row.chunk_by(|a, b| a == b) {
            let (from, to) = (x, x + run.len() as i32);
            let corners = [
                (left + from * scale, top + y * scale),
                (left + to * scale, top + (y + 1) * scale),
            ];
            let color = RGBColor(run[0], run[0], run[0]);
            area.draw(&Rectangle::new(corners, color.filled()))?;
            x = to;
        }
    }
    Ok(())
}
