//! How a training step scales with threads, with the batch and with the width: writes a table and a
//! picture of the curves to `target/bench`.

mod workload;

use anyhow::Result;
use batchnorm::Pool;
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::picture;
use bn_examples::style::{BLUE, GREEN, INK, ORANGE, heading};
use plotters::chart::SeriesLabelPosition;
use plotters::style::RGBColor;
use std::time::Duration;
use workload::machine::{header, target_folder, threads_to_try};
use workload::network::{NETWORKS, Training};
use workload::table::Table;
use workload::timing::{duration, in_turns, median, rate, sample, three_digits};

const BATCHES: [usize; 6] = [32, 64, 128, 256, 512, 1024];
const WIDTHS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];

/// The step times of one network for each number of threads.
struct Step {
    name: String,
    /// The batch or the width, whichever varies.
    at: usize,
    images: usize,
    seconds: Vec<f64>, // one for each number of threads
}

fn main() -> Result<()> {
    // `cargo test --benches` only checks that it runs.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let rounds = if quick { 1 } else { 5 };
    let threads = threads_to_try();
    let pools: Vec<Pool> = threads
        .iter()
        .map(|&threads| Pool::new(threads))
        .collect::<Result<_, _>>()?;
    println!("{}", header());

    let [_, mid, _] = &NETWORKS;
    let few = if quick { 1 } else { usize::MAX };
    let networks: Vec<Step> = NETWORKS
        .iter()
        .take(few)
        .map(|case| measure(&pools, case.title(), 0, case.hidden, case.batch, rounds))
        .collect();
    let batches: Vec<Step> = BATCHES
        .into_iter()
        .take(few)
        .map(|batch| {
            let name = format!("mid 784-3×512-10, batch {batch}");
            measure(&pools, name, batch, mid.hidden, batch, rounds)
        })
        .collect();
    let widths: Vec<Step> = WIDTHS
        .into_iter()
        .take(few)
        .map(|width| {
            let name = format!("784-3×{width}-10, batch {}", mid.batch);
            measure(&pools, name, width, &[width; 3], mid.batch, rounds)
        })
        .collect();

    let all = [&networks, &batches, &widths];
    let table = table(&threads, all.into_iter().flatten());
    println!("\n{}", table.text());
    let path = target_folder().join("bench").join("scaling");
    table.write(&path)?;
    let path = path.with_extension("png");
    picture::save(&path, (2400, 900), |area| {
        let panels = heading(area, "Training steps: threads, batch, width", &header())?;
        let panels = panels.split_evenly((1, 3));
        draw_speed_up(&panels[0], &threads, &networks)?;
        let title = "784-3×512-10: images per second";
        draw_rate(&panels[1], title, "batch", &threads, &batches)?;
        let title = format!("784-3×width-10, batch {}: images per second", mid.batch);
        draw_rate(&panels[2], &title, "width", &threads, &widths)
    })?;
    println!(
        "Table and picture: {}",
        path.with_extension("{md,txt,png}").display()
    );
    Ok(())
}

/// Measures the median step time on each pool. The pools take turns.
fn measure(
    pools: &[Pool],
    name: String,
    at: usize,
    hidden: &[usize],
    images: usize,
    rounds: usize,
) -> Step {
    let mut trainings: Vec<Training> = pools
        .iter()
        .map(|_| Training::new(hidden, images))
        .collect();
    let mut samples: Vec<_> = pools
        .iter()
        .zip(&mut trainings)
        .map(|(pool, training)| sample(pool, Duration::from_millis(50), || training.step()))
        .collect();
    let seconds = in_turns(&mut samples, rounds, || ());
    let seconds = seconds.iter().map(|seconds| median(seconds)).collect();
    Step {
        name,
        at,
        images,
        seconds,
    }
}

