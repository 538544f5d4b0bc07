use super::{
    BatchNormCache, BatchNormConfig, Layout, RunningStats,
    functional::{backward_then, check_count, eval_then, inv_std, train_then},
};
use crate::{
    Activation, ChannelMap, Error, Identity, Kind, Layer, Mode, Param, ParamMut, Pointwise,
    Rectifier, Shape, order::in_order,
};
use bn_tensor::{ChannelAffine, Scalar, channel_affine, map, zip_map};
use ndarray::{
    Array, Array1, ArrayView, ArrayView1, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3,
    Dimension,
};

/// Batch Normalization (arXiv:1502.03167; the book's `BatchNormalization`, `common/layers.py`).
///
/// ```text
/// Train, BatchStats   y = gamma·(x − mu)/√(var + eps) + beta          of the batch, per channel
/// Eval                y = gamma·(x − running_mean)/√(running_var + eps) + beta
/// ```
///
/// [`Mode::Train`] also moves the running statistics, as [`BatchNormConfig`] says;
/// [`Mode::BatchStats`] leaves them alone. Takes 2-D and 4-D arrays and returns the shape that it
/// was given; [`Layout`] says where the channels are. For callers who own gamma and beta themselves
/// there are [`batch_norm_train`](crate::batch_norm_train),
/// [`batch_norm_eval`](crate::batch_norm_eval) and
/// [`batch_norm_backward`](crate::batch_norm_backward).
///
/// A NaN or an infinity in the input makes its channel NaN, running statistics included; a
/// network refuses the batch instead.
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
/// [`Error::TooFewValues`] for one value per channel in training, [`Error::EmptyBatch`],
/// [`Error::Tensor`] for shapes that do not fit, [`Error::NoForward`].
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
    rectifier: Option<Rectifier>, // absorbed
    cache: BatchNormCache<T>,
}

impl<T: Scalar> BatchNormalization<T> {
    /// For `channels` channels, in [`Layout::ChannelsLast`], with gamma 1 and beta 0.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a config out of range.
    pub fn new(channels: usize, config: BatchNormConfig) -> Result<Self, Error> {
        config.check()?;
        let learned = if config.affine { channels } else { 0 };
        Ok(Self {
            channels,
            layout: Layout::default(),
            config,
            gamma: Array1::ones(learned),
            beta: Array1::zeros(learned),
            dgamma: Array1::zeros(learned),
            dbeta: Array1::zeros(learned),
            running: config
                .track_running_stats
                .then(|| RunningStats::new(channels, &config)),
            rectifier: None,
            cache: BatchNormCache::default(),
        })
    }

    /// The same with the channels elsewhere.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The same with given gamma and beta, `(C)` each.
    ///
    /// # Errors
    /// [`Error::Tensor`] when either has not one value per channel, or is not contiguous.
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

    /// Which Batch Normalization this is.
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

