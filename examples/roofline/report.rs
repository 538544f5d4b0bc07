//! The measurements as tables and as JSON, with two columns for each number of threads.

use crate::measure::{Kernel, Measured, Step};
use crate::workload::table::Table;
use crate::workload::timing::{duration, rate};
use bn_examples::style::count;
use serde_json::{Value, json};

pub(crate) fn text(measured: &[Measured]) -> String {
    let limits = limits(measured);
    let products = table(
        "matrix product, M×K×N",
        ["rate", "share"],
        measured,
        |on| on.products.len(),
        |on, i| {
            let product = &on.products[i];
            let kernel = &product.kernel;
            let size = kernel.name.rsplit(' ').next().unwrap_or_default();
            let rate = rate(kernel.flops_per_second(), "FLOP");
            let name = format!("{:<20} {size}", product.title());
            (name, [rate, percent(kernel.share)])
        },
    );
    let batch_norms = table(
        "Batch Normalization",
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
            let texts = [duration(step.seconds), percent(step.share())];
            (step.name.clone(), texts)
        },
    );
    let networks = measured[0].steps.iter();
    let networks: String = networks.map(|step| format!("  {}\n", step.name)).collect();
    format!(
        "The networks, with Batch Normalization and ReLU after each hidden layer:\n{networks}\n\
         Limits of this machine:\n{limits}\n\
         Matrix products of a training step, and their share of the fastest product's rate. y = x·W is\n\
         the forward pass of a layer; dW = xᵀ·dout and dx = dout·Wᵀ are its backward pass:\n{products}\n\
         Batch Normalization: the bytes that it has to read and write per second (forward reads x twice\n\
         and writes y; backward reads x and dout twice and writes dx), compared with a copy of the same\n\
         array. It can be faster than a copy, because reading is faster than writing:\n{batch_norms}\n\
         Training steps, and the time of their matrix products as a share of the step's:\n{steps}"
    )
}

fn limits(measured: &[Measured]) -> String {
    let mut heads = vec![String::new()];
    heads.extend(measured.iter().map(threads));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(&heads);
    let mut row = |name: String, text: &dyn Fn(&Measured) -> String| {
        let mut row = vec![name];
        row.extend(measured.iter().map(text));
        table.push(row);
    };
    let fastest = "fastest matrix product".to_owned();
    row(fastest, &|on| rate(on.peak, "FLOP"));
    let memory = "copy of a large array, read + written".to_owned();
    row(memory, &|on| rate(on.memory, "B"));
    for (i, (size, _)) in measured[0].copies.iter().enumerate() {
        row(format!("copy of {size}"), &|on| rate(on.copies[i].1, "B"));
    }
    table.text()
}

/// Each row has a name and, for each number of threads, two values.
fn table(
    name: &str,
    columns: [&str; 2],
    measured: &[Measured],
    rows: impl Fn(&Measured) -> usize,
    row: impl Fn(&Measured, usize) -> (String, [String; 2]),
) -> String {
    let mut heads = vec![name.to_owned()];
    for on in measured {
        let [first, second] = columns;
        heads.push(format!("{first}, {}", threads(on)));
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

pub(crate) fn threads(on: &Measured) -> String {
    count(on.threads as u64, "thread")
}

pub(crate) fn percent(share: f64) -> String {
    bn_examples::style::percent(share, 0)
}

pub(crate) fn to_json(on: &Measured) -> Value {
    let products = on.products.iter().map(|product| {
        let mut json = kernel(&product.kernel);
        json["network"] = json!(product.network);
        json["layer"] = json!(product.layer);
        json["result"] = json!(product.result());
        json
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
