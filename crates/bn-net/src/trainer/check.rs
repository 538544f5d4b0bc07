//! What is checked before the first step.

use super::{fit::Trainer, run::Data};
use crate::{error::Error, loss::Loss, metric::Metric, network::Network};
use bn_data::Dataset;
use bn_layers::Mode;
use bn_tensor::{Scalar, check_setting, try_zeros};
use ndarray::{ArrayView2, Axis, Slice};

impl<T: Scalar> Trainer<T> {
    /// Checks everything that can be known before the first step.
    pub(super) fn check(
        &self,
        network: &Network<T>,
        loss: &dyn Loss<T>,
        data: &Data<'_, T>,
        metrics: &[Box<dyn Metric<T>>],
    ) -> Result<(), Error> {
        self.check_settings()?;
        for data in [data.train, data.test].into_iter().flatten() {
            let (width, t) = (network.output().size(), data.targets());
            loss.check(data.len(), width, t)?;
            for metric in metrics {
                metric.check(data.len(), width, t)?;
            }
            network.predict(first_rows(data, 1))?;
        }
        // Each layer has its own rules, such as two rows for a BatchNormalization. A copy tries.
        let mut copy = network.clone();
        let width = network.input().size();
        for size in data.source.batch_sizes() {
            let zeros = try_zeros("Trainer::fit", (size, width))?;
            copy.forward(zeros.view(), Mode::BatchStats)?;
        }
        Ok(())
    }

    /// The settings that all processes of a run must share, for a message.
    pub(super) fn description(&self, batches_per_epoch: usize, steps: u64) -> String {
        let Self {
            batch_size,
            sampling,
            seed,
            evaluate_every,
            augmentation,
            accumulate,
            clip,
            schedule,
            plateau,
            averaging,
            early_stop,
            ..
        } = self;
        format!(
            "{steps} steps, {batches_per_epoch} batches an epoch, of {batch_size}, {sampling:?}, seed {seed}, \
             evaluate_every {evaluate_every:?}, {augmentation:?}, accumulate {accumulate}, {clip:?}, \
             {schedule:?}, {plateau:?}, {averaging:?}, {early_stop:?}"
        )
    }

    fn check_settings(&self) -> Result<(), Error> {
        if let Some(schedule) = &self.schedule {
            schedule.check()?;
        }
        if let Some(plateau) = &self.plateau {
            plateau.check()?;
        }
        if let Some(early_stop) = &self.early_stop {
            early_stop.check()?;
        }
        if let Some(clip) = self.clip {
            clip.check()?;
        }
        for (what, every) in [
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every),
            (
                "the number of accumulated batches",
                Some(self.accumulate as u64),
            ),
        ] {
            let every = every.unwrap_or(1);
            check_setting(what, "at least 1", every as f64, every > 0)?;
        }
        Ok(())
    }
}

fn first_rows<T: Scalar>(data: &Dataset<T>, rows: usize) -> ArrayView2<'_, T> {
    data.images().slice_axis_move(Axis(0), Slice::from(..rows))
}
