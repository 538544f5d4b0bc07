//! The book's network with Batch Normalization on MNIST, trained by several ranks: the processes that `mpirun`
//! starts, or with `--simulate N` the threads of one process. The parameters have the same bits at any number of
//! ranks.

use anyhow::{Result, ensure};
use bn_data::Dataset;
use bn_dist::{DataParallel, SHARDS, World};
use bn_examples::{
    data,
    data::DataKind,
    output,
    style::{count, percent, threads},
    values,
};
use bn_layers::LayerExt;
use bn_net::{
    Adam, Callback, HiddenActivation, MultiLayerNet, MultiLayerNetConfig, Network, Record,
    Schedule, SoftmaxWithLoss, Trainer,
};
use bn_tensor::Pool;
use clap::Parser;
use std::{
    cell::Cell,
    hash::{DefaultHasher, Hasher},
    io::{IsTerminal, Write},
    ops::ControlFlow,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Train the book's network on MNIST on several ranks
///
/// Start it with mpirun, or with --simulate N to run the ranks as threads of one process.
#[derive(Debug, Parser)]
#[command(after_help = "\
mpirun -n 2 --bind-to none cargo run --release -p bn-dist --features mpi,download --example mnist_mpi
cargo run --release -p bn-dist --features download --example mnist_mpi -- --simulate 2")]
struct Args {
    /// Run this many ranks as threads of this process, without MPI
    #[arg(long, value_name = "N", value_parser = values::size(1, 64))]
    simulate: Option<usize>,
    /// Data set
    #[arg(long, value_enum, default_value = "mnist")]
    data: DataKind,
    /// Folder with the files of MNIST or Fashion-MNIST [default: the folder that the environment variable
    /// BN_DATA_DIR names, or else the cache folder, into which they are downloaded]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Passes over the training set
    #[arg(long, default_value_t = 5, value_parser = values::times)]
    epochs: u64,
    /// Images per training step, of all ranks together
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// Adam's learning rate at the start; it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.003, value_parser = values::learning_rate)]
    lr: f64,
    /// Fraction of the hidden values that Dropout sets to 0 in training
    #[arg(long, default_value_t = 0.05, value_parser = values::dropout_ratio)]
    dropout: f64,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 42, value_parser = values::seed)]
    seed: u64,
    /// Threads of each rank [default: the processors of the machine, divided among its ranks]
    #[arg(long, value_parser = values::size(1, 1024))]
    threads: Option<usize>,
    /// Shards of a batch; results depend on it, but not on the number of ranks
    #[arg(long, default_value_t = SHARDS, value_parser = values::size(1, 65_536))]
    shards: usize,
    /// Let each rank normalise its own rows, for comparison; results then depend on the number of ranks
    #[arg(long)]
    local_batch_norm: bool,
    /// Save the run to this file after each epoch
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Also save it after every so many steps
    #[arg(long, value_name = "STEPS", requires = "checkpoint", value_parser = values::times)]
    checkpoint_every: Option<u64>,
    /// Continue from the checkpoint, with any number of ranks
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// End the job if a rank waits for the others for longer than this
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watchdog: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.simulate {
        Some(ranks) => {
            let ranks = World::simulate(ranks, |world| {
                let result = on_rank(world, &args);
                result.inspect_err(|error| world.fail(error))
            });
            ranks.into_iter().collect()
        }
        None => {
            let rank = Cell::new(0);
            let result = World::mpi(|world| {
                rank.set(world.rank());
                on_rank(world, &args)
            });
            match result {
                // All ranks have the same error.
                Err(_) if rank.get() > 0 => return ExitCode::FAILURE,
                result => result,
            }
        }
    };
    bn_examples::finish(result)
}

fn on_rank(world: &World, args: &Args) -> Result<()> {
    match args.threads {
        Some(threads) => Pool::new(threads)?.install(|| train(world, args)),
        None => train(world, args),
    }
}

