use super::{
    config::{Conv2dConfig, check_no_output_padding},
    kernel::checked_kernel,
};
use crate::{
    error::Error,
    init::Init,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
    state::{State, StateMut},
    weights::Weights,
};
use bn_tensor::{
    Padding, Scalar, Window, check_setting, convolve, convolve_transposed, convolve_weights,
    try_zeros,
};
use ndarray::{Array1, Array4, ArrayView1, ArrayView2, ArrayViewMut2};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// A transposed convolution of images, channels last (PyTorch's `ConvTranspose2d`, Keras'
/// `Conv2DTranspose`): the gradient of a convolution from `(H', W', out)` to `(H, W, in)` with
/// respect to its images.
///
/// ```text
/// y[i·stride + a − top, j·stride + b − left, o] += x[i, j, c]·w[a, b, o, c]       and y += b[o]
/// ```
///
/// | padding | size of the output | as |
/// |---|---|---|
/// | `Same` | `size · stride` | Keras' `same`: crops at the bottom and the right first |
/// | `Valid`, `Explicit` | `(size − 1)·stride + reach + output_padding − padding` | PyTorch's `padding` and `output_padding` |
///
/// `reach` is `(kernel − 1)·dilation + 1`. A stride of 2 and a kernel of 3 double an image with `same`, and also with padding 1 and output padding
/// 1; the two results are shifted by one pixel. Weights `w: (kernel rows, kernel columns, out / groups,
/// in)`, as in Keras; [`transposed_kernel_from_pytorch`](crate::transposed_kernel_from_pytorch) converts
/// PyTorch's. With a [dilation](Conv2dConfig::dilation), `a` and `b` in the index of `y` are multiplied by
/// it; with [groups](Conv2dConfig::groups), the outputs of a group see only the channels of this group.
/// Train and Eval are the same; memory as for [`Conv2d`](crate::Conv2d).
///
/// ```
/// use bn_layers::{Conv2dConfig, ConvTranspose2d, Init, Layer};
/// use rand::SeedableRng;
/// let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
/// let config = Conv2dConfig::new(64, 3).stride(2).same();
/// let layer = ConvTranspose2d::<f32>::init((7, 7, 128), config, Init::XavierUniform, &mut rng)?;
/// assert_eq!(layer.output_shape((7, 7, 128).into())?, (14, 14, 64).into());
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct ConvTranspose2d<T> {
    window: Window, // over the output
    config: Conv2dConfig,
    weights: Weights<T>, // w: (patch of the output / groups, in)
    patches: Vec<T>,
}

/// The window over the output, for images `image`.
fn window_of(image: (usize, usize, usize), config: &Conv2dConfig) -> Result<Window, Error> {
    let Conv2dConfig {
        filters,
        kernel,
        stride,
        padding,
        output_padding,
        dilation,
        ..
    } = *config;
    let (top, bottom, left, right) = match padding {
        Padding::Same => {
            let what = "the output padding of a ConvTranspose2d with padding `same`";
            check_no_output_padding(what, output_padding)?;
            let height = image.0.saturating_mul(stride.0);
            let width = image.1.saturating_mul(stride.1);
            return Ok(Window::with_config(
                (height, width, filters),
                config.window(),
            )?);
        }
        Padding::Valid => (0, 0, 0, 0),
        Padding::Explicit {
            top,
            bottom,
            left,
            right,
        } => (top, bottom, left, right),
    };
    let size = |size: usize, [kernel, dilation, stride, extra]: [usize; 4], padding: [usize; 2]| {
        check_setting(
            "the output padding",
            "less than the stride",
            extra as f64,
            extra < stride.max(1),
        )?;
        let last = kernel.saturating_sub(1).saturating_mul(dilation);
        let end = size
            .saturating_sub(1)
            .saturating_mul(stride)
            .saturating_add(last)
            .saturating_add(1)
            .saturating_add(extra);
        Ok::<_, Error>(end.saturating_sub(padding[0].saturating_add(padding[1])))
    };
    let rows = [kernel.0, dilation.0, stride.0, output_padding.0];
    let columns = [kernel.1, dilation.1, stride.1, output_padding.1];
    let height = size(image.0, rows, [top, bottom])?;
    let width = size(image.1, columns, [left, right])?;
    let window = Window::with_config((height, width, filters), config.window())?;
    match window.output() == (image.0, image.1) {
        true => Ok(window),
        false => Err(Error::shape(
            "ConvTranspose2d",
            &[image.0, image.1],
            &[window.output().0, window.output().1],
        )),
    }
}

