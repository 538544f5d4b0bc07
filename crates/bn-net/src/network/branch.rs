use super::{as_layer::as_layer_error, chain::Network, passes::Wanted, summary::LayerSummary};
use bn_layers::{
    Error as LayerError, Layer, Outcome, Param, ParamMut, Pass, State, StateMut,
    Wanted as WantedFrom,
};
use bn_tensor::Scalar;
use ndarray::ArrayView2;

/// A network inside a layer, whose state has names that begin with its own: `body.layers.0.weight`.
#[derive(Debug, Clone)]
pub(super) struct Branch<T: Scalar> {
    pub(super) network: Network<T>,
    prefix: String,
    state_names: Vec<String>, // in the order of `state`
}

impl<T: Scalar> Branch<T> {
    pub(super) fn new(prefix: &str, network: Network<T>) -> Self {
        let mut branch = Self {
            network,
            prefix: prefix.to_owned(),
            state_names: Vec::new(),
        };
        branch.name_state();
        branch
    }

    /// Updates the names of the state. They are stored, because a step visits them and must not allocate.
    fn name_state(&mut self) {
        let (prefix, names) = (&self.prefix, &mut self.state_names);
        names.clear();
        self.network.state(&mut |part| {
            let name = match part {
                State::Array(param) => param.name,
                State::Counter(name, _) => name,
            };
            names.push(format!("{prefix}.{name}"));
        });
    }

    pub(super) fn summarize(&self, place: &str, to: &mut Vec<LayerSummary>) {
        self.network
            .summarize(&format!("{place}.{}.", self.prefix), to);
    }

    /// Folds the normalisations of the network into the layers before them.
    pub(super) fn fold(&mut self) {
        self.network.fold_layers();
        self.name_state();
    }

    /// The output for `x: (N, D)`, in the network's buffers.
    pub(super) fn forward(
        &mut self,
        x: ArrayView2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<ArrayView2<'_, T>, LayerError> {
        let output = self.network.pass(x, pass);
        output
            .and_then(|()| self.network.last_output())
            .map_err(as_layer_error)
    }

    /// The gradient with respect to `x: (N, D)`, in the network's buffers, if it is wanted. `set_dout`
    /// writes the gradient with respect to the output.
    pub(super) fn backward(
        &mut self,
        x: ArrayView2<'_, T>,
        wanted: &WantedFrom<'_, T>,
        pass: &Pass<'_>,
        set_dout: impl FnOnce(&mut [T]) -> Result<(), bn_tensor::Error>,
    ) -> Result<Option<ArrayView2<'_, T>>, LayerError> {
        let from = match (&wanted.dx, wanted.params) {
            (None, false) => return Ok(None),
            (None, true) => Wanted::Params,
            (Some(_), false) => Wanted::Input,
            (Some(_), true) => Wanted::Both,
        };
        let network = &mut self.network;
        let result = network.make_dout(set_dout);
        let result = result.and_then(|()| network.pass_back(x, from, pass));
        result
            .and_then(|()| match from {
                Wanted::Params => Ok(None),
                Wanted::Input | Wanted::Both => network.gradient_of_input().map(Some),
            })
            .map_err(as_layer_error)
    }

    pub(super) fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        let mut names = self.state_names.iter();
        let mut name = || names.next().map_or("", String::as_str);
        self.network.state(&mut |part| {
            visit(match part {
                State::Array(p) => State::Array(Param { name: name(), ..p }),
                State::Counter(_, value) => State::Counter(name(), value),
            });
        });
    }

    pub(super) fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        let mut names = self.state_names.iter();
        let mut name = || names.next().map_or("", String::as_str);
        self.network.state_mut(&mut |part| {
            visit(match part {
                StateMut::Array(p) => StateMut::Array(ParamMut { name: name(), ..p }),
                StateMut::Counter(_, value) => StateMut::Counter(name(), value),
            });
        });
    }

    pub(super) fn settle(&mut self, outcome: Outcome) {
        self.network.settle(outcome);
    }
}
