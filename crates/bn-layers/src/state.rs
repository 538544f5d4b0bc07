//! What a layer keeps between passes, as checkpoints and optimizers see it.

/// An array of a layer's state, read-only: a parameter with its gradient, or a buffer such as a
/// running mean.
///
/// ```
/// use bn_layers::Param;
/// let (w, dw) = ([1.0f32, 2.0], [0.1f32, 0.2]);
/// let weight = Param::new("weight", &[1, 2], &w, &dw).decayed();
/// assert!(weight.is_trained && weight.is_decayed);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Param<'a, T> {
    /// Its name in the layer, such as `weight` or `running_mean`. In a network, the name begins with
    /// the position of the layer: `layers.0.weight`.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its values in row-major order.
    pub value: &'a [T],
    /// Its gradient from the last backward pass; empty for a buffer.
    pub grad: &'a [T],
    /// Whether an optimizer updates it.
    pub is_trained: bool,
    /// Whether weight decay applies to it: true for weights, false for biases, gamma and beta.
    pub is_decayed: bool,
    /// The λ of the penalty `λ/2·Σ value²` whose gradient `grad` contains.
    pub penalty: f64,
    /// The [largest magnitude](bn_tensor::largest_magnitude) in `grad`, if the layer knows it.
    pub largest_grad: Option<T>,
    /// The identity of the network that has this array, a number that no other network of this
    /// process has; `None` outside a network.
    pub network: Option<u64>,
}

/// An array of a layer's state, mutable. See [`Param`].
#[derive(Debug)]
pub struct ParamMut<'a, T> {
    /// See [`Param::name`].
    pub name: &'a str,
    /// See [`Param::shape`].
    pub shape: &'a [usize],
    /// See [`Param::value`].
    pub value: &'a mut [T],
    /// See [`Param::grad`].
    pub grad: &'a mut [T],
    /// See [`Param::is_trained`].
    pub is_trained: bool,
    /// See [`Param::is_decayed`].
    pub is_decayed: bool,
}

impl<'a, T> Param<'a, T> {
    /// Creates a trained parameter without weight decay, such as a bias.
    pub fn new(name: &'a str, shape: &'a [usize], value: &'a [T], grad: &'a [T]) -> Self {
        Self {
            name,
            shape,
            value,
            grad,
            is_trained: true,
            is_decayed: false,
            penalty: 0.0,
            largest_grad: None,
            network: None,
        }
    }

    /// Creates an array that is stored but not trained.
    pub fn buffer(name: &'a str, shape: &'a [usize], value: &'a [T]) -> Self {
        Self {
            is_trained: false,
            ..Self::new(name, shape, value, &[])
        }
    }

    /// Enables weight decay.
    #[must_use]
    pub fn decayed(self) -> Self {
        Self {
            is_decayed: true,
            ..self
        }
    }
}

impl<'a, T> ParamMut<'a, T> {
    /// See [`Param::new`].
    pub fn new(name: &'a str, shape: &'a [usize], value: &'a mut [T], grad: &'a mut [T]) -> Self {
        Self {
            name,
            shape,
            value,
            grad,
            is_trained: true,
            is_decayed: false,
        }
    }

    /// See [`Param::buffer`].
    pub fn buffer(name: &'a str, shape: &'a [usize], value: &'a mut [T]) -> Self {
        Self {
            is_trained: false,
            ..Self::new(name, shape, value, &mut [])
        }
    }

    /// See [`Param::decayed`].
    #[must_use]
    pub fn decayed(self) -> Self {
        Self {
            is_decayed: true,
            ..self
        }
    }
}

/// One part of a layer's state, read-only.
#[derive(Debug, Clone, Copy)]
pub enum State<'a, T> {
    /// A parameter or a buffer.
    Array(Param<'a, T>),
    /// A named number: batches seen, masks drawn, a seed.
    Counter(&'a str, u64),
}

/// One part of a layer's state, mutable.
#[derive(Debug)]
pub enum StateMut<'a, T> {
    /// A parameter or a buffer.
    Array(ParamMut<'a, T>),
    /// A named number.
    Counter(&'a str, &'a mut u64),
}

impl<T> State<'_, T> {
    /// Calls `visit` with this part under the name `prefix.name`, for a layer that contains others.
    pub fn prefixed(self, prefix: &str, visit: &mut dyn FnMut(State<'_, T>)) {
        match self {
            Self::Array(param) => {
                let name = format!("{prefix}.{}", param.name);
                let name = name.as_str();
                visit(State::Array(Param { name, ..param }));
            }
            Self::Counter(name, value) => visit(State::Counter(&format!("{prefix}.{name}"), value)),
        }
    }
}

impl<T> StateMut<'_, T> {
    /// Calls `visit` with this part under the name `prefix.name`, for a layer that contains others.
    pub fn prefixed(self, prefix: &str, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        match self {
            Self::Array(param) => {
                let name = format!("{prefix}.{}", param.name);
                let name = name.as_str();
                visit(StateMut::Array(ParamMut { name, ..param }));
            }
            Self::Counter(name, value) => {
                visit(StateMut::Counter(&format!("{prefix}.{name}"), value));
            }
        }
    }
}
