//! A step leaves parameters and state finite, or it changes nothing.
//!
//! A gradient that is not finite is refused before anything changes. With ordinary gradients,
//! learning rates and state no update can overflow:
//!
//! - `|g| ≤ 1e8`, weight decay included, `lr ≤ 100`, at most 0.9999 of a state is kept from step to
//!   step, and no value of the state is above 1e16 (a velocity of such steps is at most 1e14, a
//!   square 1e16);
//! - so a step `|Δp|` is at most `100·1e16/1e-8·1e4 = 1e30` (Adam, whose `1/(1 − beta1)` is at most
//!   1e4 and whose eps is 1e-8), which is less than half the distance of the two largest `f32`, 1e31:
//!   `p − Δp` is finite for every finite `p`.
//!
//! Before any other step, parameters and state are copied. They are checked after the update, and
//! restored if one of them is not finite.

use super::state::OptimizerState;
use crate::error::Error;
use bn_layers::{Layer, LayerExt};
use bn_tensor::{Scalar, largest_magnitude};

const LARGEST_GRADIENT: f64 = 1e8;
const LARGEST_LEARNING_RATE: f64 = 100.0;
const LARGEST_SHARE_KEPT: f64 = 0.9999;

/// The gradients of a network's trained parameters, which are finite.
#[derive(Debug)]
pub struct Gradients<'a, T: Scalar> {
    network: &'a dyn Layer<T>,
    largest: f64, // magnitude
}

impl<'a, T: Scalar> Gradients<'a, T> {
    /// `Ok` when all are finite.
    pub(super) fn of(network: &'a dyn Layer<T>) -> Result<Self, Error> {
        let (mut largest, mut bad) = (T::zero(), None);
        network.visit(&mut |p| {
            if p.is_trained && bad.is_none() {
                let of_param = p.largest_grad.unwrap_or_else(|| largest_magnitude(p.grad));
                if !of_param.is_finite() {
                    bad = Some(p.name.to_owned());
                }
                largest = largest.max(of_param);
            }
        });
        match bad {
            Some(name) => Err(not_finite(format!("the gradient of {name}"))),
            None => Ok(Self {
                network,
                largest: largest.as_f64(),
            }),
        }
    }

    /// The largest magnitude of any gradient.
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// Whether `g + weight_decay·p` is ordinary for each parameter p and its gradient g.
    pub(super) fn are_ordinary(&self, weight_decay: f64) -> bool {
        let mut largest = self.largest;
        if weight_decay > 0.0 {
            let mut value = T::zero();
            self.network.visit(&mut |p| {
                if p.is_trained {
                    value = value.max(largest_magnitude(p.value));
                }
            });
            largest += weight_decay * value.as_f64();
        }
        largest <= LARGEST_GRADIENT
    }
}

/// Whether steps with ordinary gradients stay finite for these settings and this state.
pub(super) fn is_ordinary<T: Scalar>(lr: f64, share_kept: f64, state: &OptimizerState<T>) -> bool {
    lr <= LARGEST_LEARNING_RATE && share_kept <= LARGEST_SHARE_KEPT && state.is_ordinary()
}

pub(super) fn not_finite(place: String) -> Error {
    Error::NonFinite {
        place,
        hint: "; a smaller learning rate may help",
    }
}

#[cfg(test)]
mod tests;
