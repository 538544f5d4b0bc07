//! Ranks as processes of `mpirun`: this program starts itself again as the ranks of a job.

#[path = "../common.rs"]
mod common;
mod job;
mod workers;

use bn_dist::World;
use bn_layers::Scalar;
use bn_net::{HiddenActivation, Network};
use bytemuck::Pod;
use common::{Trained, adam, book, conv, train};
use job::{Job, TwoHosts};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// The steps that the networks are trained for, here and in the workers.
const STEPS: usize = 50;
const ROWS: usize = 101;

/// From the losses of all steps and the bits of all values.
fn digest<T: Scalar + Pod>(trained: &Trained<T>) -> String {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytemuck::cast_slice(&trained.losses));
    hasher.write(bytemuck::cast_slice(&trained.values));
    format!("{:016x}", hasher.finish())
}

fn here<T: Scalar + Pod>(network: fn() -> Network<T>) -> String {
    let one = World::simulate(1, |world| train(world, network(), adam(), STEPS, ROWS));
    digest(one[0].as_ref().unwrap())
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn processes_have_the_bits_of_one_process() {
    let cases = [
        ("book32", here::<f32>(|| book(HiddenActivation::Relu))),
        ("conv64", here::<f64>(conv)),
    ];
    for (case, expected) in &cases {
        for ranks in 1..=4 {
            for threads in ["1", "2"] {
                let output = Job::new(ranks, &format!("bits {case} {threads}")).run();
                assert!(output.is_success, "{output:?}");
                let results = output.results();
                assert_eq!(
                    results,
                    vec![expected.as_str(); ranks],
                    "{case}, {ranks}×{threads}"
                );
            }
        }
    }
}

/// The job ends with this message, and within seconds.
fn assert_ends(case: &str, message: &str) {
    let start = Instant::now();
    let output = Job::new(3, case).run();
    let seconds = start.elapsed().as_secs_f64();
    assert!(!output.is_success, "{output:?}");
    assert!(output.stderr.contains(message), "{case}: {}", output.stderr);
    assert!(output.results().len() < 2, "{output:?}"); // a rank that skips a step may have ended
    assert!(seconds < 15.0, "{case}: {seconds} s");
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn an_error_on_one_rank_ends_the_job() {
    let message = "error on rank 1 of 3: row 1: label 10 is out of range";
    assert_ends("label", message);
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn a_panic_on_one_rank_ends_the_job() {
    assert_ends("panic", "rank 2 panicked; the job ends");
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn an_error_of_all_ranks_ends_the_job() {
    assert_ends("infinite", "the input is not finite");
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn a_rank_that_skips_a_step_or_stops_early_is_named() {
    assert_ends("skip", "rank 1 does something else");
    assert_ends("early", "rank 2 does something else");
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn a_rank_with_another_network_is_named() {
    assert_ends("network", "rank 1 has another network");
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn a_rank_that_hangs_is_ended_by_the_watchdog() {
    assert_ends("hang", "has waited 1 s for another rank");
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn a_rank_that_cannot_write_its_checkpoint_ends_the_job() {
    assert_ends(
        "checkpoint",
        "error on rank 0 of 3: cannot write /nowhere/run.safetensors",
    );
}

/// The number of steps in the checkpoint of a run.
fn iteration(folder: &Path) -> u64 {
    let Ok(checkpoint) = bn_net::Checkpoint::load(folder.join("run.safetensors")) else {
        return 0;
    };
    let state: serde_json::Value = checkpoint.value("trainer").unwrap();
    state["iteration"].as_u64().unwrap()
}

fn result(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("result.safetensors")).unwrap()
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn a_job_that_is_killed_twenty_times_ends_with_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Job::new(1, "train").folder(folder.path()).run();
    assert!(whole.is_success, "{whole:?}");
    let expected = result(folder.path());

    let folder = tempfile::tempdir().unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut iterations, mut slowest) = (Vec::new(), Duration::ZERO);
    for kill in 0..20 {
        let ranks = 2 + kill % 3;
        let job = Job::new(ranks, "train slowly").folder(folder.path());
        let mut job = job.start();
        let before = iteration(folder.path());
        while iteration(folder.path()) <= before {
            assert!(!job.has_ended(), "the run ended too early");
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_micros(rng.random_range(0..20_000)));
        job.kill_rank(rng.random_range(0..ranks));
        let killed = Instant::now();
        let output = job.wait();
        slowest = slowest.max(killed.elapsed());
        assert!(!output.is_success, "{output:?}");
        iterations.push(iteration(folder.path()));
    }
    println!("killed after steps {iterations:?}; the slowest end took {slowest:?}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let rest = Job::new(3, "train").folder(folder.path()).run();
    assert!(rest.is_success, "{rest:?}");
    assert!(result(folder.path()) == expected, "another file");
}

#[test]
#[ignore = "needs MPI: make test-mpi"]
fn two_hosts_train_as_one_and_survive_a_cut_link() {
    let Some(hosts) = TwoHosts::new() else {
        eprintln!("skipped: network namespaces, which serve as two hosts, need root and iproute2");
        return;
    };
    let alone = tempfile::tempdir().unwrap();
    let output = Job::new(1, "train").folder(alone.path()).run();
    assert!(output.is_success, "{output:?}");
    let expected = result(alone.path());

    let folder = tempfile::tempdir().unwrap();
    let output = Job::new(2, "train").folder(folder.path()).on(&hosts).run();
    assert!(output.is_success, "{output:?}");
    assert!(
        result(folder.path()) == expected,
        "another file on two hosts"
    );

    let folder = tempfile::tempdir().unwrap();
    let job = Job::new(2, "train slowly").folder(folder.path()).on(&hosts);
    let mut job = job.start();
    while iteration(folder.path()) < 8 {
        assert!(!job.has_ended(), "the run ended too early");
        sleep(Duration::from_millis(5));
    }
    hosts.cut();
    let cut = Instant::now();
    let output = job.wait();
    println!("ended {:?} after the cut", cut.elapsed());
    assert!(!output.is_success, "{output:?}");
    assert!(
        output.stderr.contains("has waited 2 s for another rank"),
        "{}",
        output.stderr
    );
    assert!(
        cut.elapsed() < Duration::from_secs(15),
        "{:?}",
        cut.elapsed()
    );
    hosts.mend();
    let output = Job::new(2, "train").folder(folder.path()).on(&hosts).run();
    assert!(output.is_success, "{output:?}");
    assert!(
        result(folder.path()) == expected,
        "another file after the cut"
    );
}