    /// The gradient of gamma `(C)`, of the last backward pass; empty without `affine`.
    pub fn dgamma(&self) -> ArrayView1<'_, T> {
        self.dgamma.view()
    }

    /// The gradient of beta `(C)`, of the last backward pass; empty without `affine`.
    pub fn dbeta(&self) -> ArrayView1<'_, T> {
        self.dbeta.view()
    }

    /// The running statistics; `None` without `track_running_stats`.
    pub fn running(&self) -> Option<&RunningStats<T>> {
        self.running.as_ref()
    }

    /// `y`, in the shape of `x`, 2-D or 4-D.
    ///
    /// # Errors
    /// As the layer's.
    pub fn forward<D: Dimension>(
        &mut self,
        x: ArrayView<'_, T, D>,
        mode: Mode,
    ) -> Result<Array<T, D>, Error> {
        let view = self.layout.view(self.channels, x.shape())?;
        let mut y = Array::zeros(x.raw_dim());
        let x = reshaped(x, view)?;
        let y_view = y.view_mut().into_shape_with_order(view);
        self.run(x, mode, y_view.map_err(|_| not_contiguous())?)?;
        Ok(y)
    }

    /// `dx`, in the shape of `x`, for `dout` of that shape; keeps `dgamma` and `dbeta`.
    ///
    /// # Errors
    /// As the layer's.
    pub fn backward<D: Dimension>(
        &mut self,
        x: ArrayView<'_, T, D>,
        dout: ArrayView<'_, T, D>,
    ) -> Result<Array<T, D>, Error> {
        let view = self.layout.view(self.channels, x.shape())?;
        if x.shape() != dout.shape() {
            let op = "BatchNormalization::backward";
            return Err(Error::shape(op, x.shape(), dout.shape()));
        }
        let mut dx = Array::zeros(x.raw_dim());
        let dx_view = dx.view_mut().into_shape_with_order(view);
        let dx_view = dx_view.map_err(|_| not_contiguous())?;
        let (x, dout) = (reshaped(x, view)?, reshaped(dout, view)?);
        self.gradients(x, dout, Some(dx_view), true)?;
        Ok(dx)
    }

    /// Whether this mode normalises by the batch's own statistics.
    fn uses_batch(&self, mode: Mode) -> bool {
        mode != Mode::Eval || self.running.is_none()
    }

    fn run(
        &mut self,
        x: ArrayView3<'_, T>,
        mode: Mode,
        y: ArrayViewMut3<'_, T>,
    ) -> Result<(), Error> {
        match self.rectifier {
            None => self.run_then(x, mode, &Identity, y),
            Some(Rectifier::Relu(relu)) => self.run_then(x, mode, &relu, y),
            Some(Rectifier::LeakyRelu(leaky_relu)) => self.run_then(x, mode, &leaky_relu, y),
        }
    }

    fn run_then(
        &mut self,
        x: ArrayView3<'_, T>,
        mode: Mode,
        activation: &impl Activation,
        y: ArrayViewMut3<'_, T>,
    ) -> Result<(), Error> {
        let gamma = self.config.affine.then(|| self.gamma.view());
        let beta = self.config.affine.then(|| self.beta.view());
        let (config, cache) = (&self.config, &mut self.cache);
        match (&mut self.running, mode) {
            (Some(running), Mode::Eval) => {
                eval_then(x, gamma, beta, running, config, cache, activation, y)
            }
            (running, _) => {
                let running = running.as_mut().filter(|_| mode == Mode::Train);
                train_then(x, gamma, beta, running, config, cache, activation, y)
            }
        }
    }

    fn gradients(
        &mut self,
        x: ArrayView3<'_, T>,
        dout: ArrayView3<'_, T>,
        dx: Option<ArrayViewMut3<'_, T>>,
        of_params: bool,
    ) -> Result<(), Error> {
        match self.rectifier {
            None => self.gradients_then(x, dout, &Identity, dx, of_params),
            Some(Rectifier::Relu(relu)) => self.gradients_then(x, dout, &relu, dx, of_params),
            Some(Rectifier::LeakyRelu(leaky_relu)) => {
                self.gradients_then(x, dout, &leaky_relu, dx, of_params)
            }
        }
    }

    fn gradients_then(
        &mut self,
        x: ArrayView3<'_, T>,
        dout: ArrayView3<'_, T>,
        activation: &impl Activation,
        dx: Option<ArrayViewMut3<'_, T>>,
        of_params: bool,
    ) -> Result<(), Error> {
        let affine = self.config.affine;
        let wanted = affine && of_params;
        backward_then(
            x,
            dout,
            affine.then(|| self.gamma.view()),
            &mut self.cache,
            activation,
            wanted.then(|| self.dgamma.as_slice_mut()).flatten(),
            wanted.then(|| self.dbeta.as_slice_mut()).flatten(),
            dx,
        )
    }

    /// [`gradients`](Self::gradients) of a batch of rows.
    fn rows_backward(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
        of_params: bool,
    ) -> Result<(), Error> {
        let view = self.layout.view_rows(self.channels, x.nrows(), x.ncols())?;
        let op = "BatchNormalization::backward";
        if x.dim() != dout.dim() {
            return Err(Error::shape(op, x.shape(), dout.shape()));
        }
        let dx = match dx {
            Some(dx) if dx.dim() != x.dim() => {
                return Err(Error::shape(op, x.shape(), dx.shape()));
            }
            Some(dx) => Some(
                dx.into_shape_with_order(view)
                    .map_err(|_| not_contiguous())?,
            ),
            None => None,
        };
        self.gradients(reshaped(x, view)?, reshaped(dout, view)?, dx, of_params)
    }
}

