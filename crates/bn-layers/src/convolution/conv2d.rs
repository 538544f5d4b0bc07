use super::{
    config::{Conv2dConfig, check_no_output_padding},
    kernel::checked_kernel,
};
use crate::{
    activation::Rectifier,
    dropout::Dropout,
    error::Error,
    init::Init,
    layer::{Io, Layer, Outcome, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
    state::{State, StateMut},
    weights::Weights,
};
use bn_tensor::{
    ConvolutionGradients, ConvolutionScratch, Epilogue, Mask, Padding, Scalar, Window,
    convolve_backward, convolve_then, try_zeros,
};
use ndarray::{Array1, Array4, ArrayView1, ArrayView2, ArrayViewMut2};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// A convolution of images, channels last (PyTorch's `Conv2d`, Keras' `Conv2D`, the book's
/// `Convolution` in `common/layers.py`).
///
/// ```text
/// y[i, j, o] = b[o] + Σ x[i·stride + a − top, j·stride + b − left, c]·w[a, b, c, o]
/// ```
///
/// A row of `x: (N, H·W·in)` is an image `(H, W, in)`, a row of `y: (N, H'·W'·out)` one of
/// `(H', W', out)`. Weights `w: (kernel rows, kernel columns, in / groups, out)`, as in Keras;
/// [`kernel_from_pytorch`](crate::kernel_from_pytorch) converts PyTorch's. With a
/// [dilation](Conv2dConfig::dilation), `a` and `b` in the index of `x` are multiplied by it; with
/// [groups](Conv2dConfig::groups), `c` runs over the channels of the group of `o`. Train and Eval are the
/// same. In addition to its weights, it holds the patches of a block of images and the gradients of its outputs:
/// 2 MiB together (or those of one row of one image).
///
/// In a network it also computes the rectifier and the Dropout that follow it.
///
/// ```
/// use bn_layers::{Conv2d, LayerExt, Mode, Padding};
/// use ndarray::{Array2, Array4};
/// // The sum of each pixel and its neighbours.
/// let w = Array4::ones((3, 3, 1, 1));
/// let mut conv = Conv2d::new((2, 2, 1), w, None, (1, 1), Padding::Same)?;
/// let x = Array2::from_shape_vec((1, 4), vec![1.0, 2.0, 3.0, 4.0]).unwrap();
/// let y = conv.forward(x.view(), Mode::Train)?;
/// assert_eq!(y.row(0).to_vec(), [10.0; 4]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct Conv2d<T> {
    window: Window,
    config: Conv2dConfig,
    weights: Weights<T>,          // w: (patch / groups, out)
    rectifier: Option<Rectifier>, // computed in the same pass
    dropout: Option<Dropout>,     // the same, after the rectifier
    scratch: ConvolutionScratch<T>,
}

impl<T: Scalar> Conv2d<T> {
    /// Creates the layer from weights `w: (kernel rows, kernel columns, in, out)` and a bias `b: (out)`,
    /// for images `(height, width, in)`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for a window that does not fit the image,
    /// [`bn_tensor::Error::InvalidSetting`] for no filters; those of shapes.
    pub fn new(
        image: (usize, usize, usize),
        w: Array4<T>,
        b: Option<Array1<T>>,
        stride: (usize, usize),
        padding: Padding,
    ) -> Result<Self, Error> {
        let (rows, columns, _, out) = w.dim();
        let config = Conv2dConfig {
            kernel: (rows, columns),
            stride,
            padding,
            ..Conv2dConfig::new(out, 1)
        };
        Self::from_weights(image, config, w, b)
    }

