use crate::{
    error::Error,
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
    state::{Param, ParamMut, State, StateMut},
};
use bn_tensor::{Scalar, to_row_major, try_zeros};
use dyn_clone::DynClone;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use std::{any::Any, fmt::Debug};

/// The arrays of a backward pass, `N` rows each.
#[derive(Debug, Clone, Copy)]
pub struct Io<'a, T> {
    /// The input of the last forward pass, `(N, D)`.
    pub x: ArrayView2<'a, T>,
    /// Its output, `(N, E)`.
    pub y: ArrayView2<'a, T>,
    /// The gradient of a loss with respect to `y`, `(N, E)`.
    pub dout: ArrayView2<'a, T>,
}

/// What a backward pass should compute.
#[derive(Debug)]
pub struct Wanted<'a, T> {
    /// Where the gradient with respect to `x` goes, `(N, D)`.
    pub dx: Option<ArrayViewMut2<'a, T>>,
    /// Whether to compute the gradients of the parameters. If not, the layer's stored gradients do
    /// not change.
    pub params: bool,
}

/// How a training step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It succeeded: its updates are kept.
    Stands,
    /// It failed: whatever the last forward pass changed is undone.
    TakenBack,
}

/// One layer of a network: a function from a batch `x: (N, D)` to `y: (N, E)`, with its gradient.
///
/// Three methods are required. The defaults of the others are always correct, at worst slower.
///
/// The caller owns all activations, so a layer does not copy them:
/// [`forward_into`](Self::forward_into) writes to the caller's array, and
/// [`backward_into`](Self::backward_into) gets the same `x` and `y` again. The caller (a
/// [`Network`](https://docs.rs/bn-net), or [`LayerExt`]) has checked the arrays: their shapes are
/// those of [`output_shape`](Self::output_shape), they are contiguous in row-major order, and there
/// is at least one row. (A pass over a [shard](Pass::sharded) may have none.)
///
/// A row may be an image with its channels last; see [`Shape`].
///
/// As an example, Layer Normalization (arXiv:1607.06450), in a simple form that is not optimised:
///
/// ```
#[doc = include_str!("../docs/layer_norm.rs")]
/// use bn_layers::{GradientCheck, LayerExt, Mode};
/// let x = ndarray::array![[1.0, 2.0, 4.0f64], [-1.0, 0.0, 0.5]];
/// let mut norm = LayerNorm::new(3);
/// let y = norm.forward(x.view(), Mode::Train)?;
/// assert!(y.sum_axis(ndarray::Axis(1)).iter().all(|sum| sum.abs() < 1e-12));
/// assert!(GradientCheck::default().check(&mut norm, x.view())?.worst().relative < 1e-6);
/// # Ok::<(), Error>(())
/// ```
pub trait Layer<T: Scalar>: Any + DynClone + Debug + Send + Sync {
    /// The shape of an output row for an input row of shape `input`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::ShapeMismatch`] if the layer does not accept such a row.
    fn output_shape(&self, input: Shape) -> Result<Shape, Error>;

    /// Writes the output for `x: (N, D)` to `y: (N, E)`.
    ///
    /// [`settle`](Self::settle) must be able to undo what a pass changes in the layer, such as running
    /// statistics in [`Mode::Train`]. A NaN or an infinity in `x` passes through to `y`.
    ///
    /// # Errors
    /// If the output cannot be computed, such as the variance of one value.
    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error>;

    /// Computes the gradients that are `wanted` from `io.dout`, the gradient of a loss with respect
    /// to `y`. The gradient with respect to `x` is written to `wanted.dx`; the layer stores those of
    /// the parameters. `io.x` and `io.y` are those of the last [`forward_into`](Self::forward_into).
    ///
    /// # Errors
    /// [`Error::NoForward`] if there was no such forward pass.
    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error>;

    /// Computes [`forward_into`](Self::forward_into) in [`Mode::Eval`] without changing the layer, so
    /// that several threads can use one network. `scratch` is memory of the caller, reused between
    /// calls. The default runs a copy of the layer.
    ///
    /// # Errors
    /// As [`forward_into`](Self::forward_into).
    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        let _ = scratch;
        dyn_clone::clone_box(self).forward_into(x, y, &Pass::new(Mode::Eval))
    }

    /// Calls `visit` with each part of the layer's state, in a fixed order: parameters, buffers,
    /// counters. Together with [`describe`](Self::describe), this is all that a checkpoint needs. The
    /// default is for a layer without state.
    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        let _ = visit;
    }

    /// As [`state`](Self::state), in the same order, with mutable access.
    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        let _ = visit;
    }

    /// Ends the current step with this outcome. The network calls it once per step, whatever failed,
    /// even if the layer's own pass was not reached. [`Outcome::Stands`] updates the running
    /// statistics; after [`Outcome::TakenBack`], a random layer draws the same values again.
    fn settle(&mut self, outcome: Outcome) {
        let _ = outcome;
    }

    /// Whether, in this mode, the output for a row depends only on that row, and a backward pass only on its
    /// arguments. If so, a network evaluates a large batch in chunks of rows, several at a time, and
    /// calls the passes of a batch in [shards](crate::ShardReduction) once for each shard. If not, the layer
    /// gets all shards here at once, and combines what the rows share by [`Pass::reduction`].
    fn rows_are_independent(&self, mode: Mode) -> bool {
        let _ = mode;
        false
    }

    /// The layer's description, from which it can be rebuilt; `None` if it has none. Every layer of
    /// this crate has one.
    fn describe(&self) -> Option<LayerSpec> {
        None
    }
}

dyn_clone::clone_trait_object!(<T> Layer<T> where T: Scalar);

