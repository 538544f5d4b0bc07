//! Invalid input to BatchNormalization's functional form, which must not change the caller's arrays;
//! and settings that neither it nor the layer accepts.

use crate::common::{bits, random, random_row};
use bn_layers::{
    BatchNormCache, BatchNormConfig, BatchNormalization, Error, RunningAverage, RunningStats,
    batch_norm_backward, batch_norm_eval, batch_norm_train,
};
use bn_tensor::Error as TensorError;
use ndarray::{Array1, Array3, Axis};

/// Everything that a caller of the functional form owns, after a forward pass of `(6, 3, 1)`.
#[derive(Clone)]
struct Caller {
    gamma: Array1<f64>,
    beta: Array1<f64>,
    running: RunningStats<f64>,
    config: BatchNormConfig,
    cache: BatchNormCache<f64>,
    x: Array3<f64>,
    y: Array3<f64>,
    dout: Array3<f64>,
    dgamma: Vec<f64>,
    dbeta: Vec<f64>,
    dx: Array3<f64>,
}

fn cube(dims: (usize, usize, usize), seed: u64) -> Array3<f64> {
    let flat = random((dims.0, dims.1 * dims.2), seed);
    flat.into_shape_with_order(dims).unwrap()
}

/// The same elements and shape, not in row-major order.
fn strided(of: &Array3<f64>) -> Array3<f64> {
    let turned = of.view().reversed_axes().as_standard_layout().into_owned();
    turned.reversed_axes()
}

impl Caller {
    fn warm() -> Self {
        let config = BatchNormConfig::pytorch();
        let mut caller = Self {
            gamma: random_row(3, 1.5, 1),
            beta: random_row(3, 0.0, 2),
            running: RunningStats::new(3, &config).unwrap(),
            config,
            cache: BatchNormCache::default(),
            x: cube((6, 3, 1), 3),
            y: cube((6, 3, 1), 4),
            dout: cube((6, 3, 1), 5),
            dgamma: vec![1.0; 3],
            dbeta: vec![2.0; 3],
            dx: cube((6, 3, 1), 6),
        };
        caller.train().unwrap();
        caller
    }

    fn train(&mut self) -> Result<(), Error> {
        batch_norm_train(
            self.x.view(),
            Some(self.gamma.view()),
            Some(self.beta.view()),
            Some(&mut self.running),
            &self.config,
            &mut self.cache,
            self.y.view_mut(),
        )
    }

    fn eval(&mut self) -> Result<(), Error> {
        batch_norm_eval(
            self.x.view(),
            Some(self.gamma.view()),
            Some(self.beta.view()),
            &self.running,
            &self.config,
            &mut self.cache,
            self.y.view_mut(),
        )
    }

    fn backward(&mut self) -> Result<(), Error> {
        batch_norm_backward(
            self.x.view(),
            self.dout.view(),
            Some(self.gamma.view()),
            &mut self.cache,
            Some(&mut self.dgamma),
            Some(&mut self.dbeta),
            Some(self.dx.view_mut()),
        )
    }

    /// The bits of every array that a call may write, and of the gradient that the cache gives for
    /// the batch of [`Self::warm`].
    fn written(&self) -> Vec<Vec<u64>> {
        let (x, dout) = (cube((6, 3, 1), 3), cube((6, 3, 1), 5));
        let gamma = random_row(3, 1.5, 1);
        let (mut cache, mut dx) = (self.cache.clone(), Array3::zeros((6, 3, 1)));
        let gamma = Some(gamma.view());
        batch_norm_backward(
            x.view(),
            dout.view(),
            gamma,
            &mut cache,
            None,
            None,
            Some(dx.view_mut()),
        )
        .unwrap();
        vec![
            bits(&self.running.mean),
            bits(&self.running.var),
            vec![self.running.updates],
            bits(&self.y),
            bits(&self.dgamma),
            bits(&self.dbeta),
            bits(&self.dx),
            bits(&dx),
        ]
    }

