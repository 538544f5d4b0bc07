use crate::{
    builder::NetworkBuilder,
    error::Error,
    loss::{SoftmaxWithLoss, Targets},
    network::Network,
    optimizer::Optimizer,
};
use bn_data::RandomState;
use bn_layers::{BatchNormConfig, Init, Layer, LayerExt, Outcome, Param, ParamMut};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2};

/// The activation of the hidden layers of a [`MultiLayerNet`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HiddenActivation {
    /// [`Relu`](bn_layers::Relu), the book's `'relu'`.
    #[default]
    Relu,
    /// [`Sigmoid`](bn_layers::Sigmoid), the book's `'sigmoid'`.
    Sigmoid,
}

/// The book's `weight_init_std`: a number, or the name of a rule.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum WeightInitStd {
    /// This standard deviation in every layer.
    Std(f64),
    /// `√(2/n)` of n inputs: the book's `'relu'` or `'he'`.
    #[default]
    He,
    /// `√(1/n)` of n inputs: the book's `'sigmoid'` or `'xavier'`.
    Xavier,
}

/// The options of the book's `MultiLayerNetExtend` (`common/multi_layer_net_extend.py`), with its
/// names and defaults; `..MultiLayerNetConfig::new(…)` gives the other options their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiLayerNetConfig {
    /// Values of an input row; 784 for MNIST.
    pub input_size: usize,
    /// Values of each hidden layer.
    pub hidden_size_list: Vec<usize>,
    /// Classes.
    pub output_size: usize,
    /// The hidden layers' activation; ReLU by default.
    pub activation: HiddenActivation,
    /// The initialisation of the weights; He by default.
    pub weight_init_std: WeightInitStd,
    /// The penalty λ/2·ΣW² of all weights; 0 by default.
    pub weight_decay_lambda: f64,
    /// Whether the book's Dropout follows each activation; false by default.
    pub use_dropout: bool,
    /// Its ratio (the book's `dropout_ration`); 0.5 by default.
    pub dropout_ratio: f64,
    /// Whether a BatchNormalization comes before each activation; false by default.
    pub use_batchnorm: bool,
}

impl MultiLayerNetConfig {
    /// The book's defaults for these sizes.
    pub fn new(input_size: usize, hidden_size_list: &[usize], output_size: usize) -> Self {
        Self {
            input_size,
            hidden_size_list: hidden_size_list.to_vec(),
            output_size,
            activation: HiddenActivation::Relu,
            weight_init_std: WeightInitStd::He,
            weight_decay_lambda: 0.0,
            use_dropout: false,
            dropout_ratio: 0.5,
            use_batchnorm: false,
        }
    }
}

/// The book's `MultiLayerNetExtend`: hidden layers of Affine – BatchNormalization – activation –
/// Dropout, of which the second and the last are options, and an output layer with
/// [`SoftmaxWithLoss`]. Its parameters have the book's names, `W1 b1 gamma1 beta1 …`.
///
/// ```
/// use bn_net::{MultiLayerNet, MultiLayerNetConfig, Sgd};
/// use ndarray::Array2;
/// let config = MultiLayerNetConfig {
///     use_batchnorm: true,
///     ..MultiLayerNetConfig::new(4, &[8, 8], 3)
/// };
/// let mut network = MultiLayerNet::<f32>::new(&config, 42)?;
/// let x = Array2::from_shape_fn((6, 4), |(n, d)| ((n * 4 + d) as f32).sin());
/// let t = vec![0, 1, 2, 0, 1, 2];
/// let mut optimizer = Sgd::new(0.1)?;
/// let before = network.gradient(x.view(), (&t).into())?; // the loss; the gradients are kept
/// network.update(&mut optimizer)?;
/// assert!(network.gradient(x.view(), (&t).into())? < before);
///
/// let mut names = Vec::new();
/// network.visit_params(&mut |p| names.push(p.name.to_owned()));
/// assert_eq!(&names[..4], ["W1", "b1", "gamma1", "beta1"]);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug)]
pub struct MultiLayerNet<T: Scalar = f32> {
    network: Network<T>,
    last_layer: SoftmaxWithLoss<T>,
    names: Vec<String>, // the book's, in the order of `visit`
}

impl<T: Scalar> MultiLayerNet<T> {
    /// With weights and dropout masks drawn from `seed`.
    ///
    /// # Errors
    /// [`Error::Layer`], [`Error::EmptyNetwork`] for sizes of 0 or settings out of range.
    pub fn new(config: &MultiLayerNetConfig, seed: u64) -> Result<Self, Error> {
        let init = match config.weight_init_std {
            WeightInitStd::Std(std) => Init::Std(std),
            WeightInitStd::He => Init::He,
            WeightInitStd::Xavier => Init::LeCun,
        };
        let mut builder = NetworkBuilder::new(config.input_size)
            .init(init)
            .weight_decay(config.weight_decay_lambda);
        for &size in &config.hidden_size_list {
            builder = builder.affine(size);
            if config.use_batchnorm {
                builder = builder.batch_norm_with(BatchNormConfig::book());
            }
            builder = match config.activation {
                HiddenActivation::Relu => builder.relu(),
                HiddenActivation::Sigmoid => builder.sigmoid(),
            };
            if config.use_dropout {
                builder = builder.dropout_book(config.dropout_ratio);
            }
        }
        let network = builder.affine(config.output_size).build(seed)?;
        let mut names = Vec::new();
        let mut layer = 0;
        network.visit(&mut |p| {
            let name = match p.name.rsplit('.').next() {
                Some("weight") => {
                    layer += 1;
                    "W"
                }
                Some("bias") => "b",
                Some(name) => name,
                None => p.name,
            };
            names.push(format!("{name}{layer}"));
        });
        Ok(Self {
            network,
            last_layer: SoftmaxWithLoss::new(),
            names,
        })
    }

