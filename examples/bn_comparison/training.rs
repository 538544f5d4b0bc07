//! The two networks of a panel and their training.

use crate::{Args, POINTS};
use anyhow::Result;
use batchnorm::ndarray::ArrayView2;
use batchnorm::net::{Error, WeightInitStd};
use batchnorm::{
    Batches, Dataset, MultiLayerNet, MultiLayerNetConfig, RandomState, Sampling, Scalar, Sgd,
    Targets,
};

/// The losses that the JSON file has of each network.
const FIRST_LOSSES: usize = 50;

/// One of the sixteen panels.
pub(crate) struct Panel {
    pub(crate) weight_init_std: f64,
    pub(crate) batch_norm: Curve,
    pub(crate) plain: Curve,
}

pub(crate) struct Curve {
    /// The accuracy on the training images, evaluated `POINTS` times.
    pub(crate) accuracies: Vec<f64>,
    /// The losses of the first steps.
    pub(crate) first_losses: Vec<f64>,
    /// The first step whose results were not finite.
    pub(crate) stopped_at: Option<usize>,
}

/// Trains both networks on the same batches, all drawn from `--seed`.
pub(crate) fn compare(args: &Args, train: &Dataset, weight_init_std: f64) -> Result<Panel> {
    let config = |use_batchnorm| config(train, weight_init_std, use_batchnorm);
    let seed = args.common.seed;
    let batch_norm = MultiLayerNet::new(&config(true), seed)?;
    let plain = MultiLayerNet::new(&config(false), seed)?;
    let sampling = Sampling::WithReplacement;
    let mut batches = Batches::with_sampling(train, args.batch_size, sampling, seed)?;
    let per_epoch = batches.batches_per_epoch();
    let mut training = Training::new([batch_norm, plain], train, per_epoch, args.lr)?;
    while !training.is_done() {
        // After the last batch of an epoch the next epoch begins.
        if let Some(batch) = batches.next_batch() {
            training.step(batch.images, batch.targets)?;
        }
    }
    Ok(training.panel(weight_init_std))
}

/// [`compare`] in the order of the book's program, which draws all numbers from one generator: the
/// weights of both networks, then the images of each batch.
pub(crate) fn compare_as_numpy(
    args: &Args,
    train: &Dataset<f64>,
    weight_init_std: f64,
    random: &mut RandomState,
) -> Result<Panel> {
    let config = |use_batchnorm| config(train, weight_init_std, use_batchnorm);
    let batch_norm = MultiLayerNet::with_random_state(&config(true), random)?;
    let plain = MultiLayerNet::with_random_state(&config(false), random)?;
    let per_epoch = train.len() / args.batch_size;
    let mut training = Training::new([batch_norm, plain], train, per_epoch, args.lr)?;
    while !training.is_done() {
        let batch = train.select(&random.choice(train.len(), args.batch_size)?)?;
        training.step(batch.images(), batch.labels().into())?;
    }
    Ok(training.panel(weight_init_std))
}

fn config<T: Scalar>(
    train: &Dataset<T>,
    weight_init_std: f64,
    use_batchnorm: bool,
) -> MultiLayerNetConfig {
    MultiLayerNetConfig {
        weight_init_std: WeightInitStd::Std(weight_init_std),
        use_batchnorm,
        ..MultiLayerNetConfig::new(train.images().ncols(), &[100; 5], train.classes())
    }
}

/// The training of both networks. They are evaluated when the book's loop does: after steps 1, 1 + k,
/// 1 + 2k and so on, where k is the number of steps per epoch.
struct Training<'a, T: Scalar> {
    batch_norm: Learner<T>,
    plain: Learner<T>,
    train: &'a Dataset<T>,
    per_epoch: usize,
    step: usize, // the last one, counted from 1
}

impl<'a, T: Scalar> Training<'a, T> {
    fn new(
        [batch_norm, plain]: [MultiLayerNet<T>; 2],
        train: &'a Dataset<T>,
        per_epoch: usize,
        lr: f64,
    ) -> Result<Self> {
        Ok(Self {
            batch_norm: Learner::new(batch_norm, lr)?,
            plain: Learner::new(plain, lr)?,
            train,
            per_epoch,
            step: 0,
        })
    }

    fn is_done(&self) -> bool {
        self.step > (POINTS - 1) * self.per_epoch
    }

    fn step(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<()> {
        self.step += 1;
        for learner in [&mut self.batch_norm, &mut self.plain] {
            learner.step(self.step, x, t)?;
            if self.step % self.per_epoch == 1 || self.per_epoch == 1 {
                learner.evaluate(self.train)?;
            }
        }
        Ok(())
    }

    fn panel(self, weight_init_std: f64) -> Panel {
        Panel {
            weight_init_std,
            batch_norm: self.batch_norm.curve,
            plain: self.plain.curve,
        }
    }
}

struct Learner<T: Scalar> {
    network: MultiLayerNet<T>,
    sgd: Sgd<T>,
    curve: Curve,
}

impl<T: Scalar> Learner<T> {
    fn new(network: MultiLayerNet<T>, lr: f64) -> Result<Self> {
        Ok(Self {
            network,
            sgd: Sgd::new(lr)?,
            curve: Curve {
                accuracies: Vec::with_capacity(POINTS),
                first_losses: Vec::with_capacity(FIRST_LOSSES),
                stopped_at: None,
            },
        })
    }

    /// Takes a step, unless the results of an earlier step were not finite. The book's network
    /// becomes NaN at that point; this one is not changed any more.
    fn step(&mut self, step: usize, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<()> {
        if self.curve.stopped_at.is_some() {
            return Ok(());
        }
        match self.network.train_step(x, t, &mut self.sgd) {
            Err(Error::NonFinite { .. }) => self.curve.stopped_at = Some(step),
            loss => {
                let loss = loss?;
                if step <= FIRST_LOSSES {
                    self.curve.first_losses.push(loss);
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, train: &Dataset<T>) -> Result<()> {
        let accuracy = self.network.accuracy(train.images(), train.labels())?;
        self.curve.accuracies.push(accuracy);
        Ok(())
    }
}