fn train(world: &World, args: &Args) -> Result<()> {
    let writes = world.rank() == 0;
    if let Some(path) = args.checkpoint.as_ref().filter(|_| writes) {
        let exists = path.exists();
        ensure!(
            args.resume || !exists,
            "{} exists; add --resume to continue from it, or choose another file",
            path.display()
        );
        ensure!(
            exists || !args.resume,
            "there is no {} to resume from",
            path.display()
        );
        output::check_writable(path)?;
    }
    let (train, test) = load(world, args)?;
    world.set_watchdog(Duration::from_secs(args.watchdog));
    let mut network = network(args, &train)?;
    if writes {
        println!(
            "{}: {} training images, {} test images; {}\n\
             The book's network, 784 - 5×100 - 10 with Batch Normalization; {} parameters\n\
             Adam, {} epochs in batches of {}, each in {} shards; seed {}\n",
            args.data.title(),
            train.len(),
            test.len(),
            ranks(world, args),
            network.param_count(),
            args.epochs,
            args.batch_size,
            args.shards,
            args.seed
        );
    }
    let mut parallel = DataParallel::new(world)?.shards(args.shards)?;
    if args.local_batch_norm {
        parallel = parallel.local_batch_norm();
    }
    let mut epoch = Epochs { writes };
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(args.lr)?);
    let start = Instant::now();
    let test = Some(&test);
    let callback: &mut dyn Callback = &mut epoch;
    let history = trainer(args, train.len()).fit_together(
        &mut network,
        &mut loss,
        &mut adam,
        &train,
        test,
        callback,
        &mut parallel,
    )?;
    if writes {
        let accuracy = history
            .last()
            .and_then(Record::test_accuracy)
            .unwrap_or(0.0);
        println!(
            "\nTest accuracy {} after {:.1} s, of which {:.1} s of communication and waiting.\n\
             Digest of parameters and statistics: {:016x}",
            percent(accuracy, 2),
            start.elapsed().as_secs_f64(),
            parallel.communication_time().as_secs_f64(),
            digest(&network)
        );
    }
    Ok(())
}

/// Rank 0 downloads the files, if they are missing; on other machines, the ranks then do the same.
fn load(world: &World, args: &Args) -> Result<(Dataset, Dataset)> {
    let load = || data::load(args.data, args.data_dir.as_deref());
    world.set_watchdog(Duration::from_secs(3600));
    if world.rank() == 0 {
        let loaded = load()?;
        world.barrier()?;
        return Ok(loaded);
    }
    world.barrier()?;
    load()
}

fn network(args: &Args, train: &Dataset) -> Result<Network> {
    let sizes = MultiLayerNetConfig::new(train.images().ncols(), &[100; 5], train.classes());
    let config = MultiLayerNetConfig {
        activation: HiddenActivation::Relu,
        use_batchnorm: true,
        use_dropout: args.dropout > 0.0,
        dropout_ratio: args.dropout,
        ..sizes
    };
    Ok(MultiLayerNet::new(&config, args.seed)?.network().clone())
}

fn trainer(args: &Args, images: usize) -> Trainer {
    let steps = args.epochs * (images / args.batch_size).max(1) as u64;
    let mut trainer = Trainer::new(args.batch_size)
        .epochs(args.epochs)
        .seed(args.seed)
        .evaluate_train(false) // each rank evaluates all images
        .schedule(Schedule::Cosine {
            lr: args.lr,
            steps,
            min_lr: 0.0,
        });
    if let Some(path) = &args.checkpoint {
        trainer = trainer.checkpoint(path);
    }
    if let Some(steps) = args.checkpoint_every {
        trainer = trainer.checkpoint_every(steps);
    }
    trainer.progress(std::io::stderr().is_terminal())
}

/// A line after each epoch.
struct Epochs {
    writes: bool,
}

impl Callback for Epochs {
    fn on_record(&mut self, record: &Record, _: bn_net::Training<'_, f32>) -> ControlFlow<()> {
        if self.writes {
            println!(
                "epoch {:.0}: loss {:.4}, test accuracy {}, {:.1} s",
                record.epoch,
                record.train_loss,
                percent(record.test_accuracy().unwrap_or(0.0), 2),
                record.seconds
            );
            let _ = std::io::stdout().flush();
        }
        ControlFlow::Continue(())
    }
}

fn ranks(world: &World, args: &Args) -> String {
    let kind = match args.simulate {
        Some(_) => "threads of one process",
        None => "processes",
    };
    let ranks = count(world.size() as u64, "rank");
    format!("{ranks}, {kind}, with {} each", threads())
}

/// It is equal for equal bits of all values.
fn digest(network: &Network) -> u64 {
    let mut hasher = DefaultHasher::new();
    network.visit(&mut |p| {
        let bits = p.value.iter().map(|value| value.to_bits());
        bits.for_each(|bits| hasher.write_u32(bits));
    });
    hasher.finish()
}
