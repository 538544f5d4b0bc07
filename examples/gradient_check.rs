//! Compares the gradients of the backward pass with numerical ones, for every parameter of a
//! network with Batch Normalization (the book's `ch05/gradient_check.py`, with a larger batch).

use anyhow::{Result, bail};
use batchnorm::layers::{Error as LayerError, ParamReport};
use batchnorm::net::Loss;
use batchnorm::{BatchNormConfig, GradientCheck, Network, NetworkBuilder, SoftmaxWithLoss};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::picture::Area;
use bn_examples::style::{BLUE, GREEN, INK, ORANGE, PALE, font, heading};
use bn_examples::values;
use clap::{Parser, ValueEnum};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::{Value, json};
use std::{io::Write, process::ExitCode, time::Instant};

/// Compare the gradient of every parameter with a numerical one; the exit code is 1 if they differ
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Number of images in the batch
    #[arg(long, default_value_t = 8, value_parser = values::size(2, 1000))]
    batch: usize,
    /// Activation of the hidden layers
    #[arg(long, value_enum, default_value_t = Activation::Relu)]
    activation: Activation,
    /// At most this many entries of each parameter are compared, spread evenly
    #[arg(long, default_value_t = 2000, value_parser = values::size(1, 1_000_000))]
    entries: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Activation {
    Relu,
    Sigmoid,
    Tanh,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

/// The largest relative difference that is accepted.
const LIMIT: f64 = 1e-6;

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: None,
    };
    bn_examples::run(defaults, gradient_check)
}

fn gradient_check(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, _) = args.common.load()?;
    let batch = train
        .shuffled(args.common.seed)
        .take(args.batch)
        .to::<f64>();
    let x = batch.images();
    let mut network = build(args, x.ncols(), batch.classes())?;
    let mut loss = SoftmaxWithLoss::new();
    let check = GradientCheck {
        entries: args.entries,
        tolerance: LIMIT,
        ..GradientCheck::default()
    };
    let report = check.check_objective(&mut network, x, &mut |y, dout| {
        let t = batch.targets();
        let value = loss.forward(y, t).map_err(as_layer_error)?;
        loss.backward_into(y, t, dout).map_err(as_layer_error)?;
        Ok(value)
    })?;

    let names: Vec<&str> = network.layer_names().collect();
    writeln!(
        out,
        "{} images of {}; layers: {}\n\n{report}",
        batch.len(),
        args.common.data.title(),
        names.join(", ")
    )?;
    let worst = report.worst();
    // Not `worst.relative > LIMIT`: NaN has to fail.
    let passes = report
        .params
        .iter()
        .all(|p| p.checked > 0 && p.relative <= LIMIT);
    if passes {
        writeln!(
            out,
            "The largest relative difference is {:.1e} ({}); up to {LIMIT:.0e} is accepted.",
            worst.relative, worst.name
        )?;
    }
    let mut results = args.common.results(start);
    results["batch"] = json!(batch.len());
    results["limit"] = json!(LIMIT);
    results["params"] = report.params.iter().map(to_json).collect();
    args.common.write(&results, (1700, 1000), |area| {
        draw(area, &report.params, args)
    })?;
    if !passes {
        bail!(
            "the gradient of {} has a relative difference of {:.1e}; up to {LIMIT:.0e} is accepted",
            worst.name,
            worst.relative
        );
    }
    Ok(())
}

/// Two kinds of BatchNormalization, Affine with and without a bias, and Dropout.
fn build(args: &Args, inputs: usize, classes: usize) -> Result<Network<f64>> {
    let activate = |builder: batchnorm::net::NetworkBuilder<f64>| match args.activation {
        Activation::Relu => builder.relu(),
        Activation::Sigmoid => builder.sigmoid(),
        Activation::Tanh => builder.tanh(),
    };
    let builder = NetworkBuilder::<f64>::new(inputs).affine(20).batch_norm();
    let builder = activate(builder).dropout(0.2).affine_without_bias(15);
    let builder = builder.batch_norm_with(BatchNormConfig::pytorch());
    Ok(activate(builder).affine(classes).build(args.common.seed)?)
}

fn as_layer_error(error: batchnorm::net::Error) -> LayerError {
    LayerError::Nested {
        reason: error.to_string(),
    }
}

fn to_json(p: &ParamReport) -> Value {
    json!({
        "name": p.name,
        "checked": p.checked,
        "kinks": p.kinks,
        "worst_difference": p.worst.difference(),
        "mean_difference": p.mean_difference,
        "relative": p.relative,
    })
}

/// A bar for the relative difference of each parameter, and the limit.
fn draw(area: &Area<'_>, params: &[ParamReport], args: &Args) -> Result<()> {
    let subtitle = format!(
        "largest relative difference in each parameter, {} images of {}, double precision",
        args.batch,
        args.common.data.title()
    );
    let body = heading(
        area,
        "Gradients of the backward pass compared with central differences",
        &subtitle,
    )?;
    let (names, plot) = body.split_horizontally(300);
    let rows = params.len() as f64;
    let (floor, ceiling, limit) = (-14.0, -4.0, LIMIT.log10());
    let mut chart = ChartBuilder::on(&plot)
        .margin_right(50)
        .margin_bottom(20)
        .x_label_area_size(100)
        .build_cartesian_2d(floor..ceiling, 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(PALE)
        .axis_style(INK.stroke_width(2))
        .x_labels(6)
        .label_style(font(28))
        .axis_desc_style(font(28))
        .x_desc("relative difference")
        .x_label_formatter(&|exponent| format!("1e{exponent:.0}"))
        .draw()?;
    for (i, p) in params.iter().enumerate() {
        let (row, end) = (rows - i as f64, p.relative.log10().clamp(floor, ceiling));
        let color = if p.relative <= LIMIT { BLUE } else { ORANGE };
        let corners = [(floor, row - 0.25), (end, row - 0.75)];
        chart.draw_series([Rectangle::new(corners, color.filled())])?;
        let (_, y) = chart.backend_coord(&(floor, row - 0.5));
        let y = y - names.get_pixel_range().1.start;
        let style = font(26).pos(Pos::new(HPos::Right, VPos::Center));
        names.draw_text(&p.name, &style, (285, y))?;
    }
    let line = [(limit, 0.0), (limit, rows)];
    chart.draw_series([PathElement::new(line, GREEN.stroke_width(4))])?;
    let (x, y) = chart.backend_coord(&(limit, rows / 2.0));
    let style = font(26).color(&GREEN);
    area.draw_text("largest accepted", &style, (x + 14, y))?;
    Ok(())
}
