use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Scalar, in_order, in_order_mut, map, zip_map, zip_map3};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::fmt::Debug;

/// An element-wise function `y = f(x)` with its derivative. Every type that implements it is a
/// [`Layer`].
///
/// The derivative may be a function of `x` or of `y`, whichever is simpler. For example, GELU
/// (arXiv:1606.08415, the approximation with tanh) takes fifteen lines:
///
/// ```
#[doc = include_str!("../../docs/gelu.rs")]
/// use bn_layers::{GradientCheck, LayerExt, Mode};
/// use ndarray::array;
/// let x = array![[-1.0, 0.0, 1.0, 3.0f64]];
/// let y = Gelu.forward(x.view(), Mode::Train)?;
/// assert!((y[[0, 2]] - 0.841_192).abs() < 1e-6);
/// assert!(GradientCheck::default().check(&mut Gelu, x.view())?.worst().relative < 1e-6);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub trait Activation: Clone + Debug + Send + Sync + 'static {
    /// Whether the derivative depends only on `y`. The backward pass then reads one array less and
    /// passes NaN as `x`.
    const IN_OUTPUT: bool = false;

    /// `y = f(x)`.
    fn value<T: Scalar>(&self, x: T) -> T;

    /// `dy/dx` at `x`, where `y = f(x)`.
    fn derivative<T: Scalar>(&self, x: T, y: T) -> T;

    /// See [`Layer::describe`].
    fn describe(&self) -> Option<LayerSpec> {
        None
    }
}

impl<T: Scalar, A: Activation> Layer<T> for A {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        values(self, x, y)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        values(self, x, y)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        const OP: &str = "activation backward";
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let (x, y) = (in_order(OP, &io.x)?, in_order(OP, &io.y)?);
        let (dout, dx) = (in_order(OP, &io.dout)?, in_order_mut(OP, &mut dx)?);
        if A::IN_OUTPUT {
            zip_map(y, dout, dx, |y, dout| dout * self.derivative(T::nan(), y))?;
        } else {
            zip_map3(x, y, dout, dx, |x, y, dout| dout * self.derivative(x, y))?;
        }
        Ok(())
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Activation::describe(self)
    }
}

fn values<T: Scalar>(
    activation: &impl Activation,
    x: ArrayView2<'_, T>,
    mut y: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    const OP: &str = "activation";
    map(in_order(OP, &x)?, in_order_mut(OP, &mut y)?, |x| {
        activation.value(x)
    })?;
    Ok(())
}
