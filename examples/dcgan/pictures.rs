//! Grids of samples, the contact sheet, the curves.

use super::common::line_chart::{Axis, Line, LineChart};
use super::common::picture::{self, Area};
use super::common::style::{BLUE, GREEN, ORANGE, font, heading, percent};
use super::common::{dcgan::SIDE, images};
use super::run::{FIGURES, Run, SHOWN, mean};
use anyhow::Result;
use ndarray::ArrayView2;
use plotters::chart::SeriesLabelPosition;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// Images as nearly as many in a column as in a row.
pub(crate) fn grid(path: &Path, samples: ArrayView2<'_, f32>) -> Result<()> {
    const SCALE: usize = 4;
    let columns = (samples.nrows() as f64).sqrt().ceil() as usize;
    let rows = samples.nrows().div_ceil(columns);
    let size = |n| (images::extent(n, SIDE, SCALE) + 2 * 8) as u32;
    picture::save(path, (size(columns), size(rows)), |area| {
        images::draw(area, (8, 8), samples, columns, SCALE)
    })
}

/// What the same noise became as training went on: a row for each moment.
pub(crate) fn contact_sheet(path: &Path, run: &Run<'_>) -> Result<()> {
    const SCALE: usize = 3;
    const LEFT: i32 = 220;
    let moments = few(&run.moments);
    let row = images::extent(2, SIDE, SCALE) - images::extent(1, SIDE, SCALE);
    let width = LEFT + images::extent(SHOWN, SIDE, SCALE) + 40;
    let height = 150 + row * moments.len() as i32 + 30;
    picture::save(path, (width as u32, height as u32), |area| {
        let subtitle = format!(
            "The same {SHOWN} points of noise, drawn by the generator as it learns; recipe {}, {}, seed {}",
            run.args.recipe, run.args.common.data, run.args.common.seed
        );
        let body = heading(
            area,
            "A DCGAN with Batch Normalization learns to draw",
            &subtitle,
        )?;
        let style = font(26).pos(Pos::new(HPos::Right, VPos::Center));
        for (i, (step, samples)) in (0..).zip(moments) {
            let top = 20 + i * row;
            let middle = top + row / 2 - SCALE as i32;
            body.draw_text(&moment(*step, run.per_epoch), &style, (LEFT - 24, middle))?;
            images::draw(&body, (LEFT, top), samples.view(), SHOWN, SCALE)?;
        }
        Ok(())
    })
}

/// At most a dozen, evenly chosen, the last among them.
fn few<V>(moments: &[V]) -> Vec<&V> {
    const MOST: usize = 13;
    let n = moments.len();
    if n <= MOST {
        return moments.iter().collect();
    }
    (0..MOST)
        .map(|i| &moments[i * (n - 1) / (MOST - 1)])
        .collect()
}

fn moment(step: u64, per_epoch: u64) -> String {
    match step {
        0 => "before training".to_owned(),
        step if step == per_epoch => "1 epoch".to_owned(),
        step if step.is_multiple_of(per_epoch) => format!("{} epochs", step / per_epoch),
        step => format!("{step} steps"),
    }
}

/// Losses and accuracies over the epochs, each point the mean of some steps.
pub(crate) fn curves(area: &Area<'_>, run: &Run<'_>) -> Result<()> {
    let window = run.history.len().div_ceil(200).max(1);
    let points = |figure: usize| -> Vec<(f64, f64)> {
        let chunks = run.history.chunks(window).enumerate();
        let means = chunks.map(|(i, steps)| {
            let step = i * window + steps.len();
            (step as f64 / run.per_epoch as f64, mean(steps)[figure])
        });
        means.collect()
    };
    let line = |name, figure: usize, color, dashed| Line {
        name,
        points: points(figure),
        color,
        dashed,
    };
    let losses = vec![
        line("discriminator, real images", 0, BLUE, false),
        line("discriminator, fakes", 1, ORANGE, true),
        line("generator", 2, GREEN, false),
    ];
    const _: () = assert!(FIGURES == 5);
    let accuracies = vec![
        line("real images", 3, BLUE, false),
        line("fakes", 4, ORANGE, true),
    ];
    let highest = losses.iter().flat_map(|line| &line.points);
    let highest = highest.fold(0.0f64, |highest, &(_, loss)| highest.max(loss));
    let epochs = run.history.len() as f64 / run.per_epoch as f64;
    let chart = |title, name, range, format, lines, legend| LineChart {
        title,
        x: Axis {
            name: "epoch",
            range: 0.0..epochs,
            ticks: 8,
            format: &|epoch| format!("{epoch}"),
        },
        y: Axis {
            name,
            range,
            ticks: 6,
            format,
        },
        lines,
        legend: Some(legend),
        font_size: 28,
    };
    let subtitle = format!(
        "recipe {}, {}, batches of {}, Adam 0.0002; each point the mean of {window} steps",
        run.args.recipe,
        run.args.common.data,
        run.args.batch_size()
    );
    let body = heading(
        area,
        "Generator and discriminator, trained in turn",
        &subtitle,
    )?;
    let panels = body.split_evenly((1, 2));
    let loss = |loss: &f64| format!("{loss:.1}");
    let share = |share: &f64| percent(*share, 0);
    let (upper, lower) = (
        SeriesLabelPosition::UpperRight,
        SeriesLabelPosition::LowerRight,
    );
    chart(
        "Losses",
        "binary cross entropy",
        0.0..1.4 * highest, // the legend stands above the curves
        &loss,
        losses,
        upper,
    )
    .draw(&panels[0])?;
    chart(
        "Share told right by the discriminator",
        "accuracy",
        0.0..1.0,
        &share,
        accuracies,
        lower,
    )
    .draw(&panels[1])
}
