use super::kernel::{Kernel, expect_image};
use crate::{
    ChannelMap, Conv2dConfig, Error, Init, Layer, Mode, Param, ParamMut, Shape,
    error::check_setting,
    layer::{expect_rows, expect_shape},
};
use bn_tensor::{Padding, Scalar, Window, convolve, convolve_transposed, convolve_weights};
use ndarray::{Array1, Array4, ArrayView1, ArrayView2, ArrayViewMut2};
use rand::Rng;

/// A convolution of images, channels last (PyTorch's `Conv2d`, Keras' `Conv2D`, the book's
/// `Convolution` in `common/layers.py`).
///
/// ```text
/// y[i, j, o] = b[o] + Σ x[i·stride + a − top, j·stride + b − left, c]·w[a, b, c, o]
/// ```
///
/// A row of `x: (N, H·W·in)` is an image `(H, W, in)`, a row of `y: (N, H'·W'·out)` one of
/// `(H', W', out)`. Weights `w: (kernel rows, kernel columns, in, out)`, as in Keras;
/// [`kernel_from_pytorch`](crate::kernel_from_pytorch) turns PyTorch's. Train and Eval are the same.
/// Beside its weights it holds the patches of a block of images, 2 MiB of them (or those of one row
/// of one image).
///
/// ```
/// use bn_layers::{Conv2d, Layer, Mode, Padding};
/// use ndarray::{Array2, Array4};
/// // The sum of each pixel and its neighbours.
/// let w = Array4::ones((3, 3, 1, 1));
/// let mut conv = Conv2d::new((2, 2, 1), w, None, (1, 1), Padding::Same)?;
/// let x = Array2::from_shape_vec((1, 4), vec![1.0, 2.0, 3.0, 4.0]).unwrap();
/// let y = Layer::forward(&mut conv, x.view(), Mode::Train)?;
/// assert_eq!(y.row(0).to_vec(), [10.0; 4]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct Conv2d<T> {
    window: Window,
    kernel: Kernel<T>,
    patches: Vec<T>,
}

impl<T: Scalar> Conv2d<T> {
    /// From weights `w: (kernel rows, kernel columns, in, out)` and a bias `b: (out)`, for images
    /// `(height, width, in)`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for a window that does not fit the image; those of shapes.
    pub fn new(
        image: (usize, usize, usize),
        w: Array4<T>,
        b: Option<Array1<T>>,
        stride: (usize, usize),
        padding: Padding,
    ) -> Result<Self, Error> {
        let (rows, columns, channels, out) = w.dim();
        if channels != image.2 {
            return Err(Error::shape(
                "Conv2d::new",
                &[rows, columns, image.2, out],
                w.shape(),
            ));
        }
        Ok(Self {
            window: Window::new(image, (rows, columns), stride, padding)?,
            kernel: Kernel::new("Conv2d::new", w, b, out)?,
            patches: Vec::new(),
        })
    }

    /// Weights drawn from `init`, a bias of zero. The inputs of `init` are those of one output
    /// value, `kernel · in`, the outputs `kernel · out`, as in Keras and PyTorch.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`Init::sample`]; [`Error::InvalidSetting`] for no filters.
    pub fn init(
        image: (usize, usize, usize),
        config: Conv2dConfig,
        init: Init,
        rng: &mut impl Rng,
    ) -> Result<Self, Error> {
        let Conv2dConfig {
            filters,
            kernel,
            stride,
            padding,
            bias,
            ..
        } = config;
        check_setting(
            "the number of filters",
            "at least 1",
            filters as f64,
            filters > 0,
        )?;
        let window = Window::new(image, kernel, stride, padding)?; // before anything is drawn
        let places = kernel.0 * kernel.1;
        let w = init.sample_for(
            (window.patch(), filters),
            (window.patch(), places * filters),
            rng,
        )?;
        let w = w
            .into_shape_with_order((kernel.0, kernel.1, image.2, filters))
            .map_err(|_| bn_tensor::Error::NotContiguous { op: "Conv2d::init" })?;
        let b = bias.then(|| Array1::zeros(filters));
        Self::new(image, w, b, stride, padding)
    }

    /// The window: image, kernel and output.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The weights `(kernel rows, kernel columns, in, out)`.
    pub fn w(&self) -> Array4<T> {
        self.kernel.in_four(&self.kernel.w)
    }

    /// The bias `(out)`, if there is one.
    pub fn b(&self) -> Option<ArrayView1<'_, T>> {
        self.kernel.b.as_ref().map(|b| b.view())
    }

    /// The gradient of the weights, as [`w`](Self::w), of the last backward pass.
    pub fn dw(&self) -> Array4<T> {
        self.kernel.in_four(&self.kernel.dw)
    }

    /// The gradient of the bias `(out)`, of the last backward pass; empty without a bias.
    pub fn db(&self) -> ArrayView1<'_, T> {
        self.kernel.db().view()
    }
}

impl<T: Scalar> Layer<T> for Conv2d<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        expect_image("Conv2d", &self.window, input)?;
        let (rows, columns) = self.window.output();
        Ok((rows, columns, self.kernel.w.ncols()).into())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: Mode,
        y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        expect_rows("Conv2d", x.nrows())?;
        let (w, b) = (self.kernel.w.view(), self.kernel.bias());
        convolve(&self.window, x, w, b, y, &mut self.patches)?;
        Ok(())
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        expect_rows("Conv2d", x.nrows())?;
        let (w, b) = (self.kernel.w.view(), self.kernel.bias());
        convolve(&self.window, x, w, b, y, scratch)?;
        Ok(())
    }

    fn backward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        const OP: &str = "Conv2d::backward";
        expect_rows(OP, x.nrows())?;
        if let Some(dx) = &dx {
            expect_shape(OP, x.dim(), &dx.view())?;
        }
        let Self {
            window,
            kernel,
            patches,
        } = self;
        convolve_weights(window, x, dout, T::zero(), kernel.dw.view_mut(), patches)?;
        kernel.sum_bias(OP, &dout)?;
        if let Some(dx) = dx {
            convolve_transposed(window, dout, kernel.w.view(), None, dx, patches)?;
        }
        Ok(())
    }

    fn input_gradient_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        const OP: &str = "Conv2d::backward";
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, x.dim(), &dx.view())?;
        let (w, patches) = (self.kernel.w.view(), &mut self.patches);
        convolve_transposed(&self.window, dout, w, None, dx, patches)?;
        Ok(())
    }

    fn fold(&mut self, map: &ChannelMap) -> bool {
        self.kernel.fold(map, |row_and_column| row_and_column.1)
    }

    fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        self.kernel.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        self.kernel.visit_mut(visitor);
    }
}
