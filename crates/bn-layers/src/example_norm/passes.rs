//! The arithmetic: each group is a channel of Batch Normalization.

use super::normalization::{ExampleNorm, NormKind, Saved, Settings, batch_norm_config};
use crate::{
    batch_norm::{BatchNormCache, batch_norm_backward, batch_norm_train},
    error::Error,
    pass::Pass,
    shards::ranges,
};
use bn_tensor::{
    ChannelAffine, Scalar, channel_affine, channel_sum_and_dot, in_order, in_order_mut, try_resize,
};
use ndarray::{ArrayView1, ArrayView2, ArrayView3, ArrayViewMut1, ArrayViewMut2, ArrayViewMut3};
use std::ops::Range;

/// The groups of a batch as the channels of `count` parts, `(outer, channels, inner)` each.
pub(super) struct Parts {
    count: usize,
    view: (usize, usize, usize),
}

impl Parts {
    /// The number of values of a part.
    fn len(&self) -> usize {
        self.view.0 * self.view.1 * self.view.2
    }
}

impl<T: Scalar, K: NormKind> ExampleNorm<T, K> {
    pub(super) fn parts(&self, (n, d): (usize, usize)) -> Result<Parts, Error> {
        let Settings {
            channels, groups, ..
        } = self.settings;
        if d == 0 || !d.is_multiple_of(channels) {
            return Err(Error::shape(K::NAME, &[n, channels], &[n, d]));
        }
        let (pixels, members) = (d / channels, channels / groups);
        let (count, view) = if K::SHARES_PIXELS && pixels > 1 {
            (n, (pixels, groups, members))
        } else {
            (1, (1, n * pixels * groups, members))
        };
        if view.0 * view.2 < 2 {
            return Err(Error::TooFewValues {
                layer: K::NAME,
                got: view.0 * view.2,
            });
        }
        Ok(Parts { count, view })
    }

    /// `y = gamma·xn + beta`, with `xn` and the statistics of at most `kept` parts in `saved`.
    pub(super) fn normalize(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        saved: &mut Saved<T>,
        kept: usize,
    ) -> Result<(), Error> {
        let parts = self.parts(x.dim())?;
        let config = batch_norm_config(self.settings.eps);
        let Saved { dim, xn, caches } = saved;
        *dim = (0, 0); // nothing is saved if this fails
        try_resize(K::NAME, xn, &[x.nrows(), x.ncols()])?;
        let kept = parts.count.min(kept);
        if caches.len() < kept {
            caches.resize_with(kept, BatchNormCache::default);
        }
        // A shard may have no rows.
        let (len, view) = (parts.len().max(1), parts.view);
        let from = in_order(K::NAME, &x)?.chunks_exact(len);
        for (i, (x, xn)) in from.zip(xn.chunks_exact_mut(len)).enumerate() {
            let (x, xn) = (viewed(x, view)?, viewed_mut(xn, view)?);
            let cache = &mut caches[i.min(kept - 1)];
            batch_norm_train(x, None, None, None, &config, cache, xn)?;
        }
        self.scale_and_shift(xn, &self.beta, in_order_mut(K::NAME, &mut y)?)?;
        *dim = x.dim();
        Ok(())
    }

    /// `y = gamma·x + shift` for `x, y: (N·pixels, C)`.
    fn scale_and_shift(&self, x: &[T], shift: &[T], y: &mut [T]) -> Result<(), Error> {
        let view = self.pixels(x.len());
        let affine = ChannelAffine {
            center: &self.zeros,
            scale: &self.gamma,
            shift,
        };
        Ok(channel_affine(
            viewed(x, view)?,
            affine,
            |y| y,
            viewed_mut(y, view)?,
        )?)
    }

    /// The view `(N·pixels, C, 1)` of so many values.
    fn pixels(&self, values: usize) -> (usize, usize, usize) {
        let channels = self.settings.channels;
        (values / channels, channels, 1)
    }

