use super::{
    super::{
        forward::inv_std,
        fused,
        layout::{Layout, reshaped, reshaped_mut},
    },
    BatchNormalization, Settings,
};
use crate::{
    error::Error,
    layer::{Io, Layer, Outcome, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
    state::{Param, ParamMut, State, StateMut},
};
use bn_tensor::{ChannelAffine, Scalar, in_order, map, zip_map};
use ndarray::{ArrayView2, ArrayViewMut2};

impl<T: Scalar> Layer<T> for BatchNormalization<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let got = match (input, self.layout) {
            (Shape::Image { channels, .. }, Layout::ChannelsLast) => channels,
            (Shape::Image { .. }, Layout::ChannelsFirst) => {
                let op =
                    "BatchNormalization (channels first; images in a network have channels last)";
                return Err(Error::shape(op, &[self.channels], &[input.size()]));
            }
            _ => input.size(),
        };
        if got != self.channels {
            let op = "BatchNormalization";
            return Err(Error::shape(op, &[self.channels], &[got]));
        }
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let view = self.layout.view_rows(self.channels, x.nrows(), x.ncols())?;
        self.run(reshaped(x, view)?, reshaped_mut(y, view)?, pass)
    }

    /// Without `track_running_stats`, this computes the batch's statistics in a copy of the layer,
    /// which allocates.
    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        scratch: &mut Vec<T>,
    ) -> Result<(), Error> {
        const OP: &str = "BatchNormalization";
        let Some(running) = &self.running else {
            let pass = Pass::new(Mode::BatchStats);
            return self.clone().forward_into(x, y, &pass);
        };
        let view = self.layout.view_rows(self.channels, x.nrows(), x.ncols())?;
        scratch.resize(2 * self.channels, T::zero());
        let (scale, zeros) = scratch.split_at_mut(self.channels);
        let (mean, var) = (running.mean.view(), running.var.view());
        let (mean, var) = (in_order(OP, &mean)?, in_order(OP, &var)?);
        let eps = self.config.eps;
        let inv_std = move |var: T| inv_std(var.as_f64(), eps);
        let shift = match (self.gamma.as_slice(), self.beta.as_slice()) {
            (Some(gamma), Some(beta)) if self.config.affine => {
                let scaled = move |var, gamma: T| T::from_f64(gamma.as_f64() * inv_std(var));
                zip_map(var, gamma, scale, scaled)?;
                beta
            }
            _ => {
                map(var, scale, move |var| T::from_f64(inv_std(var)))?;
                zeros.fill(T::zero());
                zeros
            }
        };
        let affine = ChannelAffine {
            center: mean,
            scale,
            shift,
        };
        let (x, y) = (reshaped(x, view)?, reshaped_mut(y, view)?);
        Ok(fused::affine(self.rectifier, x, affine, y)?)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let (n, d) = io.x.dim();
        let view = self.layout.view_rows(self.channels, n, d)?;
        let dx = wanted.dx.map(|dx| reshaped_mut(dx, view)).transpose()?;
        let arrays = [reshaped(io.x, view)?, reshaped(io.dout, view)?];
        self.gradients(arrays, dx, wanted.params, pass)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        let shape = [self.channels];
        if self.config.affine {
            for (name, value, grad) in [
                ("gamma", &self.gamma, &self.dgamma),
                ("beta", &self.beta, &self.dbeta),
            ] {
                let (value, grad) = (value.as_slice(), grad.as_slice());
                let (value, grad) = (value.unwrap_or_default(), grad.unwrap_or_default());
                visit(State::Array(Param::new(name, &shape, value, grad)));
            }
        }
        if let Some(running) = &self.running {
            for (name, value) in [
                ("running_mean", &running.mean),
                ("running_var", &running.var),
            ] {
                let value = value.as_slice().unwrap_or_default();
                visit(State::Array(Param::buffer(name, &shape, value)));
            }
            visit(State::Counter("updates", running.updates));
        }
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        let shape = [self.channels];
        if self.config.affine {
            for (name, value, grad) in [
                ("gamma", &mut self.gamma, &mut self.dgamma),
                ("beta", &mut self.beta, &mut self.dbeta),
            ] {
                let (value, grad) = (value.as_slice_mut(), grad.as_slice_mut());
                let (value, grad) = (value.unwrap_or_default(), grad.unwrap_or_default());
                visit(StateMut::Array(ParamMut::new(name, &shape, value, grad)));
            }
        }
        if let Some(running) = &mut self.running {
            for (name, value) in [
                ("running_mean", &mut running.mean),
                ("running_var", &mut running.var),
            ] {
                let value = value.as_slice_mut().unwrap_or_default();
                visit(StateMut::Array(ParamMut::buffer(name, &shape, value)));
            }
            visit(StateMut::Counter("updates", &mut running.updates));
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let was_pending = std::mem::take(&mut self.is_pending);
        if let (Some(running), Some(batch)) = (&mut self.running, self.cache.moments())
            && was_pending
            && outcome == Outcome::Stands
        {
            running.update_checked(batch, &self.config);
        }
    }

    fn rows_are_independent(&self, mode: Mode) -> bool {
        mode == Mode::Eval && self.running.is_some()
    }

    fn describe(&self) -> Option<LayerSpec> {
        let settings = Settings {
            channels: self.channels,
            layout: self.layout,
            config: self.config,
        };
        Some(LayerSpec::new("BatchNormalization", settings))
    }
}
