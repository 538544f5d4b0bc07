//! Forward and backward through all layers.

use super::{
    buffers::{ACTIVATIONS, grow, matrix, matrix_mut},
    chain::{NamedLayer, Network},
};
use crate::error::Error;
use bn_layers::{
    Error as LayerError, Io, Layer, Mode, Outcome, Pass, StateMut, Wanted as WantedFrom,
};
use bn_tensor::{Scalar, to_row_major, try_resize, update};
use ndarray::{Array2, ArrayView2};

/// Which gradients a backward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Params,
    Input,
    Both,
}

impl Wanted {
    /// As a layer is asked; `None` if no gradient is wanted.
    pub(super) fn of<T>(wanted: &WantedFrom<'_, T>) -> Option<Self> {
        match (&wanted.dx, wanted.params) {
            (None, false) => None,
            (None, true) => Some(Self::Params),
            (Some(_), false) => Some(Self::Input),
            (Some(_), true) => Some(Self::Both),
        }
    }
}

impl<T: Scalar> Network<T> {
    /// The output `(N, E)` for `x: (N, D)`, in the network's buffers. The pass is a whole step:
    /// [`Mode::Train`] updates the running statistics if the output is finite.
    ///
    /// # Errors
    /// The network's; [`Error::NonFinite`] in [`Mode::Train`], naming the first layer whose output
    /// has a NaN or an infinity. (In the other modes they pass through to the output.)
    pub fn forward(
        &mut self,
        x: ArrayView2<'_, T>,
        mode: Mode,
    ) -> Result<ArrayView2<'_, T>, Error> {
        self.transaction(|network| {
            network.pass(x, &Pass::new(mode))?;
            match mode {
                Mode::Train => network.check_finite_output(x),
                Mode::BatchStats | Mode::Eval => Ok(()),
            }
        })?;
        self.last_output()
    }

    /// The gradient `dx: (N, D)` with respect to the input, for `dout: (N, E)` with respect to the
    /// output of the last forward pass, which had the same `x`. The layers keep the gradients of their
    /// parameters.
    ///
    /// # Errors
    /// The network's.
    pub fn backward(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
    ) -> Result<Array2<T>, Error> {
        self.set_dout(dout)?;
        self.pass_back(x, Wanted::Both, &Pass::new(Mode::Train))?;
        Ok(self.gradient_of_input()?.to_owned())
    }

    /// As [`backward`](Self::backward), but the gradients of the parameters do not change, and `dx` is in a
    /// buffer of the network: the backward pass of a network that is not trained. A warm call allocates
    /// nothing.
    ///
    /// ```
    /// use bn_layers::{LayerExt, Mode};
    /// use bn_net::Network;
    /// use ndarray::Array2;
    /// let mut network = Network::builder(3).affine(4).batch_norm().relu().affine(1).build(1)?;
    /// let x = Array2::from_shape_fn((8, 3), |(n, d)| ((n * 3 + d) as f32).sin());
    /// network.forward(x.view(), Mode::BatchStats)?;
    /// let dx = network.input_gradient(x.view(), Array2::ones((8, 1)).view())?;
    /// assert_eq!(dx.dim(), (8, 3));
    /// network.visit(&mut |p| assert!(p.grad.iter().all(|&g| g == 0.0)));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// The network's.
    pub fn input_gradient(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
    ) -> Result<ArrayView2<'_, T>, Error> {
        self.set_dout(dout)?;
        self.pass_back(x, Wanted::Input, &Pass::new(Mode::Train))?;
        self.gradient_of_input()
    }

    /// Begins a step. A step that is still open, after a [`gradient`](Self::gradient) without a
    /// [`settle`](Layer::settle), is undone.
    pub(crate) fn begin_step(&mut self) {
        if self.is_open {
            self.settle(Outcome::TakenBack);
        }
    }

    /// A whole step: its updates stand if `f` succeeds, and are undone if it fails.
    pub(super) fn transaction<R>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.begin_step();
        let result = f(self);
        self.settle(match result {
            Ok(_) => Outcome::Stands,
            Err(_) => Outcome::TakenBack,
        });
        result
    }

    /// Runs all layers, into `outputs`. The caller settles the step.
    pub(crate) fn pass(&mut self, x: ArrayView2<'_, T>, pass: &Pass<'_>) -> Result<(), Error> {
        self.check_input(&x, pass)?;
        let x = to_row_major(ACTIVATIONS, &x)?;
        self.rows = x.nrows();
        self.is_open = true;
        for i in 0..self.layers.len() {
            let (before, after) = self.outputs.split_at_mut(i);
            let input = match before.last() {
                None => x.view(),
                Some(y) => matrix(y, self.rows, self.layers[i - 1].width)?,
            };
            let l = &mut self.layers[i];
            try_resize(ACTIVATIONS, &mut after[0], &[self.rows, l.width])?;
            let y = matrix_mut(&mut after[0], self.rows, l.width)?;
            if let Err(source) = l.forward(input, y, pass) {
                return Err(match source {
                    LayerError::Statistics { .. } | LayerError::Nested { .. } => {
                        let i_refused = self.refused(i, source);
                        self.first_non_finite(x.view(), i).unwrap_or(i_refused)
                    }
                    source => self.refused(i, source),
                });
            }
        }
        Ok(())
    }

    /// Runs all layers backward, from `dout`. If the gradient with respect to `x` is wanted, it is in `dout`
    /// afterwards.
    pub(crate) fn pass_back(
        &mut self,
        x: ArrayView2<'_, T>,
        wanted: Wanted,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        self.pass_back_with(x, wanted, pass, &mut |_| Ok(()))
    }

    /// [`pass_back`](Self::pass_back), which calls `on_layer` after the backward pass of each layer.
    pub(super) fn pass_back_with(
        &mut self,
        x: ArrayView2<'_, T>,
        wanted: Wanted,
        pass: &Pass<'_>,
        on_layer: &mut dyn FnMut(&mut NamedLayer<T>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if x.dim() != (self.rows, self.input.size()) {
            let expected = [self.rows, self.input.size()];
            return Err(bn_tensor::Error::shape("Network::backward", &expected, x.shape()).into());
        }
        let x = to_row_major(ACTIVATIONS, &x)?;
        let first = match wanted {
            Wanted::Params => self.first_trained(),
            Wanted::Input | Wanted::Both => 0,
        };
        for i in (first..self.layers.len()).rev() {
            let width = self.layers[i].width;
            let input = match i {
                0 => x.view(),
                _ => matrix(&self.outputs[i - 1], self.rows, self.layers[i - 1].width)?,
            };
            let io = Io {
                x: input,
                y: matrix(&self.outputs[i], self.rows, width)?,
                dout: matrix(&self.dout, self.rows, width)?,
            };
            grow(&mut self.dx, self.rows, input.ncols())?;
            let dx = matrix_mut(&mut self.dx, self.rows, input.ncols())?;
            let wanted = WantedFrom {
                dx: (i > first || wanted != Wanted::Params).then_some(dx),
                params: wanted != Wanted::Input && !self.layers[i].freeze.params,
            };
            let of_params = wanted.params;
            let l = &mut self.layers[i];
            let result = l.backward(io, wanted, pass);
            let counts_decay = pass
                .reduction()
                .is_none_or(|shards| shards.counts_whole() && !shards.adds_gradients());
            if of_params && counts_decay && l.weight_decay != 0.0 {
                add_weight_decay(l)?;
            }
            result.map_err(|source| self.refused(i, source))?;
            on_layer(&mut self.layers[i])?;
            std::mem::swap(&mut self.dout, &mut self.dx);
        }
        Ok(())
    }

    /// The gradient with respect to `x` that [`pass_back`](Self::pass_back) has computed.
    pub(crate) fn gradient_of_input(&self) -> Result<ArrayView2<'_, T>, Error> {
        matrix(&self.dout, self.rows, self.input.size())
    }

    pub(crate) fn set_dout(&mut self, dout: ArrayView2<'_, T>) -> Result<(), Error> {
        let expected = (self.rows, self.output.size());
        if dout.dim() != expected {
            let expected = [expected.0, expected.1];
            let op = "Network::backward";
            return Err(bn_tensor::Error::shape(op, &expected, dout.shape()).into());
        }
        grow(&mut self.dout, expected.0, expected.1)?;
        matrix_mut(&mut self.dout, expected.0, expected.1)?.assign(&dout);
        Ok(())
    }

    /// Lets `f` write the gradient with respect to the output, as many values as the last output has.
    pub(super) fn make_dout(
        &mut self,
        f: impl FnOnce(&mut [T]) -> Result<(), bn_tensor::Error>,
    ) -> Result<(), Error> {
        let (n, width) = (self.rows, self.output.size());
        grow(&mut self.dout, n, width)?;
        let len = n.saturating_mul(width).min(self.dout.len());
        Ok(f(&mut self.dout[..len])?)
    }

    pub(crate) fn last_output(&self) -> Result<ArrayView2<'_, T>, Error> {
        let last = self.outputs.last().map_or(&[][..], Vec::as_slice);
        matrix(last, self.rows, self.output.size())
    }

    /// Returns `Ok` if the last output is finite, and else an error that names the first layer whose output
    /// is not.
    pub(crate) fn check_finite_output(&self, x: ArrayView2<'_, T>) -> Result<(), Error> {
        match self.last_output()?.iter().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err(self.non_finite(x)),
        }
    }

    /// The error of a forward pass of `x` that ended in a NaN or an infinity: where the first one is.
    pub(super) fn non_finite(&self, x: ArrayView2<'_, T>) -> Error {
        let first = self.first_non_finite(x, self.layers.len());
        first.unwrap_or_else(|| Error::NonFinite {
            place: "the loss".to_owned(),
            hint: LOWER_LEARNING_RATE,
        })
    }

    /// The error for the first array that is not finite: `x`, or the output of one of the first
    /// `layers` layers.
    fn first_non_finite(&self, x: ArrayView2<'_, T>, layers: usize) -> Option<Error> {
        if x.iter().any(|v| !v.is_finite()) {
            return Some(Error::NonFinite {
                place: "the input".to_owned(),
                hint: "",
            });
        }
        let is_bad = |y: &Vec<T>| y.iter().any(|v| !v.is_finite());
        let i = self.outputs[..layers].iter().position(is_bad)?;
        let last = self.layers[i].last();
        Some(Error::NonFinite {
            place: format!("the output of layer {last} ({})", self.names[last]),
            hint: LOWER_LEARNING_RATE,
        })
    }

    /// Returns `Ok` if a batch has the width of the input, and at least one row unless it is a shard.
    pub(super) fn check_input(&self, x: &ArrayView2<'_, T>, pass: &Pass<'_>) -> Result<(), Error> {
        if x.ncols() != self.input.size() {
            let expected = [x.nrows(), self.input.size()];
            return Err(bn_tensor::Error::shape("Network", &expected, x.shape()).into());
        }
        if x.nrows() == 0 && pass.reduction().is_none() {
            return Err(LayerError::EmptyBatch { layer: "Network" }.into());
        }
        Ok(())
    }
}

pub(super) const LOWER_LEARNING_RATE: &str = "; a smaller learning rate may help";

/// Adds the gradient `λ·value` of the penalty `λ/2·Σ value²` to those of the layer's weights.
pub(super) fn add_weight_decay<T: Scalar>(l: &mut NamedLayer<T>) -> Result<(), Error> {
    let (lambda, mut result) = (T::from_f64(l.weight_decay), Ok(()));
    l.layer.state_mut(&mut |part| {
        if let StateMut::Array(p) = part
            && p.is_decayed
            && result.is_ok()
        {
            result = update(p.grad, p.value, |grad, value| *grad += lambda * value);
        }
    });
    Ok(result?)
}
