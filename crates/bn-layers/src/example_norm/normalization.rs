use crate::{
    batch_norm::{BatchNormCache, BatchNormConfig, batch_norm_backward, batch_norm_train},
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::Pass,
    shape::Shape,
    spec::LayerSpec,
    state::{Param, ParamMut, State, StateMut},
};
use bn_tensor::{
    ChannelAffine, Scalar, Scratch, channel_affine, channel_sum_and_dot, check_setting, in_order,
    in_order_mut, try_resize, try_zeros,
};
use ndarray::{Array1, ArrayView1, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3};
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
    settings: Settings,
    gamma: Vec<T>,  // (C)
    beta: Vec<T>,   // (C)
    dgamma: Vec<T>, // (C)
    dbeta: Vec<T>,  // (C)
    zeros: Vec<T>,  // (C)
    saved: Saved<T>,
    dxn: Vec<T>,    // (N, D)
    sums: Vec<f64>, // (2·C): of dout, and of dout·xn
    scratch: Scratch,
    kind: PhantomData<K>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(super) channels: usize,
    pub(super) groups: usize, // of channels
    pub(super) eps: f64,
    pub(super) affine: bool, // whether gamma and beta are learned
}

/// What a forward pass saves for its backward pass.
#[derive(Debug, Clone)]
struct Saved<T> {
    dim: (usize, usize),            // (N, D)
    xn: Vec<T>,                     // (N, D)
    caches: Vec<BatchNormCache<T>>, // one for each part of the batch
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

/// The groups of a batch as the channels of `count` parts, `(outer, channels, inner)` each.
struct Parts {
    count: usize,
    view: (usize, usize, usize),
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
        let zeros =
            || try_zeros::<T, _>(K::NAME, channels).map(|zeros| zeros.into_raw_vec_and_offset().0);
        let mut gamma = zeros()?;
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

