//! The optimizer and the schedule that the settings describe.

use super::settings::{OptimizerKind, ScheduleKind, Settings};
use crate::{error::Error, output::count};
use bn_net::{AdaGrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RmsProp, Schedule, Sgd};
use clap::ValueEnum;

pub(super) fn build(settings: &Settings) -> Result<Box<dyn Optimizer<f32>>, Error> {
    let (lr, momentum) = (settings.learning_rate(), settings.momentum);
    Ok(match settings.optimizer {
        OptimizerKind::Sgd => Box::new(Sgd::new(lr)?),
        OptimizerKind::Momentum => Box::new(Momentum::new(lr, momentum)?),
        OptimizerKind::Nesterov => Box::new(Nesterov::new(lr, momentum)?),
        OptimizerKind::Adagrad => Box::new(AdaGrad::pytorch(lr)?),
        OptimizerKind::Rmsprop => Box::new(RmsProp::pytorch(lr, 0.99)?), // PyTorch's default
        OptimizerKind::Adam => Box::new(Adam::pytorch(lr)?),
        OptimizerKind::Adamw => Box::new(AdamW::new(lr, settings.weight_decay)?),
    })
}

/// Over `steps` steps.
pub(super) fn schedule(settings: &Settings, steps: u64) -> Schedule {
    let (lr, steps) = (settings.learning_rate(), steps.max(1));
    match settings.schedule {
        ScheduleKind::Constant => Schedule::Constant { lr },
        ScheduleKind::Cosine => Schedule::Cosine {
            lr,
            steps,
            min_lr: 0.0,
        },
        ScheduleKind::Step => Schedule::Step {
            lr,
            step_size: steps.div_ceil(3),
            gamma: 0.1,
        },
        ScheduleKind::OneCycle => Schedule::OneCycle { max_lr: lr, steps },
    }
}

/// As in `adam, learning rate 0.003 (cosine); 20 epochs in batches of 64; seed 0`.
pub(super) fn describe(settings: &Settings) -> String {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    };
    format!(
        "{}, learning rate {} ({}); {} in batches of {}; seed {}",
        name(settings.optimizer.to_possible_value()),
        settings.learning_rate(),
        name(settings.schedule.to_possible_value()),
        count(settings.epochs, "epoch"),
        settings.batch_size,
        settings.seed
    )
}
