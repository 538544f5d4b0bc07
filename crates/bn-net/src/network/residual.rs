use super::{branch::Branch, buffers::Inner, chain::Network, spec::NetworkSpec};
use crate::error::Error;
use bn_layers::{
    Error as LayerError, Io, Layer, LayerSpec, Mode, Outcome, Pass, Relu, Shape, State, StateMut,
    Wanted,
};
use bn_tensor::{Scalar, in_order, in_order_mut, zip_map, zip_map3};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use std::any::Any;

/// `y = body(x) + shortcut(x)`, or `body(x) + x` without a shortcut (arXiv:1512.03385).
///
/// The rectifier after it, if there is one, is computed in the same pass over memory.
#[derive(Debug, Clone)]
pub(crate) struct Residual<T: Scalar> {
    body: Branch<T>,
    shortcut: Option<Branch<T>>,
    has_relu: bool,
}

/// The settings of a `Residual` layer in its description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResidualSpec {
    /// The layers whose output is added to the shortcut.
    pub body: NetworkSpec,
    /// The layers of the shortcut; none if it is the input itself.
    pub shortcut: Option<NetworkSpec>,
}

impl<T: Scalar> Residual<T> {
    /// The name of the layer in descriptions and errors.
    pub(super) const NAME: &str = "Residual";
    const BODY: &str = "body";
    const SHORTCUT: &str = "shortcut";

    /// From networks with the same input and the same output.
    pub(crate) fn new(body: Network<T>, shortcut: Option<Network<T>>) -> Result<Self, LayerError> {
        let (input, output) = match &shortcut {
            Some(shortcut) => (shortcut.input(), shortcut.output()),
            None => (body.input(), body.input()),
        };
        for (expected, got) in [(input, body.input()), (output, body.output())] {
            if expected != got {
                let op = "residual block: the body and the shortcut must have the same shapes";
                return Err(LayerError::shape(op, &dims(expected), &dims(got)));
            }
        }
        Ok(Self {
            body: Branch::new(Self::BODY, body),
            shortcut: shortcut.map(|shortcut| Branch::new(Self::SHORTCUT, shortcut)),
            has_relu: false,
        })
    }

    pub(super) fn from_spec(spec: &LayerSpec) -> Result<Self, Error> {
        let ResidualSpec { body, shortcut } = spec.settings()?;
        let shortcut = shortcut.map(|spec| spec.build()).transpose()?;
        Ok(Self::new(body.build()?, shortcut)?)
    }

    /// The networks of a description, by the names of the branches.
    pub(super) fn networks_of(spec: &LayerSpec) -> Result<Vec<(String, NetworkSpec)>, Error> {
        let ResidualSpec { body, shortcut } = spec.settings()?;
        let shortcut = shortcut.map(|spec| (Self::SHORTCUT.to_owned(), spec));
        let body = (Self::BODY.to_owned(), body);
        Ok(std::iter::once(body).chain(shortcut).collect())
    }