fn not_contiguous() -> Error {
    let op = "BatchNormalization";
    bn_tensor::Error::NotContiguous { op }.into()
}

fn reshaped<'a, T, D: Dimension>(
    x: ArrayView<'a, T, D>,
    view: (usize, usize, usize),
) -> Result<ArrayView3<'a, T>, Error> {
    x.into_shape_with_order(view).map_err(|_| not_contiguous())
}

impl<T: Scalar> Layer<T> for BatchNormalization<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        match input {
            Shape::Image { channels, .. }
                if self.layout == Layout::ChannelsLast && channels != self.channels =>
            {
                let (expected, got) = ([self.channels], [channels]);
                Err(Error::shape("BatchNormalization", &expected, &got))
            }
            _ => {
                self.layout.view_rows(self.channels, 1, input.size())?;
                Ok(input)
            }
        }
    }

    fn check_batch(&self, rows: usize, width: usize, mode: Mode) -> Result<(), Error> {
        let (outer, _, inner) = self.layout.view_rows(self.channels, rows, width)?;
        if self.uses_batch(mode) || outer * inner == 0 {
            check_count(outer, inner)?;
        }
        Ok(())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        mode: Mode,
        y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let view = self.layout.view_rows(self.channels, x.nrows(), x.ncols())?;
        if x.dim() != y.dim() {
            return Err(Error::shape("BatchNormalization", x.shape(), y.shape()));
        }
        let y = y
            .into_shape_with_order(view)
            .map_err(|_| not_contiguous())?;
        self.run(reshaped(x, view)?, mode, y)
    }

    /// Without `track_running_stats` this needs the batch's statistics and allocates.
    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        let Some(running) = &self.running else {
            return self.clone().forward_into(x, Mode::BatchStats, y);
        };
        let view = self.layout.view_rows(self.channels, x.nrows(), x.ncols())?;
        if x.dim() != y.dim() {
            return Err(Error::shape("BatchNormalization", x.shape(), y.shape()));
        }
        if x.is_empty() {
            let layer = "BatchNormalization";
            return Err(Error::EmptyBatch { layer });
        }
        scratch.resize(2 * self.channels, T::zero());
        let (scale, zeros) = scratch.split_at_mut(self.channels);
        let (mean, var) = (running.mean.view(), running.var.view());
        let mean = in_order("BatchNormalization", &mean)?;
        let var = in_order("BatchNormalization", &var)?;
        let eps = self.config.eps;
        let inv_std = move |var: T| inv_std(var.as_f64(), eps);
        let shift = match (self.gamma.as_slice(), self.beta.as_slice()) {
            (Some(gamma), Some(beta)) if self.config.affine => {
                let scaled = move |var, gamma: T| T::from_f64(gamma.as_f64() * inv_std(var));
                zip_map(var, gamma, scale, scaled)?;
                beta
            }
            _ => {
                map(var, scale, move |var| T::from_f64(inv_std(var)))?;
                zeros.fill(T::zero());
                zeros
            }
        };
        let y = y
            .into_shape_with_order(view)
            .map_err(|_| not_contiguous())?;
        let affine = ChannelAffine {
            center: mean,
            scale,
            shift,
        };
        let x = reshaped(x, view)?;
        match self.rectifier {
            None => channel_affine(x, affine, |y| y, y)?,
            Some(Rectifier::Relu(relu)) => channel_affine(x, affine, |y| relu.value(y), y)?,
            Some(Rectifier::LeakyRelu(leaky_relu)) => {
                channel_affine(x, affine, |y| leaky_relu.value(y), y)?;
            }
        }
        Ok(())
    }

    fn backward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        self.rows_backward(x, dout, dx, true)
    }

    fn input_gradient_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        self.rows_backward(x, dout, Some(dx), false)
    }

    fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        let mut show = |name, kind, value: &Array1<T>, grad: &[T]| {
            visitor(Param {
                name,
                kind,
                shape: value.shape(),
                value: value.as_slice().unwrap_or_default(),
                grad,
            });
        };
        if self.config.affine {
            let dgamma = self.dgamma.as_slice().unwrap_or_default();
            let dbeta = self.dbeta.as_slice().unwrap_or_default();
            show("gamma", Kind::Gamma, &self.gamma, dgamma);
            show("beta", Kind::Beta, &self.beta, dbeta);
        }
        if let Some(running) = &self.running {
            show("running_mean", Kind::RunningMean, &running.mean, &[]);
            show("running_var", Kind::RunningVar, &running.var, &[]);
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        let shape = [self.channels];
        let mut hand_out = |name, kind, value: &mut Array1<T>, grad: &[T]| {
            visitor(ParamMut {
                name,
                kind,
                shape: &shape,
                value: value.as_slice_mut().unwrap_or_default(),
                grad,
            });
        };
        if self.config.affine {
            let dgamma = self.dgamma.as_slice().unwrap_or_default();
            let dbeta = self.dbeta.as_slice().unwrap_or_default();
            hand_out("gamma", Kind::Gamma, &mut self.gamma, dgamma);
            hand_out("beta", Kind::Beta, &mut self.beta, dbeta);
        }
        if let Some(running) = &mut self.running {
            hand_out("running_mean", Kind::RunningMean, &mut running.mean, &[]);
            hand_out("running_var", Kind::RunningVar, &mut running.var, &[]);
        }
    }

    fn absorb(&mut self, next: Pointwise) -> bool {
        match next {
            Pointwise::Rectifier(rectifier) if self.rectifier.is_none() => {
                self.rectifier = Some(rectifier);
                true
            }
            _ => false,
        }
    }

    fn is_row_by_row(&self) -> bool {
        self.running.is_some()
    }

    fn channel_map(&self) -> Option<ChannelMap> {
        let running = self.running.as_ref()?;
        if self.layout == Layout::ChannelsFirst {
            return None; // its channels are not the columns of what comes before it
        }
        let at = |values: &Array1<T>, c: usize, or: f64| values.get(c).map_or(or, |v| v.as_f64());
        let scale: Vec<f64> = (0..self.channels)
            .map(|c| at(&self.gamma, c, 1.0) / (running.var[c].as_f64() + self.config.eps).sqrt())
            .collect();
        let shift = (0..self.channels)
            .map(|c| at(&self.beta, c, 0.0) - running.mean[c].as_f64() * scale[c])
            .collect();
        let rectifier = self.rectifier;
        Some(ChannelMap {
            scale,
            shift,
            rectifier,
        })
    }

    fn visit_counters(&self, visitor: &mut dyn FnMut(&str, u64)) {
        if let Some(running) = &self.running {
            visitor("updates", running.updates);
        }
    }

    fn visit_counters_mut(&mut self, visitor: &mut dyn FnMut(&str, &mut u64)) {
        if let Some(running) = &mut self.running {
            visitor("updates", &mut running.updates);
        }
    }

    fn update_running(&mut self) {
        if let (Some(running), Some(batch)) = (&mut self.running, self.cache.moments()) {
            // It fails only for other channels or fewer than two values, which forward refuses.
            let _ = running.update(batch, &self.config);
        }
    }
}
