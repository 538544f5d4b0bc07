//! Networks with layers from outside the library.

// Formatted as in the documentation, where it is as short as possible.
#[allow(elided_lifetimes_in_paths, missing_debug_implementations, unreachable_pub)]
#[rustfmt::skip]
#[path = "../docs/residual.rs"]
mod residual;

use bn_layers::{
    Error as LayerError, GradientCheck, Io, Layer, LayerExt, Mode, Outcome, Param, ParamMut, Pass,
    Shape, State, StateMut, Wanted,
};
use bn_net::{Adam, Checkpoint, Error, IdentityWithLoss, Network, NetworkBuilder, Optimizer, Sgd};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use residual::Residual;
use std::sync::{Arc, Mutex};

/// `y = b·(x − mean over the batch)`, with only the required methods, its state and a record of the modes
/// and outcomes that it sees.
#[derive(Debug, Clone)]
struct Center {
    b: [f64; 1],
    db: [f64; 1],
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Center {
    fn new() -> Self {
        Self {
            b: [1.0],
            db: [0.0],
            seen: Arc::default(),
        }
    }
}

/// A forward pass or the end of a step.
#[derive(Debug, PartialEq)]
enum Seen {
    Pass(Mode),
    End(Outcome),
}

fn centered(x: ArrayView2<'_, f64>) -> Array2<f64> {
    let mean = x.mean_axis(Axis(0)).unwrap();
    &x - &mean
}

impl Layer<f64> for Center {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f64>,
        mut y: ArrayViewMut2<'_, f64>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.seen.lock().unwrap().push(Seen::Pass(pass.mode()));
        y.assign(&(centered(x) * self.b[0]));
        Ok(())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, f64>,
        wanted: Wanted<'_, f64>,
        _: &Pass<'_>,
    ) -> Result<(), LayerError> {
        if wanted.params {
            self.db = [(centered(io.x) * io.dout).sum()];
        }
        if let Some(mut dx) = wanted.dx {
            dx.assign(&(centered(io.dout) * self.b[0]));
        }
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, f64>)) {
        visit(State::Array(Param::new("b", &[1], &self.b, &self.db)));
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, f64>)) {
        let (b, db) = (&mut self.b, &mut self.db);
        visit(StateMut::Array(ParamMut::new("b", &[1], b, db)));
    }

    fn settle(&mut self, outcome: Outcome) {
        self.seen.lock().unwrap().push(Seen::End(outcome));
    }
}

#[test]
fn rows_that_depend_on_each_other_are_evaluated_together() {
    let network = NetworkBuilder::<f64>::new(1)
        .layer("center", Center::new())
        .build(1)
        .unwrap();
    let x = Array2::from_shape_fn((400, 1), |(n, _)| n as f64);
    let y = network.predict(x.view()).unwrap();
    assert_eq!((y[[0, 0]], y[[399, 0]]), (-199.5, 199.5));
}

#[test]
fn the_gradient_of_the_input_does_not_change_the_layers_own() {
    let mut network = NetworkBuilder::<f64>::new(3)
        .affine(4)
        .layer("center", Center::new())
        .affine(2)
        .build(1)
        .unwrap();
    let grads = |network: &Network<f64>| {
        let mut all = Vec::new();
        network.visit(&mut |p| all.extend(p.grad.to_vec()));
        all
    };
    let x = Array2::from_shape_fn((5, 3), |(n, d)| ((n * 3 + d) as f64).sin());
    let mut loss = IdentityWithLoss::default();
    let t = Array2::ones((5, 2));
    network
        .gradient(x.view(), t.view().into(), &mut loss)
        .unwrap();
    let before = grads(&network);
    network.forward(x.view(), Mode::BatchStats).unwrap();
    let dout = Array2::from_shape_fn((5, 2), |(n, e)| ((n * 2 + e) as f64).cos());
    let dx = network.input_gradient(x.view(), dout.view()).unwrap();
    assert!(dx.iter().any(|v| *v != 0.0));
    assert_eq!(grads(&network), before);
}

#[test]
fn a_step_reaches_the_layer_in_training_mode_and_ends_once() {
    let center = Center::new();
    let seen = center.seen.clone();
    let mut network = NetworkBuilder::<f64>::new(2)
        .affine(2)
        .layer("center", center)
        .build(1)
        .unwrap();
    let x = Array2::from_shape_fn((3, 2), |(n, d)| (n + d) as f64);
    let mut step = |t: Array2<f64>| {
        let (mut loss, mut sgd) = (IdentityWithLoss::default(), Sgd::new(0.1).unwrap());
        let result = network.train_step(x.view(), t.view().into(), &mut loss, &mut sgd);
        (result, std::mem::take(&mut *seen.lock().unwrap()))
    };
    let (result, seen) = step(Array2::ones((3, 2)));
    assert!(result.is_ok());
    assert_eq!(seen, [Seen::Pass(Mode::Train), Seen::End(Outcome::Stands)]);
    let (result, seen) = step(Array2::from_elem((3, 2), f64::INFINITY));
    assert!(matches!(result, Err(Error::NonFinite { .. })));
    assert_eq!(
        seen,
        [Seen::Pass(Mode::Train), Seen::End(Outcome::TakenBack)]
    );
    let (result, seen) = step(Array2::ones((2, 2))); // before any layer is reached
    assert!(result.is_err());
    assert_eq!(seen, [Seen::End(Outcome::TakenBack)]);
}

fn body(seed: u64) -> Network<f64> {
    NetworkBuilder::<f64>::new(4)
        .affine_without_bias(6)
        .batch_norm()
        .relu()
        .dropout(0.2)
        .affine_without_bias(4)
        .batch_norm()
        .build(seed)
        .unwrap()
}

