use super::{
    adaptive_threads::AdaptiveThreads, buffers::matrix, freeze::Freeze, identity::Identity,
    residual::Residual, state_names::StateNames,
};
use crate::error::Error;
use bn_layers::{Error as LayerError, Layer, LayerExt, LayerSpec, Shape, ShardTree, fusion::fuse};
use bn_tensor::Scalar;
use ndarray::ArrayView2;

/// A chain of layers that owns its activations: one buffer for each layer's output, which is reused from
/// step to step, and two for the gradients of the backward pass.
///
/// A network is a [`Layer`] itself, so whatever takes a layer (a
/// [`GradientCheck`](bn_layers::GradientCheck), an [`Optimizer`](crate::Optimizer), another network)
/// takes a network. The names of its parameters contain the index of their layer: `layers.0.weight`,
/// `layers.1.gamma`, ….
///
/// ```
/// use bn_net::{Network, Sgd, SoftmaxWithLoss};
/// use ndarray::array;
/// let mut network = Network::builder(2)
///     .affine(16).batch_norm().relu()
///     .affine(2)
///     .build(42)?;
/// // Exclusive or.
/// let x = array![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// let labels = vec![0, 1, 1, 0];
/// let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.5)?);
/// for _ in 0..100 {
///     network.train_step(x.view(), (&labels).into(), &mut loss, &mut sgd)?;
/// }
/// assert_eq!(network.accuracy(x.view(), &labels)?, 1.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// Inputs may have any memory layout; one that is not in row-major order is copied.
///
/// # Errors
/// [`Error::Layer`] names the layer that failed. After any error parameters, running statistics and random
/// draws are as before the call.
#[derive(Debug, Clone)]
pub struct Network<T: Scalar = f32> {
    pub(super) layers: Vec<NamedLayer<T>>, // without those that the layer before them computes
    pub(super) names: Vec<String>,         // of all layers, as the builder calls them
    pub(super) shapes: Vec<Shape>,         // of all layers' outputs
    pub(super) input: Shape,
    pub(super) output: Shape,
    pub(super) outputs: Vec<Vec<T>>, // of each layer, (N, its width); of the last forward pass
    pub(super) rows: usize,          // N of the last forward pass
    pub(super) dout: Vec<T>,         // begins with the gradient with respect to a layer's output
    pub(super) dx: Vec<T>,           // and to its input; the two are swapped from layer to layer
    pub(super) threads: AdaptiveThreads,
    pub(super) identity: Identity,
    pub(super) is_open: bool, // whether a pass has begun a step that has not ended
}

#[derive(Debug, Clone)]
pub(super) struct NamedLayer<T: Scalar> {
    pub(super) layer: Box<dyn Layer<T>>,
    pub(super) index: usize,            // its place among all layers
    pub(super) fused: Vec<FusedLayer>,  // those after it that it computes
    pub(super) width: usize,            // of its output
    pub(super) weight_decay: f64,       // the λ of the penalty on what is decayed
    pub(super) state_names: StateNames, // `layers.0.weight`
    pub(super) freeze: Freeze,
    pub(super) of_shards: ShardTree<Vec<T>>, // the gradients of shards in the last backward pass
}

/// A layer that the one before it computes.
#[derive(Debug, Clone)]
pub(super) struct FusedLayer {
    pub(super) index: usize,
    pub(super) spec: Option<LayerSpec>,
}

/// A layer with its name and the λ of its weight decay, before it is part of a network.
pub(crate) type Link<T> = (String, Box<dyn Layer<T>>, f64);

impl<T: Scalar> NamedLayer<T> {
    /// The index of the last layer that it computes.
    pub(super) fn last(&self) -> usize {
        self.fused.last().map_or(self.index, |fused| fused.index)
    }

    /// Updates the names of the state.
    pub(super) fn name_state(&mut self) {
        self.state_names = StateNames::new(&format!("layers.{}", self.index), &*self.layer);
    }
}

/// The shape of a layer's output and the number of its values.
pub(crate) fn output_of<T: Scalar>(
    layer: &dyn Layer<T>,
    input: Shape,
) -> Result<(Shape, usize), LayerError> {
    let shape = layer.output_shape(input)?;
    Ok((shape, shape.checked_size()?))
}

