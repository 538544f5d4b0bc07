//! What was measured, and what the model predicts from it.

use crate::{
    cases::{CASES, Case},
    model::{Network, Step},
};
use anyhow::{Context, Result, ensure};
use bn_examples::{
    line_chart::{Axis, Line, LineChart},
    output, picture,
    style::{BLUE, INK, ORANGE, heading, percent},
};
use plotters::chart::SeriesLabelPosition;
use serde::Deserialize;
use std::{fs, path::Path, thread::available_parallelism};

/// One line of the file.
#[derive(Debug, Deserialize)]
struct Measured {
    case: String,
    ranks: usize, // 0: without this crate
    seconds: f64,
    #[serde(default)]
    speed_up: f64, // over one rank, in steps in turns
    #[serde(default)]
    communication: f64,
    #[serde(default)]
    allreduce: f64,
    #[serde(default)]
    bytes: f64,
    #[serde(default)]
    norms: Vec<f64>,
}

/// Numbers of ranks that are predicted.
const RANKS: [u32; 9] = [4, 8, 16, 32, 64, 128, 256, 512, 1024];

pub(crate) fn report(
    from: &Path,
    picture: Option<&Path>,
    latency: f64,
    bandwidth: f64,
) -> Result<()> {
    if let Some(picture) = picture {
        picture::Format::of(picture)?;
        output::check_writable(picture)?;
    }
    let text =
        fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?;
    let lines = text.lines().map(serde_json::from_str);
    let all: Vec<Measured> = lines
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} has not been written by `measure`", from.display()))?;
    let network = Network { latency, bandwidth };
    let mut curves = Vec::new();
    for name in ["big", "discriminator"] {
        let cases = CASES.iter().filter(|case| case.name.starts_with(name));
        let step = model_of(&all, cases.clone())?;
        for case in cases {
            measured(&all, case, &step);
            curves.push((case, predicted(case, &step, network)));
        }
    }
    match picture {
        Some(path) => draw(path, &curves, network),
        None => Ok(()),
    }
}

fn of<'a>(all: &'a [Measured], case: &Case, ranks: usize) -> Vec<&'a Measured> {
    let of_case = all
        .iter()
        .filter(|m| m.case == case.name && m.ranks == ranks);
    of_case.collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn seconds(all: &[Measured], case: &Case, ranks: usize) -> Option<f64> {
    median(of(all, case, ranks).iter().map(|m| m.seconds).collect())
}

/// From one rank with all images, and with half of them.
fn model_of<'c>(all: &[Measured], cases: impl Iterator<Item = &'c Case>) -> Result<Step> {
    let (mut times, mut sizes) = (Vec::new(), None);
    for case in cases {
        let time = seconds(all, case, 1).context("there is no measurement of one rank")?;
        times.push((case.batch as f64, time));
        sizes = of(all, case, 1)
            .first()
            .map(|m| (m.bytes, m.norms.clone()))
            .or(sizes);
    }
    ensure!(
        times.len() == 2,
        "the step was measured with one batch size only"
    );
    let ((more, slower), (less, faster)) = (times[0], times[1]);
    let per_image = ((slower - faster) / (more - less)).clamp(0.0, slower / more);
    let (gradients, norms) = sizes.context("there is no measurement of one rank")?;
    Ok(Step {
        fixed: slower - per_image * more,
        per_image,
        gradients,
        norms,
    })
}