impl<T: Scalar> ConvTranspose2d<T> {
    /// Creates the layer from weights `w: (kernel rows, kernel columns, out, in)` and a bias `b: (out)`,
    /// for images `(height, width, in)`.
    ///
    /// # Errors
    /// As [`from_weights`](Self::from_weights).
    pub fn new(
        image: (usize, usize, usize),
        w: Array4<T>,
        b: Option<Array1<T>>,
        stride: (usize, usize),
        padding: Padding,
        output_padding: (usize, usize),
    ) -> Result<Self, Error> {
        let (rows, columns, out, _) = w.dim();
        let config = Conv2dConfig {
            kernel: (rows, columns),
            stride,
            padding,
            output_padding,
            ..Conv2dConfig::new(out, 1)
        };
        Self::from_weights(image, config, w, b)
    }

    /// Creates the layer from its settings, weights `w: (kernel rows, kernel columns, out / groups, in)`
    /// and a bias `b: (out)`, for images `(height, width, in)`. Whether there is a bias depends on `b` only.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for an output that would be empty,
    /// [`bn_tensor::Error::InvalidSetting`] for no channels or no filters, groups that do not divide them,
    /// or an output padding that is not below the stride or comes with [`Padding::Same`]; those of shapes.
    pub fn from_weights(
        image: (usize, usize, usize),
        config: Conv2dConfig,
        w: Array4<T>,
        b: Option<Array1<T>>,
    ) -> Result<Self, Error> {
        const OP: &str = "ConvTranspose2d::new";
        let channels = image.2;
        config.check(channels)?;
        check_setting(
            "the number of channels",
            "at least 1",
            channels as f64,
            channels > 0,
        )?;
        let (rows, columns) = config.kernel;
        let shape = [rows, columns, config.filters / config.groups, channels];
        if w.shape() != shape {
            return Err(Error::shape(OP, &shape, w.shape()));
        }
        Ok(Self {
            window: window_of(image, &config)?,
            config,
            weights: checked_kernel(OP, w, b, config.filters)?,
            patches: Vec::new(),
        })
    }

    /// Creates the layer with weights drawn from `init` and a bias of zero. As in Keras and PyTorch, the
    /// number of inputs for `init` is `kernel · out / groups`, the number of outputs `kernel · in`.
    ///
    /// # Errors
    /// As [`from_weights`](Self::from_weights) and [`Init::sample`].
    pub fn init(
        image: (usize, usize, usize),
        config: Conv2dConfig,
        init: Init,
        rng: &mut impl Rng,
    ) -> Result<Self, Error> {
        const OP: &str = "ConvTranspose2d::init";
        config.check(image.2)?;
        let (kernel, filters) = (config.kernel, config.filters);
        let patch = window_of(image, &config)?.patch() / config.groups;
        let outputs = kernel.0 as f64 * kernel.1 as f64 * image.2 as f64;
        let w = init.sample_for((patch, image.2), [patch as f64, outputs], rng)?;
        let w = w
            .into_shape_with_order((kernel.0, kernel.1, filters / config.groups, image.2))
            .map_err(|_| bn_tensor::Error::NotContiguous { op: OP })?;
        let b = config.bias.then(|| try_zeros(OP, filters));
        Self::from_weights(image, config, w, b.transpose()?)
    }

    /// The weights `(kernel rows, kernel columns, out / groups, in)`.
    pub fn w(&self) -> Array4<T> {
        self.weights.in_four(&self.weights.w)
    }

    /// The bias `(out)`, if there is one.
    pub fn b(&self) -> Option<ArrayView1<'_, T>> {
        self.weights.b.as_ref().map(|b| b.view())
    }

    /// The gradient of the weights, as [`w`](Self::w), of the last backward pass.
    pub fn dw(&self) -> Array4<T> {
        self.weights.in_four(&self.weights.dw)
    }

    /// The gradient of the bias `(out)`, of the last backward pass; empty without a bias.
    pub fn db(&self) -> ArrayView1<'_, T> {
        self.weights.db.view()
    }

    /// Folds `scale·y + shift` of its output channels into the weights; see [`Weights::fold`].
    pub(crate) fn fold(&mut self, scale_and_shift: [&[f64]; 2]) -> bool {
        let Conv2dConfig {
            filters, groups, ..
        } = self.config;
        let (out, channels) = (filters / groups, self.weights.w.ncols() / groups);
        self.weights.fold(scale_and_shift, |(row, channel)| {
            channel / channels * out + row % out
        })
    }

    pub(crate) fn sizes(settings: &Settings) -> Vec<usize> {
        let (rows, columns, inputs, outputs) = settings.kernel;
        vec![rows, columns, inputs, outputs]
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        const WHAT: &str = "ConvTranspose2d";
        let config = settings.config();
        let b = settings.bias.then(|| try_zeros(WHAT, config.filters));
        let w = try_zeros(WHAT, settings.kernel)?;
        Self::from_weights(settings.image, config, w, b.transpose()?)
    }

    /// `(height, width, in)` of an input image.
    fn input(&self) -> (usize, usize, usize) {
        let (rows, columns) = self.window.output();
        (rows, columns, self.weights.w.ncols())
    }
}

