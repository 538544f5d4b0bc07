//! A process that trains and saves is killed at random moments. The checkpoint can always be loaded, and
//! no other file remains.

use bn_net::{Adam, Checkpoint, Network, SoftmaxWithLoss};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const KILLS: usize = 200;
const FILE: &str = "BN_TEST_TRAIN_AND_SAVE";

fn parts() -> (Network, Adam<f32>) {
    let builder = Network::builder(16).affine(64).batch_norm().relu();
    let network = builder.dropout(0.2).affine(3).build(1).unwrap();
    (network, Adam::book(0.01).unwrap())
}

/// The number of steps, the network and the optimizer of a checkpoint, which must be whole.
fn load(path: &Path) -> (u64, Network, Adam<f32>) {
    let (mut network, mut adam) = parts();
    let checkpoint = Checkpoint::load(path).unwrap();
    checkpoint.restore_network("network", &mut network).unwrap();
    checkpoint
        .restore_optimizer("adam", &mut adam, &network)
        .unwrap();
    (checkpoint.value("steps").unwrap(), network, adam)
}

fn save(path: &Path, steps: u64, network: &Network, adam: &Adam<f32>) {
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("network", network).unwrap();
    checkpoint.add_optimizer::<f32>("adam", adam).unwrap();
    checkpoint.add_value("steps", &steps).unwrap();
    checkpoint.save(path).unwrap();
}

/// Resumes, and saves after each step until it is killed. It runs in a process of its own.
#[test]
fn a_child_that_trains_and_saves() {
    let Some(path) = env::var_os(FILE) else {
        return;
    };
    let path = Path::new(&path);
    let (mut steps, mut network, mut adam) = load(path);
    let x = Array2::from_shape_fn((12, 16), |(n, d)| ((n * 16 + d) as f32).sin());
    let labels: Vec<usize> = (0..12).map(|n| n % 3).collect();
    loop {
        let loss = &mut SoftmaxWithLoss::new();
        network
            .train_step(x.view(), (&labels).into(), loss, &mut adam)
            .unwrap();
        steps += 1;
        save(path, steps, &network, &adam);
        println!("saved");
        io::stdout().flush().unwrap();
    }
}

#[test]
fn a_checkpoint_survives_two_hundred_kills() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let (network, adam) = parts();
    save(&path, 0, &network, &adam);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut steps, mut within_a_save) = (0, 0);
    for _ in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "checkpoint_killed::a_child_that_trains_and_saves",
                "--nocapture",
            ])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("saved")));
        thread::sleep(Duration::from_micros(rng.random_range(0..5000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // This child may leave one file, and has removed that of the child before.
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| *name != "run.safetensors")
            .collect();
        assert!(
            names.is_empty() || names == [".run.safetensors.part0"],
            "{names:?}"
        );
        within_a_save += names.len();
        let (loaded, network, _) = load(&path);
        assert!(loaded > steps, "{loaded} after {steps}");
        assert!(network.spec().is_ok());
        steps = loaded;
    }
    // Enough of the kills hit a save.
    assert!(within_a_save > KILLS / 10, "{within_a_save}");
    let (steps, network, adam) = load(&path);
    save(&path, steps, &network, &adam);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
