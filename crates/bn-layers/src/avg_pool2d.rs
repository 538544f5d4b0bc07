use crate::{
    Error, Layer, Mode, Shape,
    convolution::expect_image,
    error::check_setting,
    layer::{expect_rows, expect_shape},
    max_pool2d::{for_each_pixel, lengths},
    order::{in_order, in_order_mut},
};
use bn_tensor::{Padding, Scalar, Window, fill_pieces};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The mean of the values under a window, channel by channel (PyTorch's `AvgPool2d`, Keras'
/// `AveragePooling2D`).
///
/// ```text
/// y[i, j, c] = Σ x[i·stride + a − top, j·stride + b − left, c] / count
/// ```
///
/// The count is that of the pixels in the image, as in Keras, or the window's size, padding counted
/// as zeros, as in PyTorch ([`counting_padding`](Self::counting_padding)). Rows of `x: (N, H·W·C)`
/// are images, channels last. Train and Eval are the same.
///
/// ```
/// use bn_layers::{AvgPool2d, Layer, Mode, Padding};
/// use ndarray::array;
/// let x = array![[1.0, 5.0, 2.0, 0.0]];
/// let mut pool = AvgPool2d::new((2, 2, 1), (2, 2), (1, 1), Padding::Valid)?;
/// assert_eq!(pool.forward(x.view(), Mode::Train)?, array![[2.0]]);
/// // Of a whole image, to a flat row.
/// let mut pool = AvgPool2d::global((2, 1, 2))?;
/// assert_eq!(pool.forward(x.view(), Mode::Train)?, array![[1.5, 2.5]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct AvgPool2d {
    window: Window,
    counts_padding: bool,
    global: bool,
}

impl AvgPool2d {
    /// A window of `kernel` moved by `stride` over images `(height, width, channels)`.
    ///
    /// # Errors
    /// As [`MaxPool2d::new`](crate::MaxPool2d::new).
    pub fn new(
        image: (usize, usize, usize),
        kernel: (usize, usize),
        stride: (usize, usize),
        padding: Padding,
    ) -> Result<Self, Error> {
        let window = Window::new(image, kernel, stride, padding)?;
        check_padding(kernel, padding)?;
        Ok(Self {
            window,
            counts_padding: false,
            global: false,
        })
    }

    /// The mean of each channel of the whole image (Keras' `GlobalAveragePooling2D`).
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for an empty image.
    pub fn global(image: (usize, usize, usize)) -> Result<Self, Error> {
        let pool = Self::new(image, (image.0, image.1), (1, 1), Padding::Valid)?;
        Ok(Self {
            global: true,
            ..pool
        })
    }

    /// Counts padding as zeros, as PyTorch does by default.
    #[must_use]
    pub fn counting_padding(self) -> Self {
        Self {
            counts_padding: true,
            ..self
        }
    }

    fn count<T: Scalar>(&self, place: usize) -> T {
        let columns = self.window.output().1;
        let (rows, across) = match self.counts_padding {
            true => self.window.kernel(),
            false => (
                self.window.clip_rows(place / columns).0.len(),
                self.window.clip_columns(place % columns).0.len(),
            ),
        };
        T::from_f64((rows * across) as f64)
    }

    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        const OP: &str = "AvgPool2d";
        let (image, out) = lengths(&self.window);
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, (x.nrows(), image), &x)?;
        expect_shape(OP, (x.nrows(), out), &y.view())?;
        let (x, y) = (in_order(OP, &x)?, in_order_mut(OP, &mut y)?);
        let (_, width, channels) = self.window.image();
        fill_pieces(y, out, |i, y| {
            let x = &x[i * image..][..image];
            y.fill(T::zero());
            for_each_pixel(&self.window, |place, row, column| {
                let y = &mut y[place * channels..][..channels];
                let x = &x[(row * width + column) * channels..][..channels];
                y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
            });
            for (place, y) in y.chunks_exact_mut(channels).enumerate() {
                let count = self.count::<T>(place);
                y.iter_mut().for_each(|y| *y /= count);
            }
        });
        Ok(())
    }
}

/// `Ok` when every place of the window has a pixel of the image under it.
pub(crate) fn check_padding(kernel: (usize, usize), padding: Padding) -> Result<(), Error> {
    let Padding::Explicit {
        top,
        bottom,
        left,
        right,
    } = padding
    else {
        return Ok(());
    };
    let (most, kernel) = [(top.max(bottom), kernel.0), (left.max(right), kernel.1)]
        .into_iter()
        .find(|(most, kernel)| most >= kernel)
        .unwrap_or((0, 1));
    check_setting(
        "a pool's padding",
        "less than its kernel",
        most as f64,
        most < kernel,
    )
}

impl<T: Scalar> Layer<T> for AvgPool2d {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        expect_image("AvgPool2d", &self.window, input)?;
        let ((rows, columns), channels) = (self.window.output(), self.window.image().2);
        Ok(match self.global {
            true => channels.into(),
            false => (rows, columns, channels).into(),
        })
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
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        const OP: &str = "AvgPool2d::backward";
        let (image, out) = lengths(&self.window);
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, (x.nrows(), image), &x)?;
        expect_shape(OP, (x.nrows(), out), &dout)?;
        let Some(mut dx) = dx else { return Ok(()) };
        expect_shape(OP, x.dim(), &dx.view())?;
        let dout = in_order(OP, &dout)?;
        let (_, width, channels) = self.window.image();
        fill_pieces(in_order_mut(OP, &mut dx)?, image, |i, dx| {
            let dout = &dout[i * out..][..out];
            dx.fill(T::zero());
            for_each_pixel(&self.window, |place, row, column| {
                let share = T::one() / self.count::<T>(place);
                let dx = &mut dx[(row * width + column) * channels..][..channels];
                let dout = &dout[place * channels..][..channels];
                dx.iter_mut()
                    .zip(dout)
                    .for_each(|(dx, &dout)| *dx += dout * share);
            });
        });
        Ok(())
    }
}
