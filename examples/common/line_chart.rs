//! A line chart.

use crate::picture::Area;
use crate::style::{GREY, INK, PALE, font};
use anyhow::Result;
use plotters::{
    chart::SeriesLabelPosition,
    coord::{
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
        types::RangedCoordf64,
    },
    element::DashedPathElement,
    prelude::*,
};
use std::ops::Range;

pub struct Axis<'a> {
    /// The label; an axis without one has no numbers either.
    pub name: &'a str,
    pub range: Range<f64>,
    /// About how many numbers the axis has.
    pub ticks: usize,
    pub format: &'a dyn Fn(&f64) -> String,
}

pub struct Line<'a> {
    pub name: &'a str,
    pub points: Vec<(f64, f64)>,
    pub color: RGBColor,
    pub dashed: bool,
}

pub struct LineChart<'a> {
    pub title: &'a str,
    pub x: Axis<'a>,
    pub y: Axis<'a>,
    pub lines: Vec<Line<'a>>,
    pub legend: Option<SeriesLabelPosition>,
    /// The size of the numbers, in pixels; the title is larger.
    pub font_size: u32,
}

impl LineChart<'_> {
    pub fn draw(&self, area: &Area<'_>) -> Result<()> {
        self.draw_with_dots(area, "", &[])
    }

    /// Draws the lines over grey dots with this name.
    pub fn draw_with_dots(&self, area: &Area<'_>, name: &str, dots: &[(f64, f64)]) -> Result<()> {
        let y = RangedCoordf64::from(self.y.range.clone());
        self.draw_with(area, (name, dots), y.key_points(self.y.ticks))
    }

    /// Draws the lines with a logarithmic y axis. Values outside its range are drawn at its ends.
    pub fn draw_logarithmic(&self, area: &Area<'_>) -> Result<()> {
        let Range { start, end } = self.y.range;
        let marks = (-12..=12).flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(power)));
        let marks = marks.filter(|mark| (start..=end).contains(mark));
        let log = |&(x, y): &(f64, f64)| (x, y.clamp(start, end).log10());
        let lines = self.lines.iter().map(|line| Line {
            points: line.points.iter().map(log).collect(),
            ..*line
        });
        let chart = LineChart {
            title: self.title,
            x: Axis {
                range: self.x.range.clone(),
                ..self.x
            },
            y: Axis {
                range: start.log10()..end.log10(),
                format: &|y| (self.y.format)(&10f64.powf(*y)),
                ..self.y
            },
            lines: lines.collect(),
            legend: self.legend.clone(),
            font_size: self.font_size,
        };
        chart.draw_with(area, ("", &[]), marks.map(f64::log10).collect())
    }

    /// Draws the lines over named dots, with numbers at `marks` of the y axis.
    fn draw_with(
        &self,
        area: &Area<'_>,
        (name, dots): (&str, &[(f64, f64)]),
        marks: Vec<f64>,
    ) -> Result<()> {
        let y = Marked {
            range: self.y.range.clone().into(),
            marks,
        };
        let small = self.font_size;
        let large = small * 6 / 5;
        let number = |axis: &Axis<'_>, value: &f64| match axis.name {
            "" => String::new(),
            _ => (axis.format)(value),
        };
        let room = |axis: &Axis<'_>, size: u32| {
            if axis.name.is_empty() {
                small / 2
            } else {
                size
            }
        };
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, font(large))
            .margin(small / 2)
            .margin_right(small)
            .x_label_area_size(room(&self.x, small * 3))
            .y_label_area_size(room(&self.y, small * 4 + small / 2))
            .build_cartesian_2d(self.x.range.clone(), y)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(PALE)
            .axis_style(INK.stroke_width(2))
            .label_style(font(small))
            .axis_desc_style(font(small))
            .x_desc(self.x.name)
            .y_desc(self.y.name)
            .x_labels(self.x.ticks)
            .y_labels(self.y.ticks)
            .x_label_formatter(&|x| number(&self.x, x))
            .y_label_formatter(&|y| number(&self.y, y))
            .draw()?;
        if !dots.is_empty() {
            let (radius, length) = (small / 6, 2 * small as i32);
            let dot = move |at| Circle::new(at, radius, GREY.filled());
            chart
                .draw_series(
                    dots.iter()
                        .map(|&at| Circle::new(at, radius, GREY.filled())),
                )?
                .label(name)
                .legend(move |(x, y)| dot((x + length / 2, y)));
        }
        let width = small / 6;
        let (dash, gap) = (small / 2, small / 3);
        for line in &self.lines {
            let style = line.color.stroke_width(width);
            // One point makes no line.
            if let [point] = line.points[..] {
                let marker = Circle::new(point, 2 * width, line.color.filled());
                chart.draw_series([marker])?;
            }
            let points = line.points.iter().copied();
            let length = 2 * small as i32;
            if line.dashed {
                chart
                    .draw_series(DashedLineSeries::new(points, dash, gap, style))?
                    .label(line.name)
                    .legend(move |(x, y)| {
                        let points = [(x, y), (x + length, y)];
                        DashedPathElement::new(points, dash, gap, style)
                    });
            } else {
                chart
                    .draw_series(LineSeries::new(points, style))?
                    .label(line.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + length, y)], style));
            }
        }
        if let Some(position) = &self.legend {
            chart
                .configure_series_labels()
                .position(position.clone())
                .label_font(font(small))
                .legend_area_size(small * 5 / 2)
                .margin(small / 2)
                .background_style(WHITE)
                .border_style(PALE)
                .draw()?;
        }
        Ok(())
    }
}

/// An axis with numbers at `marks`.
struct Marked {
    range: RangedCoordf64,
    marks: Vec<f64>,
}

impl Ranged for Marked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        self.range.map(value, pixels)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
}
