use super::normalization::{ExampleNorm, NormKind, Saved};
use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
    state::{Param, ParamMut, State, StateMut},
};
use bn_tensor::{Scalar, in_order, in_order_mut};
use ndarray::{ArrayView2, ArrayViewMut2};

impl<T: Scalar, K: NormKind> Layer<T> for ExampleNorm<T, K> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let fits = match input {
            Shape::Image { channels, .. } => {
                channels == self.settings.channels || input.size() == self.settings.channels
            }
            Shape::Flat(_) => true,
        };
        if !fits {
            return Err(Error::shape(
                K::NAME,
                &[self.settings.channels],
                &[input.size()],
            ));
        }
        self.parts((1, input.checked_size()?))?;
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        let mut saved = std::mem::take(&mut self.saved);
        let result = self.normalize(x, y, &mut saved, usize::MAX);
        self.saved = saved;
        result
    }

    /// Allocates the statistics of one part of the batch.
    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        let mut saved = Saved {
            xn: std::mem::take(scratch),
            ..Saved::default()
        };
        let result = self.normalize(x, y, &mut saved, 1);
        *scratch = saved.xn;
        result
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        if self.saved.dim != io.x.dim() {
            return Err(Error::NoForward {
                layer: K::NAME,
                expected: self.saved.dim.0,
                got: io.x.nrows(),
            });
        }
        let dout = in_order(K::NAME, &io.dout)?;
        if wanted.params && self.settings.affine {
            self.gradients(dout, pass)?;
        }
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let (x, dx) = (in_order(K::NAME, &io.x)?, in_order_mut(K::NAME, &mut dx)?);
        self.input_gradient(x, dout, dx)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        if self.settings.affine {
            let shape = [self.settings.channels];
            for (name, value, grad) in [
                ("gamma", &self.gamma, &self.dgamma),
                ("beta", &self.beta, &self.dbeta),
            ] {
                visit(State::Array(Param::new(name, &shape, value, grad)));
            }
        }
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        if self.settings.affine {
            let shape = [self.settings.channels];
            for (name, value, grad) in [
                ("gamma", &mut self.gamma, &mut self.dgamma),
                ("beta", &mut self.beta, &mut self.dbeta),
            ] {
                visit(StateMut::Array(ParamMut::new(name, &shape, value, grad)));
            }
        }
    }

    fn rows_are_independent(&self, mode: Mode) -> bool {
        mode == Mode::Eval
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new(K::NAME, self.settings))
    }
}