    /// Computes `next`, if it is a rectifier, from now on. Returns whether it does.
    pub(super) fn absorb(layer: &mut dyn Layer<T>, next: &dyn Layer<T>) -> bool {
        let (layer, next) = (layer as &mut dyn Any, next as &dyn Any);
        match layer.downcast_mut::<Self>() {
            Some(residual) if next.is::<Relu>() && !residual.has_relu => {
                residual.has_relu = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn fold(&mut self) {
        self.branches_mut().for_each(Branch::fold);
    }

    pub(super) fn branches(&self) -> impl Iterator<Item = &Branch<T>> {
        [&self.body].into_iter().chain(&self.shortcut)
    }

    fn branches_mut(&mut self) -> impl Iterator<Item = &mut Branch<T>> {
        [&mut self.body].into_iter().chain(&mut self.shortcut)
    }

    pub(super) fn networks_mut(&mut self) -> impl Iterator<Item = &mut Network<T>> {
        self.branches_mut().map(|branch| &mut branch.network)
    }

    /// See [`eval_into`](Layer::eval_into). A warm call does not allocate.
    pub(super) fn eval(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        inner: &mut Inner<T>,
    ) -> Result<(), LayerError> {
        let [of_body, of_shortcut] = &mut inner.outputs;
        let body = self.body.eval(x, of_body, &mut inner.share)?;
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.eval(x, of_shortcut, &mut inner.share)?,
            None => x,
        };
        Self::sum(self.has_relu, body, shortcut, y)
    }

    /// `y = a + b`, and the rectifier.
    fn sum(
        has_relu: bool,
        a: ArrayView2<'_, T>,
        b: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), LayerError> {
        let (a, b) = (in_order(Self::NAME, &a)?, in_order(Self::NAME, &b)?);
        let y = in_order_mut(Self::NAME, &mut y)?;
        match has_relu {
            // Not `max`, which turns a NaN into 0.
            true => zip_map(
                a,
                b,
                y,
                |a, b| if a + b < T::zero() { T::zero() } else { a + b },
            ),
            false => zip_map(a, b, y, |a, b| a + b),
        }?;
        Ok(())
    }
}

impl<T: Scalar> Layer<T> for Residual<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        self.body.network.output_shape(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        let body = self.body.forward(x, pass)?;
        match &mut self.shortcut {
            Some(shortcut) => Self::sum(self.has_relu, body, shortcut.forward(x, pass)?, y),
            None => Self::sum(self.has_relu, body, x, y),
        }
    }

    /// Allocates. A network calls [`eval`](Self::eval) with its buffers.
    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), LayerError> {
        self.eval(x, y, &mut Inner::default())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        mut wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        let (y, dout) = (
            in_order(Self::NAME, &io.y)?,
            in_order(Self::NAME, &io.dout)?,
        );
        // The gradient with respect to the sum. (A copy of `has_relu`: read through `self`, it would be read
        // again for each value.)
        let has_relu = self.has_relu;
        let passes = move |y: T| !has_relu || y > T::zero();
        let dsum = move |y, dout| if passes(y) { dout } else { T::zero() };
        let write = |to: &mut [T]| zip_map(y, dout, to, dsum);
        let of_body = self.body.backward(io.x, &wanted, pass, write)?;
        let of_shortcut = match &mut self.shortcut {
            Some(shortcut) => shortcut.backward(io.x, &wanted, pass, write)?,
            None => None,
        };
        let (Some(dx), Some(of_body)) = (&mut wanted.dx, of_body) else {
            return Ok(());
        };
        let (dx, of_body) = (
            in_order_mut(Self::NAME, dx)?,
            in_order(Self::NAME, &of_body)?,
        );
        match of_shortcut {
            Some(of_shortcut) => {
                let of_shortcut = in_order(Self::NAME, &of_shortcut)?;
                zip_map(of_body, of_shortcut, dx, |a, b| a + b)?;
            }
            None => zip_map3(of_body, y, dout, dx, |a, y, dout| a + dsum(y, dout))?,
        }
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        self.branches().for_each(|branch| branch.state(visit));
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.branches_mut()
            .for_each(|branch| branch.state_mut(visit));
    }

    fn settle(&mut self, outcome: Outcome) {
        self.branches_mut()
            .for_each(|branch| branch.settle(outcome));
    }

    fn rows_are_independent(&self, mode: Mode) -> bool {
        let mut branches = self.branches();
        branches.all(|branch| branch.network.rows_are_independent(mode))
    }

    fn describe(&self) -> Option<LayerSpec> {
        let shortcut = match &self.shortcut {
            Some(shortcut) => Some(shortcut.network.spec().ok()?),
            None => None,
        };
        let body = self.body.network.spec().ok()?;
        Some(LayerSpec::new(Self::NAME, ResidualSpec { body, shortcut }))
    }
}

fn dims(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Flat(size) => vec![size],
        Shape::Image {
            height,
            width,
            channels,
        } => vec![height, width, channels],
    }
}