fn table<'a>(threads: &[usize], steps: impl Iterator<Item = &'a Step>) -> Table {
    let mut heads = vec!["training step".to_owned()];
    for &threads in threads {
        let s = if threads == 1 { "" } else { "s" };
        heads.push(format!("{threads} thread{s}"));
    }
    heads.extend(["speed-up".to_owned(), "fastest".to_owned()]);
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(&heads);
    for step in steps {
        let fastest = workload::timing::least(&step.seconds);
        let mut row = vec![step.name.clone()];
        row.extend(step.seconds.iter().map(|&seconds| duration(seconds)));
        row.push(format!("{:.2}", step.seconds[0] / fastest));
        row.push(rate(step.images as f64 / fastest, "images"));
        table.push(row);
    }
    table
}

const COLORS: [RGBColor; 3] = [BLUE, ORANGE, GREEN];

fn draw_speed_up(
    area: &bn_examples::picture::Area<'_>,
    threads: &[usize],
    networks: &[Step],
) -> Result<()> {
    let doublings = |&threads: &usize| (threads as f64).log2();
    let most = threads.last().map_or(1, |&threads| threads);
    let ideal = threads.iter().map(|n| (doublings(n), *n as f64));
    let mut lines = vec![Line {
        name: "ideal: proportional to threads",
        points: ideal.collect(),
        color: INK,
        dashed: true,
    }];
    for ((step, case), color) in networks.iter().zip(&NETWORKS).zip(COLORS) {
        let speed_up = step.seconds.iter().map(|seconds| step.seconds[0] / seconds);
        lines.push(Line {
            name: case.name,
            points: threads.iter().map(doublings).zip(speed_up).collect(),
            color,
            dashed: false,
        });
    }
    LineChart {
        title: "Speed-up by threads",
        x: powers("threads", &[1, most]),
        y: Axis {
            name: "times as fast as one thread",
            range: 0.0..1.15 * most as f64,
            ticks: 6,
            format: &|times| format!("{times:.1}"),
        },
        lines,
        legend: Some(SeriesLabelPosition::LowerRight),
        font_size: 26,
    }
    .draw(area)
}

fn draw_rate(
    area: &bn_examples::picture::Area<'_>,
    title: &str,
    name: &str,
    threads: &[usize],
    steps: &[Step],
) -> Result<()> {
    // Only the first and the last number of threads, so that the picture is not crowded.
    let last = threads.len() - 1;
    let selected = if last == 0 { vec![0] } else { vec![0, last] };
    let names = selected.iter().map(|&i| match threads[i] {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    });
    let names: Vec<String> = names.collect();
    let lines = selected
        .iter()
        .zip(&names)
        .zip(COLORS)
        .map(|((&i, name), color)| {
            let point = |step: &Step| {
                let rate = step.images as f64 / step.seconds[i];
                ((step.at as f64).log2(), rate / 1e3)
            };
            Line {
                name,
                points: steps.iter().map(point).collect(),
                color,
                dashed: false,
            }
        });
    let lines: Vec<Line<'_>> = lines.collect();
    let points = lines.iter().flat_map(|line| &line.points);
    let highest = points.fold(0.0, |highest: f64, &(_, rate)| highest.max(rate));
    let ends: Vec<usize> = steps.iter().map(|step| step.at).collect();
    LineChart {
        title,
        x: powers(name, &ends),
        y: Axis {
            name: "thousands of images per second",
            range: 0.0..1.1 * highest,
            ticks: 6,
            format: &|rate| three_digits(*rate),
        },
        lines,
        legend: Some(SeriesLabelPosition::UpperRight),
        font_size: 26,
    }
    .draw(area)
}

/// A logarithmic axis of powers of two.
fn powers<'a>(name: &'a str, values: &[usize]) -> Axis<'a> {
    let log = |value: Option<&usize>| value.map_or(0.0, |&value| (value as f64).log2());
    let (first, last) = (log(values.first()), log(values.last()));
    Axis {
        name,
        // A single point needs some room too.
        range: first..last.max(first + 1.0),
        ticks: values.len(),
        format: &|log| {
            let whole = (log - log.round()).abs() < 1e-6;
            if whole {
                format!("{}", log.exp2().round())
            } else {
                String::new()
            }
        },
    }
}
