//! Runs criterion and writes its results as a table to `target/bench`.

use super::workload::machine::{header, target_folder};
use super::workload::table::Table;
use super::workload::timing::{duration, rate};
use criterion::Criterion;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Runs `measure`, and writes `target/bench/<name>.md` and `.txt`. `elements` is the unit of
/// criterion's elements, such as `images`.
pub(crate) fn run(name: &str, elements: &str, measure: impl FnOnce(&mut Criterion)) {
    println!("{}", header());
    let (start, folder) = (SystemTime::now(), target_folder());
    let measured = folder.join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&measured)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    measure(&mut criterion);
    criterion.final_summary();

    let mut files = Vec::new();
    estimates_since(start, &measured, &mut files);
    // `--list` and `--test` measure nothing.
    if files.is_empty() {
        return;
    }
    files.sort();
    let mut table = Table::new(&[name, "median", "95 % interval", "rate"]);
    for (_, file) in &files {
        if let Some(row) = row(file, elements) {
            table.push(row);
        }
    }
    println!("\n{}", table.text());
    let path = folder.join("bench").join(name);
    match table.write(&path) {
        Ok(()) => println!("This table: {}", path.with_extension("md").display()),
        Err(error) => eprintln!("cannot write {}: {error}", path.display()),
    }
}

/// Criterion's estimates of this run, with the time at which each was written.
fn estimates_since(start: SystemTime, folder: &Path, files: &mut Vec<(SystemTime, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            estimates_since(start, &path, files);
        } else if path.ends_with("new/estimates.json")
            && let Ok(written) = entry.metadata().and_then(|m| m.modified())
            && written >= start
        {
            files.push((written, path));
        }
    }
}

fn row(estimates: &Path, elements: &str) -> Option<Vec<String>> {
    let benchmark = read(&estimates.with_file_name("benchmark.json"))?;
    let median = &read(estimates)?["median"];
    let seconds = |value: &Value| value.as_f64().map(|ns| 1e-9 * ns);
    let time = seconds(&median["point_estimate"])?;
    let interval = &median["confidence_interval"];
    let (low, high) = (
        seconds(&interval["lower_bound"])?,
        seconds(&interval["upper_bound"])?,
    );
    let throughput = benchmark["throughput"].as_object()?.iter().next()?;
    let unit = match throughput.0.as_str() {
        "Bytes" => "B",
        _ => elements,
    };
    Some(vec![
        benchmark["full_id"].as_str()?.to_owned(),
        duration(time),
        format!("{} – {}", duration(low), duration(high)),
        rate(throughput.1.as_f64()? / time, unit),
    ])
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}
