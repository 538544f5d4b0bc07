use bn_layers::{Layer, Param, ParamMut, State, StateMut};
use bn_tensor::Scalar;

/// The names of a layer's state with a prefix, such as `layers.0.weight`, in the order of
/// [`Layer::state`], and which of its parameters are frozen. The names are stored, because each step
/// visits them and must not allocate.
#[derive(Debug, Clone, Default)]
pub(super) struct StateNames(Vec<StateName>);

#[derive(Debug, Clone)]
struct StateName {
    name: String,
    is_frozen: bool,
}

impl StateNames {
    pub(super) fn new<T: Scalar>(prefix: &str, layer: &dyn Layer<T>) -> Self {
        let mut names = Vec::new();
        layer.state(&mut |part| {
            let name = match part {
                State::Array(param) => param.name,
                State::Counter(name, _) => name,
            };
            names.push(StateName {
                name: format!("{prefix}.{name}"),
                is_frozen: false,
            });
        });
        Self(names)
    }

    /// Sets whether the parameters whose names `selects` are frozen.
    pub(super) fn freeze(&mut self, is_frozen: bool, selects: &dyn Fn(&str) -> bool) {
        let selected = self.0.iter_mut().filter(|state| selects(&state.name));
        selected.for_each(|state| state.is_frozen = is_frozen);
    }

    /// Visits the state of the layer under these names.
    pub(super) fn visit<T: Scalar>(
        &self,
        layer: &dyn Layer<T>,
        visit: &mut dyn FnMut(State<'_, T>),
    ) {
        let mut names = self.0.iter();
        let mut next = || {
            names
                .next()
                .map_or(("", false), |n| (&*n.name, n.is_frozen))
        };
        layer.state(&mut |part| {
            let (name, is_frozen) = next();
            visit(match part {
                State::Array(p) if is_frozen => State::Array(Param {
                    name,
                    is_trained: false,
                    penalty: 0.0,
                    ..p
                }),
                State::Array(p) => State::Array(Param { name, ..p }),
                State::Counter(_, value) => State::Counter(name, value),
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
        let mut next = || {
            names
                .next()
                .map_or(("", false), |n| (&*n.name, n.is_frozen))
        };
        layer.state_mut(&mut |part| {
            let (name, is_frozen) = next();
            visit(match part {
                StateMut::Array(p) => StateMut::Array(ParamMut {
                    name,
                    is_trained: p.is_trained && !is_frozen,
                    ..p
                }),
                StateMut::Counter(_, value) => StateMut::Counter(name, value),
            });
        });
    }
}
