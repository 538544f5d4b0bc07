use super::{
    chain::{Link, Network},
    concat::Concat,
    residual::Residual,
};
use crate::error::Error;
use bn_layers::{Layer, LayerSpec, Shape, State, StateMut};
use bn_tensor::Scalar;
use serde::{Deserialize, Serialize};

/// The name of a network inside a network in its description.
pub(super) const NETWORK: &str = "Network";

/// A network's description, without its parameters. The network can be built from it, and its parameters
/// restored from a [`Checkpoint`](crate::Checkpoint). It implements serde's traits.
///
/// ```
/// use bn_net::{Network, NetworkSpec};
/// let network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
/// let json = serde_json::to_string(&network.spec()?)?;
/// let spec: NetworkSpec = serde_json::from_str(&json)?;
/// let again: Network = spec.build()?;
/// assert!(again.layer_names().eq(["affine", "batch_norm", "relu", "affine"]));
/// assert_eq!(again.param_count(), network.param_count());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The shape of an input row.
    pub input: Shape,
    /// The layers in order.
    pub layers: Vec<NamedSpec>,
}

/// A layer of a [`NetworkSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedSpec {
    /// Its name in the builder.
    pub name: String,
    /// The λ of the penalty `λ/2·ΣW²` on its weights.
    pub weight_decay: f64,
    /// The description of the layer.
    #[serde(flatten)]
    pub spec: LayerSpec,
}

impl NetworkSpec {
    /// The network, with weights of zero.
    ///
    /// # Errors
    /// [`Error::Layer`] for a layer that cannot be made, does not fit the one before it or is too large for
    /// memory; [`Error::Layers`] for an input that is; [`Error::EmptyNetwork`], [`Error::Tensor`] for a
    /// weight decay out of range.
    pub fn build<T: Scalar>(&self) -> Result<Network<T>, Error> {
        let mut links: Vec<Link<T>> = Vec::with_capacity(self.layers.len());
        for (index, named) in self.layers.iter().enumerate() {
            let NamedSpec {
                name,
                weight_decay,
                spec,
            } = named;
            check_weight_decay(*weight_decay)?;
            let layer = build_layer(spec).map_err(|error| match error {
                Error::Layers(source) => Error::Layer {
                    index,
                    name: name.clone(),
                    source,
                },
                other => other,
            })?;
            links.push((name.clone(), layer, *weight_decay));
        }
        Network::new(self.input, links)
    }
}

impl NetworkSpec {
    /// The sum of [`LayerSpec::largest_array`] over all layers, also inside others: what building the network takes at
    /// least.
    pub(crate) fn largest_arrays(&self) -> Result<usize, Error> {
        let mut sum = 0usize;
        for NamedSpec { spec, .. } in &self.layers {
            let Some(networks) = networks_of(spec)? else {
                sum = sum.saturating_add(spec.largest_array()?);
                continue;
            };
            for (_, network) in &networks {
                sum = sum.saturating_add(network.largest_arrays()?);
            }
        }
        Ok(sum)
    }
}

impl NamedSpec {
    /// The networks inside the layer, in the order of its parameters and by their part of a parameter's name: `body` and
    /// `shortcut` of a residual block, `branches.0` and so on of a concatenation, an empty name for a network that is
    /// a layer. Other layers have none.
    ///
    /// # Errors
    /// [`Error::Layers`] for settings that are not those of the layer.
    ///
    /// ```
    /// use bn_layers::LayerExt; // visit
    /// use bn_net::Network;
    /// let network = Network::builder(4).residual(|body| body.affine(4).batch_norm()).relu().build(1)?;
    /// let networks = network.spec()?.layers[0].networks()?;
    /// assert_eq!(networks[0].0, "body");
    /// assert_eq!(networks[0].1.layers[1].name, "batch_norm");
    /// network.visit(&mut |p| assert!(p.name.starts_with("layers.0.body.")));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    pub fn networks(&self) -> Result<Vec<(String, NetworkSpec)>, Error> {
        Ok(networks_of(&self.spec)?.unwrap_or_default())
    }
}

