mod as_layer;

use super::{
    backward::Backward,
    cache::BatchNormCache,
    config::BatchNormConfig,
    forward::Forward,
    layout::{Layout, reshaped, reshaped_mut},
    running::RunningStats,
};
use crate::{
    activation::Rectifier,
    error::Error,
    layer::{Layer, Outcome},
    pass::{Mode, Pass},
};
use bn_tensor::{Scalar, check_setting, in_order, to_row_major, try_zeros};
use ndarray::{Array, Array1, ArrayView, ArrayView1, ArrayView3, ArrayViewMut3, Dimension};
use serde::{Deserialize, Serialize};

/// Batch Normalization (arXiv:1502.03167; the book's `BatchNormalization`, `common/layers.py`).
///
/// ```text
/// Train, BatchStats   y = gamma·(x − mu)/√(var + eps) + beta          of the batch, per channel
/// Eval                y = gamma·(x − running_mean)/√(running_var + eps) + beta
/// ```
///
/// [`Mode::Train`] also updates the running statistics, as [`BatchNormConfig`] says;
/// [`Mode::BatchStats`] does not. The input is 2-D or 4-D, and the output has the same shape;
/// [`Layout`] says where the channels are. [`batch_norm_train`](crate::batch_norm_train),
/// [`batch_norm_eval`](crate::batch_norm_eval) and
/// [`batch_norm_backward`](crate::batch_norm_backward) compute the same for callers who own gamma,
/// beta and the running statistics.
///
/// If a channel is normalised by the batch's statistics, a NaN or an infinity in it makes the whole
/// channel NaN; with running statistics, it affects only its own position. If running statistics are
/// kept, [`Mode::Train`] returns an error instead, so that they stay finite.
///
/// In a network, a flat row has one value per channel, and an image has its channels last. For
/// channels-first images, call [`forward`](Self::forward) with a 4-D array.
///
/// ```
/// use bn_layers::{BatchNormConfig, BatchNormalization, Mode};
/// use ndarray::{Axis, array};
/// let mut bn = BatchNormalization::new(2, BatchNormConfig::book())?;
/// let x = array![[1.0f64, 10.0], [3.0, 30.0], [5.0, 50.0]];
/// let y = bn.forward(x.view(), Mode::Train)?;
/// assert!(y.mean_axis(Axis(0)).unwrap().iter().all(|m| m.abs() < 1e-12));
/// assert!(y.std_axis(Axis(0), 0.0).iter().all(|s| (s - 1.0).abs() < 1e-6));
/// let dx = bn.backward(x.view(), y.view())?;
/// assert_eq!(dx.dim(), (3, 2));
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooFewValues`] if training gets only one value per channel, [`Error::EmptyBatch`] if
/// there are no values, [`Error::Unsettled`] for a forward pass between a training pass and its
/// [`Layer::settle`], [`Error::Statistics`] if `T` cannot hold a running mean or variance,
/// [`Error::Tensor`] if a shape does not fit, [`Error::NoForward`] for a backward pass without its
/// forward pass.
#[derive(Debug, Clone)]
pub struct BatchNormalization<T> {
    channels: usize,
    layout: Layout,
    config: BatchNormConfig,
    gamma: Array1<T>,  // (C), or empty
    beta: Array1<T>,   // (C), or empty
    dgamma: Array1<T>, // (C), or empty
    dbeta: Array1<T>,  // (C), or empty
    running: Option<RunningStats<T>>,
    rectifier: Option<Rectifier>, // applied in the same pass
    cache: BatchNormCache<T>,
    is_pending: bool, // whether `settle` has yet to update the running statistics
}

impl<T: Scalar> BatchNormalization<T> {
    /// Creates a layer for `channels` channels, in [`Layout::ChannelsLast`], with gamma 1 and beta 0.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0 channels or a config out of range,
    /// [`bn_tensor::Error::TooLarge`] if there is no memory for so many channels.
    pub fn new(channels: usize, config: BatchNormConfig) -> Result<Self, Error> {
        const OP: &str = "BatchNormalization::new";
        let what = "the number of channels";
        check_setting(what, "at least 1", channels as f64, channels > 0)?;
        config.check()?;
        let learned = if config.affine { channels } else { 0 };
        let mut gamma = try_zeros(OP, learned)?;
        gamma.fill(T::one());
        let running = config
            .track_running_stats
            .then(|| RunningStats::new(channels, &config));
        Ok(Self {
            channels,
            layout: Layout::default(),
            config,
            gamma,
            beta: try_zeros(OP, learned)?,
            dgamma: try_zeros(OP, learned)?,
            dbeta: try_zeros(OP, learned)?,
            running: running.transpose()?,
            rectifier: None,
            cache: BatchNormCache::default(),
            is_pending: false,
        })
    }

    /// Sets where the channels are.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets gamma and beta, `(C)` each.
    ///
    /// # Errors
    /// [`Error::Tensor`] if either does not have one value per channel or is not contiguous.
    pub fn with_gamma_beta(mut self, gamma: Array1<T>, beta: Array1<T>) -> Result<Self, Error> {
        let op = "BatchNormalization::with_gamma_beta";
        for values in [&gamma, &beta] {
            if values.len() != self.gamma.len() {
                return Err(Error::shape(op, &[self.gamma.len()], values.shape()));
            }
            in_order(op, &values.view())?;
        }
        self.gamma = gamma;
        self.beta = beta;
        Ok(self)
    }

    /// The settings.
    pub fn config(&self) -> &BatchNormConfig {
        &self.config
    }

    /// The scale `(C)`; `None` without `affine`.
    pub fn gamma(&self) -> Option<ArrayView1<'_, T>> {
        self.config.affine.then(|| self.gamma.view())
    }

    /// The shift `(C)`; `None` without `affine`.
    pub fn beta(&self) -> Option<ArrayView1<'_, T>> {
        self.config.affine.then(|| self.beta.view())
    }

    /// The gradient of gamma `(C)` from the last backward pass; `None` without `affine`.
    pub fn dgamma(&self) -> Option<ArrayView1<'_, T>> {
        self.config.affine.then(|| self.dgamma.view())
    }

    /// The gradient of beta `(C)` from the last backward pass; `None` without `affine`.
    pub fn dbeta(&self) -> Option<ArrayView1<'_, T>> {
        self.config.affine.then(|| self.dbeta.view())
    }

    /// The running statistics; `None` without `track_running_stats`.
    pub fn running(&self) -> Option<&RunningStats<T>> {
        self.running.as_ref()
    }

    /// Returns `y`, in the shape of `x`, which is 2-D or 4-D and has any memory layout. The pass is a
    /// complete step: in [`Mode::Train`] it updates the running statistics.
    ///
    /// # Errors
    /// See [`BatchNormalization`].
    pub fn forward<D: Dimension>(
        &mut self,
        x: ArrayView<'_, T, D>,
        mode: Mode,
    ) -> Result<Array<T, D>, Error> {
        let view = self.layout.view(self.channels, x.shape())?;
        const OP: &str = "BatchNormalization::forward";
        let (x, mut y) = (to_row_major(OP, &x)?, try_zeros(OP, x.raw_dim())?);
        let result = self.run(
            reshaped(x.view(), view)?,
            reshaped_mut(y.view_mut(), view)?,
            &Pass::new(mode),
        );
        self.settle(match result {
            Ok(()) => Outcome::Stands,
            Err(_) => Outcome::TakenBack,
        });
        result.map(|()| y)
    }

    /// Returns `dx` for `dout`, both in the shape of `x`, and stores `dgamma` and `dbeta`. `x` is that
    /// of the last [`forward`](Self::forward).
    ///
    /// # Errors
    /// See [`BatchNormalization`].
    pub fn backward<D: Dimension>(
        &mut self,
        x: ArrayView<'_, T, D>,
        dout: ArrayView<'_, T, D>,
    ) -> Result<Array<T, D>, Error> {
        const OP: &str = "BatchNormalization::backward";
        let view = self.layout.view(self.channels, x.shape())?;
        if x.shape() != dout.shape() {
            return Err(Error::shape(OP, x.shape(), dout.shape()));
        }
        let mut dx = try_zeros(OP, x.raw_dim())?;
        let (x, dout) = (to_row_major(OP, &x)?, to_row_major(OP, &dout)?);
        let arrays = [reshaped(x.view(), view)?, reshaped(dout.view(), view)?];
        let dx_view = reshaped_mut(dx.view_mut(), view)?;
        self.gradients(arrays, Some(dx_view), true, &Pass::new(Mode::Train))?;
        Ok(dx)
    }

    fn run(
        &mut self,
        x: ArrayView3<'_, T>, // (outer, C, inner)
        y: ArrayViewMut3<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        if self.is_pending {
            let layer = "BatchNormalization";
            return Err(Error::Unsettled { layer });
        }
        let uses_running = pass.mode() == Mode::Eval || pass.freezes_statistics();
        let tracks = pass.mode() == Mode::Train && !uses_running && self.running.is_some();
        let forward = Forward {
            gamma: self.config.affine.then(|| self.gamma.view()),
            beta: self.config.affine.then(|| self.beta.view()),
            config: &self.config,
            rectifier: self.rectifier,
            tracks,
            reduction: pass.reduction(),
        };
        match &self.running {
            Some(running) if uses_running => {
                forward.eval(x, running, &mut self.cache, y)?;
            }
            _ => forward.train(x, &mut self.cache, y)?,
        }
        self.is_pending = tracks;
        Ok(())
    }

    fn gradients(
        &mut self,
        x_and_dout: [ArrayView3<'_, T>; 2], // (outer, C, inner)
        dx: Option<ArrayViewMut3<'_, T>>,
        of_params: bool,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let backward = Backward {
            gamma: self.config.affine.then(|| self.gamma.view()),
            rectifier: self.rectifier,
            reduction: pass.reduction(),
        };
        let wanted = self.config.affine && of_params;
        let dgamma = self.dgamma.as_slice_mut().filter(|_| wanted);
        let dbeta = self.dbeta.as_slice_mut().filter(|_| wanted);
        backward.run(x_and_dout, &mut self.cache, [dgamma, dbeta], dx)
    }

    /// From now on, applies `rectifier`, the layer after this one, in its own passes. Returns false,
    /// and changes nothing, if it already applies one.
    pub(crate) fn fuse_rectifier(&mut self, rectifier: Rectifier) -> bool {
        let is_free = self.rectifier.is_none();
        self.rectifier.get_or_insert(rectifier);
        is_free
    }

    /// The rectifier that this layer applies.
    pub(crate) fn rectifier(&self) -> Option<Rectifier> {
        self.rectifier
    }

    /// The `scale` and `shift`, `(C)` each, of `scale·x + shift`, which is what the layer computes in
    /// evaluation before the rectifier. `None` without running statistics, or if the channels are not
    /// the columns of the layer before it.
    pub(crate) fn channel_map(&self) -> Option<[Vec<f64>; 2]> {
        let running = self.running.as_ref()?;
        if self.layout == Layout::ChannelsFirst {
            return None;
        }
        let at = |values: &Array1<T>, c: usize, or: f64| values.get(c).map_or(or, |v| v.as_f64());
        let scale: Vec<f64> = (0..self.channels)
            .map(|c| at(&self.gamma, c, 1.0) / (running.var[c].as_f64() + self.config.eps).sqrt())
            .collect();
        let shift = (0..self.channels)
            .map(|c| at(&self.beta, c, 0.0) - running.mean[c].as_f64() * scale[c])
            .collect();
        Some([scale, shift])
    }

    pub(crate) fn sizes(settings: &Settings) -> Vec<usize> {
        vec![settings.channels]
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let bn = Self::new(settings.channels, settings.config)?;
        Ok(bn.with_layout(settings.layout))
    }
}

/// The settings of a [`BatchNormalization`](crate::BatchNormalization), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The number of channels.
    pub channels: usize,
    /// Where the channels are.
    pub layout: Layout,
    /// eps, the running average, and what is learned.
    pub config: BatchNormConfig,
}
