mod activations;
mod branches;
mod images;
mod normalizations;

pub use branches::Branches;

use crate::{
    error::Error,
    network::{Network, check_weight_decay, output_of},
};
use bn_layers::{
    Affine, BatchNormConfig, BatchNormalization, Dropout, Error as LayerError, Init, Layer, Shape,
};
use bn_tensor::{Scalar, check_setting};
use ndarray::Array1;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

type Boxed<T> = Box<dyn Layer<T>>;
/// Makes a layer for rows of a shape, and draws its weights and seeds.
type Make<T> = Box<dyn FnOnce(Shape, &mut Xoshiro256PlusPlus) -> Result<Boxed<T>, LayerError>>;

/// Builds a [`Network`]. Each layer takes the size of its input from the layer before it.
/// [`build`](Self::build) returns an error that names the layer if one does not fit.
///
/// ```
/// use bn_layers::{BatchNormConfig, Init};
/// use bn_net::Network;
/// let network = Network::builder(784)
///     .init(Init::He)
///     .affine_without_bias(100).batch_norm().relu()
///     .affine(50).batch_norm_with(BatchNormConfig::pytorch()).leaky_relu(0.1).dropout(0.5)
///     .affine(10)
///     .build(42)?;
/// assert_eq!(network.param_count(), 784 * 100 + 200 + 100 * 50 + 50 + 100 + 50 * 10 + 10);
///
/// let error = Network::builder(784).affine(0).build(42).unwrap_err();
/// assert!(error.to_string().starts_with("layer 0 (affine)"));
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// [`Network::builder`] makes a network of `f32`; for `f64` there is `NetworkBuilder::<f64>::new`.
pub struct NetworkBuilder<T: Scalar = f32> {
    input: Shape,
    layers: Vec<Planned<T>>,
    init: Init,
    weight_decay: f64,
}

/// A layer to be made.
struct Planned<T: Scalar> {
    name: String,
    weight_decay: f64,
    make: Make<T>,
}

impl<T: Scalar> std::fmt::Debug for NetworkBuilder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.layers.iter().map(|planned| &planned.name);
        write!(f, "NetworkBuilder({}", self.input)?;
        names
            .into_iter()
            .try_for_each(|name| write!(f, " – {name}"))?;
        write!(f, ")")
    }
}

impl Network {
    /// Starts a network whose rows have `input` values, or are images `(height, width, channels)`.
    pub fn builder(input: impl Into<Shape>) -> NetworkBuilder {
        NetworkBuilder::new(input)
    }
}

impl<T: Scalar> NetworkBuilder<T> {
    /// Starts a network whose rows have `input` values, or are images `(height, width, channels)`.
    pub fn new(input: impl Into<Shape>) -> Self {
        Self {
            input: input.into(),
            layers: Vec::new(),
            init: Init::He,
            weight_decay: 0.0,
        }
    }

    /// Sets the initialisation of the weights of the layers that follow. The default is [`Init::He`].
    #[must_use]
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// Sets the penalty `λ/2·ΣW²` on the weights of the layers that follow, including convolutions and the
    /// caller's layers, but not on biases, gamma and beta: the book's `weight_decay_lambda`. The default is
    /// 0.
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

    /// An [`Affine`] without a bias. A BatchNormalization after it would subtract a bias.
    #[must_use]
    pub fn affine_without_bias(self, outputs: usize) -> Self {
        self.push_affine(outputs, false)
    }

    fn push_affine(self, outputs: usize, bias: bool) -> Self {
        let init = self.init;
        self.push("affine", move |input, rng| {
            let what = "the number of outputs";
            check_setting(what, "at least 1", outputs as f64, outputs > 0)?;
            let inputs = input.size();
            Ok(Box::new(match bias {
                true => Affine::init(inputs, outputs, init, rng)?,
                false => Affine::without_bias(init.sample((inputs, outputs), rng)?)?,
            }))
        })
    }

    /// A [`BatchNormalization`] of each value of a flat input or of each channel of an image, with
    /// [bias-corrected](BatchNormConfig::bias_corrected) running averages, so that a network predicts
    /// well after few steps. For the book's, use `batch_norm_with(BatchNormConfig::book())`.
    #[must_use]
    pub fn batch_norm(self) -> Self {
        self.batch_norm_with(BatchNormConfig::default())
    }

    /// A [`BatchNormalization`] with these settings.
    #[must_use]
    pub fn batch_norm_with(self, config: BatchNormConfig) -> Self {
        self.batch_norm_from(config, 1.0)
    }

    /// A [`BatchNormalization`] whose gamma has this value at first.
    pub(crate) fn batch_norm_from(self, config: BatchNormConfig, gamma: f64) -> Self {
        self.push("batch_norm", move |input, _| {
            let bn = BatchNormalization::new(input.channels(), config)?;
            if !config.affine || gamma == 1.0 {
                return Ok(Box::new(bn));
            }
            let gammas = Array1::from_elem(input.channels(), T::from_f64(gamma));
            let betas = Array1::zeros(input.channels());
            Ok(Box::new(bn.with_gamma_beta(gammas, betas)?))
        })
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

    /// The caller's layer, with a name for messages.
    #[must_use]
    pub fn layer(self, name: &str, layer: impl Layer<T> + 'static) -> Self {
        self.push(name, move |_, _| Ok(Box::new(layer)))
    }

    /// Gives the last layer a name of its own, for messages, the summary and
    /// [`Network::layer_by_name`]. The names of its parameters still contain its index.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        if let Some(planned) = self.layers.last_mut() {
            name.clone_into(&mut planned.name);
        }
        self
    }

    fn push(
        mut self,
        name: &str,
        make: impl FnOnce(Shape, &mut Xoshiro256PlusPlus) -> Result<Boxed<T>, LayerError> + 'static,
    ) -> Self {
        self.layers.push(Planned {
            name: name.to_owned(),
            weight_decay: self.weight_decay,
            make: Box::new(make),
        });
        self
    }

    /// The network, its weights and dropout masks drawn from `seed`.
    ///
    /// # Errors
    /// [`Error::Layer`] for a layer that cannot be made, does not fit the one before it or is too large for
    /// memory; [`Error::Layers`] for an input that is; [`Error::EmptyNetwork`], [`Error::Tensor`] for a
    /// weight decay out of range.
    pub fn build(self, seed: u64) -> Result<Network<T>, Error> {
        self.build_from(&mut Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// [`build`](Self::build), with the random numbers of `rng`.
    fn build_from(self, rng: &mut Xoshiro256PlusPlus) -> Result<Network<T>, Error> {
        self.input.checked_size()?;
        let mut shape = self.input;
        let mut links = Vec::with_capacity(self.layers.len());
        for (index, planned) in self.layers.into_iter().enumerate() {
            check_weight_decay(planned.weight_decay)?;
            let made = (planned.make)(shape, rng).and_then(|layer| {
                (shape, _) = output_of(&*layer, shape)?;
                Ok(layer)
            });
            let name = planned.name;
            match made {
                Ok(layer) => links.push((name, layer, planned.weight_decay)),
                Err(source) => {
                    return Err(Error::Layer {
                        index,
                        name,
                        source,
                    });
                }
            }
        }
        Network::new(self.input, links)
    }
}
