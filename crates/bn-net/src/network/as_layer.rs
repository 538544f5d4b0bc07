//! A network is a layer, so whatever takes a layer takes a network.

use super::{Network, Wanted};
use crate::Error;
use bn_layers::{Error as LayerError, Layer, Mode, Param, ParamMut, Shape};
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// What a layer of a network, or the network as a layer, refused.
fn as_layer_error(error: Error) -> LayerError {
    match error {
        Error::Layer { source, .. } | Error::Layers(source) => source,
        Error::Tensor(source) => source.into(),
        // The passes themselves give no other.
        other => LayerError::Nested {
            reason: other.to_string(),
        },
    }
}

impl<T: Scalar> Network<T> {
    fn way_back(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        wanted: Wanted,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        if let Some(dx) = &dx
            && dx.dim() != x.dim()
        {
            let op = "Network::backward";
            return Err(bn_tensor::Error::shape(op, x.shape(), dx.shape()).into());
        }
        self.set_dout(dout)?;
        self.pass_back(x, wanted)?;
        if let Some(mut dx) = dx {
            dx.assign(&self.gradient_of_input()?);
        }
        Ok(())
    }
}

impl<T: Scalar> Layer<T> for Network<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        if input.size() != self.input.size() {
            let (expected, got) = ([self.input.size()], [input.size()]);
            return Err(bn_tensor::Error::shape("Network", &expected, &got).into());
        }
        Ok(self.output)
    }

    fn check_batch(&self, rows: usize, width: usize, mode: Mode) -> Result<(), LayerError> {
        self.check_batch(rows, width, mode).map_err(as_layer_error)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        mode: Mode,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), LayerError> {
        let expected = (x.nrows(), self.output.size());
        if y.dim() != expected {
            let expected = [expected.0, expected.1];
            return Err(bn_tensor::Error::shape("Network", &expected, y.shape()).into());
        }
        y.assign(&self.forward(x, mode).map_err(as_layer_error)?);
        Ok(())
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), LayerError> {
        let output = self.predict(x).map_err(as_layer_error)?;
        if y.dim() != output.dim() {
            return Err(bn_tensor::Error::shape("Network", output.shape(), y.shape()).into());
        }
        y.assign(&output);
        Ok(())
    }

    fn backward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), LayerError> {
        let wanted = if dx.is_some() {
            Wanted::Both
        } else {
            Wanted::Params
        };
        self.way_back(x, dout, wanted, dx).map_err(as_layer_error)
    }

    fn input_gradient_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), LayerError> {
        self.way_back(x, dout, Wanted::Input, Some(dx))
            .map_err(as_layer_error)
    }

    fn is_row_by_row(&self) -> bool {
        self.layers.iter().all(|l| l.layer.is_row_by_row())
    }

    fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        for l in &self.layers {
            let mut names = l.param_names.iter();
            l.layer.visit(&mut |p| {
                let name = names.next().map_or(p.name, String::as_str);
                visitor(Param { name, ..p });
            });
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        for l in &mut self.layers {
            let mut names = l.param_names.iter();
            l.layer.visit_mut(&mut |p| {
                let name = names.next().map_or(p.name, String::as_str);
                visitor(ParamMut { name, ..p });
            });
        }
    }

    fn visit_counters(&self, visitor: &mut dyn FnMut(&str, u64)) {
        for l in &self.layers {
            let mut names = l.counter_names.iter();
            l.layer.visit_counters(&mut |name, value| {
                visitor(names.next().map_or(name, String::as_str), value);
            });
        }
    }

    fn visit_counters_mut(&mut self, visitor: &mut dyn FnMut(&str, &mut u64)) {
        for l in &mut self.layers {
            let mut names = l.counter_names.iter();
            l.layer.visit_counters_mut(&mut |name, value| {
                visitor(names.next().map_or(name, String::as_str), value);
            });
        }
    }

    fn update_running(&mut self) {
        self.layers
            .iter_mut()
            .for_each(|l| l.layer.update_running());
    }

    fn forget_forward(&mut self) {
        self.layers
            .iter_mut()
            .for_each(|l| l.layer.forget_forward());
    }

    fn penalty(&self) -> f64 {
        self.layers.iter().map(|l| l.layer.penalty()).sum()
    }

    fn hold_draws(&mut self, hold: bool) {
        self.layers
            .iter_mut()
            .for_each(|l| l.layer.hold_draws(hold));
    }
}
