use super::{
    cache::BatchNormCache,
    forward::{at, check_channels, outer_ranges, slice},
    fused,
};
use crate::{activation::Rectifier, error::Error, shards::ShardReduction};
use bn_tensor::{Scalar, in_order};
use ndarray::{ArrayView1, ArrayView3, ArrayViewMut3, Axis};

/// Writes the gradients of the last forward pass, [`batch_norm_train`](crate::batch_norm_train) or
/// [`batch_norm_eval`](crate::batch_norm_eval): those of `dgamma: (C)`, `dbeta: (C)` and `dx` that
/// are `Some`. `x` and `cache` are those of the forward pass; `dout` and `dx` have the shape of `x`.
///
/// ```text
/// dbeta  = Σ dout
/// dgamma = Σ dout·xn
/// dx     = gamma/√(var + eps)·(dout − dbeta/N − xn·dgamma/N)     after batch_norm_train
/// dx     = gamma/√(var + eps)·dout                               after batch_norm_eval
/// ```
///
/// where N is the number of values per channel. These are the steps of the book's backward pass,
/// combined (arXiv:1502.03167, section 3).
///
/// # Errors
/// [`Error::NoForward`] if the last forward pass had a different number of rows, [`Error::Tensor`]
/// if a shape does not fit. On an error, nothing is written.
pub fn batch_norm_backward<T: Scalar>(
    x: ArrayView3<'_, T>,
    dout: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    cache: &mut BatchNormCache<T>,
    dgamma: Option<&mut [T]>,
    dbeta: Option<&mut [T]>,
    dx: Option<ArrayViewMut3<'_, T>>,
) -> Result<(), Error> {
    let backward = Backward {
        gamma,
        rectifier: None,
        reduction: None,
    };
    backward.run([x, dout], cache, [dgamma, dbeta], dx)
}

/// The settings of a backward pass, without its arrays.
pub(super) struct Backward<'a, T> {
    pub(super) gamma: Option<ArrayView1<'a, T>>, // (C)
    pub(super) rectifier: Option<Rectifier>,
    pub(super) reduction: Option<&'a dyn ShardReduction>,
}