fn measured(all: &[Measured], case: &Case, step: &Step) {
    println!(
        "{}, {} images{}",
        case.name,
        case.batch,
        if case.is_weak { " for each rank" } else { "" }
    );
    if let Some(plain) = seconds(all, case, 0) {
        println!("  one process without ranks {:8.1} ms", 1e3 * plain);
    }
    let processors = available_parallelism().map_or(1, usize::from) as f64;
    for ranks in [1, 2, 4] {
        let runs = of(all, case, ranks);
        let (Some(time), Some(speed_up)) = (
            seconds(all, case, ranks),
            median(runs.iter().map(|m| m.speed_up).collect()),
        ) else {
            continue;
        };
        let least = |value: fn(&Measured) -> f64| {
            let values = runs.iter().copied().map(value);
            values.fold(f64::INFINITY, f64::min)
        };
        let (communication, allreduce) = (least(|m| m.communication), least(|m| m.allreduce));
        // Here: by what MPI's own allreduce takes for the bytes of the gradients.
        let n = ranks as f64;
        let bandwidth = 2.0 * (n - 1.0).max(0.5) / n * step.gradients / allreduce;
        let here = Network {
            latency: 2e-6,
            bandwidth,
        };
        let shared = (n / processors).max(1.0); // ranks on one processor
        let images = case.rows(ranks) as f64 / n;
        let model = shared * step.compute(images) + step.communicate(n, here);
        println!(
            "  {ranks} rank(s) {:8.1} ms, {speed_up:.2} times one rank; communication {:.1} ms (MPI's allreduce of \
             the gradients {:.1} ms); model {:.1} ms, {:+.0} %",
            1e3 * time,
            1e3 * communication,
            1e3 * allreduce,
            1e3 * model,
            100.0 * (model / time - 1.0)
        );
    }
}

/// The speed-up for each number of ranks.
fn predicted(case: &Case, step: &Step, network: Network) -> Vec<(f64, f64)> {
    println!(
        "  predicted for {:.0} µs and {:.2} GB/s:\n  ranks   step (ms)   communication   speed-up   efficiency",
        1e6 * network.latency,
        1e-9 * network.bandwidth
    );
    let mut curve = vec![(0.0, 1.0)];
    for ranks in RANKS.map(f64::from) {
        let images = match case.is_weak {
            true => case.batch as f64,
            false => case.batch as f64 / ranks,
        };
        let time = step.seconds(ranks, images, network);
        let whole = if case.is_weak { ranks } else { 1.0 };
        let speed_up = whole * step.compute(case.batch as f64) / time;
        println!(
            "  {ranks:5.0} {:11.1} {:>15} {speed_up:10.2} {:>12}",
            1e3 * time,
            percent(step.communicate(ranks, network) / time, 0),
            percent(speed_up / ranks, 0)
        );
        curve.push((ranks.log2(), speed_up));
    }
    println!();
    curve
}

type Curve<'c> = (&'c Case, Vec<(f64, f64)>);

fn draw(path: &Path, curves: &[Curve<'_>], network: Network) -> Result<()> {
    picture::save(path, (1800, 900), |area| {
        let subtitle = format!(
            "predicted from one rank measured here, for a network of {:.0} µs and {:.2} GB/s",
            1e6 * network.latency,
            1e-9 * network.bandwidth
        );
        let panels = heading(area, "Speed-up by the number of ranks", &subtitle)?;
        let panels = panels.split_evenly((1, 2));
        for (panel, is_weak) in panels.iter().zip([false, true]) {
            let ideal = (0..=10).map(|power| (f64::from(power), 2f64.powi(power)));
            let mut lines = vec![Line {
                name: "ideal",
                points: ideal.collect(),
                color: INK,
                dashed: true,
            }];
            let of_kind = curves.iter().filter(|(case, _)| case.is_weak == is_weak);
            for ((case, points), color) in of_kind.zip([BLUE, ORANGE]) {
                lines.push(Line {
                    name: case.name.split(',').next().unwrap_or(case.name),
                    points: points.clone(),
                    color,
                    dashed: false,
                });
            }
            LineChart {
                title: match is_weak {
                    true => "Weak: the batch grows with the ranks",
                    false => "Strong: the batch stays the same",
                },
                x: Axis {
                    name: "ranks",
                    range: 0.0..10.0,
                    ticks: 11,
                    format: &|power| format!("{:.0}", power.exp2()),
                },
                y: Axis {
                    name: "times as fast as one rank",
                    range: 1.0..1200.0,
                    ticks: 10,
                    format: &|times| format!("{times:.0}"),
                },
                lines,
                legend: Some(SeriesLabelPosition::UpperLeft),
                font_size: 22,
            }
            .draw_logarithmic(panel)?;
        }
        Ok(())
    })?;
    output::announce("Picture", path)
}
