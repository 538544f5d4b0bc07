//! The buffer that a batch is copied to.

use bn_tensor::{Scalar, try_zeros};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};

use crate::{
    batch_source::Batch,
    dataset::Dataset,
    error::Result,
    targets::{OwnedTargets, Targets, rows_of},
};

/// Room for the largest batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchBuffer<T> {
    images: Array2<T>,        // (largest batch, D)
    targets: OwnedTargets<T>, // as many rows
}

impl<T: Scalar> BatchBuffer<T> {
    /// Room for `rows` images of `d` values, each with a label or with so many `outputs`. `op` names the
    /// caller in errors.
    pub(crate) fn new(
        op: &'static str,
        rows: usize,
        d: usize,
        outputs: Option<usize>,
    ) -> Result<Self> {
        Ok(BatchBuffer {
            images: try_zeros(op, (rows, d))?,
            targets: match outputs {
                None => OwnedTargets::Labels(vec![0; rows]),
                Some(outputs) => OwnedTargets::Dense(try_zeros(op, (rows, outputs))?),
            },
        })
    }

    /// Copies the images of `data` at `indices`, with their targets, to the rows from `start` on.
    pub(crate) fn gather(&mut self, start: usize, data: &Dataset<T>, indices: &[usize]) {
        let rows = Slice::from(start..start + indices.len());
        let images = self.images.slice_axis_mut(Axis(0), rows);
        copy_rows(data.images(), indices, images);
        match (data.targets(), &mut self.targets) {
            (Targets::Labels(labels), OwnedTargets::Labels(to)) => {
                for (to, &index) in to[start..].iter_mut().zip(indices) {
                    *to = labels[index];
                }
            }
            (Targets::Dense(values), OwnedTargets::Dense(to)) => {
                copy_rows(values, indices, to.slice_axis_mut(Axis(0), rows));
            }
            _ => unreachable!("the buffer was created for targets of this kind"),
        }
    }

    /// The first `rows` rows.
    pub(crate) fn batch(&self, rows: usize) -> Batch<'_, T> {
        Batch {
            images: self.images.slice_axis(Axis(0), Slice::from(..rows)),
            targets: rows_of(&self.targets.view(), 0, rows),
        }
    }
}

fn copy_rows<T: Scalar>(from: ArrayView2<'_, T>, indices: &[usize], mut to: ArrayViewMut2<'_, T>) {
    for (mut row, &index) in to.outer_iter_mut().zip(indices) {
        row.assign(&from.row(index));
    }
}
