use super::{
    config::{Conv2dConfig, check_filters, check_no_output_padding},
    kernel::checked_kernel,
};
use crate::{
    error::Error,
    init::Init,
    layer::{Io, Layer, Wanted},
    pass::Pass,
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
/// | `Valid`, `Explicit` | `(size − 1)·stride + kernel + output_padding − padding` | PyTorch's `padding` and `output_padding` |
///
/// A stride of 2 and a kernel of 3 double an image with `same`, and also with padding 1 and output padding
/// 1; the two results are shifted by one pixel. Weights `w: (kernel rows, kernel columns, out, in)`, as in Keras;
/// [`transposed_kernel_from_pytorch`](crate::transposed_kernel_from_pytorch) converts PyTorch's. Train
/// and Eval are the same; memory as for [`Conv2d`](crate::Conv2d).
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
    stride: (usize, usize),
    padding: Padding,
    output_padding: (usize, usize),
    weights: Weights<T>, // w: (patch of the output, in)
    patches: Vec<T>,
}

/// The window over the output, for images `image` and `out` channels.
fn window_of(
    image: (usize, usize, usize),
    out: usize,
    kernel: (usize, usize),
    stride: (usize, usize),
    padding: Padding,
    output_padding: (usize, usize),
) -> Result<Window, Error> {
    let (top, bottom, left, right) = match padding {
        Padding::Same => {
            let what = "the output padding of a ConvTranspose2d with padding `same`";
            check_no_output_padding(what, output_padding)?;
            let size = (
                image.0.saturating_mul(stride.0),
                image.1.saturating_mul(stride.1),
            );
            return Ok(Window::new((size.0, size.1, out), kernel, stride, padding)?);
        }
        Padding::Valid => (0, 0, 0, 0),
        Padding::Explicit {
            top,
            bottom,
            left,
            right,
        } => (top, bottom, left, right),
    };
    let size = |size: usize, kernel: usize, stride: usize, extra: usize, padding: [usize; 2]| {
        check_setting(
            "the output padding",
            "less than the stride",
            extra as f64,
            extra < stride.max(1),
        )?;
        let reach = size
            .saturating_sub(1)
            .saturating_mul(stride)
            .saturating_add(kernel)
            .saturating_add(extra);
        Ok::<_, Error>(reach.saturating_sub(padding[0].saturating_add(padding[1])))
    };
    let height = size(image.0, kernel.0, stride.0, output_padding.0, [top, bottom])?;
    let width = size(image.1, kernel.1, stride.1, output_padding.1, [left, right])?;
    let window = Window::new((height, width, out), kernel, stride, padding)?;
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
    /// [`bn_tensor::Error::Window`] for an output that would be empty,
    /// [`bn_tensor::Error::InvalidSetting`] for no channels or no filters, or an output padding that is not
    /// below the stride or comes with [`Padding::Same`]; those of shapes.
    pub fn new(
        image: (usize, usize, usize),
        w: Array4<T>,
        b: Option<Array1<T>>,
        stride: (usize, usize),
        padding: Padding,
        output_padding: (usize, usize),
    ) -> Result<Self, Error> {
        const OP: &str = "ConvTranspose2d::new";
        let (rows, columns, out, channels) = w.dim();
        check_filters(out)?;
        check_setting(
            "the number of channels",
            "at least 1",
            channels as f64,
            channels > 0,
        )?;
        if channels != image.2 {
            return Err(Error::shape(OP, &[rows, columns, out, image.2], w.shape()));
        }
        Ok(Self {
            window: window_of(image, out, (rows, columns), stride, padding, output_padding)?,
            stride,
            padding,
            output_padding,
            weights: checked_kernel(OP, w, b, out)?,
            patches: Vec::new(),
        })
    }

    /// Creates the layer with weights drawn from `init` and a bias of zero. As in Keras and PyTorch, the
    /// number of inputs for `init` is `kernel · out`, the number of outputs `kernel · in`.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`Init::sample`].
    pub fn init(
        image: (usize, usize, usize),
        config: Conv2dConfig,
        init: Init,
        rng: &mut impl Rng,
    ) -> Result<Self, Error> {
        check_filters(config.filters)?;
        let Conv2dConfig {
            filters,
            kernel,
            stride,
            padding,
            output_padding,
            bias,
        } = config;
        let window = window_of(image, filters, kernel, stride, padding, output_padding)?;
        let outputs = kernel.0 as f64 * kernel.1 as f64 * image.2 as f64;
        let fans = [window.patch() as f64, outputs];
        let w = init.sample_for((window.patch(), image.2), fans, rng)?;
        let w = w
            .into_shape_with_order((kernel.0, kernel.1, filters, image.2))
            .map_err(|_| bn_tensor::Error::NotContiguous {
                op: "ConvTranspose2d::init",
            })?;
        let b = bias.then(|| try_zeros("ConvTranspose2d::init", filters));
        Self::new(image, w, b.transpose()?, stride, padding, output_padding)
    }

    /// The weights `(kernel rows, kernel columns, out, in)`.
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
        let out = self.window.image().2;
        self.weights.fold(scale_and_shift, |place| place.0 % out)
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        const WHAT: &str = "ConvTranspose2d";
        let b = settings.bias.then(|| try_zeros(WHAT, settings.kernel.2));
        Self::new(
            settings.image,
            try_zeros(WHAT, settings.kernel)?,
            b.transpose()?,
            settings.stride,
            settings.padding,
            settings.output_padding,
        )
    }

    /// `(height, width, in)` of an input image.
    fn input(&self) -> (usize, usize, usize) {
        let (rows, columns) = self.window.output();
        (rows, columns, self.weights.w.ncols())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Settings {
    image: (usize, usize, usize),
    kernel: (usize, usize, usize, usize), // rows, columns, out, in
    bias: bool,
    stride: (usize, usize),
    #[serde(with = "crate::padding")]
    padding: Padding,
    output_padding: (usize, usize),
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

    fn rows_are_independent(&self) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        let (kernel, image) = (self.window.kernel(), self.input());
        let settings = Settings {
            image,
            kernel: (kernel.0, kernel.1, self.window.image().2, image.2),
            bias: self.weights.b.is_some(),
            stride: self.stride,
            padding: self.padding,
            output_padding: self.output_padding,
        };
        Some(LayerSpec::new("ConvTranspose2d", settings))
    }
}
