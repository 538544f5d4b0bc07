use crate::{
    digest,
    error::Error,
    exchange::{Buckets, Exchange},
    header::Header,
    layout::Layout,
    reduction::Batch,
    timing::Timer,
    world::World,
};
use bn_data::{BatchPart, Dataset};
use bn_layers::{Layer, LayerExt, Outcome};
use bn_net::{
    Callback, Error as NetError, History, Loss, Network, Optimizer, Record, Strategy, Targets,
    Trainer, WeightedLoss,
};
use bn_tensor::{Scalar, enter_pool};
use bytemuck::Pod;
use ndarray::ArrayView2;
use std::{fs, ops::ControlFlow, path::Path, time::Duration};

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
            layout: layout(world, SHARDS)?,
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
        self.layout = layout(self.world, shards)?;
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
    pub fn rows(&self, rows: usize) -> std::ops::Range<usize> {
        Strategy::<T>::part(self).rows(rows)
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

    /// The error, after it was said to the other ranks.
    fn failed<R>(&self, error: impl Into<NetError>) -> Result<R, NetError> {
        let error = error.into();
        self.world.fail(&error);
        Err(error)
    }

    /// Cuts the batch into shards: in equal ones if the ranks have the rows of [`rows`](Self::rows), and else the
    /// rows of each rank in equal ones.
    fn cut(&mut self, headers: &[Header]) -> Result<(), Error> {
        let rank = self.world.rank();
        let of_ranks = || headers.iter().map(|header| header.rows as usize);
        let whole: usize = of_ranks().sum();
        if whole == 0 {
            return Err(Error::Setting {
                what: "the number of rows of the whole batch",
                value: "0".to_owned(),
                must_be: "at least 1".to_owned(),
            });
        }
        self.first_row = of_ranks().take(rank).sum();
        let mut is_even = true;
        for (rank, rows) in of_ranks().enumerate() {
            is_even &= self.part_of(rank)?.rows(whole).len() == rows;
        }
        let (part, rows) = match is_even {
            true => (self.part_of(rank)?, whole),
            false => {
                let shards = self.layout.of_rank(rank).len();
                (part(0..shards, shards)?, of_ranks().nth(rank).unwrap_or(0))
            }
        };
        self.rows.clear();
        self.rows.extend(part.piece_rows(rows));
        Ok(())
    }

    fn part_of(&self, rank: usize) -> Result<BatchPart, Error> {
        part(self.layout.of_rank(rank), self.layout.shards)
    }

    /// The loss and the gradients of all ranks.
    fn exchange(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<WeightedLoss, NetError> {
        let (link, size) = (&self.world.link, self.bucket_bytes / size_of::<T>());
        let batch = Batch {
            link,
            layout: &self.layout,
            rows: &self.rows,
            first_row: self.first_row,
            is_local: self.is_local,
            timer: &self.timer,
        };
        if link.size() == 1 {
            return network.gradient_of_shards(x, t, loss, &batch, &mut |_| Ok(()));
        }
        let mut params = 0;
        network.visit(&mut |p| params += p.grad.len());
        self.buckets.reserve(params.div_ceil(size));
        let ranks = [link.rank(), link.size()];
        let value = link.posted(|post| {
            let buckets = &mut self.buckets;
            let mut exchange = Exchange::new(&self.layout, ranks, size, post, buckets, &self.timer);
            let mut on_layer = |gradients: &_| Ok(exchange.add(gradients)?);
            let value = network.gradient_of_shards(x, t, loss, &batch, &mut on_layer);
            let value = value.and_then(|value| {
                exchange.finish()?;
                Ok(value)
            });
            // Before the wait for messages that may never come.
            value.inspect_err(|error| self.world.fail(error))
        })?;
        let mut buckets = self.buckets.read();
        let mut sums: &[T] = &[];
        network.set_gradients_of_shards(&mut |mut grad| {
            while !grad.is_empty() {
                if sums.is_empty() {
                    sums = buckets.next().unwrap_or_default();
                }
                let count = grad.len().min(sums.len()).max(1);
                let (to, rest) = grad.split_at_mut(count);
                let (from, after) = sums.split_at_checked(count).ok_or_else(missing)?;
                to.copy_from_slice(from);
                (grad, sums) = (rest, after);
            }
            Ok(())
        })?;
        Ok(value)
    }
}

impl<T: Scalar + Pod> Strategy<T> for DataParallel<'_, T> {
    fn part(&self) -> BatchPart {
        self.part_of(self.world.rank()).unwrap_or_default()
    }

    fn is_writer(&self) -> bool {
        self.world.rank() == 0
    }

    fn read(&mut self, path: &Path) -> Result<Option<Vec<u8>>, NetError> {
        let mut bytes = Vec::new();
        let mut len = 0; // of the file and one more, or 0 if there is none
        if self.is_writer() && path.exists() {
            match fs::read(path) {
                Ok(read) => (len, bytes) = (read.len() as u64 + 1, read),
                Err(source) => {
                    let path = path.to_owned();
                    return self.failed(NetError::Read { path, source });
                }
            }
        }
        let link = &self.world.link;
        let headers = match Header::read(len).meet(link) {
            Ok(headers) => headers,
            Err(error) => return self.failed(error),
        };
        let Some(len) = headers[0].rows.checked_sub(1) else {
            return Ok(None);
        };
        bytes.resize(len as usize, 0);
        let mut counts = vec![0; link.size()];
        for part in bytes.chunks_mut(MESSAGE_BYTES) {
            counts[0] = part.len();
            let mine = if link.rank() == 0 {
                part.to_vec()
            } else {
                Vec::new()
            };
            if let Err(error) = link.all_gather(&mine, &counts, part) {
                return self.failed(error);
            }
        }
        Ok(Some(bytes))
    }

    fn begin(
        &mut self,
        network: &Network<T>,
        optimizer: &dyn Optimizer<T>,
        settings: &str,
        rows: usize,
        wants_to_stop: bool,
    ) -> Result<bool, NetError> {
        let step = self.header.step;
        self.header.values = 0;
        if step.is_multiple_of(self.check_every) {
            let Self {
                bucket_bytes,
                is_local,
                check_every,
                ..
            } = *self;
            let of_ranks = (self.layout.shards, bucket_bytes, is_local, check_every);
            self.header = Header {
                network: digest::of_network(network),
                optimizer: digest::of_optimizer(optimizer),
                settings: digest::of((settings, of_ranks)),
                values: digest::of_values(network, is_local),
                ..self.header
            };
        }
        self.header.rows = rows as u64;
        self.header.wants_to_stop = wants_to_stop.into();
        let (header, link) = (self.header, &self.world.link);
        let headers = self.timer.communication(|| header.meet(link));
        let headers = match headers {
            Ok(headers) => headers,
            Err(error) => return self.failed(error),
        };
        self.header.step += 1;
        if let Err(error) = self.cut(&headers) {
            return self.failed(error);
        }
        Ok(headers.iter().any(|header| header.wants_to_stop != 0))
    }

    fn gradient(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<WeightedLoss, NetError> {
        let result = enter_pool(|| self.exchange(network, x, t, loss));
        if result.is_err() {
            network.settle(Outcome::TakenBack);
        }
        result
    }
}

fn missing() -> Error {
    Error::Differ {
        ranks: "this rank".to_owned(),
        what: "has more parameters than gradients".to_owned(),
    }
}

fn layout(world: &World, shards: usize) -> Result<Layout, Error> {
    let ranks = world.size();
    if shards < ranks || shards > 1 << 16 {
        return Err(Error::Setting {
            what: "the number of shards",
            value: shards.to_string(),
            must_be: format!("at least {ranks}, the number of ranks, and at most 65536"),
        });
    }
    Ok(Layout::new(shards, ranks))
}

fn part(pieces: std::ops::Range<usize>, of: usize) -> Result<BatchPart, Error> {
    BatchPart::new(pieces, of).map_err(|error| Error::Setting {
        what: "the number of shards",
        value: of.to_string(),
        must_be: error.to_string(),
    })
}
