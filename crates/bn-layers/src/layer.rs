use crate::{Error, Pointwise, Rectifier};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use std::fmt::Debug;

/// What a forward pass is for. Never a global: it is given with each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Normalise by the batch, move the running statistics, drop out.
    Train,
    /// Normalise by the batch and leave the running statistics alone; drop out. For a gradient
    /// check, or for the fakes that a generator makes for its discriminator.
    BatchStats,
    /// Normalise by the running statistics, drop nothing, change nothing.
    Eval,
}

/// What one row of a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A vector of so many values.
    Flat(usize),
    /// An image, channels last: value `(h, w, c)` stands at `(h·width + w)·channels + c`.
    Image {
        /// Rows of pixels.
        height: usize,
        /// Pixels in a row.
        width: usize,
        /// Values of a pixel.
        channels: usize,
    },
}

impl Shape {
    /// The number of values in a row.
    pub fn size(&self) -> usize {
        match *self {
            Self::Flat(size) => size,
            Self::Image {
                height,
                width,
                channels,
            } => height * width * channels,
        }
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Self::Flat(size)
    }
}

impl From<(usize, usize, usize)> for Shape {
    /// `(height, width, channels)`.
    fn from((height, width, channels): (usize, usize, usize)) -> Self {
        Self::Image {
            height,
            width,
            channels,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flat(size) => write!(f, "{size}"),
            Self::Image {
                height,
                width,
                channels,
            } => write!(f, "{height}×{width}×{channels}"),
        }
    }
}

/// What an array of a layer's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The matrix of an [`Affine`](crate::Affine): what weight decay decays.
    Weight,
    /// What an [`Affine`](crate::Affine) adds.
    Bias,
    /// BatchNormalization's scale.
    Gamma,
    /// BatchNormalization's shift.
    Beta,
    /// BatchNormalization's running mean: kept, not trained.
    RunningMean,
    /// BatchNormalization's running variance: kept, not trained.
    RunningVar,
}

impl Kind {
    /// Whether an optimizer moves it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}

/// One array of a layer's state, to read.
#[derive(Debug, Clone, Copy)]
pub struct Param<'a, T> {
    /// Its name in the layer: `weight`, `bias`, `gamma`, `beta`, `running_mean`, `running_var`.
    pub name: &'a str,
    /// What it is.
    pub kind: Kind,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its values in row-major order.
    pub value: &'a [T],
    /// The gradient of the last backward pass; empty where nothing is trained.
    pub grad: &'a [T],
}

/// One array of a layer's state, to change.
#[derive(Debug)]
pub struct ParamMut<'a, T> {
    /// As [`Param::name`].
    pub name: &'a str,
    /// As [`Param::kind`].
    pub kind: Kind,
    /// As [`Param::shape`].
    pub shape: &'a [usize],
    /// As [`Param::value`].
    pub value: &'a mut [T],
    /// As [`Param::grad`].
    pub grad: &'a [T],
}

/// `y = scale·x + shift` for each channel, then the rectifier, if there is one: a
/// [`BatchNormalization`](crate::BatchNormalization) in evaluation.
#[derive(Debug, Clone)]
pub struct ChannelMap {
    /// Of each channel.
    pub scale: Vec<f64>,
    /// Of each channel.
    pub shift: Vec<f64>,
    /// The rectifier that the layer had absorbed.
    pub rectifier: Option<Rectifier>,
}

/// A step of a network: a function of a batch `x: (N, D)` to `y: (N, E)`, with its gradient.
///
/// The caller owns every activation. [`forward_into`](Self::forward_into) writes `y`, and
/// [`backward_into`](Self::backward_into) is handed the same `x` and `y` again, so no layer copies
/// its input and a step reuses its buffers. [`forward`](Self::forward) and
/// [`backward`](Self::backward) are the same with fresh arrays, for reading and trying out.
///
/// A row may be an image, channels last; [`Shape`] says so.
pub trait Layer<T: Scalar>: Debug + Send + Sync {
    /// The shape of an output row for an input row of shape `input`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::ShapeMismatch`] when such a row cannot pass.
    fn output_shape(&self, input: Shape) -> Result<Shape, Error>;

    /// Whether a batch of `rows` rows of `width` values can pass in `mode`, before anything is
    /// computed or changed.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`], [`Error::TooFewValues`].
    fn check_batch(&self, rows: usize, width: usize, mode: Mode) -> Result<(), Error> {
        let _ = (width, mode);
        if rows == 0 {
            let layer = std::any::type_name::<Self>();
            return Err(Error::EmptyBatch { layer });
        }
        Ok(())
    }

    /// Writes the output for `x: (N, D)` to `y: (N, E)`.
    ///
    /// A NaN or an infinity in `x` passes through to `y`; no layer swallows it.
    ///
    /// # Errors
    /// Shapes that do not fit, and what [`check_batch`](Self::check_batch) refuses.
    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        mode: Mode,
        y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error>;

