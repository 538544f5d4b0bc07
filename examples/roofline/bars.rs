//! Shares as horizontal bars, in groups.

use anyhow::Result;
use bn_examples::picture::Area;
use bn_examples::style::{font, percent};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The share of the longest bar. A larger share has a bar of this length.
const LONGEST: f64 = 1.2;

pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) share: f64,
    /// What the share is of, after the percentage.
    pub(crate) value: String,
    pub(crate) color: RGBColor,
}

/// Draws each group below its title.
pub(crate) fn draw(area: &Area<'_>, groups: &[(&str, Vec<Bar>)]) -> Result<()> {
    let rows: usize = groups.iter().map(|(_, bars)| bars.len() + 2).sum();
    let (width, height) = area.dim_in_pixel();
    let row = (height as i32 - 30) as f64 / rows as f64;
    // The space for the names, and the length of a bar of 100 %: the longest bar and its value fit.
    let start = 330;
    let full = f64::from(width as i32 - start - 270) / LONGEST;
    let style = |side| font(24).pos(Pos::new(side, VPos::Center));
    let mut y = 0.0;
    for (title, bars) in groups {
        let middle = (y + row * 0.6) as i32;
        area.draw_text(title, &style(HPos::Left), (start, middle))?;
        y += row;
        for bar in bars {
            let middle = (y + row / 2.0) as i32;
            let half = (row * 0.36) as i32;
            let end = start + (bar.share.min(LONGEST) * full) as i32;
            let corners = [(start, middle - half), (end, middle + half)];
            area.draw(&Rectangle::new(corners, bar.color.mix(0.75).filled()))?;
            area.draw_text(&bar.name, &style(HPos::Right), (start - 14, middle))?;
            let text = format!("{}, {}", percent(bar.share, 0), bar.value);
            area.draw_text(&text, &style(HPos::Left), (end + 12, middle))?;
            y += row;
        }
        y += row;
    }
    Ok(())
}
