//! Histograms in rows and columns; those of a row have the same range.

use crate::picture::Area;
use crate::style::{INK, PALE, bold, font};
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

const BINS: usize = 40;

pub struct Row {
    pub name: &'static str,
    pub color: RGBColor,
    pub panels: Vec<Panel>,
}

pub struct Panel {
    pub title: String,
    pub note: String,
    pub values: Vec<f64>,
}

/// Draws the panels, each scaled to its highest bar. Values outside the row's range are left out.
pub fn draw(area: &Area<'_>, rows: &[(Row, Range<f64>)]) -> Result<()> {
    let cells = area.split_evenly((rows.len(), 1));
    for ((row, range), cell) in rows.iter().zip(cells) {
        let (side, rest) = cell.split_horizontally(70);
        let name = bold(30).transform(FontTransform::Rotate270);
        let name = name.pos(Pos::new(HPos::Center, VPos::Center));
        let middle = side.dim_in_pixel().1 as i32 / 2;
        side.draw_text(row.name, &name, (35, middle))?;
        for (panel, cell) in row
            .panels
            .iter()
            .zip(rest.split_evenly((1, row.panels.len())))
        {
            draw_panel(&cell, panel, range.clone(), row.color)?;
        }
    }
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: &Panel, range: Range<f64>, color: RGBColor) -> Result<()> {
    let counts = count(&panel.values, &range);
    let highest = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let (head, body) = area.split_vertically(84);
    let centered = |style: TextStyle<'static>| style.pos(Pos::new(HPos::Center, VPos::Center));
    let middle = head.dim_in_pixel().0 as i32 / 2;
    head.draw_text(&panel.title, &centered(font(28)), (middle, 26))?;
    head.draw_text(&panel.note, &centered(font(23)), (middle, 62))?;
    let mut chart = ChartBuilder::on(&body)
        .margin_left(16)
        .margin_right(16)
        .x_label_area_size(48)
        .build_cartesian_2d(range.clone(), 0.0..1.1 * highest)?;
    chart
        .configure_mesh()
        .disable_y_axis()
        .disable_mesh()
        .axis_style(INK.stroke_width(2))
        .x_labels(3)
        .label_style(font(23))
        .x_label_formatter(&|x| short(*x))
        .draw()?;
    let width = (range.end - range.start) / BINS as f64;
    chart.draw_series(
        counts
            .iter()
            .enumerate()
            .filter(|&(_, &n)| n > 0)
            .map(|(i, &n)| {
                let left = range.start + i as f64 * width;
                Rectangle::new([(left, 0.0), (left + width, n as f64)], color.filled())
            }),
    )?;
    let floor = [(range.start, 0.0), (range.end, 0.0)];
    chart.draw_series([PathElement::new(floor, PALE.stroke_width(2))])?;
    Ok(())
}

/// The number of values in each of the equal parts of `range`. Its end belongs to the last part.
fn count(values: &[f64], range: &Range<f64>) -> [usize; BINS] {
    let mut counts = [0; BINS];
    for &value in values {
        let share = (value - range.start) / (range.end - range.start);
        if (0.0..=1.0).contains(&share) {
            counts[((share * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
    }
    counts
}

/// A number in few characters, without trailing zeros.
pub fn short(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e5).contains(&x.abs()) {
        return format!("{x:.0e}");
    }
    let decimals = if x.abs() >= 10.0 { 0 } else { 3 };
    let text = format!("{x:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_in_the_range_is_counted_once() {
        let values = [0.0, 0.01, 0.5, 1.0, -0.1, 1.1, f64::NAN];
        let counts = count(&values, &(0.0..1.0));
        assert_eq!((counts[0], counts[BINS / 2], counts[BINS - 1]), (2, 1, 1));
        assert_eq!(counts.iter().sum::<usize>(), 4);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.5, -2.0, 12.3, 120.0, 4e-5, 2e6].map(short);
        assert_eq!(texts, ["0", "0.5", "-2", "12", "120", "4e-5", "2e6"]);
    }
}
