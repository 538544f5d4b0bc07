use crate::{error::Error, loss::Loss, network::Network, optimizer::Optimizer};
use bn_data::BatchSource;
use bn_tensor::{Scalar, check_setting};

/// The share of the past in the smoothed loss.
const SMOOTHING: f64 = 0.95;
/// The sweep ends when the smoothed loss is this many times the lowest.
const DIVERGED: f64 = 4.0;

/// Finds a learning rate (arXiv:1506.01186): a copy of the network is trained with a learning rate that grows
/// exponentially from step to step, until the loss diverges.
///
/// ```
/// use bn_data::{Batches, Digits};
/// use bn_net::{LrFinder, Network, Sgd, SoftmaxWithLoss};
/// let (train, _) = Digits::load()?.into_parts();
/// let network = Network::builder(64).affine(32).batch_norm().relu().affine(10).build(1)?;
/// let (mut batches, sgd) = (Batches::new(&train, 64, 1)?, Sgd::new(0.1)?);
/// let finder = LrFinder { min_lr: 1e-4, max_lr: 100.0, steps: 100 };
/// let points = finder.run(&network, &mut SoftmaxWithLoss::new(), &sgd, &mut batches)?;
/// let lr = LrFinder::suggestion(&points).unwrap();
/// assert!((1e-3..10.0).contains(&lr), "{lr}");
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrFinder {
    /// The first learning rate, above 0.
    pub min_lr: f64,
    /// The last one, above the first.
    pub max_lr: f64,
    /// The number of steps, at least 2.
    pub steps: usize,
}

/// A step of an [`LrFinder`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrPoint {
    /// The learning rate.
    pub learning_rate: f64,
    /// The loss, smoothed over the steps so far.
    pub loss: f64,
}

impl Default for LrFinder {
    /// 100 steps from 1e-7 to 10, as in fastai.
    fn default() -> Self {
        Self {
            min_lr: 1e-7,
            max_lr: 10.0,
            steps: 100,
        }
    }
}

impl LrFinder {
    /// The loss at each learning rate. Network and optimizer are copied; the batches move on.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for settings out of range; those of a training step, except that
    /// a loss or an update that is not finite ends the sweep.
    pub fn run<T: Scalar, O: Optimizer<T> + Clone>(
        &self,
        network: &Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &O,
        batches: &mut dyn BatchSource<T>,
    ) -> Result<Vec<LrPoint>, Error> {
        self.check()?;
        let (mut network, mut optimizer) = (network.clone(), optimizer.clone());
        let (mut points, mut average, mut lowest) = (Vec::new(), 0.0, f64::INFINITY);
        for step in 0..self.steps {
            let share = step as f64 / (self.steps - 1) as f64;
            let learning_rate = self.min_lr * (self.max_lr / self.min_lr).powf(share);
            optimizer.set_learning_rate(learning_rate)?;
            let mut epoch_has_ended = false;
            let value = loop {
                if let Some(batch) = batches.next_batch()? {
                    let (x, t) = (batch.images, batch.targets);
                    break network.train_step(x, t, loss, &mut optimizer);
                }
                if std::mem::replace(&mut epoch_has_ended, true) {
                    return Err(bn_data::Error::Empty { op: "LrFinder" }.into());
                }
            };
            let value = match value {
                Ok(value) => value,
                Err(Error::NonFinite { .. }) if step > 0 => break,
                Err(error) => return Err(error),
            };
            average = SMOOTHING * average + (1.0 - SMOOTHING) * value;
            let loss = average / (1.0 - SMOOTHING.powf((step + 1) as f64));
            if loss > DIVERGED * lowest {
                break;
            }
            lowest = loss.min(lowest);
            points.push(LrPoint {
                learning_rate,
                loss,
            });
        }
        Ok(points)
    }

    /// The learning rate at which the loss falls fastest; `None` if it never falls.
    pub fn suggestion(points: &[LrPoint]) -> Option<f64> {
        let slopes = points.windows(2).map(|pair| {
            let distance = (pair[1].learning_rate / pair[0].learning_rate).ln();
            (
                (pair[1].loss - pair[0].loss) / distance,
                pair[0].learning_rate,
            )
        });
        let steepest = slopes.min_by(|a, b| a.0.total_cmp(&b.0))?;
        (steepest.0 < 0.0).then_some(steepest.1)
    }

    fn check(&self) -> Result<(), Error> {
        let passes = self.min_lr > 0.0 && self.min_lr < self.max_lr && self.max_lr.is_finite();
        let what = "min_lr of the LrFinder";
        check_setting(
            what,
            "above 0 and below max_lr, which is finite",
            self.min_lr,
            passes,
        )?;
        let (steps, passes) = (self.steps as f64, self.steps >= 2);
        Ok(check_setting(
            "steps of the LrFinder",
            "at least 2",
            steps,
            passes,
        )?)
    }
}
