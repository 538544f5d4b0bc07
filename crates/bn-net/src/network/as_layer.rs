//! A network is a layer, so whatever takes a layer takes a network.

use super::{
    chain::{NamedLayer, Network},
    passes::Wanted,
    spec::NETWORK,
};
use crate::error::Error;
use bn_layers::{
    Error as LayerError, Io, Layer, LayerSpec, Mode, Outcome, Param, Pass, Shape, State, StateMut,
    Wanted as WantedFrom,
};
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// The error of a network as that of a layer.
pub(super) fn as_layer_error(error: Error) -> LayerError {
    match error {
        Error::Layer { source, .. } | Error::Layers(source) => source,
        Error::Tensor(source) => source.into(),
        other => LayerError::Nested {
            reason: other.to_string(),
        },
    }
}

impl<T: Scalar> Layer<T> for Network<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        let fits = match input {
            Shape::Flat(size) => size == self.input.size(),
            Shape::Image { .. } => input == self.input || self.input == Shape::Flat(input.size()),
        };
        if !fits {
            let (expected, got) = ([self.input.size()], [input.size()]);
            return Err(bn_tensor::Error::shape("Network", &expected, &got).into());
        }
        Ok(self.output)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.pass(x, pass).map_err(as_layer_error)?;
        y.assign(&self.last_output().map_err(as_layer_error)?);
        Ok(())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: WantedFrom<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        let Some(from) = Wanted::of(&wanted) else {
            return Ok(());
        };
        self.set_dout(io.dout)
            .and_then(|()| self.pass_back(io.x, from, pass))
            .map_err(as_layer_error)?;
        if let Some(mut dx) = wanted.dx {
            dx.assign(&self.gradient_of_input().map_err(as_layer_error)?);
        }
        Ok(())
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), LayerError> {
        y.assign(&self.predict(x).map_err(as_layer_error)?);
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        for l in &self.layers {
            l.state_names.visit(&*l.layer, &mut |part| {
                visit(match part {
                    State::Array(p) => State::Array(Param {
                        penalty: p.penalty + penalty(l, &p),
                        network: Some(self.identity.number()),
                        ..p
                    }),
                    counter => counter,
                });
            });
        }
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        for l in &mut self.layers {
            l.state_names.visit_mut(&mut *l.layer, visit);
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.is_open = false;
        for l in &mut self.layers {
            l.layer.settle(outcome);
        }
    }

    fn rows_are_independent(&self, mode: Mode) -> bool {
        let mut layers = self.layers.iter();
        mode == Mode::Eval && layers.all(|l| l.layer.rows_are_independent(mode))
    }

    fn describe(&self) -> Option<LayerSpec> {
        let spec = self.spec().ok()?;
        Some(LayerSpec::new(NETWORK, spec))
    }
}

/// The λ of a layer's weight decay for this parameter of it.
fn penalty<T: Scalar>(l: &NamedLayer<T>, p: &Param<'_, T>) -> f64 {
    match p.is_trained && p.is_decayed {
        true => l.weight_decay,
        false => 0.0,
    }
}
