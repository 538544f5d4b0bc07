use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::Pass,
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Scalar, check_setting, fill_pieces, in_order, in_order_mut};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Zip};

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
#[derive(Debug, Clone, Copy)]
pub struct Softmax {
    classes: usize,
}

/// `y = log softmax(x) = x − log Σ exp(x)` over the C classes. See [`Softmax`] for the shapes.
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
///
/// # Errors
/// As [`Softmax`].
#[derive(Debug, Clone, Copy)]
pub struct LogSoftmax {
    classes: usize,
}

fn checked(classes: usize) -> Result<usize, Error> {
    check_setting(
        "the number of classes",
        "at least 1",
        classes as f64,
        classes > 0,
    )?;
    Ok(classes)
}

impl Softmax {
    /// Creates the layer for this number of classes.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0 classes.
    pub fn new(classes: usize) -> Result<Self, Error> {
        let classes = checked(classes)?;
        Ok(Self { classes })
    }
}

impl LogSoftmax {
    /// Creates the layer for this number of classes.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0 classes.
    pub fn new(classes: usize) -> Result<Self, Error> {
        let classes = checked(classes)?;
        Ok(Self { classes })
    }
}

/// Values that a thread computes at a time.
const PIECE: usize = 1 << 12;

/// Calls `f(input, output)` for the C values of each row or pixel of `x` and `y`.
fn for_each_pixel<T: Scalar>(
    op: &'static str,
    classes: usize,
    x: ArrayView2<'_, T>,
    mut y: ArrayViewMut2<'_, T>,
    f: impl Fn(&[T], &mut [T]) + Sync,
) -> Result<(), Error> {
    Error::check_rows(op, classes, x.dim(), &[y.dim()])?;
    let x = in_order(op, &x)?;
    let piece = PIECE.next_multiple_of(classes);
    fill_pieces(in_order_mut(op, &mut y)?, piece, |i, y| {
        let x = x[i * piece..].chunks_exact(classes);
        x.zip(y.chunks_exact_mut(classes))
            .for_each(|(x, y)| f(x, y));
    });
    Ok(())
}

/// As [`for_each_pixel`], for `f(y, dout, dx)` of a backward pass.
fn for_each_gradient<T: Scalar>(
    op: &'static str,
    classes: usize,
    io: Io<'_, T>,
    wanted: Wanted<'_, T>,
    f: impl Fn(&[T], &[T], &mut [T]) + Sync,
) -> Result<(), Error> {
    let Some(mut dx) = wanted.dx else {
        return Ok(());
    };
    let others = [io.y.dim(), io.dout.dim(), dx.dim()];
    Error::check_rows(op, classes, io.x.dim(), &others)?;
    let (y, dout) = (in_order(op, &io.y)?, in_order(op, &io.dout)?);
    let piece = PIECE.next_multiple_of(classes);
    fill_pieces(in_order_mut(op, &mut dx)?, piece, |i, dx| {
        let y = y[i * piece..].chunks_exact(classes);
        let dout = dout[i * piece..].chunks_exact(classes);
        let pixels = y.zip(dout).zip(dx.chunks_exact_mut(classes));
        pixels.for_each(|((y, dout), dx)| f(y, dout, dx));
    });
    Ok(())
}

fn output_shape(op: &'static str, classes: usize, input: Shape) -> Result<Shape, Error> {
    let fits = match input {
        Shape::Image { channels, .. } => channels == classes,
        Shape::Flat(size) => size.is_multiple_of(classes),
    };
    match fits {
        true => Ok(input),
        false => Err(Error::shape(op, &[classes], &[input.size()])),
    }
}

impl Softmax {
    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        for_each_pixel("Softmax", self.classes, x, y, |x, y| {
            softmax(ArrayView1::from(x), ArrayViewMut1::from(y));
        })
    }
}

impl<T: Scalar> Layer<T> for Softmax {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        output_shape("Softmax", self.classes, input)
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
        for_each_gradient("Softmax", self.classes, io, wanted, |y, dout, dx| {
            let dot: T = y.iter().zip(dout).map(|(&y, &dout)| y * dout).sum();
            for ((dx, &y), &dout) in dx.iter_mut().zip(y).zip(dout) {
                *dx = y * (dout - dot);
            }
        })
    }

    fn rows_are_independent(&self) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Softmax", self.classes))
    }
}

impl LogSoftmax {
    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        for_each_pixel("LogSoftmax", self.classes, x, y, |x, y| {
            let log_sum = T::from_f64(softmax(ArrayView1::from(x), ArrayViewMut1::from(&mut *y)));
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x - log_sum);
        })
    }
}

impl<T: Scalar> Layer<T> for LogSoftmax {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        output_shape("LogSoftmax", self.classes, input)
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
        for_each_gradient("LogSoftmax", self.classes, io, wanted, |y, dout, dx| {
            let sum: T = dout.iter().copied().sum();
            for ((dx, &y), &dout) in dx.iter_mut().zip(y).zip(dout) {
                *dx = dout - y.exp() * sum;
            }
        })
    }

    fn rows_are_independent(&self) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("LogSoftmax", self.classes))
    }
}