fn with_residual_block() -> Network<f64> {
    let shortcut = NetworkBuilder::<f64>::new(4).affine(4).build(2).unwrap();
    NetworkBuilder::<f64>::new(3)
        .affine(4)
        .layer("residual", Residual::new(body(1), shortcut))
        .relu()
        .affine(1)
        .build(3)
        .unwrap()
}

fn batch() -> (Array2<f64>, Array2<f64>) {
    let x = Array2::from_shape_fn((20, 3), |(n, d)| ((n * 3 + d) as f64 * 0.7).sin());
    let t = x.map_axis(Axis(1), |row| row[0] * row[1] + row[2]);
    (x, t.insert_axis(Axis(1)))
}

fn train(network: &mut Network<f64>, adam: &mut Adam<f64>, steps: usize) -> f64 {
    let ((x, t), mut loss) = (batch(), IdentityWithLoss::default());
    let mut last = f64::NAN;
    for _ in 0..steps {
        last = network
            .train_step(x.view(), t.view().into(), &mut loss, adam)
            .unwrap();
    }
    last
}

#[test]
fn a_residual_block_of_two_networks_has_correct_gradients_and_learns() {
    let mut network = with_residual_block();
    let (x, t) = batch();
    let report = GradientCheck::default()
        .check(&mut network, x.view())
        .unwrap();
    assert!(report.worst().relative < 1e-6, "{report}");
    let names: Vec<_> = report.params.iter().map(|p| p.name.as_str()).collect();
    assert!(names.contains(&"layers.1.body.layers.1.gamma"), "{names:?}");

    let mut adam = Adam::book(0.01).unwrap();
    let first = train(&mut network, &mut adam, 1);
    let last = train(&mut network, &mut adam, 400);
    assert!(last < first / 10.0, "{first} {last}");
    // And in evaluation, with the running statistics of its layers.
    let mut loss = IdentityWithLoss::default();
    let evaluated = network
        .evaluate_loss(
            x.view(),
            t.view().into(),
            &mut loss,
            &mut Default::default(),
        )
        .unwrap();
    assert!(evaluated < first / 5.0, "{first} {evaluated}");
}

#[test]
fn a_residual_block_is_saved_and_resumed_to_the_same_bits() {
    let bits = |network: &Network<f64>| {
        let mut bits = Vec::new();
        network.visit(&mut |p| bits.extend(p.value.iter().map(|v| v.to_bits())));
        bits
    };
    let (mut network, mut adam) = (with_residual_block(), Adam::book(0.01).unwrap());
    train(&mut network, &mut adam, 5);
    let path = tempfile::tempdir().unwrap().keep().join("run.safetensors");
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("network", &network).unwrap();
    checkpoint.add_optimizer("adam", &adam).unwrap();
    checkpoint.save(&path).unwrap();
    train(&mut network, &mut adam, 5);

    let (mut resumed, mut adam) = (with_residual_block(), Adam::book(0.01).unwrap());
    let checkpoint = Checkpoint::load(&path).unwrap();
    checkpoint.restore_network("network", &mut resumed).unwrap();
    checkpoint
        .restore_optimizer("adam", &mut adam, &resumed)
        .unwrap();
    train(&mut resumed, &mut adam, 5);
    assert_eq!(bits(&resumed), bits(&network));
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

/// A container that passes everything on except `settle`.
#[derive(Debug, Clone)]
struct Forgets(Network<f64>);

impl Layer<f64> for Forgets {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        self.0.output_shape(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f64>,
        y: ArrayViewMut2<'_, f64>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.0.forward_into(x, y, pass)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, f64>,
        wanted: Wanted<'_, f64>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.0.backward_into(io, wanted, pass)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, f64>)) {
        self.0.state(visit);
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, f64>)) {
        self.0.state_mut(visit);
    }
}

#[test]
fn a_container_that_forgets_to_settle_gets_an_error_at_its_second_step() {
    let mut network = NetworkBuilder::<f64>::new(3)
        .affine(4)
        .layer("forgets", Forgets(body(1)))
        .affine(1)
        .build(3)
        .unwrap();
    let ((x, t), mut loss, mut sgd) =
        (batch(), IdentityWithLoss::default(), Sgd::new(0.1).unwrap());
    let mut step = || network.train_step(x.view(), t.view().into(), &mut loss, &mut sgd);
    step().unwrap();
    let error = step().unwrap_err();
    let is_unsettled = |source: &LayerError| matches!(source, LayerError::Unsettled { .. });
    assert!(
        matches!(&error, Error::Layer { index: 1, source, .. } if is_unsettled(source)),
        "{error}"
    );
    assert!(error.to_string().contains("Layer::settle"), "{error}");
}

#[test]
fn a_gradient_that_is_not_followed_by_an_update_is_taken_back() {
    let ((x, t), mut loss) = (batch(), IdentityWithLoss::default());
    let (mut network, mut twin) = (with_residual_block(), with_residual_block());
    let (mut sgd, mut twin_sgd) = (Sgd::new(0.1).unwrap(), Sgd::new(0.1).unwrap());
    let losses: Vec<_> = (0..3)
        .map(|_| {
            network
                .gradient(x.view(), t.view().into(), &mut loss)
                .unwrap()
        })
        .collect();
    assert!(losses.iter().all(|value| *value == losses[0]), "{losses:?}");
    let step = |network: &mut Network<f64>, sgd: &mut dyn Optimizer<f64>| {
        let mut loss = IdentityWithLoss::default();
        network
            .train_step(x.view(), t.view().into(), &mut loss, sgd)
            .unwrap();
        network.predict(x.view()).unwrap()
    };
    assert_eq!(step(&mut network, &mut sgd), step(&mut twin, &mut twin_sgd));
}
