//! The common style of pictures, numbers and progress bars.

use crate::picture::Area;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

// Okabe and Ito's colours, which people with colour blindness can distinguish too.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// Text and axes.
pub const INK: RGBColor = RGBColor(40, 40, 40);
/// Dots behind lines.
pub const GREY: RGBColor = RGBColor(170, 170, 170);
/// Grid lines.
pub const PALE: RGBColor = RGBColor(222, 222, 222);

/// The font of all text, at a size in pixels.
pub fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// The same in bold.
pub fn bold(size: u32) -> TextStyle<'static> {
    ("sans-serif", size, FontStyle::Bold)
        .into_font()
        .color(&INK)
}

/// Draws a title and a smaller line below it; returns the rest of `area`.
pub fn heading<'a>(area: &Area<'a>, title: &str, subtitle: &str) -> Result<Area<'a>> {
    let (head, rest) = area.split_vertically(130);
    let middle = head.dim_in_pixel().0 as i32 / 2;
    let centered = |style: TextStyle<'static>| style.pos(Pos::new(HPos::Center, VPos::Center));
    head.draw_text(title, &centered(bold(40)), (middle, 50))?;
    head.draw_text(subtitle, &centered(font(26)), (middle, 102))?;
    Ok(rest)
}

/// `0.975` as `97.5 %`, with `decimals` decimals.
pub fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$} %", 100.0 * share)
}

/// `1 epoch`, `2 epochs`.
pub fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The number of threads that the library computes with.
pub fn threads() -> String {
    count(batchnorm::tensor::threads() as u64, "thread")
}

/// A progress bar on standard error, if that is a terminal. Its message is cut where the terminal
/// ends.
pub fn progress_bar(length: u64, what: &'static str) -> ProgressBar {
    let style = "{bar:30} {pos}/{len} {prefix}, {elapsed} of {duration}{wide_msg}";
    let bar = ProgressBar::new(length).with_prefix(what);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
