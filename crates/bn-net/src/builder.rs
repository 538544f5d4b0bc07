mod images;

use crate::{Error, Network};
use bn_layers::{
    Affine, BatchNormConfig, BatchNormalization, Dropout, Error as LayerError, Identity, Init,
    Layer, LeakyRelu, Relu, Shape, Sigmoid, Tanh,
};
use bn_tensor::Scalar;
use ndarray::Array1;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

type Boxed<T> = Box<dyn Layer<T>>;
type Make<T> = Box<dyn FnOnce(Shape, &mut Xoshiro256PlusPlus) -> Result<Boxed<T>, LayerError>>;

/// Puts a [`Network`] together. Each layer takes its input's size from the one before it; what
/// cannot fit is refused by [`build`](Self::build), which names the layer.
///
/// ```
/// use bn_layers::{BatchNormConfig, Init};
/// use bn_net::Network;
/// let network = Network::<f32>::builder(784)
///     .init(Init::He)
///     .affine_without_bias(100).batch_norm().relu()
///     .affine(50).batch_norm_with(BatchNormConfig::pytorch()).leaky_relu(0.1).dropout(0.5)
///     .affine(10)
///     .build(42)?;
/// assert_eq!(network.param_count(), 784 * 100 + 200 + 100 * 50 + 50 + 100 + 50 * 10 + 10);
///
/// let error = Network::<f32>::builder(784).affine(0).build(42).unwrap_err();
/// assert!(error.to_string().starts_with("layer 0 (affine)"));
/// # Ok::<(), bn_net::Error>(())
/// ```
pub struct NetworkBuilder<T> {
    input: Shape,
    layers: Vec<(String, Make<T>)>,
    init: Init,
    weight_decay: f64,
}

impl<T> std::fmt::Debug for NetworkBuilder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.layers.iter().map(|(name, _)| name);
        write!(f, "NetworkBuilder({}", self.input)?;
        names
            .into_iter()
            .try_for_each(|name| write!(f, " – {name}"))?;
        write!(f, ")")
    }
}

impl<T: Scalar> NetworkBuilder<T> {
    pub(crate) fn new(input: Shape) -> Self {
        Self {
            input,
            layers: Vec::new(),
            init: Init::He,
            weight_decay: 0.0,
        }
    }

    /// How the weights of the affine layers that follow start; [`Init::He`] until said otherwise.
    #[must_use]
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// The penalty λ/2·ΣW² of the affine layers that follow; 0 until said otherwise.
    #[must_use]
    pub fn weight_decay(mut self, lambda: f64) -> Self {
        self.weight_decay = lambda;
        self
    }

    /// An [`Affine`] to `outputs` values, its bias zero at first.
    #[must_use]
    pub fn affine(self, outputs: usize) -> Self {
        self.push_affine(outputs, true)
    }

    /// An [`Affine`] without a bias, for before a BatchNormalization, which would subtract it.
    #[must_use]
    pub fn affine_without_bias(self, outputs: usize) -> Self {
        self.push_affine(outputs, false)
    }

    fn push_affine(self, outputs: usize, bias: bool) -> Self {
        let (init, decay) = (self.init, self.weight_decay);
        self.push("affine", move |input, rng| {
            if outputs == 0 {
                return Err(LayerError::InvalidSetting {
                    what: "the number of outputs",
                    range: "at least 1",
                    got: 0.0,
                });
            }
            let w = init.sample((input.size(), outputs), rng)?;
            let affine = if bias {
                Affine::new(w, Array1::zeros(outputs))
            } else {
                Affine::without_bias(w)
            };
            Ok(Box::new(affine?.with_weight_decay(decay)?))
        })
    }

    /// A [`BatchNormalization`] as the book has it: of each value of a flat input, of each
    /// channel of an image.
    #[must_use]
    pub fn batch_norm(self) -> Self {
        self.batch_norm_with(BatchNormConfig::book())
    }

    /// A [`BatchNormalization`] of this kind.
    #[must_use]
    pub fn batch_norm_with(self, config: BatchNormConfig) -> Self {
        self.push("batch_norm", move |input, _| {
            let channels = match input {
                Shape::Flat(size) => size,
                Shape::Image { channels, .. } => channels,
            };
            Ok(Box::new(BatchNormalization::new(channels, config)?))
        })
    }

    /// A [`Relu`].
    #[must_use]
    pub fn relu(self) -> Self {
        self.push("relu", |_, _| Ok(Box::new(Relu)))
    }

    /// A [`LeakyRelu`].
    #[must_use]
    pub fn leaky_relu(self, slope: f64) -> Self {
        self.push("leaky_relu", move |_, _| {
            Ok(Box::new(LeakyRelu::new(slope)?))
        })
    }

    /// A [`Sigmoid`].
    #[must_use]
    pub fn sigmoid(self) -> Self {
        self.push("sigmoid", |_, _| Ok(Box::new(Sigmoid)))
    }

    /// A [`Tanh`].
    #[must_use]
    pub fn tanh(self) -> Self {
        self.push("tanh", |_, _| Ok(Box::new(Tanh)))
    }

    /// An [`Identity`].
    #[must_use]
    pub fn identity(self) -> Self {
        self.push("identity", |_, _| Ok(Box::new(Identity)))
    }

    /// An inverted [`Dropout`], seeded by the network's seed.
    #[must_use]
    pub fn dropout(self, ratio: f64) -> Self {
        self.push("dropout", move |_, rng| {
            Ok(Box::new(Dropout::new(ratio, rng.next_u64())?))
        })
    }

    /// The book's [`Dropout`], which scales in evaluation; seeded by the network's seed.
    #[must_use]
    pub fn dropout_book(self, ratio: f64) -> Self {
        self.push("dropout", move |_, rng| {
            Ok(Box::new(Dropout::book(ratio, rng.next_u64())?))
        })
    }

    /// A layer of the caller's own, under a name for messages.
    #[must_use]
    pub fn layer(self, name: &str, layer: impl Layer<T> + 'static) -> Self {
        self.push(name, move |_, _| Ok(Box::new(layer)))
    }

    fn push(
        mut self,
        name: &str,
        make: impl FnOnce(Shape, &mut Xoshiro256PlusPlus) -> Result<Boxed<T>, LayerError> + 'static,
    ) -> Self {
        self.layers.push((name.to_owned(), Box::new(make)));
        self
    }

    /// The network, its weights and dropout masks drawn from `seed`.
    ///
    /// # Errors
    /// [`Error::Layer`] for a layer that cannot be made or does not fit the one before it,
    /// [`Error::EmptyNetwork`].
    pub fn build(self, seed: u64) -> Result<Network<T>, Error> {
        for (missing, what) in [
            (self.input.size() == 0, "at least one input"),
            (self.layers.is_empty(), "at least one layer"),
        ] {
            if missing {
                return Err(Error::EmptyNetwork { what });
            }
        }
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut shape = self.input;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, (name, make)) in self.layers.into_iter().enumerate() {
            let made = make(shape, rng).and_then(|layer| {
                shape = layer.output_shape(shape)?;
                Ok(layer)
            });
            match made {
                Ok(layer) => layers.push((name, layer)),
                Err(source) => {
                    return Err(Error::Layer {
                        index,
                        name,
                        source,
                    });
                }
            }
        }
        Network::new(self.input, layers)
    }
}