/// Methods to call a single layer, for experiments and tests: they check their arguments and
/// allocate their results. Every [`Layer`] has them.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Relu};
/// use ndarray::array;
/// let x = array![[-1.0, 2.0]];
/// let y = Relu.forward(x.view(), Mode::Train)?;
/// let dx = Relu.backward(x.view(), y.view(), array![[3.0, 3.0]].view())?;
/// assert_eq!((y, dx), (array![[0.0, 2.0]], array![[0.0, 3.0]]));
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub trait LayerExt<T: Scalar>: Layer<T> {
    /// Returns the output `(N, E)` for `x: (N, D)` of any memory layout. The pass is a complete step:
    /// in [`Mode::Train`] it updates the running statistics.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`] if `x` has no rows, [`Error::Tensor`] if its width does not fit, and the
    /// errors of [`Layer::forward_into`]. On an error, the layer has not changed.
    fn forward(&mut self, x: ArrayView2<'_, T>, mode: Mode) -> Result<Array2<T>, Error> {
        let mut y = output_for(self, &x)?;
        let x = to_row_major(name_of(self), &x)?;
        let result = self.forward_into(x.view(), y.view_mut(), &Pass::new(mode));
        self.settle(match &result {
            Ok(()) => Outcome::Stands,
            Err(_) => Outcome::TakenBack,
        });
        result.map(|()| y)
    }

    /// Returns the gradient `dx: (N, D)` for `dout: (N, E)`; the layer stores the gradients of the
    /// parameters. `x: (N, D)` and `y: (N, E)` are those of the last [`forward`](Self::forward).
    ///
    /// # Errors
    /// [`Error::EmptyBatch`] if `x` has no rows, [`Error::Tensor`] if a shape does not fit, and the
    /// errors of [`Layer::backward_into`].
    fn backward(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
    ) -> Result<Array2<T>, Error> {
        let (op, (rows, width)) = (name_of(self), output_dim(self, &x)?);
        for array in [&y, &dout] {
            if array.dim() != (rows, width) {
                return Err(Error::shape(op, &[rows, width], array.shape()));
            }
        }
        let mut dx = try_zeros(op, x.dim())?;
        let x = to_row_major(op, &x)?;
        let (y, dout) = (to_row_major(op, &y)?, to_row_major(op, &dout)?);
        let io = Io {
            x: x.view(),
            y: y.view(),
            dout: dout.view(),
        };
        let wanted = Wanted {
            dx: Some(dx.view_mut()),
            params: true,
        };
        self.backward_into(io, wanted, &Pass::new(Mode::Train))?;
        Ok(dx)
    }

    /// Returns the output `(N, E)` in evaluation for `x: (N, D)` of any memory layout, without
    /// changing the layer.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn eval(&self, x: ArrayView2<'_, T>) -> Result<Array2<T>, Error> {
        let mut y = output_for(self, &x)?;
        let x = to_row_major(name_of(self), &x)?;
        self.eval_into(x.view(), y.view_mut(), &mut Vec::new())?;
        Ok(y)
    }

    /// Calls `visitor` with each array of the layer's state, in order.
    fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        self.state(&mut |part| {
            if let State::Array(param) = part {
                visitor(param);
            }
        });
    }

    /// As [`visit`](Self::visit), with mutable access.
    fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        self.state_mut(&mut |part| {
            if let StateMut::Array(param) = part {
                visitor(param);
            }
        });
    }

    /// Calls `visitor` with each counter of the layer's state, in order.
    fn visit_counters(&self, visitor: &mut dyn FnMut(&str, u64)) {
        self.state(&mut |part| {
            if let State::Counter(name, value) = part {
                visitor(name, value);
            }
        });
    }

    /// As [`visit_counters`](Self::visit_counters), with mutable access.
    fn visit_counters_mut(&mut self, visitor: &mut dyn FnMut(&str, &mut u64)) {
        self.state_mut(&mut |part| {
            if let StateMut::Counter(name, value) = part {
                visitor(name, value);
            }
        });
    }

    /// The weight-decay penalty `Σ λ/2·Σ value²`. It is part of the loss, and its gradient is part of
    /// the gradients of the parameters.
    fn penalty(&self) -> f64 {
        let mut penalty = 0.0;
        self.visit(&mut |p| {
            if p.penalty != 0.0 {
                let squares: f64 = p.value.iter().map(|w| w.as_f64().powi(2)).sum();
                penalty += 0.5 * p.penalty * squares;
            }
        });
        penalty
    }
}

impl<T: Scalar, L: Layer<T> + ?Sized> LayerExt<T> for L {}

/// The shape `(N, E)` of the output for `x: (N, D)`.
fn output_dim<T: Scalar>(
    layer: &(impl Layer<T> + ?Sized),
    x: &ArrayView2<'_, T>,
) -> Result<(usize, usize), Error> {
    let width = layer.output_shape(Shape::Flat(x.ncols()))?.checked_size()?;
    if x.nrows() == 0 {
        let layer = name_of(layer);
        return Err(Error::EmptyBatch { layer });
    }
    Ok((x.nrows(), width))
}

/// An array for the output for `x: (N, D)`.
fn output_for<T: Scalar>(
    layer: &(impl Layer<T> + ?Sized),
    x: &ArrayView2<'_, T>,
) -> Result<Array2<T>, Error> {
    Ok(try_zeros(name_of(layer), output_dim(layer, x)?)?)
}

/// The name of the layer's type, such as `Affine`; `Layer` for a trait object.
fn name_of<L: ?Sized>(_: &L) -> &'static str {
    let path = std::any::type_name::<L>();
    let path = path.split_once('<').map_or(path, |(path, _)| path);
    path.rsplit_once("::").map_or(path, |(_, name)| name)
}