impl<T: Scalar> Backward<'_, T> {
    /// See [`batch_norm_backward`].
    pub(super) fn run(
        &self,
        [x, dout]: [ArrayView3<'_, T>; 2], // (outer, C, inner)
        cache: &mut BatchNormCache<T>,
        gradients: [Option<&mut [T]>; 2], // dgamma and dbeta, (C) each
        dx: Option<ArrayViewMut3<'_, T>>,
    ) -> Result<(), Error> {
        self.check([&x, &dout], cache, gradients.each_ref(), dx.as_ref())?;
        let rescaled = cache.rescaled.take();
        let result = match &rescaled {
            None => self.passes([x, dout], cache, |_| 1.0, gradients, dx),
            Some(rescaled) => {
                let (x, factors) = (rescaled.x.view(), &rescaled.factors);
                self.passes([x, dout], cache, |c| factors[c], gradients, dx)
            }
        };
        cache.rescaled = rescaled;
        result
    }

    /// Makes two passes over memory: one for the sums, one for `dx`. Channel `c` of `x` has been
    /// multiplied by `factor(c)`.
    #[inline(always)]
    fn passes(
        &self,
        [x, dout]: [ArrayView3<'_, T>; 2],
        cache: &mut BatchNormCache<T>,
        factor: impl Fn(usize) -> f64,
        gradients: [Option<&mut [T]>; 2],
        dx: Option<ArrayViewMut3<'_, T>>,
    ) -> Result<(), Error> {
        match self.reduction {
            None => {
                let mut sums = std::mem::take(&mut cache.sums);
                let result = self.sums([x, dout], cache, &factor, &mut sums);
                cache.sums = sums;
                result?;
            }
            Some(reduction) => {
                let mut sums = std::mem::take(&mut cache.sums_of_shards);
                sums.resize(reduction.rows().len() * 2 * cache.shape.1, 0.0);
                let result = self.sums_of_shards([x, dout], cache, &factor, reduction, &mut sums);
                cache.sums_of_shards = sums;
                result?;
            }
        }
        self.coefficients(cache, factor, gradients);
        let Some(dx) = dx else { return Ok(()) };
        let [p, q, r] = &cache.pqr;
        fused::combine(self.rectifier, [x, dout], cache.affine(), [p, q, r], dx)?;
        Ok(())
    }

    /// Sets `sums` to `Σ dout` and `Σ dout·(x − mu)` of each channel. Channel `c` of `x` has been multiplied by
    /// `factor(c)`.
    #[inline(always)]
    fn sums(
        &self,
        x_and_dout: [ArrayView3<'_, T>; 2],
        cache: &mut BatchNormCache<T>,
        factor: &impl Fn(usize) -> f64,
        sums: &mut [f64], // (2·C)
    ) -> Result<(), Error> {
        let channels = cache.shape.1;
        let mut scratch = std::mem::take(&mut cache.scratch);
        let (sum, dot) = sums.split_at_mut(channels); // Σ dout, Σ dout·(f·x − center)
        let affine = cache.affine();
        let results = [&mut *sum, &mut *dot];
        let result = fused::sums(self.rectifier, x_and_dout, affine, results, &mut scratch);
        cache.scratch = scratch;
        result?;
        // Slices of the same length, so that the loop is vectorised.
        let (mu, center) = (&cache.mu[..channels], &cache.center[..channels]);
        for c in 0..channels {
            // Σ dout·(x − mu), from Σ dout·(f·x − center).
            let residue = mu[c] * factor(c) - center[c].as_f64();
            dot[c] = (dot[c] - residue * sum[c]) / factor(c);
        }
        Ok(())
    }

    /// Sets the sums in the cache to those of the whole batch, of which `x` and `dout` have some shards.
    #[inline(always)]
    fn sums_of_shards(
        &self,
        [x, dout]: [ArrayView3<'_, T>; 2],
        cache: &mut BatchNormCache<T>,
        factor: &impl Fn(usize) -> f64,
        reduction: &dyn ShardReduction,
        of_shards: &mut [f64], // (shards, 2·C)
    ) -> Result<(), Error> {
        let parts = outer_ranges(x.dim().0, reduction);
        for (part, sums) in parts.zip(of_shards.chunks_exact_mut(2 * cache.shape.1)) {
            let part = [x, dout].map(|array| array.slice_axis_move(Axis(0), part.clone().into()));
            self.sums(part, cache, factor, sums)?;
        }
        reduction.sums(of_shards, &mut cache.sums)
    }

    /// Computes `dgamma`, `dbeta` and the coefficients of `dx`. Channel `c` of `x` has been multiplied
    /// by `factor(c)`.
    #[inline(always)]
    fn coefficients(
        &self,
        cache: &mut BatchNormCache<T>,
        factor: impl Fn(usize) -> f64,
        [dgamma, dbeta]: [Option<&mut [T]>; 2], // (C) each
    ) {
        let channels = cache.shape.1;
        let inv_std = &cache.inv_std[..channels];
        let (sum, dot) = cache.sums.split_at(channels);
        if self
            .reduction
            .is_none_or(|reduction| reduction.counts_whole())
        {
            if let Some(dbeta) = dbeta {
                let each = dbeta.iter_mut().zip(sum);
                each.for_each(|(dbeta, &sum)| *dbeta = T::from_f64(sum)); // Σ dout
            }
            if let Some(dgamma) = dgamma {
                let each = dgamma.iter_mut().zip(dot).zip(inv_std);
                each.for_each(|((dgamma, dot), inv_std)| *dgamma = T::from_f64(dot * inv_std)); // Σ dout·xn
            }
        } else {
            let gradients = [dgamma, dbeta].into_iter().flatten();
            gradients.for_each(|gradient| gradient.fill(T::zero()));
        }
        match slice(&self.gamma) {
            Some(gamma) => pqr(cache, factor, |c| gamma[c].as_f64()),
            None => pqr(cache, factor, |c| at(&self.gamma, c, 1.0)),
        }
    }

    fn check(
        &self,
        arrays: [&ArrayView3<'_, T>; 2],
        cache: &BatchNormCache<T>,
        gradients: [&Option<&mut [T]>; 2],
        dx: Option<&ArrayViewMut3<'_, T>>,
    ) -> Result<(), Error> {
        const OP: &str = "batch_norm_backward";
        let (outer, channels, inner) = cache.shape;
        if arrays[0].dim().0 != outer {
            return Err(Error::NoForward {
                layer: "BatchNormalization",
                expected: outer,
                got: arrays[0].dim().0,
            });
        }
        let check = |array: &ArrayView3<'_, T>| match array.dim() == cache.shape {
            true => Ok(in_order(OP, array).map(drop)?),
            false => Err(Error::shape(OP, &[outer, channels, inner], array.shape())),
        };
        arrays.into_iter().try_for_each(check)?;
        if let Some(dx) = dx {
            check(&dx.view())?;
        }
        let lengths = gradients.into_iter().flatten().map(|values| values.len());
        for len in lengths.chain(self.gamma.as_ref().map(|gamma| gamma.len())) {
            check_channels(channels, len)?;
        }
        Ok(())
    }
}

/// Computes the coefficients of `dx = p·dout + q·(f·x − center) + r`: gamma/√(var + eps) times
/// `dout`, and the terms that come through the batch's mean and variance.
#[inline(always)]
fn pqr<T: Scalar>(
    cache: &mut BatchNormCache<T>,
    factor: impl Fn(usize) -> f64,
    gamma: impl Fn(usize) -> f64,
) {
    let (channels, share) = (cache.shape.1, 1.0 / cache.moments.count() as f64);
    // Slices of the same length, so that the loop is vectorised.
    let (mu, inv_std) = (&cache.mu[..channels], &cache.inv_std[..channels]);
    let center = &cache.center[..channels];
    let (sum, dot) = cache.sums.split_at(channels);
    let (sum, dot) = (&sum[..channels], &dot[..channels]);
    let [p_values, q_values, r_values] = &mut cache.pqr;
    let (p_values, q_values) = (&mut p_values[..channels], &mut q_values[..channels]);
    let r_values = &mut r_values[..channels];
    for c in 0..channels {
        let p = gamma(c) * inv_std[c];
        let q = -p * inv_std[c] * inv_std[c] * dot[c] * share / factor(c);
        let residue = mu[c] * factor(c) - center[c].as_f64();
        let r = -p * sum[c] * share - q * residue;
        p_values[c] = T::from_f64(p);
        q_values[c] = T::from_f64(q);
        r_values[c] = T::from_f64(r);
    }
    if !cache.of_batch {
        q_values.fill(T::zero());
        r_values.fill(T::zero());
    }
}