/// `None` for a layer that cannot hold networks.
fn networks_of(spec: &LayerSpec) -> Result<Option<Vec<(String, NetworkSpec)>>, Error> {
    Ok(Some(match spec.layer.as_str() {
        NETWORK => vec![(String::new(), spec.settings()?)],
        Residual::<f32>::NAME => Residual::<f32>::networks_of(spec)?,
        Concat::<f32>::NAME => Concat::<f32>::networks_of(spec)?,
        _ => return Ok(None),
    }))
}

fn build_layer<T: Scalar>(spec: &LayerSpec) -> Result<Box<dyn Layer<T>>, Error> {
    if spec.layer == NETWORK {
        let spec: NetworkSpec = spec.settings()?;
        return Ok(Box::new(spec.build::<T>()?));
    }
    Ok(match spec.layer.as_str() {
        Residual::<T>::NAME => Box::new(Residual::<T>::from_spec(spec)?),
        Concat::<T>::NAME => Box::new(Concat::<T>::from_spec(spec)?),
        _ => spec.build()?,
    })
}

/// Returns `Ok` if λ can be that of a penalty.
pub(crate) fn check_weight_decay(lambda: f64) -> Result<(), Error> {
    let (what, range) = ("the weight decay", "a finite number, 0 or more");
    let passes = lambda.is_finite() && lambda >= 0.0;
    Ok(bn_tensor::check_setting(what, range, lambda, passes)?)
}

impl<T: Scalar> Network<T> {
    /// The same network with values of another type, for example to check an `f32` network's gradients in
    /// `f64`. Nothing in it is frozen.
    ///
    /// ```
    /// use bn_net::Network;
    /// let network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
    /// let x = ndarray::array![[1.0, 2.0, 3.0, 4.0]];
    /// let y: ndarray::Array2<f64> = network.to::<f64>()?.predict(x.view())?;
    /// let of_f32 = network.predict(x.mapv(|x| x as f32).view())?.mapv(f64::from);
    /// assert!((y - of_f32).iter().all(|d| d.abs() < 1e-5));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`spec`](Self::spec).
    pub fn to<U: Scalar>(&self) -> Result<Network<U>, Error> {
        let mut network = self.spec()?.build::<U>()?;
        let (mut arrays, mut counters) = (Vec::new(), Vec::new());
        self.state(&mut |part| match part {
            State::Array(p) => {
                let values = p.value.iter().map(|v| U::from_f64(v.as_f64()));
                arrays.push(values.collect::<Vec<U>>());
            }
            State::Counter(_, value) => counters.push(value),
        });
        let (mut arrays, mut counters) = (arrays.into_iter(), counters.into_iter());
        network.state_mut(&mut |part| match part {
            StateMut::Array(p) => {
                let values = arrays.next().into_iter().flatten();
                p.value.iter_mut().zip(values).for_each(|(to, v)| *to = v);
            }
            StateMut::Counter(_, to) => *to = counters.next().unwrap_or(*to),
        });
        Ok(network)
    }

    /// The network's description.
    ///
    /// # Errors
    /// [`Error::NoSpec`] for a layer that does not describe itself.
    pub fn spec(&self) -> Result<NetworkSpec, Error> {
        let mut layers = Vec::with_capacity(self.names.len());
        for l in &self.layers {
            let own = (l.index, l.layer.describe());
            let fused = l
                .fused
                .iter()
                .map(|fused| (fused.index, fused.spec.clone()));
            for (index, spec) in std::iter::once(own).chain(fused) {
                let name = self.names[index].clone();
                let Some(spec) = spec else {
                    return Err(Error::NoSpec { index, name });
                };
                layers.push(NamedSpec {
                    name,
                    weight_decay: if index == l.index {
                        l.weight_decay
                    } else {
                        0.0
                    },
                    spec,
                });
            }
        }
        Ok(NetworkSpec {
            input: self.input,
            layers,
        })
    }
}
