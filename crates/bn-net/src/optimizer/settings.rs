//! The ranges of settings that optimizers share.

use crate::error::Error;
use bn_tensor::{Scalar, check_setting};

pub(super) fn check_lr<T: Scalar>(lr: f64) -> Result<(), Error> {
    let passes = (0.0..=T::max_value().as_f64()).contains(&lr);
    let range = "a finite number of the element type, 0 or more";
    Ok(check_setting("the learning rate", range, lr, passes)?)
}

/// Checks a momentum or a decay rate.
pub(super) fn check_share(what: &'static str, value: f64) -> Result<(), Error> {
    let passes = (0.0..1.0).contains(&value);
    Ok(check_setting(
        what,
        "at least 0 and below 1",
        value,
        passes,
    )?)
}

pub(super) fn check_weight_decay<T: Scalar>(value: f64) -> Result<(), Error> {
    let passes = (0.0..=T::max_value().as_f64()).contains(&value);
    let range = "a finite number of the element type, 0 or more";
    Ok(check_setting("the weight decay", range, value, passes)?)
}
