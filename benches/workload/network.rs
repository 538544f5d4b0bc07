use batchnorm::{Network, Sgd, SoftmaxWithLoss};
use ndarray::Array2;

/// A network with Batch Normalization and ReLU after each hidden layer, and the size of its training
/// batch.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) hidden: &'static [usize],
    pub(crate) batch: usize,
}

pub(crate) const NETWORKS: [Case; 3] = [
    Case {
        name: "book",
        hidden: &[100; 5],
        batch: 100,
    },
    Case {
        name: "mid",
        hidden: &[512; 3],
        batch: 256,
    },
    Case {
        name: "big",
        hidden: &[2048; 3],
        batch: 1024,
    },
];

const INPUTS: usize = 784;
const CLASSES: usize = 10;

impl Case {
    /// For example `book 784-5×100-10, batch 100`.
    pub(crate) fn title(&self) -> String {
        let (layers, width) = (self.hidden.len(), self.hidden[0]);
        let (name, batch) = (self.name, self.batch);
        format!("{name} {INPUTS}-{layers}×{width}-{CLASSES}, batch {batch}")
    }

    pub(crate) fn network(&self) -> Network {
        network(self.hidden)
    }

    pub(crate) fn training(&self) -> Training {
        Training::new(self.hidden, self.batch)
    }

    /// The width of the input and of each layer's output.
    pub(crate) fn widths(&self) -> Vec<usize> {
        [&[INPUTS], self.hidden, &[CLASSES]].concat()
    }
}

fn network(hidden: &[usize]) -> Network {
    let mut builder = Network::builder(INPUTS);
    for &width in hidden {
        builder = builder.affine(width).batch_norm().relu();
    }
    builder.affine(CLASSES).build(1).expect("the sizes fit")
}

/// `n` artificial images, with values from 0 to 1.
pub(crate) fn images(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, INPUTS), |(i, j)| {
        ((i * INPUTS + j) as f32 * 0.37).sin().abs()
    })
}

/// Everything that a training step needs.
pub(crate) struct Training {
    network: Network,
    x: Array2<f32>, // (N, 784)
    labels: Vec<usize>,
    loss: SoftmaxWithLoss<f32>,
    sgd: Sgd<f32>,
}

impl Training {
    pub(crate) fn new(hidden: &[usize], batch: usize) -> Self {
        Self {
            network: network(hidden),
            x: images(batch),
            labels: (0..batch).map(|i| i * 7 % CLASSES).collect(),
            loss: SoftmaxWithLoss::new(),
            sgd: Sgd::new(0.01).expect("a rate"),
        }
    }

    /// Forward, loss, backward and SGD.
    pub(crate) fn step(&mut self) {
        let (x, t) = (self.x.view(), (&self.labels).into());
        let loss = self
            .network
            .train_step(x, t, &mut self.loss, &mut self.sgd)
            .expect("a step");
        std::hint::black_box(loss);
    }
}
