use bn_layers::{Error, Io, Layer, LayerSpec, Mode, Outcome, Pass, Shape, State, StateMut, Wanted};
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// A wrapper that accepts input of any shape. With it, a BatchNormalization takes flattened images,
/// whose shape only a network knows.
#[derive(Debug, Clone)]
pub(crate) struct AnyShape<L>(pub(crate) L);

impl<T: Scalar, L: Layer<T> + Clone> Layer<T> for AnyShape<L> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        self.0.forward_into(x, y, pass)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        self.0.backward_into(io, wanted, pass)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        self.0.eval_into(x, y, scratch)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        self.0.state(visit);
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.0.state_mut(visit);
    }

    fn settle(&mut self, outcome: Outcome) {
        self.0.settle(outcome);
    }

    fn rows_are_independent(&self, mode: Mode) -> bool {
        self.0.rows_are_independent(mode)
    }

    fn describe(&self) -> Option<LayerSpec> {
        self.0.describe()
    }
}