/// The settings of a [`ConvTranspose2d`](crate::ConvTranspose2d), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `(height, width, channels)` of the input.
    pub image: (usize, usize, usize),
    /// `(rows, columns, out / groups, in)`.
    pub kernel: (usize, usize, usize, usize),
    /// Whether there is a bias.
    pub bias: bool,
    /// Down and across.
    pub stride: (usize, usize),
    /// Around the output.
    #[serde(with = "crate::padding")]
    pub padding: Padding,
    /// Rows and columns added at the bottom and the right of the output.
    pub output_padding: (usize, usize),
    /// Down and across; 1 is the usual window.
    #[serde(default = "crate::padding::no_dilation")]
    pub dilation: (usize, usize),
    /// The number of groups of channels.
    #[serde(default = "crate::padding::one_group")]
    pub groups: usize,
}

impl Settings {
    fn config(&self) -> Conv2dConfig {
        let (rows, columns, of_group, _) = self.kernel;
        Conv2dConfig {
            kernel: (rows, columns),
            stride: self.stride,
            padding: self.padding,
            output_padding: self.output_padding,
            dilation: self.dilation,
            groups: self.groups,
            ..Conv2dConfig::new(of_group.saturating_mul(self.groups), 1)
        }
    }

    /// The window over the output, which knows the output's size and what is cut off around it, also with
    /// [`Padding::Same`].
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] if it does not fit; [`bn_tensor::Error::InvalidSetting`] for the output padding.
    pub fn window(&self) -> Result<Window, Error> {
        window_of(self.image, &self.config())
    }

    /// Rows and columns at the bottom and the right of the output that the window does not reach: the output padding,
    /// or those of [`Padding::Same`].
    pub fn added(&self) -> (usize, usize) {
        let unreached = |kernel: usize, dilation: usize, stride: usize| {
            let last = kernel.saturating_sub(1).saturating_mul(dilation);
            stride.saturating_sub(last.saturating_add(1))
        };
        match self.padding {
            Padding::Same => (
                unreached(self.kernel.0, self.dilation.0, self.stride.0),
                unreached(self.kernel.1, self.dilation.1, self.stride.1),
            ),
            _ => self.output_padding,
        }
    }
}

impl<T: Scalar> Layer<T> for ConvTranspose2d<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        input.expect_image("ConvTranspose2d", self.input())?;
        Ok(self.window.image().into())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        let (w, b) = (self.weights.w.view(), self.weights.bias());
        convolve_transposed(&self.window, x, w, b, y, &mut self.patches)?;
        Ok(())
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        let (w, b) = (self.weights.w.view(), self.weights.bias());
        convolve_transposed(&self.window, x, w, b, y, scratch)?;
        Ok(())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        let Self {
            window,
            weights,
            patches,
            ..
        } = self;
        let Io { x, dout, .. } = io;
        if wanted.params {
            convolve_weights(window, dout, x, T::zero(), weights.dw.view_mut(), patches)?;
            weights.sum_bias("ConvTranspose2d::backward", &dout)?;
        }
        if let Some(dx) = wanted.dx {
            convolve(window, dout, weights.w.view(), None, dx, patches)?;
        }
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        self.weights.state(visit);
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.weights.state_mut(visit);
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        let Conv2dConfig {
            filters,
            kernel: (rows, columns),
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            ..
        } = self.config;
        let image = self.input();
        let settings = Settings {
            image,
            kernel: (rows, columns, filters / groups, image.2),
            bias: self.weights.b.is_some(),
            stride,
            padding,
            output_padding,
            dilation,
            groups,
        };
        Some(LayerSpec::new("ConvTranspose2d", settings))
    }
}
