//! What was measured, as tables and as JSON: two columns for each number of threads.

use crate::measure::{Kernel, Measured, NetworkProduct, Step};
use crate::workload::table::Table;
use crate::workload::timing::{duration, rate};
use serde_json::{Value, json};

pub(crate) fn text(measured: &[Measured]) -> String {
    let limits = limits(measured);
    let products = table(
        "product, M×K×N",
        ["rate", "of the best"],
        measured,
        |on| on.products.len(),
        |on, i| {
            let NetworkProduct {
                network, kernel, ..
            } = &on.products[i];
            let name = format!("{network:<4} {}", kernel.name);
            let rate = rate(kernel.flops_per_second(), "FLOP");
            (name, [rate, percent(kernel.share)])
        },
    );
    let batch_norms = table(
        "BatchNormalization",
        ["rate", "of a copy"],
        measured,
        |on| on.batch_norms.len(),
        |on, i| {
            let kernel = &on.batch_norms[i];
            let rate = rate(kernel.bytes_per_second(), "B");
            (kernel.name.clone(), [rate, percent(kernel.share)])
        },
    );
    let steps = table(
        "training step",
        ["time", "products"],
        measured,
        |on| on.steps.len(),
        |on, i| {
            let step = &on.steps[i];
            let figures = [duration(step.seconds), percent(step.share())];
            (step.name.clone(), figures)
        },
    );
    format!(
        "At most:\n{limits}\n\
         Matrix products, and their share of the best one:\n{products}\n\
         BatchNormalization by the bytes that it cannot avoid (forward reads x twice and writes y;\n\
         backward reads x and dout twice and writes dx), and its share of the rate of a copy of the\n\
         same array:\n{batch_norms}\n\
         Whole steps, and the share of the time that their products alone take:\n{steps}"
    )
}

fn limits(measured: &[Measured]) -> String {
    let mut heads = vec!["".to_owned()];
    heads.extend(measured.iter().map(|on| threads(on.threads)));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(&heads);
    let mut row = |name: String, figure: &dyn Fn(&Measured) -> String| {
        let mut row = vec![name];
        row.extend(measured.iter().map(figure));
        table.push(row);
    };
    let best = "best square product".to_owned();
    row(best, &|on| rate(on.peak, "FLOP"));
    let memory = "copy far beyond the cache, read + written".to_owned();
    row(memory, &|on| rate(on.memory, "B"));
    for (i, (size, _)) in measured[0].copies.iter().enumerate() {
        row(format!("copy of {size}"), &|on| rate(on.copies[i].1, "B"));
    }
    table.text()
}

/// Rows of a name and, for each number of threads, two figures.
fn table(
    name: &str,
    figures: [&str; 2],
    measured: &[Measured],
    rows: impl Fn(&Measured) -> usize,
    row: impl Fn(&Measured, usize) -> (String, [String; 2]),
) -> String {
    let mut heads = vec![name.to_owned()];
    for on in measured {
        let [first, second] = figures;
        heads.push(format!("{first}, {}", threads(on.threads)));
        heads.push(second.to_owned());
    }
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(&heads);
    for i in 0..rows(&measured[0]) {
        let mut cells = vec![row(&measured[0], i).0];
        cells.extend(measured.iter().flat_map(|on| row(on, i).1));
        table.push(cells);
    }
    table.text()
}

pub(crate) fn threads(n: usize) -> String {
    format!("{n} thread{}", if n == 1 { "" } else { "s" })
}

pub(crate) fn percent(share: f64) -> String {
    crate::common::style::percent(share, 0)
}

pub(crate) fn to_json(on: &Measured) -> Value {
    let products = on.products.iter().map(|product| {
        let mut figures = kernel(&product.kernel);
        figures["network"] = json!(product.network);
        figures["layer"] = json!(product.layer);
        figures
    });
    let copies = on
        .copies
        .iter()
        .map(|(size, bytes)| json!({"size": size, "bytes_per_second": bytes}));
    json!({
        "threads": on.threads,
        "peak_flops_per_second": on.peak,
        "memory_bytes_per_second": on.memory,
        "copies": copies.collect::<Vec<_>>(),
        "products": products.collect::<Vec<_>>(),
        "batch_norms": on.batch_norms.iter().map(kernel).collect::<Vec<_>>(),
        "steps": on.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn kernel(kernel: &Kernel) -> Value {
    json!({
        "name": kernel.name,
        "seconds": kernel.seconds,
        "flops": kernel.flops,
        "bytes": kernel.bytes,
        "share": kernel.share,
    })
}

fn step(step: &Step) -> Value {
    json!({
        "name": step.name,
        "seconds": step.seconds,
        "products_seconds": step.products,
        "products_flops": step.flops,
        "share": step.share(),
    })
}
