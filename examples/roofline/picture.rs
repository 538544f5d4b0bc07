//! The picture: the roofline plot on the left, the shares as bars on the right.

use crate::bars::{self, Bar};
use crate::measure::{Kernel, Measured, NetworkProduct};
use crate::report::threads;
use crate::workload::network::NETWORKS;
use crate::workload::product::Form;
use crate::workload::timing::{duration, rate};
use anyhow::Result;
use bn_examples::picture::Area;
use bn_examples::style::{BLUE, GREEN, INK, ORANGE, PALE, font, heading};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(crate) const SIZE: (u32, u32) = (2600, 1500);
const SMALL: u32 = 24;

/// Draws the measurements with the most threads.
pub(crate) fn draw(area: &Area<'_>, header: &str, measured: &[Measured]) -> Result<()> {
    let Some(on) = measured.last() else {
        return Ok(());
    };
    let title = format!(
        "Throughput of each kernel as a share of the machine's peak ({})",
        threads(on)
    );
    let body = heading(area, &title, header)?;
    let (left, right) = body.split_horizontally(1450);
    let (plot, below) = left.split_vertically(left.dim_in_pixel().1 - 310);
    roofline(&plot, on)?;
    legend(&below, on)?;
    bars::draw(&right, &groups(on))
}

fn color(network: &str) -> RGBColor {
    match network.split(' ').next() {
        Some("book") => BLUE,
        Some("mid") => ORANGE,
        _ => GREEN,
    }
}

/// A bandwidth limit in the roofline plot.
struct Roof {
    bytes_per_second: f64,
    style: ShapeStyle,
    name: String,
}

fn roofs(on: &Measured) -> Vec<Roof> {
    let memory = Roof {
        bytes_per_second: on.memory,
        style: INK.stroke_width(5),
        name: format!("memory: copy of a large array, {}", rate(on.memory, "B")),
    };
    let cache = on.copies.last().map(|(size, bytes)| Roof {
        bytes_per_second: *bytes,
        style: INK.mix(0.4).stroke_width(3),
        name: format!("cache: copy of {size}, {}", rate(*bytes, "B")),
    });
    [Some(memory), cache].into_iter().flatten().collect()
}

fn giga(rate: f64) -> f64 {
    rate / 1e9
}

/// Rate against arithmetic intensity, on logarithmic axes.
fn roofline(area: &Area<'_>, on: &Measured) -> Result<()> {
    let (least, most) = (0.04, 2048.0);
    let kernels = on.products.iter().map(|product| &product.kernel);
    let rates = kernels
        .chain(&on.batch_norms)
        .map(|kernel| kernel.flops_per_second());
    let lowest = rates.fold(least * on.memory, f64::min);
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
        .x_desc("arithmetic intensity in FLOP per byte read or written")
        .y_desc("GFLOP/s")
        .x_label_formatter(&|x| x.to_string())
        .y_label_formatter(&|y| y.to_string())
        .draw()?;

    for roof in roofs(on) {
        let bandwidth = roof.bytes_per_second;
        let points = [
            (least, giga(least * bandwidth)),
            (on.peak / bandwidth, giga(on.peak)),
            (most, giga(on.peak)),
        ];
        chart.draw_series(LineSeries::new(points, roof.style))?;
    }
    // The chart's pixels are those of the whole picture.
    let (left, top) = (
        area.get_pixel_range().0.start,
        area.get_pixel_range().1.start,
    );
    let pixel = |x: f64, y: f64| {
        let (x, y) = chart.backend_coord(&(x, y));
        (x - left, y - top)
    };
    let place = |kernel: &Kernel| pixel(kernel.intensity(), giga(kernel.flops_per_second()));

    let (x, y) = pixel(most, giga(on.peak));
    let text = format!("fastest matrix product {}", rate(on.peak, "FLOP"));
    let style = font(SMALL).pos(Pos::new(HPos::Right, VPos::Bottom));
    area.draw_text(&text, &style, (x - 10, y - 10))?;
    for product in &on.products {
        let color = color(product.network);
        draw_marker(area, Marker::of(product), place(&product.kernel), color)?;
    }
    // The forward passes have a higher intensity than the backward passes: their names are on the
    // right, those of the backward passes on the left.
    let (backward, forward): (Vec<&Kernel>, Vec<&Kernel>) = on
        .batch_norms
        .iter()
        .partition(|kernel| kernel.name.contains("backward"));
    for (kernels, side, dx) in [(forward, HPos::Left, 20), (backward, HPos::Right, -20)] {
        let mut places: Vec<_> = kernels.iter().map(|k| (place(k), &k.name)).collect();
        places.sort_by_key(|((_, y), _)| *y);
        let mut next_free = i32::MIN;
        for ((x, y), name) in places {
            draw_marker(area, Marker::Diamond, (x, y), INK)?;
            let y_of_name = y.max(next_free);
            next_free = y_of_name + 32;
            draw_label(area, name, side, (x + dx, y_of_name))?;
        }
    }
    Ok(())
}

