use crate::{
    Error, Layer, Mode, Shape,
    convolution::expect_image_of,
    error::check_setting,
    layer::{expect_rows, expect_shape},
    order::{in_order, in_order_mut},
};
use bn_tensor::{Scalar, fill_pieces};
use ndarray::{ArrayView2, ArrayViewMut2};

/// Repeats each pixel `factor` times down and across (PyTorch's `Upsample(mode="nearest")`, Keras'
/// `UpSampling2D`).
///
/// ```text
/// y[i, j, c] = x[⌊i / factor⌋, ⌊j / factor⌋, c]
/// ```
///
/// Rows of `x: (N, H·W·C)` are images, channels last. Train and Eval are the same.
///
/// ```
/// use bn_layers::{Layer, Mode, Upsample2d};
/// use ndarray::array;
/// let mut upsample = Upsample2d::new((1, 2, 1), 2)?;
/// let y = upsample.forward(array![[1.0, 2.0]].view(), Mode::Train)?;
/// assert_eq!(y, array![[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct Upsample2d {
    image: (usize, usize, usize),
    factor: usize,
}

impl Upsample2d {
    /// For images `(height, width, channels)`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a factor of 0 or one that makes images larger than memory,
    /// [`Error::Tensor`] for an empty image.
    pub fn new(image: (usize, usize, usize), factor: usize) -> Result<Self, Error> {
        let (height, width, channels) = image;
        let size = [height, width, channels, factor, factor];
        let size = size.into_iter().try_fold(1usize, usize::checked_mul);
        let passes = factor > 0 && size.is_some_and(|size| isize::try_from(size).is_ok());
        check_setting(
            "the upsampling factor",
            "at least 1, the image within memory",
            factor as f64,
            passes,
        )?;
        if size == Some(0) {
            return Err(Error::shape(
                "Upsample2d",
                &[1, 1, 1],
                &[height, width, channels],
            ));
        }
        Ok(Self { image, factor })
    }

    fn lengths(&self) -> (usize, usize) {
        let (height, width, channels) = self.image;
        let image = height * width * channels;
        (image, image * self.factor * self.factor)
    }

    /// Calls `f(pixel of x, pixel of y)` for each pixel of y.
    fn for_each_pixel(&self, mut f: impl FnMut(usize, usize)) {
        let (height, width, _) = self.image;
        let across = width * self.factor;
        for i in 0..height * self.factor {
            for j in 0..across {
                f(i / self.factor * width + j / self.factor, i * across + j);
            }
        }
    }

    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        const OP: &str = "Upsample2d";
        let ((image, out), channels) = (self.lengths(), self.image.2);
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, (x.nrows(), image), &x)?;
        expect_shape(OP, (x.nrows(), out), &y.view())?;
        let (x, y) = (in_order(OP, &x)?, in_order_mut(OP, &mut y)?);
        fill_pieces(y, out, |i, y| {
            let x = &x[i * image..][..image];
            self.for_each_pixel(|from, to| {
                y[to * channels..][..channels].copy_from_slice(&x[from * channels..][..channels]);
            });
        });
        Ok(())
    }
}

impl<T: Scalar> Layer<T> for Upsample2d {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        expect_image_of("Upsample2d", self.image, input)?;
        let (height, width, channels) = self.image;
        Ok((height * self.factor, width * self.factor, channels).into())
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
        const OP: &str = "Upsample2d::backward";
        let ((image, out), channels) = (self.lengths(), self.image.2);
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, (x.nrows(), image), &x)?;
        expect_shape(OP, (x.nrows(), out), &dout)?;
        let Some(mut dx) = dx else { return Ok(()) };
        expect_shape(OP, x.dim(), &dx.view())?;
        let dout = in_order(OP, &dout)?;
        fill_pieces(in_order_mut(OP, &mut dx)?, image, |i, dx| {
            let dout = &dout[i * out..][..out];
            dx.fill(T::zero());
            self.for_each_pixel(|to, from| {
                let dx = &mut dx[to * channels..][..channels];
                let dout = &dout[from * channels..][..channels];
                dx.iter_mut().zip(dout).for_each(|(dx, &dout)| *dx += dout);
            });
        });
        Ok(())
    }
}