    /// [`forward_into`](Self::forward_into) in [`Mode::Eval`] without changing the layer, so that
    /// one network serves many threads. `scratch` is the caller's, to be reused.
    ///
    /// # Errors
    /// As [`forward_into`](Self::forward_into).
    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error>;

    /// From `dout: (N, E)`, the gradient of a loss with respect to `y`, keeps the gradients of the
    /// parameters and writes `dx: (N, D)`, where it is wanted. `x` and `y` are those of the last
    /// [`forward_into`](Self::forward_into).
    ///
    /// # Errors
    /// Shapes that do not fit; [`Error::NoForward`].
    fn backward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error>;

    /// Writes `dx: (N, D)` as [`backward_into`](Self::backward_into) does, and leaves the gradients
    /// of the parameters as they are: the way back through a network that only passes the gradient
    /// on, such as a GAN's discriminator while the generator learns. A layer with parameters says
    /// how; of the others `backward_into` is that already.
    ///
    /// # Errors
    /// As [`backward_into`](Self::backward_into).
    fn input_gradient_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        self.backward_into(x, y, dout, Some(dx))
    }

    /// Shows each array of the layer's state, in a fixed order.
    fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        let _ = visitor;
    }

    /// Hands out each array of the layer's state, in the order of [`visit`](Self::visit).
    fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        let _ = visitor;
    }

    /// Shows each counter of the layer's state by its name in the layer, in a fixed order: with the
    /// arrays of [`visit`](Self::visit) all that a checkpoint needs.
    fn visit_counters(&self, visitor: &mut dyn FnMut(&str, u64)) {
        let _ = visitor;
    }

    /// Hands out each counter, in the order of [`visit_counters`](Self::visit_counters).
    fn visit_counters_mut(&mut self, visitor: &mut dyn FnMut(&str, &mut u64)) {
        let _ = visitor;
    }

    /// Moves the running statistics by those of the last batch, as [`Mode::Train`] does at once.
    /// A network runs its layers in [`Mode::BatchStats`] and calls this when the whole pass has
    /// come out finite.
    fn update_running(&mut self) {}

    /// Takes the last forward pass back as far as it can be told later: a random layer repeats
    /// its draw. A network calls this when a pass comes to nothing.
    fn forget_forward(&mut self) {}

    /// What the layer adds to the loss: the penalty of a weight decay.
    fn penalty(&self) -> f64 {
        0.0
    }

    /// What this layer is, if the layer before it may take it over.
    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    /// Takes over the layer that follows this one, if it can: from then on `y` is the output of
    /// both, and `dout` the gradient with respect to it. A network offers it; the two then take one
    /// pass over memory each way instead of two.
    fn absorb(&mut self, next: Pointwise) -> bool {
        let _ = next;
        false
    }

    /// Whether in evaluation a row's output depends on that row alone. A network then evaluates a
    /// large batch in chunks of rows.
    fn is_row_by_row(&self) -> bool {
        true
    }

    /// What this layer is in evaluation, if it is a map of each channel by itself.
    fn channel_map(&self) -> Option<ChannelMap> {
        None
    }

    /// Takes over, for inference, the map of each of its output's channels that follows it, if it
    /// can: its own weights and bias then do the work of both. The map's rectifier is left out.
    fn fold(&mut self, map: &ChannelMap) -> bool {
        let _ = map;
        false
    }

    /// While held, a random layer repeats its last draw (for a gradient check).
    fn hold_draws(&mut self, hold: bool) {
        let _ = hold;
    }

    /// [`forward_into`](Self::forward_into) to a new array `(N, E)`.
    ///
    /// # Errors
    /// As [`forward_into`](Self::forward_into).
    fn forward(&mut self, x: ArrayView2<'_, T>, mode: Mode) -> Result<Array2<T>, Error> {
        let width = self.output_shape(Shape::Flat(x.ncols()))?.size();
        let mut y = Array2::zeros((x.nrows(), width));
        self.forward_into(x, mode, y.view_mut())?;
        Ok(y)
    }

    /// [`backward_into`](Self::backward_into) to a new array `dx: (N, D)`.
    ///
    /// # Errors
    /// As [`backward_into`](Self::backward_into).
    fn backward(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
    ) -> Result<Array2<T>, Error> {
        let mut dx = Array2::zeros(x.dim());
        self.backward_into(x, y, dout, Some(dx.view_mut()))?;
        Ok(dx)
    }
}

/// `Ok` when `got` has the shape `expected`.
pub(crate) fn expect_shape<T>(
    op: &'static str,
    expected: (usize, usize),
    got: &ArrayView2<'_, T>,
) -> Result<(), Error> {
    if got.dim() == expected {
        return Ok(());
    }
    Err(Error::shape(op, &[expected.0, expected.1], got.shape()))
}

/// `Ok` when there is at least one row.
pub(crate) fn expect_rows(layer: &'static str, rows: usize) -> Result<(), Error> {
    if rows == 0 {
        return Err(Error::EmptyBatch { layer });
    }
    Ok(())
}
