//! What the ranks of the jobs do.

use crate::{
    ROWS, STEPS,
    common::{adam, batch, book, conv, small, train},
    digest,
    job::{CASE, FOLDER, RESULT},
};
use bn_data::Digits;
use bn_dist::{DataParallel, World};
use bn_net::{
    Adam, Callback, Checkpoint, Error, HiddenActivation, Network, Optimizer, Record, Sgd,
    SoftmaxWithLoss, Trainer, Training,
};
use bn_tensor::Pool;
use std::{
    env, fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::exit,
    thread::sleep,
    time::Duration,
};

/// A rank, in a process of its own.
#[test]
fn worker() {
    let Ok(case) = env::var(CASE) else {
        return; // of the tests
    };
    let folder = PathBuf::from(env::var(FOLDER).unwrap());
    let result = World::mpi(|world| run(world, &case, &folder));
    if let Err(error) = &result {
        eprintln!("error: {error}");
    }
    exit(i32::from(result.is_err()));
}

fn run(world: &World, case: &str, folder: &Path) -> Result<(), Error> {
    let words: Vec<&str> = case.split(' ').collect();
    match words[..] {
        ["bits", network, threads] => bits(world, network, threads.parse().unwrap()),
        ["train", ..] => fit(world, folder, words.len() > 1),
        ["checkpoint"] => fit(world, Path::new("/nowhere"), false),
        _ => steps(world, case),
    }
}

fn bits(world: &World, network: &str, threads: usize) -> Result<(), Error> {
    let digest = Pool::new(threads).unwrap().install(|| {
        let relu = HiddenActivation::Relu;
        Ok::<_, Error>(match network {
            "book32" => digest(&train::<f32>(world, book(relu), adam(), STEPS, ROWS)?),
            "book64" => digest(&train::<f64>(world, book(relu), adam(), STEPS, ROWS)?),
            "conv32" => digest(&train::<f32>(world, conv(), adam(), STEPS, ROWS)?),
            _ => digest(&train::<f64>(world, conv(), adam(), STEPS, ROWS)?),
        })
    });
    println!("{RESULT}{} ", digest?);
    Ok(())
}

/// Five steps, in which something goes wrong on one rank.
fn steps(world: &World, case: &str) -> Result<(), Error> {
    let mut network = match (case, world.rank()) {
        ("network", 1) => Network::builder(20).affine(7).affine(10).build(1)?,
        _ => small::<f32>(20),
    };
    let mut sgd: Box<dyn Optimizer<f32>> = Box::new(Sgd::new(0.1)?);
    let mut parallel = DataParallel::new(world)?;
    if case == "hang" {
        world.set_watchdog(Duration::from_secs(1));
    }
    for step in 0..5 {
        let (mut x, _) = batch::<f32>(step, 4, 20);
        let mut t = [0, 1, 2, 0];
        if step == 3 {
            match (case, world.rank()) {
                ("label", 1) => t[1] = 10,
                ("panic", 2) => panic!("a bug"),
                ("infinite", _) => x[[0, 0]] = f32::INFINITY,
                ("skip", 1) => continue,
                ("early", 2) => return Ok(()),
                ("hang", 1) => sleep(Duration::from_secs(30)),
                _ => {}
            }
        }
        let loss = &mut SoftmaxWithLoss::new();
        parallel.train_step(&mut network, x.view(), (&t[..]).into(), loss, &mut *sgd)?;
    }
    println!("{RESULT}all ");
    Ok(())
}

/// Trains on the digits with a checkpoint after each step, or continues; then rank 0 writes the result.
fn fit(world: &World, folder: &Path, is_slow: bool) -> Result<(), Error> {
    let pid = folder.join(format!("pid-{}", world.rank()));
    let _ = fs::write(pid, std::process::id().to_string());
    world.set_watchdog(Duration::from_secs(2));
    let (train, test) = Digits::load()?.into_parts();
    let (train, test) = (train.take(400), test.take(100));
    let builder = Network::builder(64)
        .affine(32)
        .batch_norm()
        .relu()
        .dropout(0.2);
    let mut network = builder.affine(10).build(1)?;
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.01)?);
    let trainer = Trainer::new(50)
        .iterations(60)
        .seed(7)
        .evaluate_every(20)
        .progress(false)
        .checkpoint(folder.join("run.safetensors"))
        .checkpoint_every(1);
    let mut parallel = DataParallel::new(world)?;
    let (callback, test): (&mut dyn Callback, _) = (&mut Slow(is_slow), Some(&test));
    let history = trainer.fit_together(
        &mut network,
        &mut loss,
        &mut adam,
        &train,
        test,
        callback,
        &mut parallel,
    )?;
    if world.rank() == 0 {
        let records = history.records.iter().map(|r| Record {
            seconds: 0.0,
            ..r.clone()
        });
        let mut result = Checkpoint::new();
        result.add_network("network", &network)?;
        result.add_optimizer::<f32>("adam", &adam)?;
        result.add_value("records", &records.collect::<Vec<_>>())?;
        result.save(folder.join("result.safetensors"))?;
    }
    Ok(())
}

/// Waits a little after each step, so that a kill hits any of them.
struct Slow(bool);

impl Callback for Slow {
    fn on_step(&mut self, _: u64, _: f64, _: Training<'_, f32>) -> ControlFlow<()> {
        if self.0 {
            sleep(Duration::from_millis(15));
        }
        ControlFlow::Continue(())
    }
}
