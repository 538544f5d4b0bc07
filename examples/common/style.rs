//! How pictures and progress bars look, the same in every example.

use super::picture::Area;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

// Okabe and Ito's colours, which the colour-blind tell apart too.
pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(crate) const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub(crate) const GREEN: RGBColor = RGBColor(0, 158, 115);
/// Text and axes.
pub(crate) const INK: RGBColor = RGBColor(40, 40, 40);
/// Lines that only guide the eye.
pub(crate) const PALE: RGBColor = RGBColor(222, 222, 222);

/// The font of all text, at a size in pixels.
pub(crate) fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// The same in bold.
pub(crate) fn bold(size: u32) -> TextStyle<'static> {
    ("sans-serif", size, FontStyle::Bold)
        .into_font()
        .color(&INK)
}

/// Writes a heading, and below it a line in small print; what is left of `area` comes back.
pub(crate) fn heading<'a>(area: &Area<'a>, title: &str, subtitle: &str) -> Result<Area<'a>> {
    let (head, rest) = area.split_vertically(130);
    let middle = head.dim_in_pixel().0 as i32 / 2;
    let centered = |style: TextStyle<'static>| style.pos(Pos::new(HPos::Center, VPos::Center));
    head.draw_text(title, &centered(bold(40)), (middle, 50))?;
    head.draw_text(subtitle, &centered(font(26)), (middle, 102))?;
    Ok(rest)
}

/// `0.975` as `97.5 %`, with as many decimals as asked for.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$} %", 100.0 * share)
}

/// A progress bar on standard error, if that is a terminal.
pub(crate) fn progress_bar(steps: usize, what: &str) -> Result<ProgressBar> {
    let style = "{bar:30} {pos}/{len} {msg}, {elapsed} of {duration}";
    let bar = ProgressBar::new(steps as u64).with_style(ProgressStyle::with_template(style)?);
    Ok(bar.with_message(what.to_owned()))
}
