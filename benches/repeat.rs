//! Repeats one piece of work on the same buffers. The scripts use it to compare builds and to count
//! instructions; it is also a target for a profiler.
//!
//! `repeat WORK CALLS` prints the seconds per call; `repeat` without arguments prints what they depend on.

mod workload;

use batchnorm::net::Workspace;
use batchnorm::tensor::{Moments, Scratch, channel_sum, threads};
use batchnorm::{Dropout, Layer, Mode, Pass, Pool};
use ndarray::Axis;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use workload::machine::header;
use workload::network::{NETWORKS, images};
use workload::{BatchNorm, matrix};

const WORKS: &str = "step-book step-mid step-big bn-forward bn-backward inference-1 inference-100 \
                     moments channel-sum dropout";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` runs it without arguments, along with the other benches.
    if args.iter().all(|arg| arg == "--bench") {
        println!("{}", header());
        return ExitCode::SUCCESS;
    }
    let calls = args.get(1).and_then(|calls| calls.parse().ok());
    let (Some(work), Some(calls)) = (work(&args[0]), calls) else {
        eprintln!("error: expected WORK CALLS, where WORK is one of {WORKS}");
        return ExitCode::FAILURE;
    };
    let pool = Pool::new(threads()).expect("a pool");
    println!("{:e}", pool.install(|| time(work, calls)));
    ExitCode::SUCCESS
}

/// The first call, which fills buffers, does not count. Then there is a pause: OpenBLAS's own threads,
/// which are not used, keep processors busy for a tenth of a second after OpenBLAS is loaded.
fn time(mut work: Box<dyn FnMut() + Send>, calls: u32) -> f64 {
    work();
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    for _ in 0..calls {
        work();
    }
    start.elapsed().as_secs_f64() / f64::from(calls.max(1))
}

fn work(name: &str) -> Option<Box<dyn FnMut() + Send>> {
    let (kind, which) = name.split_once('-').unwrap_or((name, ""));
    Some(match (kind, which) {
        ("step", network) => {
            let case = NETWORKS.iter().find(|case| case.name == network)?;
            let mut training = case.training();
            Box::new(move || training.step())
        }
        ("bn", "forward") => {
            let mut bn = BatchNorm::new(1024, 1024);
            Box::new(move || bn.forward())
        }
        ("bn", "backward") => {
            let mut bn = BatchNorm::new(1024, 1024);
            Box::new(move || bn.backward())
        }
        ("inference", batch) => {
            let (x, network) = (images(batch.parse().ok()?), NETWORKS[0].network());
            let mut workspace = Workspace::default();
            Box::new(move || {
                let y = network.predict_with(x.view(), &mut workspace);
                std::hint::black_box(y.expect("a batch"));
            })
        }
        ("moments", "") => {
            let (x, mut moments) = (matrix(1024, 256), Moments::default());
            Box::new(move || {
                moments
                    .measure(x.view().insert_axis(Axis(2)))
                    .expect("in order")
            })
        }
        ("channel", "sum") => {
            let (x, mut sums) = (matrix(1024, 256), [0.0; 256]);
            let mut scratch = Scratch::default();
            Box::new(move || {
                let x = x.view().insert_axis(Axis(2));
                channel_sum(x, &mut sums, &mut scratch).expect("in order");
            })
        }
        ("dropout", "") => {
            let (x, mut y) = (matrix(256, 512), matrix(256, 512));
            let mut dropout = Dropout::new(0.2, 1).ok()?;
            Box::new(move || {
                dropout
                    .forward_into(x.view(), y.view_mut(), &Pass::new(Mode::Train))
                    .expect("the shapes fit")
            })
        }
        _ => return None,
    })
}
