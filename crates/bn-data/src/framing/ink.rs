//! What is drawn on a picture.

use ndarray::{Array2, ArrayView2, Axis};
use std::ops::Range;

use super::median;

/// A pixel has ink if it differs from the background by more than this share of the largest difference.
const INK: f32 = 0.2;

/// A picture whose values differ by less is blank.
const CONTRAST: f32 = 0.05;

/// A pixel of the border has the colour of the background if it differs by less.
const PLAIN: f32 = 0.1;

pub(super) struct Ink {
    pub(super) background: f32,
    pub(super) is_on_bright: bool,
    /// Whether at least half of the border has the value of the background.
    pub(super) is_on_plain: bool,
    /// How much ink a pixel has, from 0 to 1, `(H, W)`.
    pub(super) amounts: Array2<f32>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl Ink {
    /// Takes the median of the border as the background, and what is darker on a bright background, or brighter on a
    /// dark one, as ink. `None` if there is nothing else.
    pub(super) fn find(picture: ArrayView2<'_, f32>) -> Option<Self> {
        let (height, width) = picture.dim();
        if height == 0 || width == 0 {
            return None;
        }
        let mut border: Vec<f32> = Vec::with_capacity(2 * (height + width));
        for line in [picture.row(0), picture.row(height - 1)] {
            border.extend(line);
        }
        for line in [picture.column(0), picture.column(width - 1)] {
            border.extend(line);
        }
        let background = median(&mut border)?;
        let plain = border.iter().filter(|&&x| (x - background).abs() < PLAIN);
        let is_on_plain = 2 * plain.count() >= border.len();
        let is_on_bright = background > 0.5;
        let mut amounts = picture.mapv(|x| {
            let more = if is_on_bright {
                background - x
            } else {
                x - background
            };
            more.max(0.0)
        });
        let most = amounts.fold(0.0f32, |most, &amount| most.max(amount));
        if most < CONTRAST {
            return None;
        }
        amounts /= most;
        let (rows, columns) = (with_ink(&amounts, Axis(0))?, with_ink(&amounts, Axis(1))?);
        Some(Self {
            background,
            is_on_bright,
            is_on_plain,
            amounts,
            rows,
            columns,
        })
    }

    /// Row and column, in pixels from the corner of the picture, of the ink's centre.
    pub(super) fn center_of_mass(&self) -> (f64, f64) {
        let (mut sum, mut y, mut x) = (0.0, 0.0, 0.0);
        for row in self.rows.clone() {
            for column in self.columns.clone() {
                let amount = f64::from(self.amounts[[row, column]]);
                sum += amount;
                y += amount * (row as f64 + 0.5);
                x += amount * (column as f64 + 0.5);
            }
        }
        (y / sum, x / sum)
    }
}

/// From the first to the last row or column with ink.
fn with_ink(amounts: &Array2<f32>, axis: Axis) -> Option<Range<usize>> {
    let has_ink = amounts
        .axis_iter(axis)
        .map(|line| line.iter().any(|&amount| amount > INK));
    let has_ink: Vec<bool> = has_ink.collect();
    let first = has_ink.iter().position(|&ink| ink)?;
    let last = has_ink.iter().rposition(|&ink| ink)?;
    Some(first..last + 1)
}
