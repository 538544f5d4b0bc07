use super::kernel::{Kernel, expect_image};
use crate::{
    ChannelMap, Conv2dConfig, Dropout, Error, Init, Layer, Mode, Param, ParamMut, Pointwise,
    Rectifier, Shape,
    error::check_setting,
    layer::{expect_rows, expect_shape},
};
use bn_tensor::{
    ConvolutionGradients, ConvolutionScratch, Epilogue, Mask, Padding, Scalar, Window,
    convolve_backward, convolve_then,
};
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
/// Beside its weights it holds the patches of a block of images and the gradients of its outputs, 2 MiB
/// together (or those of one row of one image).
///
/// A network lets it [absorb](Layer::absorb) the rectifier and the Dropout that follow it.
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
    rectifier: Option<Rectifier>, // absorbed
    dropout: Option<Dropout>,     // absorbed, after the rectifier
    scratch: ConvolutionScratch<T>,
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
            rectifier: None,
            dropout: None,
            scratch: ConvolutionScratch::default(),
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

    /// Values of an output row.
    fn outputs(&self) -> usize {
        let (rows, columns) = self.window.output();
        rows * columns * self.kernel.w.ncols()
    }

    /// Whether it has absorbed nothing.
    fn is_linear(&self) -> bool {
        self.rectifier.is_none() && self.dropout.is_none()
    }

    /// What it does to its values in the same pass, with this mask of Dropout.
    fn epilogue(&self, mask: Option<Mask<T>>) -> Epilogue<T> {
        let slope = self
            .rectifier
            .map(|rectifier| T::from_f64(rectifier.slope()));
        Epilogue { slope, mask }
    }

    /// The way back, to the parameters or not.
    fn gradients(
        &mut self,
        passed: [ArrayView2<'_, T>; 3],
        of_params: bool,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        const OP: &str = "Conv2d::backward";
        let x = &passed[0];
        expect_rows(OP, x.nrows())?;
        if let Some(dx) = &dx {
            expect_shape(OP, x.dim(), &dx.view())?;
        }
        let mask = match &self.dropout {
            Some(dropout) => Some(dropout.mask_for(OP, &passed[1])?),
            None => None,
        };
        let then = self.epilogue(mask);
        let (w, dw, db) = self.kernel.gradients();
        let of_params = of_params.then_some((dw, db));
        let (dw, db) = of_params.unzip();
        let gradients = ConvolutionGradients {
            dw,
            db: db.flatten(),
            dx,
        };
        let scratch = &mut self.scratch;
        convolve_backward(&self.window, passed, w, &then, gradients, scratch)?;
        Ok(())
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
        mode: Mode,
        y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        expect_rows("Conv2d", x.nrows())?;
        expect_shape("Conv2d", (x.nrows(), self.outputs()), &y.view())?;
        let mask = self.dropout.as_mut().map(|d| d.begin(y.dim(), mode));
        let then = self.epilogue(mask);
        let (w, b) = (self.kernel.w.view(), self.kernel.bias());
        convolve_then(&self.window, x, w, b, &then, y, &mut self.scratch.patches)?;
        Ok(())
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        expect_rows("Conv2d", x.nrows())?;
        let then = self.epilogue(self.dropout.as_ref().map(Dropout::evaluation));
        let (w, b) = (self.kernel.w.view(), self.kernel.bias());
        convolve_then(&self.window, x, w, b, &then, y, scratch)?;
        Ok(())
    }

    fn backward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        self.gradients([x, y, dout], true, dx)
    }

    fn input_gradient_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        self.gradients([x, y, dout], false, Some(dx))
    }

    fn absorb(&mut self, next: Pointwise) -> bool {
        match next {
            Pointwise::Rectifier(rectifier) if self.is_linear() => {
                self.rectifier = Some(rectifier);
            }
            Pointwise::Dropout(dropout) if self.dropout.is_none() => self.dropout = Some(dropout),
            _ => return false,
        }
        true
    }

    fn fold(&mut self, map: &ChannelMap) -> bool {
        self.is_linear() && self.kernel.fold(map, |row_and_column| row_and_column.1)
    }

    fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        self.kernel.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        self.kernel.visit_mut(visitor);
    }

    fn visit_counters(&self, visitor: &mut dyn FnMut(&str, u64)) {
        if let Some(dropout) = &self.dropout {
            Layer::<T>::visit_counters(dropout, visitor);
        }
    }

    fn visit_counters_mut(&mut self, visitor: &mut dyn FnMut(&str, &mut u64)) {
        if let Some(dropout) = &mut self.dropout {
            Layer::<T>::visit_counters_mut(dropout, visitor);
        }
    }

    fn hold_draws(&mut self, hold: bool) {
        if let Some(dropout) = &mut self.dropout {
            Layer::<T>::hold_draws(dropout, hold);
        }
    }

    fn forget_forward(&mut self) {
        if let Some(dropout) = &mut self.dropout {
            Layer::<T>::forget_forward(dropout);
        }
    }
}
