//! A picture drawn at another place and size.

use bn_tensor::try_zeros;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

use crate::error::Result;

/// The source, of which `scale` pixels make one of the image, with its corner at `(top, left)` of the image.
pub(super) struct Resampled<'a> {
    pub(super) source: ArrayView2<'a, f32>, // (H, W)
    pub(super) scale: f64,
    pub(super) top: f64,
    pub(super) left: f64,
}

impl Resampled<'_> {
    /// Gives each pixel of the image the mean of what it covers of the source, which is 0 outside: antialiasing by area.
    pub(super) fn write_to(&self, mut image: ArrayViewMut2<'_, f32>) -> Result<()> {
        let (source_height, _) = self.source.dim();
        let mut narrow = try_zeros("Framing::apply", (source_height, image.ncols()))?; // (H, width)
        for (line, mut to) in self.source.rows().into_iter().zip(narrow.rows_mut()) {
            for (i, to) in to.iter_mut().enumerate() {
                *to = mean(line, (i as f64 - self.left) * self.scale, self.scale);
            }
        }
        for (line, mut to) in narrow.columns().into_iter().zip(image.columns_mut()) {
            for (i, to) in to.iter_mut().enumerate() {
                *to = mean(line, (i as f64 - self.top) * self.scale, self.scale);
            }
        }
        Ok(())
    }
}

/// The mean of a line over `length` pixels from `begin` on, where each pixel is constant and all others are 0.
fn mean(line: ArrayView1<'_, f32>, begin: f64, length: f64) -> f32 {
    let end = begin + length;
    // A cast saturates at 0.
    let covered = begin.floor() as usize..(end.ceil() as usize).min(line.len());
    let sum: f64 = covered
        .map(|k| {
            let overlap = end.min(k as f64 + 1.0) - begin.max(k as f64);
            overlap * f64::from(line[k])
        })
        .sum();
    (sum / length) as f32
}
