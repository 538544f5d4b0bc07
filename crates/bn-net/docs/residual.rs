use bn_layers::{Error, Io, Layer, Outcome, Pass, Shape, State, StateMut, Wanted};
use bn_net::Network;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// `y = body(x) + shortcut(x)`: a residual block (arXiv:1512.03385) around two networks.
#[derive(Debug, Clone)]
pub struct Residual {
    body: Network<f64>,
    shortcut: Network<f64>,
    outputs: [Array2<f64>; 2], // of body and shortcut, from the last forward pass: (N, E) each
}

impl Residual {
    pub fn new(body: Network<f64>, shortcut: Network<f64>) -> Self {
        let outputs = [Array2::zeros((0, 0)), Array2::zeros((0, 0))];
        Self { body, shortcut, outputs }
    }
}

impl Layer<f64> for Residual {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let (body, shortcut) = (self.body.output_shape(input)?, self.shortcut.output_shape(input)?);
        let error = Error::shape("Residual", &[body.size()], &[shortcut.size()]);
        (body == shortcut).then_some(body).ok_or(error)
    }
    fn forward_into(&mut self, x: ArrayView2<f64>, mut y: ArrayViewMut2<f64>, pass: &Pass) -> Result<(), Error> {
        for (network, output) in [&mut self.body, &mut self.shortcut].into_iter().zip(&mut self.outputs) {
            *output = Array2::zeros(y.dim());
            network.forward_into(x, output.view_mut(), pass)?;
        }
        y.assign(&(&self.outputs[0] + &self.outputs[1]));
        Ok(())
    }
    fn backward_into(&mut self, io: Io<f64>, wanted: Wanted<f64>, pass: &Pass) -> Result<(), Error> {
        let mut sum = Array2::zeros(io.x.dim());
        for (network, y) in [&mut self.body, &mut self.shortcut].into_iter().zip(&self.outputs) {
            let mut dx = Array2::zeros(io.x.dim());
            let wanted = Wanted { dx: Some(dx.view_mut()), params: wanted.params };
            network.backward_into(Io { y: y.view(), ..io }, wanted, pass)?;
            sum += &dx;
        }
        if let Some(mut dx) = wanted.dx {
            dx.assign(&sum);
        }
        Ok(())
    }
    fn state(&self, visit: &mut dyn FnMut(State<f64>)) {
        for (prefix, network) in [("body", &self.body), ("shortcut", &self.shortcut)] {
            network.state(&mut |part| part.prefixed(prefix, visit));
        }
    }
    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<f64>)) {
        for (prefix, network) in [("body", &mut self.body), ("shortcut", &mut self.shortcut)] {
            network.state_mut(&mut |part| part.prefixed(prefix, visit));
        }
    }
    fn settle(&mut self, outcome: Outcome) {
        self.body.settle(outcome);
        self.shortcut.settle(outcome);
    }
}
