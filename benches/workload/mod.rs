//! What the benches and the example `roofline` measure (three networks, their products, Batch
//! Normalization), and how they time it and print it.

// Each program uses only a part of this.
#![allow(dead_code)]

pub(crate) mod machine;
pub(crate) mod network;
pub(crate) mod product;
pub(crate) mod table;
pub(crate) mod timing;

use batchnorm::{BatchNormConfig, BatchNormalization, Io, Layer, Mode, Outcome, Pass, Wanted};
use ndarray::Array2;

/// Numbers around zero that differ along rows and columns.
pub(crate) fn matrix(rows: usize, columns: usize) -> Array2<f32> {
    let value = |(i, j)| ((i * 37 + j * 11) % 101) as f32 / 101.0 - 0.5;
    Array2::from_shape_fn((rows, columns), value)
}

/// BatchNormalization of an `(N, D)` batch, with the arrays that it reads and writes.
pub(crate) struct BatchNorm {
    layer: BatchNormalization<f32>,
    x: Array2<f32>,    // (N, D)
    y: Array2<f32>,    // (N, D)
    dout: Array2<f32>, // (N, D)
    dx: Array2<f32>,   // (N, D)
}

impl BatchNorm {
    pub(crate) fn new(rows: usize, channels: usize) -> Self {
        let layer = BatchNormalization::new(channels, BatchNormConfig::book());
        let mut batch_norm = Self {
            layer: layer.expect("the book's settings"),
            x: matrix(rows, channels),
            y: Array2::zeros((rows, channels)),
            dout: matrix(rows, channels),
            dx: Array2::zeros((rows, channels)),
        };
        batch_norm.forward(); // what backward needs
        batch_norm
    }

    pub(crate) fn forward(&mut self) {
        let (x, y) = (self.x.view(), self.y.view_mut());
        let result = self.layer.forward_into(x, y, &Pass::new(Mode::Train));
        result.expect("the shapes fit");
        self.layer.settle(Outcome::Stands);
    }

    pub(crate) fn backward(&mut self) {
        let io = Io {
            x: self.x.view(),
            y: self.y.view(),
            dout: self.dout.view(),
        };
        let wanted = Wanted {
            dx: Some(self.dx.view_mut()),
            params: true,
        };
        let pass = Pass::new(Mode::Train);
        let result = self.layer.backward_into(io, wanted, &pass);
        result.expect("the shapes fit");
    }

    /// Forward reads x for the statistics and again for y, which it writes.
    pub(crate) fn forward_bytes(rows: usize, channels: usize) -> usize {
        3 * size_of::<f32>() * rows * channels
    }

    /// Backward reads x and dout for its two sums and again for dx, which it writes.
    pub(crate) fn backward_bytes(rows: usize, channels: usize) -> usize {
        5 * size_of::<f32>() * rows * channels
    }
}
