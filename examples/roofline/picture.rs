//! The roofline plot, and the shares as bars.

use crate::common::picture::Area;
use crate::common::style::{BLUE, GREEN, INK, ORANGE, PALE, font, heading};
use crate::measure::{Kernel, Measured, NetworkProduct};
use crate::report::{percent, threads};
use crate::workload::timing::{duration, rate};
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(crate) const SIZE: (u32, u32) = (2600, 1400);
const SMALL: u32 = 24;

/// The measurements with the most threads.
pub(crate) fn draw(area: &Area<'_>, header: &str, measured: &[Measured]) -> Result<()> {
    let Some(on) = measured.last() else {
        return Ok(());
    };
    let title = format!(
        "What the kernels reach, of what {} can",
        threads(on.threads)
    );
    let body = heading(area, &title, header)?;
    let (left, right) = body.split_horizontally(1450);
    roofline(&left, on)?;
    bars(&right, on)
}

fn color(network: &str) -> RGBColor {
    match network.split(' ').next() {
        Some("book") => BLUE,
        Some("mid") => ORANGE,
        _ => GREEN,
    }
}

fn label(horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    font(SMALL).pos(Pos::new(horizontal, vertical))
}

/// Arithmetic intensity against rate, on logarithmic axes, below the roofs.
fn roofline(area: &Area<'_>, on: &Measured) -> Result<()> {
    let cache = on.copies.last().map_or(on.memory, |(_, bytes)| *bytes);
    let (least, most) = (0.04, 2048.0);
    let kernels = on.products.iter().map(|product| &product.kernel);
    let rates = kernels
        .chain(&on.batch_norms)
        .map(|kernel| kernel.flops_per_second());
    let lowest = rates.fold(least * on.memory, f64::min);
    let giga = |rate: f64| rate / 1e9;
    let range = giga(lowest / 1.5)..giga(on.peak * 2.0);
    let mut chart = ChartBuilder::on(area)
        .margin(20)
        .x_label_area_size(90)
        .y_label_area_size(120)
        .build_cartesian_2d((least..most).log_scale(), range.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(PALE)
        .axis_style(INK.stroke_width(2))
        .label_style(font(SMALL))
        .axis_desc_style(font(26))
        .x_desc("arithmetic intensity, FLOP per byte read or written")
        .y_desc("GFLOP/s")
        .x_label_formatter(&|x| x.to_string())
        .y_label_formatter(&|y| y.to_string())
        .draw()?;

    for (bandwidth, name, style) in [
        (on.memory, "memory", INK.stroke_width(5)),
        (cache, "copy in cache", INK.mix(0.4).stroke_width(3)),
    ] {
        let ridge = on.peak / bandwidth;
        let points = [
            (least, giga(least * bandwidth)),
            (ridge, giga(on.peak)),
            (most, giga(on.peak)),
        ];
        chart.draw_series(LineSeries::new(points, style))?;
        // Beside the slope; the fainter roof's name above it, the other's below.
        let along = if name == "memory" { 0.12 } else { 1.2 };
        let at = chart.backend_coord(&(along, giga(along * bandwidth)));
        let text = format!("{name} {}", rate(bandwidth, "B"));
        let (style, at) = if name == "memory" {
            (label(HPos::Left, VPos::Top), (at.0 + 16, at.1 + 6))
        } else {
            (label(HPos::Right, VPos::Bottom), (at.0 - 16, at.1 - 6))
        };
        draw_text(area, &text, &style, at)?;
    }
    let at = chart.backend_coord(&(most, giga(on.peak)));
    let text = format!("best product {}", rate(on.peak, "FLOP"));
    let style = label(HPos::Right, VPos::Bottom);
    draw_text(area, &text, &style, (at.0 - 10, at.1 - 10))?;

    let place = |kernel: &Kernel| {
        let point = (kernel.intensity(), giga(kernel.flops_per_second()));
        chart.backend_coord(&point)
    };
    for product in &on.products {
        let color = color(product.network).mix(0.75);
        draw_point(area, place(&product.kernel), color)?;
    }
    for layers in neighbours(&on.products) {
        let places = layers.iter().map(|product| place(&product.kernel));
        let (x, lowest) = places.fold((0, 0), |(x, lowest), at| (x + at.0, lowest.max(at.1)));
        let x = x / layers.len() as i32;
        let mut names: Vec<_> = layers.iter().map(|p| (&p.layer, p.network)).collect();
        names.dedup();
        for (i, (layer, network)) in names.into_iter().enumerate() {
            let (color, at) = (color(network), (x, lowest + 16 + 30 * i as i32));
            let style = label(HPos::Center, VPos::Top).color(&color);
            draw_text(area, layer, &style, at)?;
        }
    }
    // Forward and backward of each shape: the faster one's name above, the other's below.
    for pair in on.batch_norms.chunks(2) {
        for kernel in pair {
            let at = place(kernel);
            draw_point(area, at, INK.mix(1.0))?;
            let faster = pair.iter().all(|other| at.1 <= place(other).1);
            let (side, dy) = if faster {
                (VPos::Bottom, -4)
            } else {
                (VPos::Top, 6)
            };
            // Away from the slope of memory's roof.
            let (end, dx) = if kernel.bytes_per_second() > on.memory {
                (HPos::Right, -14)
            } else {
                (HPos::Left, 14)
            };
            let style = label(end, side);
            draw_text(area, &kernel.name, &style, (at.0 + dx, at.1 + dy))?;
        }
    }
    legend(area, chart.backend_coord(&(most, giga(lowest / 1.5))), on)
}

/// The products by arithmetic intensity, those that would share a label together.
fn neighbours(products: &[NetworkProduct]) -> Vec<Vec<&NetworkProduct>> {
    let mut sorted: Vec<&NetworkProduct> = products.iter().collect();
    sorted.sort_by(|a, b| a.kernel.intensity().total_cmp(&b.kernel.intensity()));
    let near = |a: &&NetworkProduct, b: &&NetworkProduct| {
        b.kernel.intensity() < 1.6 * a.kernel.intensity()
    };
    sorted.chunk_by(near).map(<[_]>::to_vec).collect()
}

/// In the corner below the roofs, `at` its lower right.
fn legend(area: &Area<'_>, at: (i32, i32), on: &Measured) -> Result<()> {
    let mut names: Vec<&str> = on.products.iter().map(|product| product.network).collect();
    names.dedup();
    for (i, name) in names.into_iter().rev().enumerate() {
        let (x, y) = (at.0 - 400, at.1 - 40 - 40 * i as i32);
        draw_point(area, (x, y), color(name).mix(0.75))?;
        let style = label(HPos::Left, VPos::Center);
        draw_text(area, &format!("products of {name}"), &style, (x + 20, y))?;
    }
    Ok(())
}

fn draw_point(area: &Area<'_>, at: (i32, i32), color: RGBAColor) -> Result<()> {
    let (left, top) = origin(area);
    let point = (at.0 - left, at.1 - top);
    Ok(area.draw(&Circle::new(point, 9, color.filled()))?)
}

/// Charts tell places on the whole picture, areas draw by their own corner.
fn origin(area: &Area<'_>) -> (i32, i32) {
    let (x, y) = area.get_pixel_range();
    (x.start, y.start)
}

fn draw_text(area: &Area<'_>, text: &str, style: &TextStyle<'_>, at: (i32, i32)) -> Result<()> {
    let (left, top) = origin(area);
    Ok(area.draw_text(text, style, (at.0 - left, at.1 - top))?)
}

struct Bar {
    name: String,
    share: f64,
    figure: String,
    color: RGBColor,
}

/// A bar for each share, in three groups.
fn bars(area: &Area<'_>, on: &Measured) -> Result<()> {
    let products = on.products.iter().map(|product| Bar {
        name: format!("{} {}", product.network, product.kernel.name),
        share: product.kernel.share,
        figure: rate(product.kernel.flops_per_second(), "FLOP"),
        color: color(product.network),
    });
    let batch_norms = on.batch_norms.iter().map(|kernel| Bar {
        name: kernel.name.clone(),
        share: kernel.share,
        figure: rate(kernel.bytes_per_second(), "B"),
        color: INK,
    });
    let steps = on.steps.iter().map(|step| {
        let (name, _) = step.name.split_once(',').unwrap_or((&step.name, ""));
        Bar {
            name: name.to_owned(),
            share: step.share(),
            figure: duration(step.seconds),
            color: color(name),
        }
    });
    let groups: [(&str, Vec<Bar>); 3] = [
        (
            "Product M×K×N: share of the best product",
            products.collect(),
        ),
        (
            "BN: share of a copy of the same array",
            batch_norms.collect(),
        ),
        ("Step: share of its products alone", steps.collect()),
    ];
    let rows: usize = groups.iter().map(|(_, bars)| bars.len() + 2).sum();
    let (width, height) = area.dim_in_pixel();
    let row = (height as i32 - 30) as f64 / rows as f64;
    // Names on the left, the full length for 100 %, then room for the figures.
    let (start, full) = (330, width as i32 - 330 - 270);
    let mut y = 0.0;
    for (title, bars) in groups {
        let middle = (y + row * 0.6) as i32;
        let style = label(HPos::Left, VPos::Center);
        area.draw_text(title, &style, (start, middle))?;
        y += row;
        for bar in bars {
            let middle = (y + row / 2.0) as i32;
            let half = (row * 0.36) as i32;
            let end = start + (bar.share.min(1.2) * f64::from(full)) as i32;
            let corners = [(start, middle - half), (end, middle + half)];
            area.draw(&Rectangle::new(corners, bar.color.mix(0.75).filled()))?;
            let style = label(HPos::Right, VPos::Center);
            area.draw_text(&bar.name, &style, (start - 14, middle))?;
            let text = format!("{}, {}", percent(bar.share), bar.figure);
            let style = label(HPos::Left, VPos::Center);
            area.draw_text(&text, &style, (end + 12, middle))?;
            y += row;
        }
        y += row;
    }
    Ok(())
}
