use crate::batch_norm::{BatchNormCache, BatchNormConfig};
use crate::error::Error;
use bn_tensor::{Scalar, Scratch, check_setting, try_resize};
use ndarray::{Array1, ArrayView1};
use serde::{Deserialize, Serialize};
use std::{fmt::Debug, marker::PhantomData};

/// Which values of a row share their statistics. Sealed: [`LayerNorm`](crate::LayerNorm),
/// [`GroupNorm`](crate::GroupNorm) and [`InstanceNorm`](crate::InstanceNorm) are its users.
pub trait NormKind: Debug + Clone + Send + Sync + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
    /// Whether the pixels of an image share their statistics. If not, each is normalised by itself.
    #[doc(hidden)]
    const SHARES_PIXELS: bool;
}

/// Normalises each row by its own statistics, whatever the other rows are:
/// [`LayerNorm`](crate::LayerNorm), [`GroupNorm`](crate::GroupNorm) and
/// [`InstanceNorm`](crate::InstanceNorm) differ in which values of the row form a group.
///
/// ```text
/// mu  = E[x], var = E[(x − mu)²]         over a group
/// xn  = (x − mu)/√(var + eps)
/// y   = gamma·xn + beta                  gamma, beta: (C)
/// ```
///
/// Train and Eval do the same. A NaN in a group makes the whole group NaN. A flat row of several times
/// C values is taken as an image with its channels last.
///
/// # Errors
/// [`Error::TooFewValues`] if a group has only one value, [`Error::Tensor`] if a shape does not fit,
/// [`Error::NoForward`] for a backward pass without its forward pass.
#[derive(Debug, Clone)]
pub struct ExampleNorm<T, K> {
    pub(super) settings: Settings,
    pub(super) gamma: Vec<T>,  // (C)
    pub(super) beta: Vec<T>,   // (C)
    pub(super) dgamma: Vec<T>, // (C)
    pub(super) dbeta: Vec<T>,  // (C)
    pub(super) zeros: Vec<T>,  // (C)
    pub(super) saved: Saved<T>,
    pub(super) dxn: Vec<T>,              // (N, D)
    pub(super) sums: Vec<f64>,           // (2·C): of dout, and of dout·xn
    pub(super) sums_of_shards: Vec<f64>, // the same, of each shard of this process
    pub(super) scratch: Scratch,
    kind: PhantomData<K>,
}

/// The settings of a normalisation of [`ExampleNorm`](crate::ExampleNorm), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The number of channels.
    pub channels: usize,
    /// The number of groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether gamma and beta are learned.
    pub affine: bool,
}

/// What a forward pass saves for its backward pass.
#[derive(Debug, Clone)]
pub(super) struct Saved<T> {
    pub(super) dim: (usize, usize),            // (N, D)
    pub(super) xn: Vec<T>,                     // (N, D)
    pub(super) caches: Vec<BatchNormCache<T>>, // one for each part of the batch
}

impl<T> Default for Saved<T> {
    fn default() -> Self {
        Self {
            dim: (0, 0),
            xn: Vec::new(),
            caches: Vec::new(),
        }
    }
}

impl<T: Scalar, K: NormKind> ExampleNorm<T, K> {
    pub(super) fn with_groups(groups: usize, channels: usize) -> Result<Self, Error> {
        Self::from_settings(&Settings {
            channels,
            groups,
            eps: 1e-5,
            affine: true,
        })
    }

    pub(crate) fn sizes(settings: &Settings) -> Vec<usize> {
        vec![settings.channels]
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let &Settings {
            channels, groups, ..
        } = settings;
        let what = "the number of channels";
        check_setting(what, "at least 1", channels as f64, channels > 0)?;
        let divides = groups > 0 && channels.is_multiple_of(groups);
        let range = "a divisor of the number of channels";
        check_setting("the number of groups", range, groups as f64, divides)?;
        batch_norm_config(settings.eps).check()?;
        let zeros = || {
            let mut zeros = Vec::new();
            try_resize(K::NAME, &mut zeros, &[channels]).map(|()| zeros)
        };
        let mut gamma: Vec<T> = zeros()?;
        gamma.fill(T::one());
        let mut sums = Vec::new();
        try_resize(K::NAME, &mut sums, &[2, channels])?;
        Ok(Self {
            settings: *settings,
            gamma,
            beta: zeros()?,
            dgamma: zeros()?,
            dbeta: zeros()?,
            zeros: zeros()?,
            saved: Saved::default(),
            dxn: Vec::new(),
            sums,
            sums_of_shards: Vec::new(),
            scratch: Scratch::default(),
            kind: PhantomData,
        })
    }

    /// Sets what is added to the variance. The default is PyTorch's 1e-5; Keras has 1e-3.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless `eps` is finite and greater than 0.
    pub fn with_eps(mut self, eps: f64) -> Result<Self, Error> {
        batch_norm_config(eps).check()?;
        self.settings.eps = eps;
        Ok(self)
    }

    /// Omits gamma and beta: `y = xn`.
    #[must_use]
    pub fn without_affine(mut self) -> Self {
        self.settings.affine = false;
        self.gamma.fill(T::one());
        self.beta.fill(T::zero());
        self
    }

    /// Sets gamma and beta, `(C)` each.
    ///
    /// # Errors
    /// [`Error::Tensor`] if either does not have one value per channel.
    pub fn with_gamma_beta(mut self, gamma: Array1<T>, beta: Array1<T>) -> Result<Self, Error> {
        for values in [&gamma, &beta] {
            if values.len() != self.settings.channels {
                return Err(Error::shape(
                    K::NAME,
                    &[self.settings.channels],
                    values.shape(),
                ));
            }
        }
        self.settings.affine = true;
        (self.gamma, self.beta) = (gamma.to_vec(), beta.to_vec());
        Ok(self)
    }

    /// The gradient of gamma `(C)` from the last backward pass.
    pub fn dgamma(&self) -> ArrayView1<'_, T> {
        ArrayView1::from(&self.dgamma)
    }

    /// The gradient of beta `(C)` from the last backward pass.
    pub fn dbeta(&self) -> ArrayView1<'_, T> {
        ArrayView1::from(&self.dbeta)
    }
}

/// The settings of the functions that compute the normalisation.
pub(super) fn batch_norm_config(eps: f64) -> BatchNormConfig {
    BatchNormConfig {
        eps,
        affine: false,
        ..BatchNormConfig::default()
    }
}
