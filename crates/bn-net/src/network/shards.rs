//! The passes over a batch in shards. What mixes rows is computed for each shard by itself and then added in
//! one fixed tree (`ShardTree`), so that the bits do not depend on which process has which shards.

use super::{
    buffers::{grow, matrix_mut},
    chain::{NamedLayer, Network},
    nested::networks_mut,
};
use crate::{
    error::Error,
    loss::{Loss, Targets},
};
use bn_layers::{
    Affine, Error as LayerError, Io, LayerExt, Mode, Pass, ShardReduction, ShardTree, Wanted,
};
use bn_tensor::{Scalar, update};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};
use std::any::Any;

const ROWS: Axis = Axis(0);

impl<T: Scalar> NamedLayer<T> {
    /// The pass as it reaches the layer, and whether the layer is called for each shard.
    fn cut<'a>(&self, pass: &Pass<'a>) -> (Pass<'a>, bool) {
        // An affine layer gives each row the same bits whatever the other rows are.
        let is_cut = pass.reduction().is_some()
            && !self.is_affine()
            && self.layer.rows_are_independent(Mode::Train);
        (self.freeze.pass(pass), is_cut)
    }

    /// As [`Layer::forward_into`].
    pub(super) fn forward(
        &mut self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        let (pass, is_cut) = self.cut(pass);
        if !is_cut || x.nrows() == 0 {
            return self.layer.forward_into(x, y, &pass);
        }
        for rows in pass.shards(x.nrows()).filter(|rows| !rows.is_empty()) {
            let of_shard = Slice::from(rows.clone());
            let (x, y) = (
                x.slice_axis(ROWS, of_shard),
                y.slice_axis_mut(ROWS, of_shard),
            );
            self.layer.forward_into(x, y, &pass.of_rows(&rows))?;
        }
        Ok(())
    }

    /// As [`Layer::backward_into`]. Of a batch in shards, the gradients are in `of_shards` afterwards. Their sum is in
    /// the layer, unless the caller adds up those of all processes.
    pub(super) fn backward(
        &mut self,
        io: Io<'_, T>,
        mut wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.of_shards.clear();
        let ((pass, is_cut), of_params) = (self.cut(pass), wanted.params);
        let Some(reduction) = pass.reduction() else {
            return self.layer.backward_into(io, wanted, &pass);
        };
        if self.is_affine() {
            if of_params {
                self.add_affine(&io, reduction, &pass)?;
            }
            wanted.params = false;
            if io.x.nrows() > 0 {
                self.layer.backward_into(io, wanted, &pass)?;
            }
        } else if is_cut {
            self.each_shard(io, wanted, reduction, &pass)?;
        } else {
            self.layer.backward_into(io, wanted, &pass)?;
            return match of_params {
                true => self.keep_local(reduction),
                false => Ok(()),
            };
        }
        match of_params && !reduction.adds_gradients() {
            true => self.sum_shards(),
            false => Ok(()),
        }
    }

    /// The backward pass of each shard by itself.
    fn each_shard(
        &mut self,
        io: Io<'_, T>,
        mut wanted: Wanted<'_, T>,
        reduction: &dyn ShardReduction,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        for (i, rows) in pass.shards(io.x.nrows()).enumerate() {
            if !rows.is_empty() {
                let of_shard = Slice::from(rows.clone());
                let io = Io {
                    x: io.x.slice_axis(ROWS, of_shard),
                    y: io.y.slice_axis(ROWS, of_shard),
                    dout: io.dout.slice_axis(ROWS, of_shard),
                };
                let dx = wanted.dx.as_mut();
                let wanted = Wanted {
                    dx: dx.map(|dx| dx.slice_axis_mut(ROWS, of_shard)),
                    params: wanted.params,
                };
                self.layer.backward_into(io, wanted, &pass.of_rows(&rows))?;
            }
            if wanted.params {
                self.add_shard(reduction.first_shard() + i, rows.is_empty())?;
            }
        }
        Ok(())
    }

    fn is_affine(&self) -> bool {
        (&*self.layer as &dyn Any).is::<Affine<T>>()
    }

    /// The gradients of an affine layer, each over a range of shards, which the layer itself adds up.
    fn add_affine(
        &mut self,
        io: &Io<'_, T>,
        reduction: &dyn ShardReduction,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        let rows: Vec<_> = pass.shards(io.x.nrows()).collect();
        let (first, mut len) = (reduction.first_shard(), 0);
        self.layer.visit(&mut |p| len += p.grad.len());
        for range in ShardTree::ranges(first..first + rows.len()) {
            let rows = &rows[range.start - first..range.end - first];
            let mut gradient = self.of_shards.spare().unwrap_or_default();
            gradient.resize(len, T::zero());
            let layer = &mut *self.layer as &mut dyn Any;
            if let Some(affine) = layer.downcast_mut::<Affine<T>>() {
                affine.gradient_of_shards(io.x, io.dout, rows, &mut gradient)?;
            }
            self.of_shards.push(range, gradient, |_, _| {});
        }
        Ok(())
    }

    /// After the backward pass of a layer that gets all shards at once: if its sums are those of this process
    /// only, its gradient is that of the first shard here, and the others have zeros.
    fn keep_local(&mut self, reduction: &dyn ShardReduction) -> Result<(), LayerError> {
        if reduction.is_local() && networks_mut(&mut *self.layer).is_empty() {
            for i in 0..reduction.rows().len() {
                self.add_shard(reduction.first_shard() + i, i > 0)?;
            }
        }
        Ok(())
    }

    /// Adds the gradient that the layer holds to the tree, or zeros.
    fn add_shard(&mut self, shard: usize, is_empty: bool) -> Result<(), LayerError> {
        let mut gradient = self.of_shards.spare().unwrap_or_default();
        gradient.clear();
        self.layer
            .visit(&mut |p| gradient.extend_from_slice(p.grad));
        if is_empty {
            gradient.fill(T::zero());
        }
        let mut result = Ok(());
        self.of_shards
            .push(shard..shard + 1, gradient, |a, b| add(a, b, &mut result));
        result
    }

    /// Gives the layer the sum of the gradients of its shards.
    fn sum_shards(&mut self) -> Result<(), LayerError> {
        let mut result = Ok(());
        let sum = self.of_shards.total(|a, b| add(a, b, &mut result));
        let mut values = sum.map_or(&[][..], Vec::as_slice);
        self.layer.visit_mut(&mut |p| match values.is_empty() {
            true => p.grad.fill(T::zero()), // this process has no shards
            false => {
                let (grad, rest) = values.split_at(p.grad.len());
                p.grad.copy_from_slice(grad);
                values = rest;
            }
        });
        result
    }
}

