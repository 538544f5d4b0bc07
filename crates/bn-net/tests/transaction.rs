//! A step is a transaction: wherever it fails, the parameters, running statistics, draws and optimizer
//! state keep their bits, and training continues as if the step had not been taken.

use crate::common::failing_layer::{FAULTS, Fails, Fault};
use bn_layers::{
    Conv2dConfig, Error as LayerError, Interpolation, Layer, LayerExt, ParamMut, Pool2dConfig,
    State,
};
use bn_net::{
    AdaGrad, Adam, AdamW, Error, Loss, Momentum, Nesterov, Network, Optimizer, OptimizerState,
    RmsProp, Sgd, SoftmaxWithLoss, Targets,
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A network of every kind of layer, with layers that can fail at the front, in the middle and at the
/// end.
fn network() -> (Network, [Arc<AtomicUsize>; 3]) {
    let switches: [Arc<AtomicUsize>; 3] = Default::default();
    let fails = |i: usize| Fails::new(&switches[i]);
    let network = Network::builder((8, 8, 2))
        .weight_decay(0.01)
        .layer("fails", fails(0))
        .conv2d(Conv2dConfig::new(4, 3).same())
        .leaky_relu(0.2)
        .dropout(0.3)
        .conv2d(Conv2dConfig::new(6, 3).stride(2).same().without_bias())
        .batch_norm()
        .relu()
        .conv2d(Conv2dConfig::depthwise(6, 1, 3).same())
        .zero_pad2d((1, 0), (0, 1))
        .reflect_pad2d((0, 1), (1, 0))
        .resize2d((4, 4), Interpolation::Bilinear)
        .max_pool2d_with(Pool2dConfig::new(2).ceil_mode())
        .layer("fails", fails(1))
        .conv_transpose2d(Conv2dConfig::new(3, 3).stride(2).same().groups(3))
        .residual(|b| {
            b.conv2d(Conv2dConfig::new(3, 3).same())
                .batch_norm()
                .prelu()
                .dropout(0.1)
        })
        .relu()
        .concat(|all| {
            all.branch(|b| b.group_norm(3))
                .branch(|b| b.instance_norm().gelu())
        })
        .avg_pool2d(2)
        .upsample2d(2)
        .dropout_book(0.2)
        .flatten()
        .affine(9)
        .batch_norm_with(bn_layers::BatchNormConfig::pytorch())
        .sigmoid()
        .reshape((3, 3, 1))
        .global_avg_pool2d()
        .affine(8)
        .layer_norm()
        .tanh()
        .dropout(0.5)
        .affine(3)
        .identity()
        .layer("fails", fails(2))
        .build(5)
        .unwrap();
    (network, switches)
}

fn batch() -> Array2<f32> {
    Array2::from_shape_fn((6, 128), |(n, d)| ((n * 128 + d) as f32 * 0.37).sin())
}

const LABELS: [usize; 6] = [0, 1, 2, 0, 1, 2];

type Bits = Vec<(String, Vec<u64>)>;

/// All arrays and counters of the network, and the whole state of the optimizer.
fn state(network: &Network, optimizer: &dyn Optimizer<f32>) -> Bits {
    let mut all = Vec::new();
    network.state(&mut |part| {
        all.push(match part {
            State::Array(p) => {
                let bits = p.value.iter().map(|v| v.to_bits().into()).collect();
                (p.name.to_owned(), bits)
            }
            State::Counter(name, value) => (name.to_owned(), vec![value]),
        });
    });
    if let Some(state) = optimizer.state() {
        all.push(("steps".to_owned(), vec![state.steps()]));
        for (name, values) in state.iter() {
            let bits = values.iter().map(|v| v.to_bits().into()).collect();
            all.push((format!("state of {name}"), bits));
        }
    }
    all.push(("lr".to_owned(), vec![optimizer.learning_rate().to_bits()]));
    all
}

fn good_step(network: &mut Network, optimizer: &mut dyn Optimizer<f32>) {
    let (x, t) = (batch(), Targets::from(&LABELS[..]));
    let mut loss = SoftmaxWithLoss::new();
    network
        .train_step(x.view(), t, &mut loss, optimizer)
        .unwrap();
}

/// Runs a step that must fail, after one valid step and before two others. Compares the result with a
/// network and an optimizer that take only the valid steps. Returns the error.
fn refused(
    optimizer: &Make,
    step: impl Fn(&mut Network, &[Arc<AtomicUsize>; 3], &mut dyn Optimizer<f32>) -> Result<f64, Error>,
) -> Error {
    let ((mut network, switches), (mut twin, _)) = (network(), network());
    let (mut moved, mut twin_moved) = (optimizer(), optimizer());
    good_step(&mut network, &mut *moved);
    good_step(&mut twin, &mut *twin_moved);
    let before = state(&network, &*moved);
    let error = step(&mut network, &switches, &mut *moved).unwrap_err();
    assert_eq!(state(&network, &*moved), before, "{error}");
    for _ in 0..2 {
        good_step(&mut network, &mut *moved);
        good_step(&mut twin, &mut *twin_moved);
    }
    let (got, want) = (state(&network, &*moved), state(&twin, &*twin_moved));
    assert_eq!(
        got, want,
        "{error}: training must continue as if the step had not been taken"
    );
    error
}

type Make = dyn Fn() -> Box<dyn Optimizer<f32>>;

fn optimizers() -> Vec<Box<Make>> {
    vec![
        Box::new(|| Box::new(Sgd::new(0.1).unwrap())),
        Box::new(|| Box::new(Sgd::new(0.1).unwrap().with_weight_decay(0.1).unwrap())),
        Box::new(|| Box::new(Sgd::new(0.1).unwrap().with_momentum(0.9).unwrap())),
        Box::new(|| Box::new(Momentum::new(0.1, 0.9).unwrap())),
        Box::new(|| Box::new(Nesterov::new(0.1, 0.9).unwrap())),
        Box::new(|| Box::new(AdaGrad::book(0.1).unwrap())),
        Box::new(|| Box::new(RmsProp::pytorch(0.1, 0.9).unwrap())),
        Box::new(|| Box::new(Adam::book(0.1).unwrap())),
        Box::new(|| Box::new(AdamW::new(0.1, 0.1).unwrap())),
    ]
}

fn train_step(network: &mut Network, optimizer: &mut dyn Optimizer<f32>) -> Result<f64, Error> {
    let (x, mut loss) = (batch(), SoftmaxWithLoss::new());
    network.train_step(x.view(), (&LABELS[..]).into(), &mut loss, optimizer)
}

#[test]
fn a_layer_that_fails_anywhere_in_either_pass() {
    let adam: &Make = &|| Box::new(Adam::book(0.01).unwrap());
    for place in 0..3 {
        for (fault, _) in FAULTS.iter().enumerate().skip(1) {
            if place == 0 && FAULTS[fault] == Fault::NanInputGradient {
                continue; // it is not computed for the first layer
            }
            let error = refused(adam, |network, switches, adam| {
                switches[place].store(fault, Ordering::Relaxed);
                let result = train_step(network, adam);
                switches[place].store(0, Ordering::Relaxed);
                result
            });
            let name = "fails";
            match FAULTS[fault] {
                Fault::Forward | Fault::Backward => {
                    assert!(
                        matches!(&error, Error::Layer { name: n, .. } if n == name),
                        "{error}"
                    );
                }
                _ => assert!(matches!(error, Error::NonFinite { .. }), "{error}"),
            }
        }
    }
}

#[test]
fn an_input_that_no_layer_can_normalise_or_that_does_not_fit() {
    for optimizer in optimizers() {
        let with = |x: Array2<f32>, labels: Vec<usize>| {
            refused(&*optimizer, |network, _, optimizer| {
                let mut loss = SoftmaxWithLoss::new();
                network.train_step(x.view(), (&labels).into(), &mut loss, optimizer)
            })
        };
        let labels = LABELS.to_vec();
        let mut nan = batch();
        nan[[3, 7]] = f32::NAN;
        let error = with(nan, labels.clone()).to_string();
        assert_eq!(error, "the input is not finite (NaN or infinity)");
        // Finite, but f32 cannot hold their variance after the convolutions.
        let error = with(batch() * 1e25, labels.clone());
        let is_statistics = |source: &LayerError| matches!(source, LayerError::Statistics { .. });
        assert!(
            matches!(&error, Error::Layer { source, .. } if is_statistics(source)),
            "{error}"
        );
        assert!(error.to_string().contains("variance"), "{error}");
        with(batch(), vec![0, 1, 2, 0, 1, 3]);
        with(batch(), vec![0; 5]);
        with(Array2::zeros((6, 127)), labels.clone());
        let one = batch().slice_axis(Axis(0), Slice::from(..1)).to_owned();
        with(one, vec![0]);
        with(Array2::zeros((0, 128)), vec![]);
    }
}

/// Fails in one of its three functions.
struct LossFails(SoftmaxWithLoss<f32>, &'static str);

impl Loss<f32> for LossFails {
    fn check(&self, rows: usize, width: usize, t: Targets<'_, f32>) -> Result<(), Error> {
        self.fail("check")?;
        self.0.check(rows, width, t)
    }

    fn forward(&mut self, x: ArrayView2<'_, f32>, t: Targets<'_, f32>) -> Result<f64, Error> {
        self.fail("forward")?;
        let loss = self.0.forward(x, t)?;
        Ok(if self.1 == "infinite" {
            f64::INFINITY
        } else {
            loss
        })
    }

    fn backward_into(
        &self,
        x: ArrayView2<'_, f32>,
        t: Targets<'_, f32>,
        mut dx: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        self.fail("backward")?;
        self.0.backward_into(x, t, dx.view_mut())?;
        if self.1 == "nan" {
            dx[[0, 0]] = f32::NAN;
        }
        Ok(())
    }
}

impl LossFails {
    fn fail(&self, place: &str) -> Result<(), Error> {
        match place == self.1 {
            true => Err(Error::EmptyNetwork { what: self.1 }),
            false => Ok(()),
        }
    }
}

#[test]
fn a_loss_that_fails() {
    let sgd: &Make = &|| Box::new(Sgd::new(0.1).unwrap());
    for place in ["check", "forward", "infinite", "backward", "nan"] {
        let error = refused(sgd, |network, _, sgd| {
            let mut loss = LossFails(SoftmaxWithLoss::new(), place);
            network.train_step(batch().view(), (&LABELS[..]).into(), &mut loss, sgd)
        });
        match place {
            "infinite" | "nan" => assert!(matches!(error, Error::NonFinite { .. }), "{error}"),
            _ => assert!(error.to_string().contains(place), "{error}"),
        }
    }
}

/// With a learning rate at which every update overflows.
#[test]
fn an_update_that_overflows_in_every_optimizer() {
    for optimizer in optimizers() {
        let error = refused(&*optimizer, |network, _, optimizer| {
            let lr = optimizer.learning_rate();
            // The gradients become so large that even Adam's steps, which have the size of the rate,
            // overflow. A power of two multiplies and divides exactly.
            network.visit_mut(&mut |p| {
                if p.name == "layers.26.weight" {
                    p.value.iter_mut().for_each(|v| *v *= 2f32.powi(90));
                }
            });
            optimizer.set_learning_rate(3e38)?;
            let result = train_step(network, optimizer);
            optimizer.set_learning_rate(lr)?;
            network.visit_mut(&mut |p| {
                if p.name == "layers.26.weight" {
                    p.value.iter_mut().for_each(|v| *v /= 2f32.powi(90));
                }
            });
            result
        });
        assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    }
}

/// A custom optimizer that gives no bounds of what is safe, and fails at one parameter.
struct OptimizerFails {
    sgd: Sgd<f32>,
    at: Option<&'static str>,
    overflows: bool,
}

impl Optimizer<f32> for OptimizerFails {
    fn state(&self) -> Option<&OptimizerState<f32>> {
        self.sgd.state()
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<f32>> {
        self.sgd.state_mut()
    }

    fn update(&mut self, p: ParamMut<'_, f32>) -> Result<(), Error> {
        if self.at == Some(p.name) {
            if !self.overflows {
                return Err(Error::EmptyNetwork { what: "update" });
            }
            p.value[0] = f32::NEG_INFINITY;
        }
        self.sgd.update(p)
    }

    fn learning_rate(&self) -> f64 {
        self.sgd.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<(), Error> {
        self.sgd.set_learning_rate(lr)
    }
}

#[test]
fn an_optimizer_that_fails_halfway_or_that_overflows() {
    for overflows in [false, true] {
        for at in ["layers.0.b", "layers.5.gamma", "layers.26.bias"] {
            let (mut network, _) = network();
            let mut optimizer = OptimizerFails {
                sgd: Sgd::new(0.1).unwrap().with_momentum(0.9).unwrap(),
                at: None,
                overflows,
            };
            good_step(&mut network, &mut optimizer);
            let before = state(&network, &optimizer);
            optimizer.at = Some(at);
            let error = train_step(&mut network, &mut optimizer).unwrap_err();
            optimizer.at = None;
            assert_eq!(state(&network, &optimizer), before, "{error}");
            let place = if overflows { at } else { "update" };
            assert!(error.to_string().contains(place), "{error}");
            good_step(&mut network, &mut optimizer);
        }
    }
}

/// An optimizer with the state of another network.
#[test]
fn an_optimizer_of_another_network() {
    let mut adam = Adam::<f32>::book(0.01).unwrap();
    let mut other = Network::builder(4).affine(3).build(1).unwrap();
    other.visit_mut(&mut |p| adam.update(p).unwrap());
    let (mut network, _) = network();
    let mut first = Network::builder(2).affine(3).build(1).unwrap();
    let before = state(&first, &adam);
    let x = Array2::ones((3, 2));
    let step = |network: &mut Network, adam: &mut Adam<f32>| {
        let mut loss = SoftmaxWithLoss::new();
        network.train_step(x.view(), (&[0, 1, 2][..]).into(), &mut loss, adam)
    };
    let error = step(&mut first, &mut adam).unwrap_err();
    assert!(matches!(error, Error::OptimizerState { .. }), "{error}");
    assert_eq!(state(&first, &adam), before);
    assert!(
        train_step(&mut network, &mut adam).is_ok(),
        "no name in common"
    );
}

#[test]
fn any_memory_layout_gives_the_same_step() {
    let x = batch();
    let turned = x.t().as_standard_layout().into_owned(); // (D, N)
    let wide = ndarray::concatenate![Axis(1), x, x];
    let views = [
        x.view(),
        turned.t(),
        wide.slice_axis(Axis(1), Slice::from(128..)),
    ];
    let mut states = Vec::new();
    for x in views {
        let ((mut network, _), mut sgd) = (network(), Sgd::new(0.1).unwrap());
        let mut loss = SoftmaxWithLoss::new();
        let value = network
            .train_step(x, (&LABELS[..]).into(), &mut loss, &mut sgd)
            .unwrap();
        let y = network.predict(x).unwrap();
        states.push((value.to_bits(), state(&network, &sgd), y));
    }
    assert!(states[1] == states[0] && states[2] == states[0]);
}
