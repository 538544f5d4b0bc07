//! Misclassified images, in pictures.

use crate::epochs;
use crate::line_chart::{Axis, LineChart};
use crate::picture::Area;
use crate::style::{font, percent};
use crate::{cnn, images};
use anyhow::Result;
use batchnorm::net::History;
use batchnorm::{Network, data::Dataset};
use ndarray::{Array2, Axis as ArrayAxis};
use plotters::chart::SeriesLabelPosition;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Draws the share of misclassified images after each epoch, on a logarithmic axis: it falls by powers of ten.
pub fn draw_errors(area: &Area<'_>, history: &History) -> Result<()> {
    let lines = epochs::lines(history, |accuracy| 1.0 - accuracy);
    let all = lines.iter().flat_map(|line| &line.points);
    let some = all.map(|&(_, error)| error).filter(|&error| error > 0.0);
    let lowest = some.clone().reduce(f64::min).unwrap_or(0.01);
    let highest = some.reduce(f64::max).unwrap_or(0.01);
    let chart = LineChart {
        title: "Misclassified images after each epoch",
        x: epochs::axis(history),
        y: Axis {
            name: "misclassified",
            range: lowest / 1.25..1.25 * highest,
            ticks: 8,
            format: &|error| match error {
                0.0..0.0009 => percent(*error, 2),
                0.0009..0.009 => percent(*error, 1),
                _ => percent(*error, 0),
            },
        },
        lines,
        legend: Some(SeriesLabelPosition::UpperRight),
        font_size: 28,
    };
    chart.draw_logarithmic(area)
}

/// The misclassified test images.
pub struct Mistakes {
    pub images: Array2<f32>, // (n, pixels), from −1 to 1
    /// The label and the prediction of each.
    pub labels: Vec<(usize, usize)>,
}

impl Mistakes {
    pub fn of(network: &mut Network, test: &Dataset) -> Result<Self> {
        let best = cnn::Predictions::new(network, test.images())?.best();
        let wrong: Vec<usize> = (0..test.len())
            .filter(|&i| best[i].0 != test.labels()[i])
            .collect();
        let images = test.images().select(ArrayAxis(0), &wrong);
        Ok(Self {
            images: images.mapv_into(|v| 2.0 * v - 1.0),
            labels: wrong
                .iter()
                .map(|&i| (test.labels()[i], best[i].0))
                .collect(),
        })
    }

    /// Draws as many as fit, each above its label and prediction.
    pub fn draw(&self, area: &Area<'_>) -> Result<()> {
        const COLUMNS: usize = 9;
        let (width, height) = area.dim_in_pixel();
        let cell = (width as i32 - 40) / COLUMNS as i32;
        let side = self.images.ncols().isqrt();
        let scale = ((cell - 24) as usize / side).max(1);
        let centered = |size| font(size).pos(Pos::new(HPos::Center, VPos::Center));
        let middle = width as i32 / 2;
        let title = "Misclassified test images: label → prediction";
        area.draw_text(title, &centered(33), (middle, 34))?;
        let row = images::extent(1, side, scale) + 42;
        let fit = ((height as i32 - 90) / row) as usize * COLUMNS;
        for (i, (label, prediction)) in self.labels.iter().enumerate().take(fit) {
            let (x, y) = ((i % COLUMNS) as i32 * cell, 80 + (i / COLUMNS) as i32 * row);
            let image = self.images.slice_axis(ArrayAxis(0), (i..i + 1).into());
            images::draw(area, (x, y), image, 1, scale)?;
            let below = (x + images::extent(1, side, scale) / 2, y + row - 24);
            area.draw_text(&format!("{label} → {prediction}"), &centered(22), below)?;
        }
        Ok(())
    }
}
