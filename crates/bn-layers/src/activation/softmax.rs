use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    rows::for_each_row,
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Scalar, check_setting};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Zip};
use std::{fmt::Debug, marker::PhantomData};

/// Writes the softmax of `x: (C)` to `y: (C)` and returns `log Σ exp(x)`. If `x` has infinite values,
/// the probabilities are shared by the values that are equal to the largest one.
///
/// ```
/// use ndarray::{Array1, array};
/// let (x, mut y) = (array![1000.0f64, 1000.0], Array1::zeros(2));
/// let log_sum = bn_layers::softmax(x.view(), y.view_mut());
/// assert_eq!(y, array![0.5, 0.5]);
/// assert_eq!(log_sum, 1000.0 + 2f64.ln());
/// ```
pub fn softmax<T: Scalar>(x: ArrayView1<'_, T>, mut y: ArrayViewMut1<'_, T>) -> f64 {
    let max = x.iter().copied().fold(T::neg_infinity(), T::max);
    Zip::from(&mut y)
        .and(x)
        .for_each(|y, &x| *y = if x == max { T::one() } else { (x - max).exp() });
    let sum: f64 = y.iter().map(|y| y.as_f64()).sum();
    let scale = T::from_f64(sum.recip());
    y.iter_mut().for_each(|y| *y *= scale);
    max.as_f64() + sum.ln()
}

/// `y = exp(x)/Σ exp(x)` over the C classes (the book's `softmax`, `common/functions.py`).
///
/// ```text
/// dx = y·(dout − Σ dout·y)
/// ```
///
/// Shapes: `(N, D)`, where D is C, or a multiple of C: the pixels of images, whose channels are the
/// classes. Train and Eval do the same. To train a classifier, leave it out and use
/// `SoftmaxWithLoss`, which is more accurate.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Softmax};
/// let y = Softmax::new(2)?.forward(ndarray::array![[0.0, 3f64.ln()]].view(), Mode::Train)?;
/// assert!((y[[0, 0]] - 0.25).abs() < 1e-15);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] if a shape does not fit, [`Error::EmptyBatch`].
pub type Softmax = OverClasses<OfSoftmax>;

/// `y = log softmax(x) = x − log Σ exp(x)` over the C classes. See [`Softmax`] for shapes and errors.
///
/// ```text
/// dx = dout − exp(y)·Σ dout
/// ```
///
/// ```
/// use bn_layers::{LayerExt, LogSoftmax, Mode};
/// let y = LogSoftmax::new(2)?.forward(ndarray::array![[1e4, 1e4]].view(), Mode::Train)?;
/// assert!((y[[0, 0]] + 2f64.ln()).abs() < 1e-9);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub type LogSoftmax = OverClasses<OfLogSoftmax>;

/// A function over the classes of each row or pixel: [`Softmax`] or [`LogSoftmax`].
#[derive(Debug, Clone, Copy)]
pub struct OverClasses<F> {
    classes: usize,
    function: PhantomData<F>,
}

/// The function of an [`OverClasses`] layer.
pub trait ClassFunction: Debug + Clone + Send + Sync + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    fn value<T: Scalar>(x: &[T], y: &mut [T]);
    #[doc(hidden)]
    fn gradient<T: Scalar>(y: &[T], dout: &[T], dx: &mut [T]);
}

/// The function of [`Softmax`].
#[derive(Debug, Clone, Copy)]
pub enum OfSoftmax {}

impl ClassFunction for OfSoftmax {
    const NAME: &'static str = "Softmax";

    fn value<T: Scalar>(x: &[T], y: &mut [T]) {
        softmax(ArrayView1::from(x), ArrayViewMut1::from(y));
    }

    fn gradient<T: Scalar>(y: &[T], dout: &[T], dx: &mut [T]) {
        let dot: T = y.iter().zip(dout).map(|(&y, &dout)| y * dout).sum();
        for ((dx, &y), &dout) in dx.iter_mut().zip(y).zip(dout) {
            *dx = y * (dout - dot);
        }
    }
}

/// The function of [`LogSoftmax`].
#[derive(Debug, Clone, Copy)]
pub enum OfLogSoftmax {}

impl ClassFunction for OfLogSoftmax {
    const NAME: &'static str = "LogSoftmax";

    fn value<T: Scalar>(x: &[T], y: &mut [T]) {
        let log_sum = softmax(ArrayView1::from(x), ArrayViewMut1::from(&mut *y));
        let log_sum = T::from_f64(log_sum);
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = x - log_sum);
    }

    fn gradient<T: Scalar>(y: &[T], dout: &[T], dx: &mut [T]) {
        let sum: T = dout.iter().copied().sum();
        for ((dx, &y), &dout) in dx.iter_mut().zip(y).zip(dout) {
            *dx = dout - y.exp() * sum;
        }
    }
}

impl<F: ClassFunction> OverClasses<F> {
    /// Creates the layer for this number of classes.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0 classes.
    pub fn new(classes: usize) -> Result<Self, Error> {
        let what = "the number of classes";
        check_setting(what, "at least 1", classes as f64, classes > 0)?;
        Ok(Self {
            classes,
            function: PhantomData,
        })
    }

    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let width = x.ncols();
        for_each_row(F::NAME, [(&x, width)], (&mut y, width), |[x], y| {
            let pixels = x.chunks_exact(self.classes);
            let pixels = pixels.zip(y.chunks_exact_mut(self.classes));
            pixels.for_each(|(x, y)| F::value(x, y));
        })
    }
}

impl<T: Scalar, F: ClassFunction> Layer<T> for OverClasses<F> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let fits = match input {
            Shape::Image { channels, .. } => channels == self.classes,
            Shape::Flat(size) => size.is_multiple_of(self.classes),
        };
        match fits {
            true => Ok(input),
            false => Err(Error::shape(F::NAME, &[self.classes], &[input.size()])),
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
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let width = io.x.ncols();
        let from = [(&io.y, width), (&io.dout, width)];
        for_each_row(F::NAME, from, (&mut dx, width), |[y, dout], dx| {
            let pixels = y.chunks_exact(self.classes);
            let pixels = pixels.zip(dout.chunks_exact(self.classes));
            let pixels = pixels.zip(dx.chunks_exact_mut(self.classes));
            pixels.for_each(|((y, dout), dx)| F::gradient(y, dout, dx));
        })
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new(F::NAME, self.classes))
    }
}