    /// Creates the layer from its settings, weights `w: (kernel rows, kernel columns, in / groups, out)`
    /// and a bias `b: (out)`, for images `(height, width, in)`. Whether there is a bias depends on `b` only.
    ///
    /// ```
    /// use bn_layers::{Conv2d, Conv2dConfig, LayerExt};
    /// use ndarray::{array, Array4};
    /// // The mean of two pixels in each of two channels.
    /// let config = Conv2dConfig { kernel: (1, 2), ..Conv2dConfig::depthwise(2, 1, 1) };
    /// let conv = Conv2d::from_weights((1, 2, 2), config, Array4::from_elem((1, 2, 1, 2), 0.5), None)?;
    /// assert_eq!(conv.eval(array![[1.0, 10.0, 3.0, 30.0]].view())?, array![[2.0, 20.0]]);
    /// # Ok::<(), bn_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`init`](Self::init), and those of shapes.
    pub fn from_weights(
        image: (usize, usize, usize),
        config: Conv2dConfig,
        w: Array4<T>,
        b: Option<Array1<T>>,
    ) -> Result<Self, Error> {
        const OP: &str = "Conv2d::new";
        config.check(image.2)?;
        check_no_output_padding("the output padding of a Conv2d", config.output_padding)?;
        let (rows, columns) = config.kernel;
        let shape = [rows, columns, image.2 / config.groups, config.filters];
        if w.shape() != shape {
            return Err(Error::shape(OP, &shape, w.shape()));
        }
        Ok(Self {
            window: Window::with_config(image, config.window())?,
            config,
            weights: checked_kernel(OP, w, b, config.filters)?,
            rectifier: None,
            dropout: None,
            scratch: ConvolutionScratch::default(),
        })
    }

    /// Creates the layer with weights drawn from `init` and a bias of zero. The number of inputs for `init`
    /// is that of one output value, `kernel · in / groups`, and the number of outputs `kernel · out`, as in
    /// Keras and PyTorch.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for a window that does not fit the image;
    /// [`bn_tensor::Error::InvalidSetting`] for no filters, for groups that do not divide the channels and
    /// the filters, and for an [output padding](Conv2dConfig::output_padding), which only a transposed
    /// convolution has; the errors of [`Init::sample`].
    pub fn init(
        image: (usize, usize, usize),
        config: Conv2dConfig,
        init: Init,
        rng: &mut impl Rng,
    ) -> Result<Self, Error> {
        config.check(image.2)?;
        check_no_output_padding("the output padding of a Conv2d", config.output_padding)?;
        let (rows, columns) = config.kernel;
        let window = Window::with_config(image, config.window())?;
        let patch = window.patch() / config.groups;
        let kernel = rows as f64 * columns as f64;
        let fans = [patch as f64, kernel * config.filters as f64];
        let w = init.sample_for((patch, config.filters), fans, rng)?;
        let w = w
            .into_shape_with_order((rows, columns, image.2 / config.groups, config.filters))
            .map_err(|_| bn_tensor::Error::NotContiguous { op: "Conv2d::init" })?;
        let b = config
            .bias
            .then(|| try_zeros("Conv2d::init", config.filters));
        Self::from_weights(image, config, w, b.transpose()?)
    }

    /// The window: image, kernel and output.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The weights `(kernel rows, kernel columns, in / groups, out)`.
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

    /// From now on also computes this rectifier, unless it already computes a rectifier or a Dropout.
    /// Returns whether it does.
    pub(crate) fn fuse_rectifier(&mut self, rectifier: Rectifier) -> bool {
        let is_linear = self.is_linear();
        if is_linear {
            self.rectifier = Some(rectifier);
        }
        is_linear
    }

    /// From now on also computes this Dropout, unless it already computes one. Returns whether it does.
    pub(crate) fn fuse_dropout(&mut self, dropout: &Dropout) -> bool {
        let is_free = self.dropout.is_none();
        if is_free {
            self.dropout = Some(dropout.clone());
        }
        is_free
    }

    /// Folds `scale·y + shift` of its output channels into the weights; see [`Weights::fold`].
    pub(crate) fn fold(&mut self, scale_and_shift: [&[f64]; 2]) -> bool {
        self.is_linear() && self.weights.fold(scale_and_shift, |place| place.1)
    }

    pub(crate) fn sizes(settings: &Settings) -> Vec<usize> {
        let (rows, columns, inputs, outputs) = settings.kernel;
        vec![rows, columns, inputs, outputs]
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let config = settings.config();
        let w = try_zeros("Conv2d", settings.kernel)?;
        let b = settings.bias.then(|| try_zeros("Conv2d", config.filters));
        Self::from_weights(settings.image, config, w, b.transpose()?)
    }