impl<T: Scalar> Network<T> {
    /// From layers; each must fit the one before it.
    pub(crate) fn new(input: Shape, links: Vec<Link<T>>) -> Result<Self, Error> {
        for (missing, what) in [
            (input.size() == 0, "at least one input"),
            (links.is_empty(), "at least one layer"),
        ] {
            if missing {
                return Err(Error::EmptyNetwork { what });
            }
        }
        input.checked_size()?;
        let mut shape = input;
        let mut names = Vec::with_capacity(links.len());
        let mut shapes = Vec::with_capacity(links.len());
        let mut layers: Vec<NamedLayer<T>> = Vec::with_capacity(links.len());
        for (index, (name, layer, weight_decay)) in links.into_iter().enumerate() {
            let output = output_of(&*layer, shape).map_err(|source| Error::Layer {
                index,
                name: name.clone(),
                source,
            })?;
            shape = output.0;
            names.push(name);
            shapes.push(shape);
            if let Some(before) = layers.last_mut()
                && (fuse(&mut *before.layer, &*layer)
                    || Residual::absorb(&mut *before.layer, &*layer))
            {
                let spec = layer.describe();
                before.fused.push(FusedLayer { index, spec });
                continue;
            }
            layers.push(NamedLayer {
                layer,
                index,
                fused: Vec::new(),
                width: output.1,
                weight_decay,
                state_names: StateNames::default(),
                freeze: Freeze::default(),
                of_shards: ShardTree::default(),
            });
        }
        layers.iter_mut().for_each(NamedLayer::name_state);
        Ok(Self {
            outputs: layers.iter().map(|_| Vec::new()).collect(),
            layers,
            names,
            shapes,
            input,
            output: shape,
            rows: 0,
            dout: Vec::new(),
            dx: Vec::new(),
            threads: AdaptiveThreads::default(),
            identity: Identity::new(),
            is_open: false,
        })
    }

    /// The shape of an input row.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// The shape of an output row.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// The number of trained values.
    pub fn param_count(&self) -> usize {
        let mut count = 0;
        self.visit(&mut |p| {
            if p.is_trained {
                count += p.value.len();
            }
        });
        count
    }

    /// The output of layer `index` in the last forward pass, `(N, width)`. `None` for a layer that computes
    /// the layer after it in the same pass: a BatchNormalization computes a rectifier, and a Conv2d a
    /// rectifier, a Dropout or both.
    pub fn activation(&self, index: usize) -> Option<ArrayView2<'_, T>> {
        let i = self.layers.iter().position(|l| l.last() == index)?;
        matrix(&self.outputs[i], self.rows, self.layers[i].width).ok()
    }

    /// The name of each layer in the builder: `affine`, `batch_norm`, `relu`, ….
    pub fn layer_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The shape of an output row of each layer.
    pub fn layer_shapes(&self) -> impl ExactSizeIterator<Item = Shape> {
        self.shapes.iter().copied()
    }

    /// Layer `index`, to read. `None` if there is none, or if the layer before it computes it: see
    /// [`activation`](Self::activation).
    ///
    /// ```
    /// use bn_net::Network;
    /// let network = Network::builder(4).affine(8).relu().affine(3).named("head").build(1)?;
    /// assert!(network.layer(0).is_some() && network.layer(3).is_none());
    /// let mut shapes = Vec::new();
    /// network.layer_by_name("head").unwrap().visit(&mut |p| shapes.push(p.shape.to_vec()));
    /// assert_eq!(shapes, [vec![8, 3], vec![3]]);
    /// # use bn_layers::LayerExt;
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    pub fn layer(&self, index: usize) -> Option<&dyn Layer<T>> {
        let l = self.layers.iter().find(|l| l.index == index)?;
        Some(&*l.layer)
    }

    /// The first layer of this [name](crate::NetworkBuilder::named), as [`layer`](Self::layer).
    pub fn layer_by_name(&self, name: &str) -> Option<&dyn Layer<T>> {
        self.layer(self.names.iter().position(|n| n == name)?)
    }

    /// Sets whether [`train_step`](Self::train_step) times some steps on one thread and continues on one
    /// thread if that is faster. By default it does, unless the environment variable `BN_ADAPTIVE_THREADS` is
    /// `0`, `off` or `false`. The results are the same, bit by bit. If it is off, or the pool has one thread,
    /// no clock is read.
    pub fn set_adaptive_threads(&mut self, is_on: bool) {
        self.threads.set(is_on);
    }

    /// The error of layer `i` of [`layers`](Self::layers).
    pub(super) fn refused(&self, i: usize, source: LayerError) -> Error {
        let index = self.layers[i].index;
        Error::Layer {
            index,
            name: self.names[index].clone(),
            source,
        }
    }
}
