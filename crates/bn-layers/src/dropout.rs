use crate::{
    error::Error,
    layer::{Io, Layer, Outcome, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
    state::{State, StateMut},
};
use bn_tensor::{Mask, Scalar, check_setting, in_order, in_order_mut};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

/// Sets each value to zero with probability `ratio` (arXiv:1207.0580; the book's `Dropout`,
/// `common/layers.py`).
///
/// | | Train, BatchStats | Eval |
/// |---|---|---|
/// | inverted ([`Dropout::new`], as PyTorch and Keras) | `y = x·mask/(1 − ratio)` | `y = x` |
/// | the book's ([`Dropout::book`]) | `y = x·mask` | `y = x·(1 − ratio)` |
///
/// Shapes: any `(N, D)`. The k-th mask depends only on the seed and k, and is never stored: the
/// backward pass computes it again, which takes less time than reading it from memory. After a
/// failed step, the same mask is drawn again.
///
/// ```
/// use bn_layers::{Dropout, LayerExt, Mode};
/// use ndarray::Array2;
/// let x = Array2::<f32>::ones((100, 100));
/// let mut dropout = Dropout::new(0.5, 7)?;
/// let y = dropout.forward(x.view(), Mode::Train)?;
/// assert!(y.iter().all(|&v| v == 0.0 || v == 2.0));
/// assert_eq!(dropout.forward(x.view(), Mode::Eval)?, x);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] if a shape does not fit, [`Error::EmptyBatch`] if there are no rows,
/// [`Error::NoForward`] if `x` does not have the shape of the last forward pass.
#[derive(Debug, Clone)]
pub struct Dropout {
    ratio: f64,
    kept: f64,      // the factor of a kept value in training
    evaluated: f64, // the factor of every value in evaluation
    seed: u64,
    draws: u64,
    drawn: Option<u64>, // the index of the last forward pass's mask; none in evaluation
    shape: (usize, usize), // (N, D) of the last forward pass
    is_pending: bool,   // whether the last forward pass drew a mask and its step has not ended
}

impl Dropout {
    /// Creates inverted dropout: it scales in training, so that evaluation is the identity.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless `0 ≤ ratio < 1`.
    pub fn new(ratio: f64, seed: u64) -> Result<Self, Error> {
        let ratio = checked(ratio)?;
        Ok(Self::with(ratio, 1.0 / (1.0 - ratio), 1.0, seed))
    }

    /// Creates the book's dropout: it scales in evaluation.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless `0 ≤ ratio < 1`.
    pub fn book(ratio: f64, seed: u64) -> Result<Self, Error> {
        let ratio = checked(ratio)?;
        Ok(Self::with(ratio, 1.0, 1.0 - ratio, seed))
    }

    fn with(ratio: f64, kept: f64, evaluation: f64, seed: u64) -> Self {
        Self {
            ratio,
            kept,
            evaluated: evaluation,
            seed,
            draws: 0,
            drawn: None,
            shape: (0, 0),
            is_pending: false,
        }
    }

    /// The seed and the number of masks drawn from it: the complete state of the generator.
    pub fn seed_and_draws(&self) -> (u64, u64) {
        (self.seed, self.draws)
    }

    /// Begins a forward pass of this shape and returns its mask.
    pub(crate) fn begin<T: Scalar>(&mut self, shape: (usize, usize), pass: &Pass<'_>) -> Mask<T> {
        self.shape = shape;
        if !pass.continues() {
            self.is_pending = pass.mode() != Mode::Eval;
            self.drawn = self.is_pending.then_some(self.draws);
            self.draws = self.draws.wrapping_add(self.is_pending.into());
        }
        self.mask(pass)
    }

    /// The mask of the last forward pass.
    fn mask<T: Scalar>(&self, pass: &Pass<'_>) -> Mask<T> {
        let Some(draw) = self.drawn else {
            return self.evaluation();
        };
        Mask {
            key: mixed(self.seed, draw),
            start: pass.first_row().wrapping_mul(self.shape.1),
            ratio: self.ratio,
            kept: T::from_f64(self.kept),
        }
    }

    /// The mask of the last forward pass, if `x` has the same shape. (Another shard may have more rows.)
    pub(crate) fn mask_for<T: Scalar>(
        &self,
        x: &ArrayView2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<Mask<T>, Error> {
        let is_shard = pass.reduction().is_some() && self.shape.1 == x.ncols();
        if self.shape != x.dim() && !is_shard {
            return Err(Error::NoForward {
                layer: "Dropout",
                expected: self.shape.0,
                got: x.nrows(),
            });
        }
        Ok(self.mask(pass))
    }

    /// The mask of evaluation, which drops nothing.
    pub(crate) fn evaluation<T: Scalar>(&self) -> Mask<T> {
        Mask {
            key: 0,
            start: 0,
            ratio: 0.0,
            kept: T::from_f64(self.evaluated),
        }
    }
}

fn checked(ratio: f64) -> Result<f64, Error> {
    let passes = (0.0..1.0).contains(&ratio);
    check_setting("the dropout ratio", "at least 0 and below 1", ratio, passes)?;
    Ok(ratio)
}

/// A hash of both numbers (the finalizer of SplitMix64).
fn mixed(a: u64, b: u64) -> u64 {
    let z = a ^ b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The settings of a [`Dropout`](crate::Dropout); the seed is part of its state, in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The probability of a zero.
    pub ratio: f64,
    /// Whether evaluation scales, as in the book.
    pub is_book: bool,
}

impl Dropout {
    /// Uses seed 0; the actual seed is part of the state and is restored with it.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        match settings.is_book {
            true => Self::book(settings.ratio, 0),
            false => Self::new(settings.ratio, 0),
        }
    }
}