    /// Whether it computes neither a rectifier nor a Dropout.
    fn is_linear(&self) -> bool {
        self.rectifier.is_none() && self.dropout.is_none()
    }

    /// The rectifier and the Dropout that it computes, with this mask of the Dropout.
    fn epilogue(&self, mask: Option<Mask<T>>) -> Epilogue<T> {
        let slope = self
            .rectifier
            .map(|rectifier| T::from_f64(rectifier.slope()));
        Epilogue { slope, mask }
    }
}

/// The settings of a [`Conv2d`](crate::Conv2d), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `(height, width, channels)` of the input.
    pub image: (usize, usize, usize),
    /// `(rows, columns, in / groups, out)`.
    pub kernel: (usize, usize, usize, usize),
    /// Whether there is a bias.
    pub bias: bool,
    /// Down and across.
    pub stride: (usize, usize),
    /// Around the image.
    #[serde(with = "crate::padding")]
    pub padding: Padding,
    /// Down and across; 1 is the usual window.
    #[serde(default = "crate::padding::no_dilation")]
    pub dilation: (usize, usize),
    /// The number of groups of channels.
    #[serde(default = "crate::padding::one_group")]
    pub groups: usize,
}

impl Settings {
    fn config(&self) -> Conv2dConfig {
        let (rows, columns, _, filters) = self.kernel;
        Conv2dConfig {
            kernel: (rows, columns),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
            ..Conv2dConfig::new(filters, 1)
        }
    }

    /// The window over the image, which knows the padding of [`Padding::Same`] and the size of the output.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] if it does not fit.
    pub fn window(&self) -> Result<Window, Error> {
        Ok(Window::with_config(self.image, self.config().window())?)
    }
}

impl<T: Scalar> Layer<T> for Conv2d<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        input.expect_image("Conv2d", self.window.image())?;
        let (rows, columns) = self.window.output();
        Ok((rows, columns, self.weights.w.ncols()).into())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let mask = self
            .dropout
            .as_mut()
            .map(|dropout| dropout.begin(y.dim(), pass));
        let then = self.epilogue(mask);
        let (w, b) = (self.weights.w.view(), self.weights.bias());
        convolve_then(&self.window, x, w, b, &then, y, &mut self.scratch.patches)?;
        Ok(())
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        let then = self.epilogue(self.dropout.as_ref().map(Dropout::evaluation));
        let (w, b) = (self.weights.w.view(), self.weights.bias());
        convolve_then(&self.window, x, w, b, &then, y, scratch)?;
        Ok(())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let dropout = self.dropout.as_ref();
        let mask = dropout
            .map(|dropout| dropout.mask_for(&io.y, pass))
            .transpose()?;
        let then = self.epilogue(mask);
        let Weights { w, b, dw, db, .. } = &mut self.weights;
        let has_bias = b.is_some();
        let gradients = ConvolutionGradients {
            dw: wanted.params.then(|| dw.view_mut()),
            db: db.as_slice_mut().filter(|_| wanted.params && has_bias),
            dx: wanted.dx,
        };
        let arrays = [io.x, io.y, io.dout];
        let scratch = &mut self.scratch;
        convolve_backward(&self.window, arrays, w.view(), &then, gradients, scratch)?;
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        self.weights.state(visit);
        if let Some(dropout) = &self.dropout {
            Layer::<T>::state(dropout, visit);
        }
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.weights.state_mut(visit);
        if let Some(dropout) = &mut self.dropout {
            Layer::<T>::state_mut(dropout, visit);
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(dropout) = &mut self.dropout {
            Layer::<T>::settle(dropout, outcome);
        }
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
            dilation,
            groups,
            ..
        } = self.config;
        let image = self.window.image();
        let settings = Settings {
            image,
            kernel: (rows, columns, image.2 / groups, filters),
            bias: self.weights.b.is_some(),
            stride,
            padding,
            dilation,
            groups,
        };
        Some(LayerSpec::new("Conv2d", settings))
    }
}