fn add<T: Scalar>(a: &mut [T], b: &[T], result: &mut Result<(), LayerError>) {
    if result.is_ok() {
        *result = update(a, b, |a, b| *a += b).map_err(LayerError::from);
    }
}

/// The loss of a batch, and its weight in a mean over several batches
/// ([`Loss::weight`](crate::Loss::weight)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedLoss {
    /// The mean loss, or the sum; with the penalty of weight decay.
    pub loss: f64,
    /// The weight.
    pub weight: f64,
}

impl<T: Scalar> Network<T> {
    /// The mean loss of the whole batch, or its sum. The gradient of the loss with respect to the outputs of
    /// this process is in `dout`.
    pub(super) fn loss_of_shards(
        &mut self,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        pass: &Pass<'_>,
        reduction: &dyn ShardReduction,
    ) -> Result<WeightedLoss, Error> {
        let (n, width) = (self.rows, self.output.size());
        let mut dout = std::mem::take(&mut self.dout);
        let result = grow(&mut dout, n, width)
            .and_then(|()| matrix_mut(&mut dout, n, width))
            .and_then(|dout| self.loss_and_dout(t, loss, pass, reduction, dout));
        self.dout = dout;
        result
    }

    fn loss_and_dout(
        &self,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        pass: &Pass<'_>,
        reduction: &dyn ShardReduction,
        mut dout: ArrayViewMut2<'_, T>,
    ) -> Result<WeightedLoss, Error> {
        let (y, mut sums) = (self.last_output()?, Vec::new()); // the weight and the weighted loss of each shard
        for rows in pass.shards(self.rows) {
            if rows.is_empty() {
                sums.extend([0.0, 0.0]);
                continue;
            }
            let of_shard = Slice::from(rows.clone());
            let y = y.slice_axis(ROWS, of_shard);
            let Some(t) = t.rows(rows.clone()) else {
                let (expected, got) = ([rows.end], [t.len()]);
                return Err(bn_tensor::Error::shape("targets", &expected, &got).into());
            };
            let value = loss.forward(y, t)?;
            loss.backward_into(y, t, dout.slice_axis_mut(ROWS, of_shard))?;
            let weight = loss.weight(rows.len(), y.ncols(), t);
            sums.extend([weight, weight * value]);
        }
        let mut whole = [0.0; 2];
        reduction.loss_sums(&sums, &mut whole)?;
        // A batch of weight 0 has a loss and a gradient of 0.
        let weight = if loss.is_sum() || whole[0] == 0.0 {
            1.0
        } else {
            whole[0]
        };
        if !loss.is_sum() {
            for (rows, of_shard) in pass.shards(self.rows).zip(sums.chunks_exact(2)) {
                let factor = T::from_f64(of_shard[0] / weight);
                dout.slice_axis_mut(ROWS, rows.into())
                    .mapv_inplace(|d| factor * d);
            }
        }
        Ok(WeightedLoss {
            loss: whole[1] / weight,
            weight: whole[0],
        })
    }
}
