use super::{Network, grow, matrix, matrix_mut};
use crate::{Error, Loss, Targets};
use bn_layers::{Layer, Mode};
use bn_tensor::{Scalar, enter_pool, join, keep_awake};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

/// Rows that go through all layers together: what they hold between two layers stays in cache.
const CHUNK: usize = 256;
/// A batch is cut into so many lanes at most, each with buffers of its own; the lanes are what
/// threads share. Like all cuts it depends on the size alone.
const LANES: usize = 8;
/// The fewest rows of a lane: fewer make thin products.
const LANE_ROWS: usize = 50;

/// Buffers for evaluations of a network by `&self`, to be reused so that they allocate nothing.
#[derive(Debug, Clone, Default)]
pub struct Workspace<T> {
    output: Vec<T>, // (N, E)
    lanes: [Lane<T>; LANES],
}

#[derive(Debug, Clone, Default)]
struct Lane<T> {
    a: Vec<T>, // the outputs of a layer for a chunk of rows
    b: Vec<T>, // and of the one after it
    scratch: Vec<T>,
}

impl<T: Scalar> Network<T> {
    /// The loss of `x` in evaluation, any weight decay's penalty included; changes nothing.
    ///
    /// # Errors
    /// The network's and the loss's.
    pub fn evaluate_loss(
        &self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        workspace: &mut Workspace<T>,
    ) -> Result<f64, Error> {
        loss.check(x.nrows(), self.output.size(), t)?;
        Ok(loss.forward(self.predict_with(x, workspace)?, t)? + self.penalty())
    }

    /// The output `(N, E)` for `x: (N, D)` in evaluation: the logits of a classifier.
    ///
    /// # Errors
    /// The network's.
    pub fn predict(&self, x: ArrayView2<'_, T>) -> Result<Array2<T>, Error> {
        Ok(self.predict_with(x, &mut Workspace::default())?.to_owned())
    }

    /// [`predict`](Self::predict) in the caller's buffers; once they are warm, without allocating.
    ///
    /// # Errors
    /// The network's.
    pub fn predict_with<'w>(
        &self,
        x: ArrayView2<'_, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Result<ArrayView2<'w, T>, Error> {
        let (n, width) = (x.nrows(), self.output.size());
        self.check_batch(n, x.ncols(), Mode::Eval)?;
        let Workspace { output, lanes } = workspace;
        output.resize(n * width, T::zero());
        let y = matrix_mut(output, n, width)?;
        if self.is_row_by_row() {
            match (n / LANE_ROWS).min(LANES) {
                0 | 1 => self.lane(x, y, &mut lanes[0])?,
                count => enter_pool(|| keep_awake(|| self.lanes(x, y, &mut lanes[..count])))?,
            }
        } else {
            self.rows(x, y, &mut lanes[0])?;
        }
        matrix(output, n, width)
    }

    /// Shares the rows between the lanes.
    fn lanes(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        lanes: &mut [Lane<T>],
    ) -> Result<(), Error> {
        if let [lane] = lanes {
            return self.lane(x, y, lane);
        }
        let half = lanes.len() / 2;
        let at = x.nrows() * half / lanes.len();
        let (x0, x1) = x.split_at(Axis(0), at);
        let (y0, y1) = y.split_at(Axis(0), at);
        let (lanes0, lanes1) = lanes.split_at_mut(half);
        let widths: usize = self.layers.iter().map(|l| l.width).sum();
        let (first, second) = join(
            x.nrows() * (x.ncols() + widths),
            || self.lanes(x0, y0, lanes0),
            || self.lanes(x1, y1, lanes1),
        );
        first.and(second)
    }

    /// Chunk by chunk.
    fn lane(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        lane: &mut Lane<T>,
    ) -> Result<(), Error> {
        let rows = x.nrows().div_ceil(x.nrows().div_ceil(CHUNK));
        let chunks = x.axis_chunks_iter(Axis(0), rows);
        for (x, y) in chunks.zip(y.axis_chunks_iter_mut(Axis(0), rows)) {
            self.rows(x, y, lane)?;
        }
        Ok(())
    }

    /// Through all layers at once.
    fn rows(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        lane: &mut Lane<T>,
    ) -> Result<(), Error> {
        let n = x.nrows();
        let Lane { a, b, scratch } = lane;
        let (mut from, mut to) = (a, b);
        for (i, l) in self.layers.iter().enumerate() {
            let input = match i {
                0 => x,
                _ => matrix(from, n, self.layers[i - 1].width)?,
            };
            let output = if i + 1 == self.layers.len() {
                y.view_mut()
            } else {
                grow(to, n * l.width);
                matrix_mut(to, n, l.width)?
            };
            let result = l.layer.eval_into(input, output, scratch);
            result.map_err(|source| self.refused(i, source))?;
            std::mem::swap(&mut from, &mut to);
        }
        Ok(())
    }
}