impl<T: Scalar> Layer<T> for Dropout {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let (x_values, y) = (in_order("Dropout", &x)?, in_order_mut("Dropout", &mut y)?);
        Ok(self.begin(x.dim(), pass).apply(x_values, y)?)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        let y = in_order_mut("Dropout", &mut y)?;
        Ok(self.evaluation().apply(in_order("Dropout", &x)?, y)?)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        const OP: &str = "Dropout::backward";
        let mask = self.mask_for(&io.x, pass)?;
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        Ok(mask.apply(in_order(OP, &io.dout)?, in_order_mut(OP, &mut dx)?)?)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        visit(State::Counter("seed", self.seed));
        visit(State::Counter("draws", self.draws));
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        visit(StateMut::Counter("seed", &mut self.seed));
        visit(StateMut::Counter("draws", &mut self.draws));
    }

    fn settle(&mut self, outcome: Outcome) {
        let was_pending = std::mem::take(&mut self.is_pending);
        if let Some(drawn) = self.drawn
            && was_pending
            && outcome == Outcome::TakenBack
        {
            self.draws = drawn;
        }
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        let settings = Settings {
            ratio: self.ratio,
            is_book: self.evaluated != 1.0,
        };
        Some(LayerSpec::new("Dropout", settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerExt;
    use ndarray::Array2;

    fn ones() -> Array2<f64> {
        Array2::ones((300, 101))
    }

    #[test]
    fn drops_the_ratio_and_keeps_the_mean() {
        for ratio in [0.0, 0.2, 0.5, 0.9] {
            let y = Dropout::new(ratio, 3).unwrap();
            let y = { y }.forward(ones().view(), Mode::Train).unwrap();
            let dropped = y.iter().filter(|&&v| v == 0.0).count() as f64 / y.len() as f64;
            // Five standard errors of a share of 30,300.
            let tolerance = 5.0 * (ratio * (1.0 - ratio) / 30_300.0f64).sqrt();
            assert!((dropped - ratio).abs() <= tolerance, "{ratio}: {dropped}");
        }
    }

    #[test]
    fn the_books_form_scales_at_evaluation() {
        let mut dropout = Dropout::book(0.25, 3).unwrap();
        let y = dropout.forward(ones().view(), Mode::Train).unwrap();
        assert!(y.iter().all(|&v| v == 0.0 || v == 1.0));
        let y = dropout.forward(ones().view(), Mode::Eval).unwrap();
        assert!(y.iter().all(|&v| v == 0.75));
        assert_eq!(dropout.eval(ones().view()).unwrap(), y);
    }

    #[test]
    fn masks_change_unless_taken_back_and_repeat_with_the_seed() {
        let mut a = Dropout::new(0.5, 3).unwrap();
        let first = a.forward(ones().view(), Mode::Train).unwrap();
        let (mut second, pass) = (ones(), Pass::new(Mode::Train));
        for _ in 0..2 {
            a.forward_into(ones().view(), second.view_mut(), &pass)
                .unwrap();
            assert_ne!(first, second);
            Layer::<f64>::settle(&mut a, Outcome::TakenBack);
            Layer::<f64>::settle(&mut a, Outcome::TakenBack); // once is enough
            assert_eq!(a.draws, 1);
        }
        let third = a.forward(ones().view(), Mode::BatchStats).unwrap();
        assert_eq!(third, second);
        Layer::<f64>::settle(&mut a, Outcome::TakenBack); // its step has ended already
        assert_eq!(a.draws, 2);
        let dx = a.backward(ones().view(), second.view(), ones().view());
        assert_eq!(dx.unwrap(), second);

        let mut b = Dropout::new(0.5, 3).unwrap();
        assert_eq!(b.forward(ones().view(), Mode::Train).unwrap(), first);
        let mut c = Dropout::new(0.5, 4).unwrap();
        assert_ne!(c.forward(ones().view(), Mode::Train).unwrap(), first);
    }

    #[test]
    fn bad_input_is_refused() {
        for ratio in [-0.1, 1.0, f64::NAN] {
            assert!(Dropout::new(ratio, 0).is_err());
        }
        let mut dropout = Dropout::new(0.5, 3).unwrap();
        let error = dropout.backward(ones().view(), ones().view(), ones().view());
        assert!(matches!(error, Err(Error::NoForward { .. })));
    }
}
