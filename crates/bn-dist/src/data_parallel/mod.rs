//! `strategy` makes the passes.

mod strategy;

use crate::{
    error::Error, exchange::Buckets, header::Header, layout::Layout, timing::Timer, world::World,
};
use bn_data::Dataset;
use bn_net::{
    Callback, Error as NetError, History, Loss, Network, Optimizer, Record, Strategy, Targets,
    Trainer,
};
use bn_tensor::Scalar;
use bytemuck::Pod;
use ndarray::ArrayView2;
use std::{
    ops::{ControlFlow, Range},
    time::Duration,
};

/// The number of shards of a batch.
pub const SHARDS: usize = 16;

/// The size of a full bucket.
pub const BUCKET_BYTES: usize = 4 << 20;

/// The number of steps between two comparisons of all parameters.
pub const CHECK_EVERY: u64 = 100;

/// The largest message.
const MESSAGE_BYTES: usize = 1 << 30;

/// Trains one network on all ranks of a [`World`], each on its part of every batch
/// (PyTorch's `DistributedDataParallel`, with a `SyncBatchNorm` that is exact).
///
/// Every rank builds the same network, loss and optimizer, and makes the same calls. Batch Normalization uses the
/// statistics of the whole batch, and every rank gets the gradient of the whole batch's mean loss, whatever the
/// numbers of rows of the ranks. A rank may have one row, or none.
///
/// **The bits are the same at any number of ranks.** A batch is cut into a fixed number of
/// [shards](Self::shards), each rank has some of them, and all sums are formed in one binary tree over the shards.
///
/// ```
/// use bn_dist::{DataParallel, World};
/// use bn_net::{Error, Network, Sgd, SoftmaxWithLoss};
/// use ndarray::{Array2, Axis, Slice};
/// let x = Array2::from_shape_fn((100, 4), |(n, d)| ((n * 4 + d) as f32).sin());
/// let labels: Vec<usize> = (0..100).map(|n| n % 3).collect();
/// let train = |ranks: usize| {
///     World::simulate(ranks, |world| -> Result<_, Error> {
///         let mut network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
///         let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1)?);
///         let mut parallel = DataParallel::new(world)?;
///         let mine = parallel.rows(100); // this rank's rows of a batch of 100
///         let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
///         parallel.train_step(&mut network, x, (&labels[mine]).into(), &mut loss, &mut sgd)
///     })
/// };
/// let (one, three) = (train(1), train(3));
/// assert_eq!(three[2].as_ref().unwrap(), one[0].as_ref().unwrap()); // the same bits
/// ```
#[derive(Debug)]
pub struct DataParallel<'w, T = f32> {
    world: &'w World,
    layout: Layout,
    bucket_bytes: usize,
    is_local: bool,
    check_every: u64,
    header: Header,   // of the last step
    rows: Vec<usize>, // of each shard of this rank, in the batch that was begun
    first_row: usize,
    buckets: Buckets<T>,
    timer: Timer,
}

impl<'w, T: Scalar + Pod> DataParallel<'w, T> {
    /// With [`SHARDS`] shards, buckets of [`BUCKET_BYTES`], and Batch Normalization over all ranks.
    ///
    /// # Errors
    /// [`Error::Setting`] for more ranks than shards.
    pub fn new(world: &'w World) -> Result<Self, Error> {
        Ok(Self {
            layout: Layout::new(SHARDS, world.size())?,
            world,
            bucket_bytes: BUCKET_BYTES,
            is_local: false,
            check_every: CHECK_EVERY,
            header: Header::step(),
            rows: Vec::new(),
            first_row: 0,
            buckets: Buckets::default(),
            timer: Timer::default(),
        })
    }

    /// Sets the number of shards of a batch. It must be the same for all runs whose bits are compared.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer shards than ranks.
    pub fn shards(mut self, shards: usize) -> Result<Self, Error> {
        self.layout = Layout::new(shards, self.world.size())?;
        Ok(self)
    }

    /// Sets the size of a full bucket: the gradients of the layers are sent as soon as they fill one, while the
    /// layers before them compute theirs.
    ///
    /// # Errors
    /// [`Error::Setting`] for less than 1 KiB or more than 1 GiB.
    pub fn bucket_bytes(mut self, bytes: usize) -> Result<Self, Error> {
        if !(1024..=MESSAGE_BYTES).contains(&bytes) {
            return Err(Error::Setting {
                what: "the size of a bucket",
                value: format!("{bytes} bytes"),
                must_be: "at least 1 KiB and at most 1 GiB".to_owned(),
            });
        }
        self.bucket_bytes = bytes;
        Ok(self)
    }

    /// Lets each rank normalise its rows by their own statistics, as PyTorch's `BatchNorm` does under
    /// `DistributedDataParallel`. The result then depends on the number of ranks, and the running statistics are
    /// those of each rank; a checkpoint has rank 0's.
    #[must_use]
    pub fn local_batch_norm(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Sets the number of steps between two comparisons of all parameters ([`CHECK_EVERY`] by default; at least
    /// one). The first step is always checked. That all ranks are at the same step is checked in each.
    #[must_use]
    pub fn check_every(mut self, steps: u64) -> Self {
        self.check_every = steps.max(1);
        self
    }

    /// The rows of this rank in a batch of `rows` rows.
    pub fn rows(&self, rows: usize) -> Range<usize> {
        self.layout.part(self.world.rank()).rows(rows)
    }

    /// One step of training on a batch of which `x: (N, D)` and `t` are the rows of this rank: those of
    /// [`rows`](Self::rows), or any number of them. Returns the loss of the whole batch before the update
    /// ([`Network::train_step`]).
    ///
    /// # Errors
    /// As [`Network::train_step`]; [`bn_net::Error::Strategy`] if the ranks differ. An error that only some ranks
    /// have ends the job ([`World::fail`]). After any other error the network and the optimizer are as before.
    pub fn train_step(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
    ) -> Result<f64, NetError> {
        self.begin(network, optimizer, "", x.nrows(), false)?;
        let no_change = &mut |_: &mut Network<T>| Ok(());
        let value = Strategy::train_step(self, network, x, t, loss, optimizer, no_change)?;
        Ok(value.loss)
    }

    /// Trains `network` as [`Trainer::fit`] does in one process, with the same batches and results. Each rank needs
    /// all of the data; of each batch it reads only its part.
    ///
    /// # Errors
    /// As [`Trainer::fit_together`].
    pub fn fit(
        &mut self,
        trainer: &Trainer<T>,
        network: &mut Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        train: &Dataset<T>,
        test: Option<&Dataset<T>>,
    ) -> Result<History, NetError> {
        let mut no_callback = |_: &Record, _: &Network<T>| ControlFlow::Continue(());
        let callback: &mut dyn Callback<T> = &mut no_callback;
        trainer.fit_together(network, loss, optimizer, train, test, callback, self)
    }

    /// The time that this rank has spent on communication so far, waiting for other ranks included.
    pub fn communication_time(&self) -> Duration {
        self.timer.total()
    }
}
