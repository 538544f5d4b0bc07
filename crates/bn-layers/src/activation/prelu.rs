use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    rows::for_each_row,
    shape::Shape,
    spec::LayerSpec,
    state::{Param, ParamMut, State, StateMut},
};
use bn_tensor::{
    ChannelAffine, Scalar, Scratch, channel_sum_and_dot, check_setting, in_order, try_resize,
};
use ndarray::{Array1, ArrayView1, ArrayView2, ArrayView3, ArrayViewMut2};
use serde::{Deserialize, Serialize};

const OP: &str = "PRelu";

/// The parametric rectifier (arXiv:1502.01852): `y = x` where `x > 0` and `a·x` elsewhere, with a
/// learned slope `a` for each channel, or one for all.
///
/// ```text
/// dx = dout where x > 0, a·dout elsewhere
/// da = Σ dout·x over the values of the channel that are not greater than 0
/// ```
///
/// Shapes: `(N, D)`, where D is a multiple of the number of slopes C; value `j` of a row has slope
/// `j mod C`, so images have their channels last. Train and Eval do the same. The slopes do not decay.
///
/// ```
/// use bn_layers::{LayerExt, Mode, PRelu};
/// let y = PRelu::new(1, 0.25)?.forward(ndarray::array![[-1.0, 2.0]].view(), Mode::Train)?;
/// assert_eq!(y, ndarray::array![[-0.25, 2.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] if a shape does not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct PRelu<T> {
    slopes: Vec<T>,  // (C)
    dslopes: Vec<T>, // (C)
    // For the sum over each channel.
    zeros: Vec<T>,  // (C)
    ones: Vec<T>,   // (C)
    sums: Vec<f64>, // (2·C)
    scratch: Scratch,
}

/// The settings of a [`PRelu`](crate::PRelu), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The number of slopes; 1 for one of all channels.
    pub channels: usize,
}

impl<T: Scalar> PRelu<T> {
    /// Creates the activation with `channels` slopes, or one for all channels if `channels` is 1. Their
    /// initial value is 0.25 in PyTorch and 0 in Keras.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0 channels or a slope that is not finite,
    /// [`bn_tensor::Error::TooLarge`] if there is no memory for so many channels.
    pub fn new(channels: usize, slope: f64) -> Result<Self, Error> {
        let what = "the number of channels";
        check_setting(what, "at least 1", channels as f64, channels > 0)?;
        check_setting("PRelu's slope", "finite", slope, slope.is_finite())?;
        let filled = |value: T| {
            let mut values = Vec::new();
            try_resize(OP, &mut values, &[channels])?;
            values.fill(value);
            Ok::<_, Error>(values)
        };
        let mut sums = Vec::new();
        try_resize(OP, &mut sums, &[2, channels])?;
        Ok(Self {
            slopes: filled(T::from_f64(slope))?,
            dslopes: filled(T::zero())?,
            zeros: filled(T::zero())?,
            ones: filled(T::one())?,
            sums,
            scratch: Scratch::default(),
        })
    }

    pub(crate) fn sizes(settings: &Settings) -> Vec<usize> {
        vec![settings.channels]
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Self::new(settings.channels, 0.0)
    }

    /// Sets the slopes, `(C)`.
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is not one for each channel.
    pub fn with_slopes(mut self, slopes: Array1<T>) -> Result<Self, Error> {
        if slopes.len() != self.slopes.len() {
            return Err(Error::shape(OP, &[self.slopes.len()], slopes.shape()));
        }
        self.slopes = slopes.to_vec();
        Ok(self)
    }

    /// The slopes, `(C)`.
    pub fn slopes(&self) -> ArrayView1<'_, T> {
        ArrayView1::from(&self.slopes)
    }

    /// Their gradient from the last backward pass, `(C)`.
    pub fn dslopes(&self) -> ArrayView1<'_, T> {
        ArrayView1::from(&self.dslopes)
    }

    fn values(&self, x: ArrayView2<'_, T>, mut y: ArrayViewMut2<'_, T>) -> Result<(), Error> {
        let width = x.ncols();
        for_each_row(OP, [(&x, width)], (&mut y, width), |[x], y| {
            for ((y, &x), &slope) in y.iter_mut().zip(x).zip(self.slopes.iter().cycle()) {
                *y = if x > T::zero() { x } else { slope * x };
            }
        })
    }

    /// `da = Σ dout·x` over the values of each channel that are not greater than 0.
    fn gradients(&mut self, x: &[T], dout: &[T]) -> Result<(), Error> {
        let channels = self.slopes.len();
        let view = (x.len() / channels, channels, 1);
        let shape = |_| Error::shape(OP, &[view.0, channels], &[x.len()]);
        let (x, dout) = (
            ArrayView3::from_shape(view, x).map_err(shape)?,
            ArrayView3::from_shape(view, dout).map_err(shape)?,
        );
        let affine = ChannelAffine {
            center: &self.zeros,
            scale: &self.ones,
            shift: &self.zeros,
        };
        let gate = |x: T, dout: T| if x > T::zero() { T::zero() } else { dout };
        let (sum, dot) = self.sums.split_at_mut(channels);
        channel_sum_and_dot(x, affine, dout, gate, [sum, &mut *dot], &mut self.scratch)?;
        for (da, &dot) in self.dslopes.iter_mut().zip(&*dot) {
            *da = T::from_f64(dot);
        }
        Ok(())
    }
}

impl<T: Scalar> Layer<T> for PRelu<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let channels = self.slopes.len();
        let fits = match input {
            Shape::Image { channels: c, .. } => {
                [1, c].contains(&channels) || input.size() == channels
            }
            Shape::Flat(size) => size.is_multiple_of(channels),
        };
        match fits {
            true => Ok(input),
            false => Err(Error::shape(OP, &[channels], &[input.size()])),
        }
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        self.values(x, y)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        self.values(x, y)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        if wanted.params {
            self.gradients(in_order(OP, &io.x)?, in_order(OP, &io.dout)?)?;
        }
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let width = io.x.ncols();
        let from = [(&io.x, width), (&io.dout, width)];
        for_each_row(OP, from, (&mut dx, width), |[x, dout], dx| {
            let slopes = self.slopes.iter().cycle();
            for (((dx, &x), &dout), &slope) in dx.iter_mut().zip(x).zip(dout).zip(slopes) {
                *dx = if x > T::zero() { dout } else { slope * dout };
            }
        })
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        let shape = [self.slopes.len()];
        visit(State::Array(Param::new(
            "weight",
            &shape,
            &self.slopes,
            &self.dslopes,
        )));
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        let shape = [self.slopes.len()];
        let (value, grad) = (&mut self.slopes, &mut self.dslopes);
        visit(StateMut::Array(ParamMut::new(
            "weight", &shape, value, grad,
        )));
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        let channels = self.slopes.len();
        Some(LayerSpec::new(OP, Settings { channels }))
    }
}
