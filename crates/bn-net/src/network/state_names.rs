use bn_layers::{Layer, Param, ParamMut, State, StateMut};
use bn_tensor::Scalar;

/// The names of a layer's state with a prefix, such as `layers.0.weight`, in the order of
/// [`Layer::state`]. They are stored, because each step visits them and must not allocate.
#[derive(Debug, Clone, Default)]
pub(super) struct StateNames(Vec<String>);

impl StateNames {
    pub(super) fn new<T: Scalar>(prefix: &str, layer: &dyn Layer<T>) -> Self {
        let mut names = Vec::new();
        layer.state(&mut |part| {
            let name = match part {
                State::Array(param) => param.name,
                State::Counter(name, _) => name,
            };
            names.push(format!("{prefix}.{name}"));
        });
        Self(names)
    }

    /// Visits the state of the layer under these names.
    pub(super) fn visit<T: Scalar>(
        &self,
        layer: &dyn Layer<T>,
        visit: &mut dyn FnMut(State<'_, T>),
    ) {
        let mut names = self.0.iter();
        let mut name = || names.next().map_or("", String::as_str);
        layer.state(&mut |part| {
            visit(match part {
                State::Array(p) => State::Array(Param { name: name(), ..p }),
                State::Counter(_, value) => State::Counter(name(), value),
            });
        });
    }

    /// As [`visit`](Self::visit), with mutable access.
    pub(super) fn visit_mut<T: Scalar>(
        &self,
        layer: &mut dyn Layer<T>,
        visit: &mut dyn FnMut(StateMut<'_, T>),
    ) {
        let mut names = self.0.iter();
        let mut name = || names.next().map_or("", String::as_str);
        layer.state_mut(&mut |part| {
            visit(match part {
                StateMut::Array(p) => StateMut::Array(ParamMut { name: name(), ..p }),
                StateMut::Counter(_, value) => StateMut::Counter(name(), value),
            });
        });
    }
}
