use super::{
    as_layer::as_layer_error,
    buffers::{ACTIVATIONS, Inner, Share, grow, matrix, matrix_mut},
    chain::Network,
    concat::Concat,
    residual::Residual,
};
use crate::{
    error::Error,
    loss::{Loss, Targets},
};
use bn_layers::{Affine, Error as LayerError, Layer, LayerExt, Mode, Pass};
use bn_tensor::{Scalar, by_rows, enter_pool, join, keep_awake, to_row_major, try_resize};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use std::any::Any;

/// The number of rows that go through all layers together: their activations stay in cache.
const CHUNK: usize = 256;
/// A batch is cut into at most this many shares, each with its own buffers, which the threads divide
/// between them. Like all cuts, it depends only on the size.
const SHARES: usize = 8;
/// The fewest rows of a share. With fewer, the matrix products are slow.
const SHARE_ROWS: usize = 50;

/// Buffers for the evaluation of a network by `&self`. Evaluations that reuse them allocate nothing.
#[derive(Debug, Clone, Default)]
pub struct Workspace<T> {
    output: Vec<T>, // (N, E)
    shares: [Share<T>; SHARES],
}

impl<T: Scalar> Workspace<T> {
    /// Buffers with which each row of the output has the same bits whatever rows are beside it. (Otherwise the number
    /// of rows decides which kernels are used, and rounding differs.) A server that evaluates requests together needs
    /// this. Few rows take longer, because the weights are packed for them. A layer whose rows depend on each other gets one
    /// row at a time.
    ///
    /// ```
    /// use bn_net::{Network, Workspace};
    /// use ndarray::{Array2, s};
    /// let network = Network::<f32>::builder(20).affine(30).batch_norm().relu().affine(10).build(1)?;
    /// let x = Array2::from_shape_fn((300, 20), |(n, d)| ((n * 20 + d) as f32).sin());
    /// let mut workspace = Workspace::by_rows();
    /// let all = network.predict_with(x.view(), &mut workspace)?.to_owned();
    /// let one = network.predict_with(x.slice(s![17..18, ..]), &mut workspace)?;
    /// assert_eq!(one.row(0), all.row(17));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    pub fn by_rows() -> Self {
        Self {
            output: Vec::new(),
            shares: std::array::from_fn(|_| Share::new(true)),
        }
    }
}

impl<T: Scalar> Network<T> {
    /// The loss of `x` in evaluation, including the penalty of any weight decay. Nothing changes.
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

    /// [`predict`](Self::predict) in the caller's buffers. A warm call allocates nothing.
    ///
    /// # Errors
    /// The network's.
    pub fn predict_with<'w>(
        &self,
        x: ArrayView2<'_, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Result<ArrayView2<'w, T>, Error> {
        let (n, width) = (x.nrows(), self.output.size());
        self.check_input(&x, &Pass::new(Mode::Eval))?;
        let Workspace { output, shares } = workspace;
        try_resize(ACTIVATIONS, output, &[n, width])?;
        let x = to_row_major(ACTIVATIONS, &x)?;
        let x = x.view();
        let y = matrix_mut(output, n, width)?;
        if self.rows_are_independent(Mode::Eval) {
            match (n / SHARE_ROWS).min(SHARES) {
                0 | 1 => self.share(x, y, &mut shares[0])?,
                count => enter_pool(|| keep_awake(|| self.shares(x, y, &mut shares[..count])))?,
            }
        } else {
            self.rows(x, y, &mut shares[0])?;
        }
        matrix(output, n, width)
    }

    /// Evaluates the shares, several at a time.
    fn shares(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        shares: &mut [Share<T>],
    ) -> Result<(), Error> {
        if let [share] = shares {
            return self.share(x, y, share);
        }
        let half = shares.len() / 2;
        let at = x.nrows() * half / shares.len();
        let (x0, x1) = x.split_at(Axis(0), at);
        let (y0, y1) = y.split_at(Axis(0), at);
        let (shares0, shares1) = shares.split_at_mut(half);
        let widths = self.layers.iter().map(|l| l.width);
        let widths = widths.fold(x.ncols(), usize::saturating_add);
        let (first, second) = join(
            x.nrows().saturating_mul(widths),
            || self.shares(x0, y0, shares0),
            || self.shares(x1, y1, shares1),
        );
        first.and(second)
    }

    /// Evaluates a share, chunk by chunk.
    fn share(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        share: &mut Share<T>,
    ) -> Result<(), Error> {
        let rows = x.nrows().div_ceil(x.nrows().div_ceil(CHUNK));
        let chunks = x.axis_chunks_iter(Axis(0), rows);
        for (x, y) in chunks.zip(y.axis_chunks_iter_mut(Axis(0), rows)) {
            self.rows(x, y, share)?;
        }
        Ok(())
    }

    /// Evaluates rows, layer by layer.
    pub(super) fn rows(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        share: &mut Share<T>,
    ) -> Result<(), Error> {
        let n = x.nrows();
        let Share {
            a,
            b,
            scratch,
            inner,
            by_rows,
        } = share;
        let new_inner = || {
            Box::new(Inner {
                share: Share::new(*by_rows),
                ..Inner::default()
            })
        };
        let (mut from, mut to) = (a, b);
        for (i, l) in self.layers.iter().enumerate() {
            let input = match i {
                0 => x,
                _ => matrix(from, n, self.layers[i - 1].width)?,
            };
            let output = if i + 1 == self.layers.len() {
                y.view_mut()
            } else {
                grow(to, n, l.width)?;
                matrix_mut(to, n, l.width)?
            };
            // Layers that hold networks need more buffers than `eval_into` gives them.
            let layer = &*l.layer as &dyn Any;
            let result = if let Some(network) = layer.downcast_ref::<Self>() {
                let share = &mut inner.get_or_insert_with(new_inner).share;
                network.rows(input, output, share).map_err(as_layer_error)
            } else if let Some(residual) = layer.downcast_ref::<Residual<T>>() {
                residual.eval(input, output, inner.get_or_insert_with(new_inner))
            } else if let Some(concat) = layer.downcast_ref::<Concat<T>>() {
                concat.eval(input, output, inner.get_or_insert_with(new_inner))
            } else if *by_rows {
                eval_by_rows(&*l.layer, input, output, scratch)
            } else {
                l.layer.eval_into(input, output, scratch)
            };
            result.map_err(|source| self.refused(i, source))?;
            std::mem::swap(&mut from, &mut to);
        }
        Ok(())
    }
}

/// Evaluates a layer, each row with the bits that it has without the other rows.
fn eval_by_rows<T: Scalar>(
    layer: &dyn Layer<T>,
    x: ArrayView2<'_, T>,
    mut y: ArrayViewMut2<'_, T>,
    scratch: &mut Vec<T>,
) -> Result<(), LayerError> {
    if let Some(affine) = (layer as &dyn Any).downcast_ref::<Affine<T>>() {
        let b = affine.b().and_then(|b| b.to_slice());
        return Ok(by_rows::matmul(x, affine.w(), b, y)?);
    }
    let rows = x.axis_chunks_iter(Axis(0), 1);
    for (x, y) in rows.zip(y.axis_chunks_iter_mut(Axis(0), 1)) {
        layer.eval_into(x, y, scratch)?;
    }
    Ok(())
}
