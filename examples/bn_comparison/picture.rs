//! The picture: sixteen panels with two curves each.

use crate::{Args, POINTS, digits4, training::Curve, training::Panel};
use anyhow::{Context, Result};
use batchnorm::Dataset;
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::picture::Area;
use bn_examples::style::{BLUE, ORANGE, heading};
use plotters::chart::SeriesLabelPosition;

const COLUMNS: usize = 4;

pub(crate) fn draw(area: &Area<'_>, panels: &[Panel], args: &Args, train: &Dataset) -> Result<()> {
    let subtitle = format!(
        "W: standard deviation of the initial weights. First {} images of {}, five hidden layers of 100 with ReLU, SGD {}",
        train.len(),
        args.common.data.title(),
        args.lr
    );
    let title = "Training accuracy with and without Batch Normalization";
    let body = heading(area, title, &subtitle)?;
    // The outer panels also have the axes' numbers. All plots have the same size.
    let (width, height) = body.dim_in_pixel();
    let (axis_x, axis_y) = (60, 96);
    let column = (width as i32 - axis_y) / COLUMNS as i32;
    let row = (height as i32 - axis_x) / (panels.len() / COLUMNS) as i32;
    let xs: Vec<i32> = (1..COLUMNS as i32).map(|i| axis_y + i * column).collect();
    let ys: Vec<i32> = (1..(panels.len() / COLUMNS) as i32)
        .map(|i| i * row)
        .collect();
    let cells = body.split_by_breakpoints(xs, ys);
    for (i, (panel, cell)) in panels.iter().zip(&cells).enumerate() {
        let outer_x = i >= panels.len() - COLUMNS;
        let outer_y = i % COLUMNS == 0;
        let line = |name, curve: &Curve, color, dashed| Line {
            name,
            points: (0..)
                .map(f64::from)
                .zip(curve.accuracies.iter().copied())
                .collect(),
            color,
            dashed,
        };
        let chart = LineChart {
            title: &format!("W = {}", digits4(panel.weight_init_std)),
            x: Axis {
                name: if outer_x { "epoch" } else { "" },
                range: 0.0..POINTS as f64,
                ticks: 5,
                format: &|epoch| epoch.to_string(),
            },
            y: Axis {
                name: if outer_y { "accuracy" } else { "" },
                range: 0.0..1.0,
                ticks: 6,
                format: &|accuracy| format!("{accuracy:.1}"),
            },
            lines: vec![
                line("with Batch Normalization", &panel.batch_norm, BLUE, false),
                line("without", &panel.plain, ORANGE, true),
            ],
            legend: (i == panels.len() - 1).then_some(SeriesLabelPosition::UpperRight),
            font_size: 24,
        };
        chart.draw(cell).with_context(|| format!("panel {i}"))?;
    }
    Ok(())
}