    /// `dbeta = Σ dout`, `dgamma = Σ dout·xn`, over rows and pixels.
    pub(super) fn gradients(&mut self, dout: &[T], pass: &Pass<'_>) -> Result<(), Error> {
        let saved = self.saved.xn.len();
        if dout.len() != saved {
            return Err(Error::shape(K::NAME, &[saved], &[dout.len()]));
        }
        let mut sums = std::mem::take(&mut self.sums);
        let mut of_shards = std::mem::take(&mut self.sums_of_shards);
        let result = match pass.reduction() {
            None => self.sums(0..dout.len(), dout, &mut sums),
            Some(reduction) => {
                of_shards.resize(reduction.rows().len() * sums.len(), 0.0);
                let width = self.saved.dim.1;
                let mut parts =
                    ranges(reduction.rows()).zip(of_shards.chunks_exact_mut(sums.len()));
                parts
                    .try_for_each(|(rows, sums)| {
                        self.sums(rows.start * width..rows.end * width, dout, sums)
                    })
                    .and_then(|()| reduction.sums(&of_shards, &mut sums))
            }
        };
        (self.sums, self.sums_of_shards) = (sums, of_shards);
        result?;
        let counts = pass
            .reduction()
            .is_none_or(|reduction| reduction.counts_whole());
        let (sum, dot) = self.sums.split_at(self.settings.channels);
        for (to, from) in [(&mut self.dbeta, sum), (&mut self.dgamma, dot)] {
            to.iter_mut().zip(from).for_each(|(to, &from)| {
                *to = if counts { T::from_f64(from) } else { T::zero() };
            });
        }
        Ok(())
    }

    /// Sets `sums` to `Σ dout` and `Σ dout·xn` over some values.
    fn sums(&mut self, values: Range<usize>, dout: &[T], sums: &mut [f64]) -> Result<(), Error> {
        let view = self.pixels(values.len());
        let affine = ChannelAffine {
            center: &self.zeros,
            scale: &self.gamma,
            shift: &self.beta,
        };
        let xn = viewed(&self.saved.xn[values.clone()], view)?;
        let dout = viewed(&dout[values], view)?;
        let sums = sums.split_at_mut(self.settings.channels).into();
        channel_sum_and_dot(xn, affine, dout, |_, dout| dout, sums, &mut self.scratch)?;
        Ok(())
    }

    /// `dx: (N, D)` of the last forward pass, which had the same `x`.
    pub(super) fn input_gradient(
        &mut self,
        x: &[T],
        dout: &[T],
        dx: &mut [T],
    ) -> Result<(), Error> {
        let (n, d) = self.saved.dim;
        if dx.len() != x.len() {
            return Err(Error::shape(K::NAME, &[x.len()], &[dx.len()]));
        }
        let parts = self.parts((n, d))?;
        let mut dxn = std::mem::take(&mut self.dxn);
        let result = try_resize(K::NAME, &mut dxn, &[n, d])
            .map_err(Error::from)
            .and_then(|()| self.scale_and_shift(dout, &self.zeros, &mut dxn));
        self.dxn = dxn;
        result?;
        let (len, view) = (parts.len().max(1), parts.view);
        let from = x.chunks_exact(len).zip(self.dxn.chunks_exact(len));
        let to = dx.chunks_exact_mut(len).zip(&mut self.saved.caches);
        for ((x, dxn), (dx, cache)) in from.zip(to) {
            let (x, dxn) = (viewed(x, view)?, viewed(dxn, view)?);
            let dx = Some(viewed_mut(dx, view)?);
            batch_norm_backward(x, dxn, None, cache, None, None, dx)?;
        }
        Ok(())
    }
}

fn viewed<T>(values: &[T], view: (usize, usize, usize)) -> Result<ArrayView3<'_, T>, Error> {
    let expected = [view.0, view.1, view.2];
    let flat = ArrayView1::from(values);
    flat.into_shape_with_order(view)
        .map_err(|_| Error::shape("ExampleNorm", &expected, &[values.len()]))
}

fn viewed_mut<T>(
    values: &mut [T],
    view: (usize, usize, usize),
) -> Result<ArrayViewMut3<'_, T>, Error> {
    let (expected, got) = ([view.0, view.1, view.2], [values.len()]);
    let flat = ArrayViewMut1::from(values);
    flat.into_shape_with_order(view)
        .map_err(|_| Error::shape("ExampleNorm", &expected, &got))
}
