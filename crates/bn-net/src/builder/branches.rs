//! Residual blocks and concatenations.

use super::NetworkBuilder;
use crate::{
    error::Error,
    network::{Concat, Network, Residual},
};
use bn_layers::{Error as LayerError, Shape};
use bn_tensor::Scalar;
use rand_xoshiro::Xoshiro256PlusPlus;

/// A function that adds layers, such as `|body| body.affine(8).batch_norm().relu()`.
type Layers<T> = Box<dyn FnOnce(NetworkBuilder<T>) -> NetworkBuilder<T>>;

/// The branches of a [`NetworkBuilder::concat`].
pub struct Branches<T: Scalar = f32>(Vec<Layers<T>>);

impl<T: Scalar> Branches<T> {
    /// Adds a branch.
    #[must_use]
    pub fn branch(
        mut self,
        layers: impl FnOnce(NetworkBuilder<T>) -> NetworkBuilder<T> + 'static,
    ) -> Self {
        self.0.push(Box::new(layers));
        self
    }
}

impl<T: Scalar> std::fmt::Debug for Branches<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Branches({})", self.0.len())
    }
}

impl<T: Scalar> NetworkBuilder<T> {
    /// A residual block `y = body(x) + x` (arXiv:1512.03385). The body must not change the shape. A
    /// [`relu`](Self::relu) after it is computed together with the sum.
    ///
    /// ```
    /// use bn_net::Network;
    /// let network = Network::builder(8)
    ///     .residual(|body| body.affine(8).batch_norm().relu().affine(8).batch_norm())
    ///     .relu()
    ///     .affine(2)
    ///     .build(1)?;
    /// assert!(network.layer_names().eq(["residual", "relu", "affine"]));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// The layers inside start with the initialisation and weight decay that are set here. Their state is
    /// named `layers.0.body.layers.0.weight` and so on.
    #[must_use]
    pub fn residual(self, body: impl FnOnce(Self) -> Self + 'static) -> Self {
        self.push_networks("residual", vec![Box::new(body)], |mut networks| {
            Ok(Box::new(Residual::new(networks.remove(0), None)?))
        })
    }

    /// A residual block `y = body(x) + shortcut(x)`. Both must have the same output shape.
    ///
    /// ```
    /// use bn_layers::Conv2dConfig;
    /// use bn_net::Network;
    /// let network = Network::builder((8, 8, 16))
    ///     .residual_with(
    ///         |body| {
    ///             body.conv2d(Conv2dConfig::new(32, 3).stride(2).same().without_bias()).batch_norm().relu()
    ///                 .conv2d(Conv2dConfig::new(32, 3).same().without_bias()).batch_norm()
    ///         },
    ///         |shortcut| shortcut.conv2d(Conv2dConfig::new(32, 1).stride(2).without_bias()).batch_norm(),
    ///     )
    ///     .relu()
    ///     .build(1)?;
    /// assert_eq!(network.output(), (4, 4, 32).into());
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    #[must_use]
    pub fn residual_with(
        self,
        body: impl FnOnce(Self) -> Self + 'static,
        shortcut: impl FnOnce(Self) -> Self + 'static,
    ) -> Self {
        let networks: Vec<Layers<T>> = vec![Box::new(body), Box::new(shortcut)];
        self.push_networks("residual", networks, |mut networks| {
            let shortcut = networks.pop();
            Ok(Box::new(Residual::new(networks.remove(0), shortcut)?))
        })
    }

    /// The outputs of several branches of the same input, one after the other: the values of flat rows, or
    /// the channels of each pixel (arXiv:1409.4842).
    ///
    /// ```
    /// use bn_net::Network;
    /// let network = Network::builder(4)
    ///     .concat(|all| all.branch(|b| b.affine(3).relu()).branch(|b| b.affine(5).tanh()))
    ///     .build(1)?;
    /// assert_eq!(network.output().size(), 8);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    #[must_use]
    pub fn concat(self, branches: impl FnOnce(Branches<T>) -> Branches<T>) -> Self {
        let Branches(branches) = branches(Branches(Vec::new()));
        self.push_networks("concat", branches, |networks| {
            Ok(Box::new(Concat::new(networks)?))
        })
    }

    /// A layer that `join` makes of networks with its input.
    fn push_networks(
        self,
        name: &str,
        networks: Vec<Layers<T>>,
        join: impl FnOnce(Vec<Network<T>>) -> Result<super::Boxed<T>, LayerError> + 'static,
    ) -> Self {
        let (init, weight_decay) = (self.init, self.weight_decay);
        let build = move |layers: Layers<T>, input: Shape, rng: &mut Xoshiro256PlusPlus| {
            let builder = Self::new(input).init(init).weight_decay(weight_decay);
            layers(builder).build_from(rng).map_err(as_layer_error)
        };
        let mut builder = self.push(name, move |input, rng| {
            let networks = networks.into_iter().map(|layers| build(layers, input, rng));
            join(networks.collect::<Result<_, _>>()?)
        });
        // The layers inside add the penalty themselves.
        if let Some(planned) = builder.layers.last_mut() {
            planned.weight_decay = 0.0;
        }
        builder
    }
}

/// The error of a network inside a layer, with the place in that network.
fn as_layer_error(error: Error) -> LayerError {
    LayerError::Nested {
        reason: error.to_string(),
    }
}
