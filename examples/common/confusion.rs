//! A confusion matrix as a picture.

use crate::picture::Area;
use crate::style::{BLUE, INK, ORANGE, font};
use anyhow::Result;
use batchnorm::net::ConfusionMatrix;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Draws the counts. Misclassifications are darker the more frequent they are; the diagonal,
/// whose counts are much higher, is pale.
pub fn draw(area: &Area<'_>, matrix: &ConfusionMatrix) -> Result<()> {
    let counts = matrix.counts();
    let classes = counts.nrows() as i32;
    let wrong = counts
        .indexed_iter()
        .filter(|((label, predicted), _)| label != predicted);
    let most = wrong.map(|(_, &n)| n).max().unwrap_or(0).max(1) as f64;
    let (width, height) = area.dim_in_pixel();
    let (left, top, right, bottom) = (110, 66, 30, 110);
    let side = (width as i32 - left - right).min(height as i32 - top - bottom) / classes;
    let end = side * classes;
    let style = |size| font(size).pos(Pos::new(HPos::Center, VPos::Center));

    area.draw_text(
        "Confusion matrix of the test images",
        &style(33),
        (left + end / 2, 30),
    )?;
    area.draw_text("predicted", &style(28), (left + end / 2, top + end + 82))?;
    let rotated = font(28).transform(FontTransform::Rotate270);
    let rotated = rotated.pos(Pos::new(HPos::Center, VPos::Center));
    area.draw_text("label", &rotated, (30, top + end / 2))?;
    for ((label, predicted), &n) in counts.indexed_iter() {
        let (x, y) = (left + predicted as i32 * side, top + label as i32 * side);
        let shade = match (label == predicted, n) {
            (true, _) => BLUE.mix(0.22),
            (false, 0) => WHITE.mix(1.0),
            (false, n) => ORANGE.mix(0.3 + 0.7 * n as f64 / most),
        };
        // Text on dark cells is white.
        let dark = label != predicted && n as f64 > 0.4 * most;
        let corners = [(x, y), (x + side, y + side)];
        area.draw(&Rectangle::new(corners, shade.filled()))?;
        area.draw(&Rectangle::new(corners, INK.mix(0.15).stroke_width(1)))?;
        if n > 0 {
            let text = style(25).color(if dark { &WHITE } else { &INK });
            area.draw_text(&n.to_string(), &text, (x + side / 2, y + side / 2))?;
        }
    }
    for class in 0..classes {
        let middle = class * side + side / 2;
        let name = class.to_string();
        area.draw_text(&name, &style(26), (left + middle, top + end + 28))?;
        area.draw_text(&name, &style(26), (left - 28, top + middle))?;
    }
    Ok(())
}
