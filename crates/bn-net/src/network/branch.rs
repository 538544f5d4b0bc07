use super::{
    as_layer::as_layer_error,
    buffers::{Share, grow, matrix, matrix_mut},
    chain::Network,
    passes::Wanted,
    state_names::StateNames,
};
use bn_layers::{Error as LayerError, Layer, Outcome, Pass, State, StateMut, Wanted as WantedFrom};
use bn_tensor::Scalar;
use ndarray::ArrayView2;

/// A network inside a layer, whose state has names that begin with its own: `body.layers.0.weight`.
#[derive(Debug, Clone)]
pub(super) struct Branch<T: Scalar> {
    pub(super) network: Network<T>,
    prefix: String,
    state_names: StateNames,
}

impl<T: Scalar> Branch<T> {
    pub(super) fn new(prefix: &str, network: Network<T>) -> Self {
        Self {
            prefix: prefix.to_owned(),
            state_names: StateNames::new(prefix, &network),
            network,
        }
    }

    /// Its name in the layer, such as `body`.
    pub(super) fn name(&self) -> &str {
        &self.prefix
    }

    /// Folds the normalisations of the network into the layers before them.
    pub(super) fn fold(&mut self) {
        self.network.fold_layers();
        self.state_names = StateNames::new(&self.prefix, &self.network);
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

    /// The output for `x: (N, D)` in evaluation, in the buffer `output`.
    pub(super) fn eval<'o>(
        &self,
        x: ArrayView2<'_, T>,
        output: &'o mut Vec<T>,
        share: &mut Share<T>,
    ) -> Result<ArrayView2<'o, T>, LayerError> {
        let (n, width) = (x.nrows(), self.network.output().size());
        grow(output, n, width)
            .and_then(|()| self.network.rows(x, matrix_mut(output, n, width)?, share))
            .and_then(|()| matrix(output, n, width))
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
        let Some(from) = Wanted::of(wanted) else {
            return Ok(None);
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
        self.state_names.visit(&self.network, visit);
    }

    pub(super) fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.state_names.visit_mut(&mut self.network, visit);
    }

    pub(super) fn settle(&mut self, outcome: Outcome) {
        self.network.settle(outcome);
    }
}
