//! What goes into a checkpoint whole: networks, optimizers, the place among the mini-batches.

use super::checkpoint::{Checkpoint, refuse};
use crate::{error::Error, optimizer::Optimizer};
use bn_data::BatchState;
use bn_layers::{Layer, LayerExt};
use bn_tensor::Scalar;
use ndarray::ArrayD;
use std::collections::BTreeMap;

impl Checkpoint {
    /// Adds the arrays and counters of a network, or of any layer, their names after `prefix`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when a name is taken.
    pub fn add_network<T: Scalar>(
        &mut self,
        prefix: &str,
        network: &dyn Layer<T>,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        network.visit(&mut |p| {
            if result.is_ok() {
                result = self.add_array(&under(prefix, p.name), p.shape, p.value);
            }
        });
        network.visit_counters(&mut |name, value| {
            if result.is_ok() {
                result = self.add_value(&under(prefix, name), &value);
            }
        });
        result
    }

    /// Gives a network the arrays and counters that were [added](Self::add_network) under `prefix`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when one is missing, of another type or shape, or left over; the
    /// network is then as before.
    pub fn restore_network<T: Scalar>(
        &self,
        prefix: &str,
        network: &mut dyn Layer<T>,
    ) -> Result<(), Error> {
        let (mut arrays, mut counters) = (Vec::new(), Vec::new());
        let mut result = Ok(());
        network.visit(&mut |p| {
            if result.is_ok() {
                result = self
                    .array_of_shape(&under(prefix, p.name), p.shape)
                    .map(|array| arrays.push(array));
            }
        });
        network.visit_counters(&mut |name, _| {
            if result.is_ok() {
                let value = self.value::<u64>(&under(prefix, name));
                result = value.map(|value| counters.push(value));
            }
        });
        result?;
        let inside = under(prefix, "");
        let kept = self.arrays.keys().filter(|name| name.starts_with(&inside));
        if kept.count() > arrays.len() {
            return refuse(format!(
                "{prefix} has more layers there than the network here"
            ));
        }
        let (mut arrays, mut counters) = (arrays.iter(), counters.into_iter());
        network.visit_mut(&mut |p| {
            let values = arrays.next().into_iter().flatten();
            p.value
                .iter_mut()
                .zip(values)
                .for_each(|(v, &new)| *v = new);
        });
        network.visit_counters_mut(&mut |_, value| {
            *value = counters.next().unwrap_or(*value);
        });
        Ok(())
    }

    /// Adds what an optimizer remembers and its learning rate, their names after `prefix`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when a name is taken.
    pub fn add_optimizer<T: Scalar>(
        &mut self,
        prefix: &str,
        optimizer: &dyn Optimizer<T>,
    ) -> Result<(), Error> {
        self.add_value(&under(prefix, "learning_rate"), &optimizer.learning_rate())?;
        let Some(state) = optimizer.state() else {
            return Ok(());
        };
        self.add_value(&under(prefix, "steps"), &state.steps())?;
        for (name, values) in state.iter() {
            let shape = [state.arrays(), values.len() / state.arrays().max(1)];
            self.add_array(&under(prefix, name), &shape, values)?;
        }
        Ok(())
    }

    /// Gives an optimizer, made with the same settings, what was [added](Self::add_optimizer) under
    /// `prefix`; `network` is the one that it moves.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when something is missing or does not fit the network or this kind of
    /// optimizer, which is then as before.
    pub fn restore_optimizer<T: Scalar>(
        &self,
        prefix: &str,
        optimizer: &mut dyn Optimizer<T>,
        network: &dyn Layer<T>,
    ) -> Result<(), Error> {
        let learning_rate = self.value(&under(prefix, "learning_rate"))?;
        if let Some(arrays) = optimizer.state().map(|state| state.arrays()) {
            let steps = self.value(&under(prefix, "steps"))?;
            let (mut values, mut result) = (BTreeMap::new(), Ok(()));
            network.visit(&mut |p| {
                let name = under(prefix, p.name);
                if result.is_err() || !self.arrays.contains_key(&name) {
                    return; // one that was never moved is not remembered
                }
                let array = self.array_of_shape(&name, &[arrays, p.value.len()]);
                result = array.map(|array| {
                    values.insert(p.name.to_owned(), array.into_iter().collect());
                });
            });
            result?;
            let inside = under(prefix, "");
            let kept = self.arrays.keys().filter(|name| name.starts_with(&inside));
            if kept.count() > values.len() {
                return refuse(format!(
                    "{prefix} is that of a network with more parameters"
                ));
            }
            optimizer.set_learning_rate(learning_rate)?;
            if let Some(state) = optimizer.state_mut() {
                state.restore(steps, values);
            }
            return Ok(());
        }
        optimizer.set_learning_rate(learning_rate)
    }

    /// Adds the place among the mini-batches.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when the name is taken.
    pub fn add_batches(&mut self, name: &str, state: BatchState) -> Result<(), Error> {
        self.add_value(name, &(state.seed, state.epoch, state.position))
    }

    /// The place among the mini-batches, for [`Batches::restore`](bn_data::Batches::restore).
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is none of this name.
    pub fn batches(&self, name: &str) -> Result<BatchState, Error> {
        let (seed, epoch, position) = self.value(name)?;
        Ok(BatchState {
            seed,
            epoch,
            position,
        })
    }

    fn array_of_shape<T: Scalar>(&self, name: &str, shape: &[usize]) -> Result<ArrayD<T>, Error> {
        let array = self.array(name)?;
        if array.shape() != shape {
            let got = array.shape();
            return refuse(format!("{name}: expected shape {shape:?}, got {got:?}"));
        }
        Ok(array)
    }
}

fn under(prefix: &str, name: &str) -> String {
    format!("{prefix}.{name}")
}