    /// With weights drawn as the book's program draws them: from NumPy's generator, layer by layer, as
    /// `weight_init_std * np.random.randn(D, E)`. After `np.random.seed(s)`, and [`RandomState::seed`], both
    /// networks start with the same weights.
    ///
    /// ```
    /// use bn_data::RandomState;
    /// use bn_net::{MultiLayerNet, MultiLayerNetConfig, WeightInitStd};
    /// let mut random = RandomState::seed(0);
    /// let config = MultiLayerNetConfig {
    ///     weight_init_std: WeightInitStd::Std(0.01),
    ///     ..MultiLayerNetConfig::new(784, &[100], 10)
    /// };
    /// let network = MultiLayerNet::<f64>::with_random_state(&config, &mut random)?;
    /// network.visit_params(&mut |p| {
    ///     if p.name == "W1" {
    ///         assert_eq!(p.value[0], 0.01 * 1.764052345967664); // np.random.randn() after np.random.seed(0)
    ///     }
    /// });
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`Error::Data`] with `use_dropout`, whose masks are not drawn from NumPy's
    /// generator. `random` is unchanged then.
    pub fn with_random_state(
        config: &MultiLayerNetConfig,
        random: &mut RandomState,
    ) -> Result<Self, Error> {
        if config.use_dropout {
            return Err(Error::Data(bn_data::Error::Setting {
                what: "use_dropout",
                value: "true".into(),
                must_be: "false, because Dropout does not draw from a RandomState".into(),
            }));
        }
        let mut network = Self::new(config, 0)?; // checks the settings
        network.visit_params_mut(&mut |p| {
            // Only the weights have two axes.
            let &[inputs, _] = p.shape else { return };
            let scale = match config.weight_init_std {
                WeightInitStd::Std(std) => std,
                WeightInitStd::He => (2.0 / inputs as f64).sqrt(),
                WeightInitStd::Xavier => (1.0 / inputs as f64).sqrt(),
            };
            for w in p.value {
                *w = T::from_f64(scale * random.standard_normal());
            }
        });
        Ok(network)
    }

    /// The logits `(N, C)` of `x: (N, D)` in evaluation.
    ///
    /// # Errors
    /// As [`Network::predict`].
    pub fn predict(&self, x: ArrayView2<'_, T>) -> Result<Array2<T>, Error> {
        self.network.predict(x)
    }

    /// The loss in evaluation, the weight decay's penalty included.
    ///
    /// # Errors
    /// As [`Network::evaluate_loss`].
    pub fn loss(&self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error> {
        let mut last_layer = SoftmaxWithLoss::new();
        self.network
            .evaluate_loss(x, t, &mut last_layer, &mut Default::default())
    }

    /// The share of rows that are classified as their label.
    ///
    /// # Errors
    /// As [`Network::accuracy`].
    pub fn accuracy(&self, x: ArrayView2<'_, T>, labels: &[usize]) -> Result<f64, Error> {
        self.network.accuracy(x, labels)
    }

    /// The loss in training, and the gradients of all parameters, which
    /// [`visit_params`](Self::visit_params) shows and [`update`](Self::update) uses.
    ///
    /// # Errors
    /// As [`Network::gradient`].
    pub fn gradient(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error> {
        self.network.gradient(x, t, &mut self.last_layer)
    }

    /// Updates the parameters by the gradients of the last [`gradient`](Self::gradient), and the
    /// running statistics by its batch.
    ///
    /// # Errors
    /// As [`Optimizer::step`].
    pub fn update(&mut self, optimizer: &mut dyn Optimizer<T>) -> Result<(), Error> {
        let result = optimizer.step(&mut self.network);
        self.network.settle(match result {
            Ok(()) => Outcome::Stands,
            Err(_) => Outcome::TakenBack,
        });
        result
    }

    /// [`gradient`](Self::gradient) and then [`update`](Self::update). Returns the loss.
    ///
    /// # Errors
    /// As [`Network::train_step`].
    pub fn train_step(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        optimizer: &mut dyn Optimizer<T>,
    ) -> Result<f64, Error> {
        self.network
            .train_step(x, t, &mut self.last_layer, optimizer)
    }

    /// Calls `visitor` with every parameter and its gradient, and with the running statistics, under the
    /// book's names.
    pub fn visit_params(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        let mut names = self.names.iter();
        self.network.visit(&mut |p| {
            let name = names.next().map_or(p.name, String::as_str);
            visitor(Param { name, ..p });
        });
    }

    /// As [`visit_params`](Self::visit_params), mutable.
    pub fn visit_params_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        let mut names = self.names.iter();
        self.network.visit_mut(&mut |p| {
            let name = names.next().map_or(p.name, String::as_str);
            visitor(ParamMut { name, ..p });
        });
    }

    /// The network inside, for a [`Trainer`](crate::Trainer) or a gradient check.
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The network inside, to train.
    pub fn network_mut(&mut self) -> &mut Network<T> {
        &mut self.network
    }
}
