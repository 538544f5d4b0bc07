//! Networks and optimizers in a checkpoint.
//!
//! Each is stored under a prefix: its arrays as `prefix.name`, and the rest as a record whose name is the
//! prefix. The record lists the arrays that belong to the part. Names do not tell, because the prefix
//! of one part may begin with that of another.

use super::checkpoint::{Checkpoint, refuse};
use crate::{error::Error, network::NetworkSpec, optimizer::OptimizerSpec};
use bn_tensor::Scalar;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the value under a prefix holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    Network(NetworkRecord),
    Optimizer(OptimizerRecord),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkRecord {
    pub(super) arrays: BTreeSet<String>,
    pub(super) counters: BTreeMap<String, u64>,
    /// Of a network whose layers all describe themselves; not in files of version 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) spec: Option<NetworkSpec>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptimizerRecord {
    pub(super) kind: Option<OptimizerSpec>,
    pub(super) learning_rate: f64,
    pub(super) steps: u64,
    pub(super) arrays: BTreeSet<String>,
}

impl Checkpoint {
    pub(super) fn part(&self, prefix: &str) -> Result<Part, Error> {
        if !self.has_value(prefix) {
            return refuse(format!("it has no network or optimizer {prefix}"));
        }
        self.value(prefix)
    }

    /// The array `prefix.name`, which must have this shape.
    pub(super) fn part_array<T: Scalar>(
        &self,
        prefix: &str,
        name: &str,
        shape: &[usize],
    ) -> Result<ArrayD<T>, Error> {
        let name = under(prefix, name);
        let array = self.array(&name)?;
        if array.shape() != shape {
            let got = array.shape();
            return refuse(format!("{name}: expected shape {shape:?}, got {got:?}"));
        }
        Ok(array)
    }
}

pub(super) fn under(prefix: &str, name: &str) -> String {
    format!("{prefix}.{name}")
}
