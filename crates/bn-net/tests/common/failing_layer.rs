//! A custom layer that fails on request.

use bn_layers::{
    Error as LayerError, Io, Layer, Param, ParamMut, Pass, Shape, State, StateMut, Wanted,
};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The ways in which a layer can fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    Forward,
    NanOutput,
    Backward,
    InfiniteGradient,
    NanInputGradient,
}

pub(crate) const FAULTS: [Fault; 6] = [
    Fault::None,
    Fault::Forward,
    Fault::NanOutput,
    Fault::Backward,
    Fault::InfiniteGradient,
    Fault::NanInputGradient,
];

/// A custom layer `y = x + b` with one parameter. A switch says how it fails.
#[derive(Debug, Clone)]
pub(crate) struct Fails {
    b: [f32; 1],
    db: [f32; 1],
    switch: Arc<AtomicUsize>,
}

impl Fails {
    /// `switch` is an index into [`FAULTS`].
    pub(crate) fn new(switch: &Arc<AtomicUsize>) -> Self {
        Self {
            b: [0.1],
            db: [0.0],
            switch: Arc::clone(switch),
        }
    }

    fn fault(&self) -> Fault {
        FAULTS[self.switch.load(Ordering::Relaxed)]
    }
}

impl Layer<f32> for Fails {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), LayerError> {
        y.assign(&(&x + self.b[0]));
        match self.fault() {
            Fault::Forward => Err(LayerError::EmptyBatch { layer: "Fails" }),
            Fault::NanOutput => {
                y[[0, 0]] = f32::NAN;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn backward_into(
        &mut self,
        io: Io<'_, f32>,
        wanted: Wanted<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.db = [io.dout.sum()];
        if let Some(mut dx) = wanted.dx {
            dx.assign(&io.dout);
            if self.fault() == Fault::NanInputGradient {
                dx.fill(f32::NAN);
            }
        }
        match self.fault() {
            Fault::Backward => Err(LayerError::EmptyBatch { layer: "Fails" }),
            Fault::InfiniteGradient => {
                self.db = [f32::INFINITY];
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, f32>)) {
        visit(State::Array(Param::new("b", &[1], &self.b, &self.db)));
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, f32>)) {
        visit(StateMut::Array(ParamMut::new(
            "b",
            &[1],
            &mut self.b,
            &mut self.db,
        )));
    }
}