/// Text on a white background, which separates it from the lines behind it.
fn draw_label(area: &Area<'_>, text: &str, side: HPos, at: (i32, i32)) -> Result<()> {
    let style = font(SMALL).pos(Pos::new(side, VPos::Center));
    let (width, height) = area.estimate_text_size(text, &style)?;
    let (width, half) = (width as i32, height as i32 / 2 + 2);
    let from = if let HPos::Left = side {
        at.0
    } else {
        at.0 - width
    };
    let corners = [(from - 4, at.1 - half), (from + width + 4, at.1 + half)];
    area.draw(&Rectangle::new(corners, WHITE.mix(0.8).filled()))?;
    Ok(area.draw_text(text, &style, at)?)
}

#[derive(Clone, Copy)]
enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
}

impl Marker {
    fn of(product: &NetworkProduct) -> Self {
        match product.form {
            Form::Nn => Self::Circle,
            Form::Tn => Self::Square,
            Form::Nt => Self::Triangle,
        }
    }
}

fn draw_marker(area: &Area<'_>, marker: Marker, (x, y): (i32, i32), color: RGBColor) -> Result<()> {
    let style = color.mix(0.75).filled();
    match marker {
        Marker::Circle => area.draw(&Circle::new((x, y), 9, style))?,
        Marker::Square => area.draw(&Rectangle::new([(x - 8, y - 8), (x + 8, y + 8)], style))?,
        Marker::Triangle => area.draw(&TriangleMarker::new((x, y), 11, style))?,
        Marker::Diamond => {
            let corners = [(x - 11, y), (x, y - 11), (x + 11, y), (x, y + 11)];
            area.draw(&Polygon::new(corners, style))?
        }
    }
    Ok(())
}

/// Below the plot, so that it covers no measurement.
fn legend(area: &Area<'_>, on: &Measured) -> Result<()> {
    let style = font(SMALL).pos(Pos::new(HPos::Left, VPos::Center));
    let row = 42;
    let networks = NETWORKS.iter().filter(|case| {
        on.products
            .iter()
            .any(|product| product.network == case.name)
    });
    let mut y = 30;
    for case in networks {
        let color = color(case.name).mix(0.75).filled();
        area.draw(&Rectangle::new([(140, y - 10), (170, y + 10)], color))?;
        area.draw_text(&case.title(), &style, (190, y))?;
        y += row;
    }
    for roof in roofs(on) {
        area.draw(&PathElement::new([(140, y), (170, y)], roof.style))?;
        area.draw_text(&roof.name, &style, (190, y))?;
        y += row;
    }
    let markers = [
        (Marker::Circle, "y = x·W, forward pass of a layer"),
        (Marker::Square, "dW = xᵀ·dout, gradient of the weights"),
        (Marker::Triangle, "dx = dout·Wᵀ, gradient of the input"),
        (Marker::Diamond, "Batch Normalization (BN)"),
    ];
    for (i, (marker, name)) in (0..).zip(markers) {
        let y = 30 + i * row;
        draw_marker(area, marker, (820, y), INK)?;
        area.draw_text(name, &style, (850, y))?;
    }
    Ok(())
}

fn groups(on: &Measured) -> [(&'static str, Vec<Bar>); 3] {
    let products = on.products.iter().map(|product| Bar {
        name: product.title(),
        share: product.kernel.share,
        value: rate(product.kernel.flops_per_second(), "FLOP"),
        color: color(product.network),
    });
    let batch_norms = on.batch_norms.iter().map(|kernel| Bar {
        name: kernel.name.clone(),
        share: kernel.share,
        value: rate(kernel.bytes_per_second(), "B"),
        color: INK,
    });
    let steps = on.steps.iter().map(|step| {
        let (name, _) = step.name.split_once(',').unwrap_or((&step.name, ""));
        Bar {
            name: name.to_owned(),
            share: step.share(),
            value: duration(step.seconds),
            color: color(name),
        }
    });
    [
        (
            "Matrix products: rate as a share of the fastest one's",
            products.collect(),
        ),
        (
            "Batch Normalization: rate compared with a copy of the array",
            batch_norms.collect(),
        ),
        (
            "Training steps: share of the time spent in matrix products",
            steps.collect(),
        ),
    ]
}