    /// Returns the error of `call` after `spoil`. The call must write nothing.
    fn refused(
        spoil: impl FnOnce(&mut Self),
        call: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Error {
        let mut caller = Self::warm();
        spoil(&mut caller);
        let before = caller.written();
        let error = call(&mut caller).unwrap_err();
        assert_eq!(caller.written(), before, "{error}");
        let message = error.to_string().to_lowercase().replace('_', "");
        assert!(message.contains("batchnorm"), "{error}");
        error
    }
}

fn is_shape(error: &Error) -> bool {
    matches!(error, Error::Tensor(TensorError::ShapeMismatch { .. }))
}

fn is_setting(error: &Error) -> bool {
    matches!(error, Error::Tensor(TensorError::InvalidSetting { .. }))
}

fn is_not_contiguous(error: &Error) -> bool {
    matches!(error, Error::Tensor(TensorError::NotContiguous { .. }))
}

/// Makes one of the caller's arrays invalid.
type Spoil = fn(&mut Caller);

#[test]
fn a_forward_with_arrays_that_do_not_fit() {
    let wrong: [Spoil; 6] = [
        |c| c.gamma = Array1::ones(4),
        |c| c.beta = Array1::ones(2),
        |c| c.running.mean = Array1::ones(4),
        |c| c.running.var = Array1::ones(2),
        |c| c.y = cube((6, 3, 2), 7),
        |c| c.x = cube((6, 4, 1), 7),
    ];
    for spoil in wrong {
        for call in [Caller::train, Caller::eval] {
            let error = Caller::refused(spoil, call);
            assert!(is_shape(&error), "{error}");
        }
    }
    let wrong: [Spoil; 2] = [|c| c.x = strided(&c.x), |c| c.y = strided(&c.y)];
    for spoil in wrong {
        for call in [Caller::train, Caller::eval] {
            let error = Caller::refused(spoil, call);
            assert!(is_not_contiguous(&error), "{error}");
        }
    }
}

#[test]
fn a_forward_with_too_few_values() {
    let (none, one): (Spoil, Spoil) = (
        |c| (c.x, c.y) = (cube((0, 3, 1), 7), cube((0, 3, 1), 7)),
        |c| (c.x, c.y) = (cube((1, 3, 1), 7), cube((1, 3, 1), 7)),
    );
    for call in [Caller::train, Caller::eval] {
        let error = Caller::refused(none, call);
        assert!(matches!(error, Error::EmptyBatch { .. }), "{error}");
    }
    let error = Caller::refused(one, Caller::train);
    assert!(
        matches!(error, Error::TooFewValues { got: 1, .. }),
        "{error}"
    );
}

#[test]
fn a_backward_with_arrays_that_do_not_fit() {
    let wrong: [Spoil; 5] = [
        |c| c.gamma = Array1::ones(4),
        |c| c.dgamma = vec![0.0; 4],
        |c| c.dbeta = vec![0.0; 2],
        |c| c.dx = cube((5, 3, 1), 7),
        |c| c.dout = cube((6, 3, 2), 7),
    ];
    for spoil in wrong {
        let error = Caller::refused(spoil, Caller::backward);
        assert!(is_shape(&error), "{error}");
    }
    let wrong: [Spoil; 3] = [
        |c| c.x = strided(&c.x),
        |c| c.dout = strided(&c.dout),
        |c| c.dx = strided(&c.dx),
    ];
    for spoil in wrong {
        let error = Caller::refused(spoil, Caller::backward);
        assert!(is_not_contiguous(&error), "{error}");
    }
    let spoil: Spoil = |c| c.x = cube((5, 3, 1), 7);
    let error = Caller::refused(spoil, Caller::backward);
    let fits = matches!(
        error,
        Error::NoForward {
            expected: 6,
            got: 5,
            ..
        }
    );
    assert!(fits, "{error}");
}

/// Settings that are out of range, each with a word that the message must contain.
fn bad_configs() -> Vec<(BatchNormConfig, &'static str)> {
    let book = BatchNormConfig::book();
    let mut bad = Vec::new();
    for eps in [0.0, -1e-6, f64::NAN, f64::INFINITY] {
        bad.push((BatchNormConfig { eps, ..book }, "eps"));
    }
    for initial_running_var in [-0.5, f64::NAN, f64::INFINITY] {
        let config = BatchNormConfig {
            initial_running_var,
            ..book
        };
        bad.push((config, "initial_running_var"));
    }
    for m in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        for running in [RunningAverage::Keep(m), RunningAverage::Add(m)] {
            bad.push((BatchNormConfig { running, ..book }, "momentum"));
        }
    }
    // A momentum of 1 would divide by 1 − 1ᵗ.
    for m in [-0.1, 1.0, 1.1, f64::NAN, f64::INFINITY] {
        let running = RunningAverage::KeepCorrected(m);
        bad.push((BatchNormConfig { running, ..book }, "momentum"));
    }
    bad
}

#[test]
fn a_config_out_of_range() {
    for (config, word) in bad_configs() {
        let same = |error: Error| {
            assert!(is_setting(&error), "{error}");
            let message = error.to_string();
            assert!(message.contains(word) && message.contains("got"), "{error}");
        };
        same(config.check().unwrap_err());
        same(BatchNormalization::<f32>::new(3, config).unwrap_err());
        for call in [Caller::train, Caller::eval] {
            let mut caller = Caller::warm();
            caller.config = config;
            let before = caller.written();
            same(call(&mut caller).unwrap_err());
            assert_eq!(caller.written(), before);
        }
    }
}

#[test]
fn a_gamma_or_beta_that_does_not_fit() {
    let bn = || BatchNormalization::<f64>::new(3, BatchNormConfig::book()).unwrap();
    for (gamma, beta) in [(2, 3), (3, 4), (0, 0)] {
        let error = bn().with_gamma_beta(Array1::ones(gamma), Array1::ones(beta));
        let error = error.unwrap_err();
        assert!(is_shape(&error), "{error}");
        assert!(error.to_string().contains("with_gamma_beta"), "{error}");
    }
    let mut backwards = Array1::from(vec![1.0, 2.0, 3.0]);
    backwards.invert_axis(Axis(0));
    let error = bn()
        .with_gamma_beta(backwards, Array1::ones(3))
        .unwrap_err();
    assert!(is_not_contiguous(&error), "{error}");
    let config = BatchNormConfig {
        affine: false,
        ..BatchNormConfig::book()
    };
    let bn = BatchNormalization::<f64>::new(3, config).unwrap();
    let error = bn.with_gamma_beta(Array1::ones(3), Array1::ones(3));
    assert!(is_shape(&error.unwrap_err()));
}
