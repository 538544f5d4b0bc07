use crate::{
    Error, Layer, Mode, Shape,
    convolution::expect_image,
    layer::{expect_rows, expect_shape},
    order::{in_order, in_order_mut},
};
use bn_tensor::{Padding, Scalar, Window, fill_pieces};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The largest value under a window, channel by channel (PyTorch's `MaxPool2d`, Keras'
/// `MaxPooling2D`, the book's `Pooling` in `common/layers.py`).
///
/// ```text
/// y[i, j, c] = max x[i·stride + a − top, j·stride + b − left, c]       of pixels in the image
/// ```
///
/// Rows of `x: (N, H·W·C)` are images, channels last. The gradient goes to the first of the largest
/// values in row-major order; a NaN is larger than all. Train and Eval are the same.
///
/// ```
/// use bn_layers::{Layer, MaxPool2d, Mode, Padding};
/// use ndarray::array;
/// let mut pool = MaxPool2d::new((2, 4, 1), (2, 2), (2, 2), Padding::Valid)?;
/// let x = array![[1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 7.0, 6.0]];
/// let y = pool.forward(x.view(), Mode::Train)?;
/// assert_eq!(y, array![[5.0, 7.0]]);
/// let dx = pool.backward(x.view(), y.view(), array![[1.0, 2.0]].view())?;
/// assert_eq!(dx, array![[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct MaxPool2d {
    window: Window,
}

impl MaxPool2d {
    /// A window of `kernel` moved by `stride` over images `(height, width, channels)`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for a window that does not fit; [`Error::InvalidSetting`] for a
    /// padding as large as the kernel, under which there would be no pixel.
    pub fn new(
        image: (usize, usize, usize),
        kernel: (usize, usize),
        stride: (usize, usize),
        padding: Padding,
    ) -> Result<Self, Error> {
        let window = Window::new(image, kernel, stride, padding)?;
        super::avg_pool2d::check_padding(kernel, padding)?;
        Ok(Self { window })
    }

    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        const OP: &str = "MaxPool2d";
        let (image, out) = lengths(&self.window);
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, (x.nrows(), image), &x)?;
        expect_shape(OP, (x.nrows(), out), &y.view())?;
        let (x, y) = (in_order(OP, &x)?, in_order_mut(OP, &mut y)?);
        let (_, width, channels) = self.window.image();
        fill_pieces(y, out, |i, y| {
            let x = &x[i * image..][..image];
            y.fill(T::neg_infinity());
            for_each_pixel(&self.window, |place, row, column| {
                let y = &mut y[place * channels..][..channels];
                let x = &x[(row * width + column) * channels..][..channels];
                for (y, &x) in y.iter_mut().zip(x) {
                    if x > *y || x.is_nan() {
                        *y = x;
                    }
                }
            });
        });
        Ok(())
    }
}

/// Values of an image and of an output.
pub(crate) fn lengths(window: &Window) -> (usize, usize) {
    let ((height, width, channels), (rows, columns)) = (window.image(), window.output());
    (height * width * channels, rows * columns * channels)
}

/// Calls `f(place, row, column)` for each pixel of the image under the window at each place.
pub(crate) fn for_each_pixel(window: &Window, mut f: impl FnMut(usize, usize, usize)) {
    let (rows, columns) = window.output();
    for i in 0..rows {
        let (lines, top) = window.clip_rows(i);
        for j in 0..columns {
            let (across, left) = window.clip_columns(j);
            for row in top..top + lines.len() {
                for column in left..left + across.len() {
                    f(i * columns + j, row, column);
                }
            }
        }
    }
}

impl<T: Scalar> Layer<T> for MaxPool2d {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        expect_image("MaxPool2d", &self.window, input)?;
        let ((rows, columns), channels) = (self.window.output(), self.window.image().2);
        Ok((rows, columns, channels).into())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: Mode,
        y: ArrayViewMut2<'_, T>,
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
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        const OP: &str = "MaxPool2d::backward";
        let (image, out) = lengths(&self.window);
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, (x.nrows(), image), &x)?;
        expect_shape(OP, (x.nrows(), out), &y)?;
        expect_shape(OP, y.dim(), &dout)?;
        let Some(mut dx) = dx else { return Ok(()) };
        expect_shape(OP, x.dim(), &dx.view())?;
        let (x, y, dout) = (in_order(OP, &x)?, in_order(OP, &y)?, in_order(OP, &dout)?);
        let (_, width, channels) = self.window.image();
        fill_pieces(in_order_mut(OP, &mut dx)?, image, |i, dx| {
            let (x, y) = (&x[i * image..][..image], &y[i * out..][..out]);
            let dout = &dout[i * out..][..out];
            dx.fill(T::zero());
            for place in 0..out / channels {
                let (lines, top) = self.window.clip_rows(place / self.window.output().1);
                let (across, left) = self.window.clip_columns(place % self.window.output().1);
                for c in 0..channels {
                    let (largest, dout) = (y[place * channels + c], dout[place * channels + c]);
                    let mut pixels = (top..top + lines.len()).flat_map(|row| {
                        (left..left + across.len()).map(move |column| row * width + column)
                    });
                    let is_largest = |&pixel: &usize| {
                        let x = x[pixel * channels + c];
                        x == largest || (x.is_nan() && largest.is_nan())
                    };
                    if let Some(pixel) = pixels.find(is_largest) {
                        dx[pixel * channels + c] += dout;
                    }
                }
            }
        });
        Ok(())
    }
}
