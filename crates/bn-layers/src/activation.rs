use crate::{
    Error, Layer, LeakyRelu, Mode, Pointwise, Relu, Shape,
    layer::{expect_rows, expect_shape},
    order::{in_order, in_order_mut},
};
use bn_tensor::{Scalar, map, zip_map};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::fmt::Debug;

/// An element-wise function whose derivative can be written in its own output: every such type
/// is a [`Layer`].
///
/// ```
/// use bn_layers::{Activation, Layer, Mode};
/// use bn_tensor::Scalar;
/// use ndarray::array;
///
/// #[derive(Debug)]
/// struct Softsign;
/// impl Activation for Softsign {
///     fn value<T: Scalar>(&self, x: T) -> T {
///         x / (T::one() + x.abs())
///     }
///     fn derivative<T: Scalar>(&self, y: T) -> T {
///         (T::one() - y.abs()).powi(2)
///     }
/// }
/// let y = Softsign.forward(array![[1.0, -3.0]].view(), Mode::Train)?;
/// assert_eq!(y, array![[0.5, -0.75]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub trait Activation: Debug + Send + Sync {
    /// `y = f(x)`.
    fn value<T: Scalar>(&self, x: T) -> T;

    /// `dy/dx`, written in `y`.
    fn derivative<T: Scalar>(&self, y: T) -> T;

    /// The rectifier that this is, if it is one: a network lets the layer before it
    /// [absorb](Layer::absorb) it.
    fn rectifier(&self) -> Option<Rectifier> {
        None
    }
}

/// An activation so cheap that the layer before it computes it in its own pass over memory.
#[derive(Debug, Clone, Copy)]
pub enum Rectifier {
    /// [`Relu`].
    Relu(Relu),
    /// [`LeakyRelu`].
    LeakyRelu(LeakyRelu),
}

impl Rectifier {
    /// The rectifier as a layer of its own.
    pub fn into_layer<T: Scalar>(self) -> Box<dyn Layer<T>> {
        match self {
            Self::Relu(relu) => Box::new(relu),
            Self::LeakyRelu(leaky_relu) => Box::new(leaky_relu),
        }
    }

    /// What it multiplies negative values by.
    pub(crate) fn slope(self) -> f64 {
        match self {
            Self::Relu(_) => 0.0,
            Self::LeakyRelu(leaky_relu) => leaky_relu.slope(),
        }
    }
}

impl<T: Scalar, A: Activation> Layer<T> for A {
    fn pointwise(&self) -> Option<Pointwise> {
        self.rectifier().map(Pointwise::Rectifier)
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: Mode,
        y: ArrayViewMut2<'_, T>,
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
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        const OP: &str = "activation backward";
        expect_rows(OP, x.nrows())?;
        expect_shape(OP, x.dim(), &y)?;
        expect_shape(OP, x.dim(), &dout)?;
        let Some(mut dx) = dx else { return Ok(()) };
        expect_shape(OP, x.dim(), &dx.view())?;
        let (y, dout) = (in_order(OP, &y)?, in_order(OP, &dout)?);
        zip_map(y, dout, in_order_mut(OP, &mut dx)?, |y, dout| {
            dout * self.derivative(y)
        })?;
        Ok(())
    }
}

fn values<T: Scalar>(
    activation: &impl Activation,
    x: ArrayView2<'_, T>,
    mut y: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    const OP: &str = "activation";
    expect_rows(OP, x.nrows())?;
    expect_shape(OP, x.dim(), &y.view())?;
    map(in_order(OP, &x)?, in_order_mut(OP, &mut y)?, |x| {
        activation.value(x)
    })?;
    Ok(())
}