    fn parts(&self, (n, d): (usize, usize)) -> Result<Parts, Error> {
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

    /// `y = gamma·xn + beta`, with the statistics and `xn` in `saved`.
    fn normalize(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        saved: &mut Saved<T>,
    ) -> Result<(), Error> {
        Error::check_rows(K::NAME, self.settings.channels, x.dim(), &[y.dim()])?;
        let Parts { count, view } = self.parts(x.dim())?;
        let config = batch_norm_config(self.settings.eps);
        let Saved { dim, xn, caches } = saved;
        try_resize(K::NAME, xn, &[x.nrows(), x.ncols()])?;
        let xn = &mut xn[..x.len()];
        if caches.len() < count {
            caches.resize_with(count, BatchNormCache::default);
        }
        let len = view.0 * view.1 * view.2;
        let parts = in_order(K::NAME, &x)?.chunks_exact(len);
        for ((x, xn), cache) in parts.zip(xn.chunks_exact_mut(len)).zip(caches) {
            let (x, xn) = (viewed(x, view)?, viewed_mut(xn, view)?);
            batch_norm_train(x, None, None, None, &config, cache, xn)?;
        }
        *dim = x.dim();
        self.scale_and_shift(xn, &self.beta, in_order_mut(K::NAME, &mut y)?)
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
    fn gradients(&mut self, dout: &[T]) -> Result<(), Error> {
        let view = self.pixels(dout.len());
        let affine = ChannelAffine {
            center: &self.zeros,
            scale: &self.gamma,
            shift: &self.beta,
        };
        let (xn, dout) = (
            viewed(&self.saved.xn[..dout.len()], view)?,
            viewed(dout, view)?,
        );
        let (sum, dot) = self.sums.split_at_mut(self.settings.channels);
        channel_sum_and_dot(
            xn,
            affine,
            dout,
            |_, dout| dout,
            [sum, dot],
            &mut self.scratch,
        )?;
        let (sum, dot) = self.sums.split_at(self.settings.channels);
        for (to, from) in [(&mut self.dbeta, sum), (&mut self.dgamma, dot)] {
            to.iter_mut()
                .zip(from)
                .for_each(|(to, &from)| *to = T::from_f64(from));
        }
        Ok(())
    }
}

impl<T: Scalar, K: NormKind> Layer<T> for ExampleNorm<T, K> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let fits = match input {
            Shape::Image { channels, .. } => {
                channels == self.settings.channels || input.size() == self.settings.channels
            }
            Shape::Flat(_) => true,
        };
        if !fits {
            return Err(Error::shape(
                K::NAME,
                &[self.settings.channels],
                &[input.size()],
            ));
        }
        self.parts((1, input.checked_size()?))?;
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        let mut saved = std::mem::take(&mut self.saved);
        let result = self.normalize(x, y, &mut saved);
        self.saved = saved;
        result
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        self.normalize(x, y, &mut Saved::default())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        if self.saved.dim != io.x.dim() {
            return Err(Error::NoForward {
                layer: K::NAME,
                expected: self.saved.dim.0,
                got: io.x.nrows(),
            });
        }
        let dx_dim = wanted.dx.as_ref().map_or(io.x.dim(), |dx| dx.dim());
        let others = [io.y.dim(), io.dout.dim(), dx_dim];
        Error::check_rows(K::NAME, self.settings.channels, io.x.dim(), &others)?;
        let dout = in_order(K::NAME, &io.dout)?;
        if wanted.params && self.settings.affine {
            self.gradients(dout)?;
        }
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let (mut dxn, mut saved) = (
            std::mem::take(&mut self.dxn),
            std::mem::take(&mut self.saved),
        );
        let result = try_resize(K::NAME, &mut dxn, &[io.x.nrows(), io.x.ncols()])
            .map_err(Error::from)
            .and_then(|()| self.scale_and_shift(dout, &self.zeros, &mut dxn[..dout.len()]))
            .and_then(|()| {
                let Parts { view, .. } = self.parts(io.x.dim())?;
                let len = view.0 * view.1 * view.2;
                let x = in_order(K::NAME, &io.x)?.chunks_exact(len);
                let dx = in_order_mut(K::NAME, &mut dx)?.chunks_exact_mut(len);
                let parts = x.zip(dxn.chunks_exact(len)).zip(dx).zip(&mut saved.caches);
                for (((x, dxn), dx), cache) in parts {
                    let (x, dxn) = (viewed(x, view)?, viewed(dxn, view)?);
                    let dx = Some(viewed_mut(dx, view)?);
                    batch_norm_backward(x, dxn, None, cache, None, None, dx)?;
                }
                Ok(())
            });
        (self.dxn, self.saved) = (dxn, saved);
        result
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        if self.settings.affine {
            let shape = [self.settings.channels];
            for (name, value, grad) in [
                ("gamma", &self.gamma, &self.dgamma),
                ("beta", &self.beta, &self.dbeta),
            ] {
                visit(State::Array(Param::new(name, &shape, value, grad)));
            }
        }
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        if self.settings.affine {
            let shape = [self.settings.channels];
            for (name, value, grad) in [
                ("gamma", &mut self.gamma, &mut self.dgamma),
                ("beta", &mut self.beta, &mut self.dbeta),
            ] {
                visit(StateMut::Array(ParamMut::new(name, &shape, value, grad)));
            }
        }
    }

    fn rows_are_independent(&self) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new(K::NAME, self.settings))
    }
}

/// The settings of the functions that compute the normalisation.
fn batch_norm_config(eps: f64) -> BatchNormConfig {
    BatchNormConfig {
        eps,
        affine: false,
        ..BatchNormConfig::default()
    }
}

fn viewed<T>(values: &[T], view: (usize, usize, usize)) -> Result<ArrayView3<'_, T>, Error> {
    let got = [values.len()];
    ArrayView3::from_shape(view, values)
        .map_err(|_| Error::shape("ExampleNorm", &[view.0, view.1, view.2], &got))
}

fn viewed_mut<T>(
    values: &mut [T],
    view: (usize, usize, usize),
) -> Result<ArrayViewMut3<'_, T>, Error> {
    let got = [values.len()];
    ArrayViewMut3::from_shape(view, values)
        .map_err(|_| Error::shape("ExampleNorm", &[view.0, view.1, view.2], &got))
}
