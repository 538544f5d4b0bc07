use bn_layers::{Error, Io, Layer, Param, ParamMut, Pass, Scalar, Shape, State, StateMut, Wanted};
use ndarray::{Array1, ArrayView1, ArrayView2, ArrayViewMut2};
/// `y = gamma·xn + beta`, `xn = (x − mu)/√(var + eps)`, with the mean and variance of each row.
#[derive(Debug, Clone)]
pub struct LayerNorm<T> {
    params: [Vec<T>; 2], // gamma and beta, (D) each
    grads: [Vec<T>; 2],  // dgamma and dbeta, (D) each
}
impl<T: Scalar> LayerNorm<T> {
    pub fn new(d: usize) -> Self {
        let zeros = vec![T::zero(); d];
        Self { params: [vec![T::one(); d], zeros.clone()], grads: [zeros.clone(), zeros] }
    }
    /// Returns `xn` of a row, and `1/√(var + eps)`.
    fn normalize(x: ArrayView1<T>) -> (Array1<T>, T) {
        let d = T::from_f64(x.len() as f64);
        let xc = &x - x.sum() / d;
        let inv_std = T::one() / (xc.dot(&xc) / d + T::from_f64(1e-5)).sqrt();
        (xc * inv_std, inv_std)
    }
}
impl<T: Scalar> Layer<T> for LayerNorm<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let (expected, got) = (self.params[0].len(), input.size());
        (expected == got).then_some(input).ok_or(Error::shape("LayerNorm", &[expected], &[got]))
    }
    fn forward_into(&mut self, x: ArrayView2<T>, y: ArrayViewMut2<T>, _: &Pass) -> Result<(), Error> {
        let [gamma, beta] = self.params.each_ref().map(ArrayView1::from);
        for (x, mut y) in x.outer_iter().zip(y.into_outer_iter_mut()) {
            y.assign(&(Self::normalize(x).0 * gamma + beta));
        }
        Ok(())
    }
    fn backward_into(&mut self, io: Io<T>, mut wanted: Wanted<T>, _: &Pass) -> Result<(), Error> {
        let gamma = ArrayView1::from(&self.params[0]);
        let [mut dgamma, mut dbeta] = [(); 2].map(|()| Array1::zeros(gamma.len()));
        for (n, (x, dout)) in io.x.outer_iter().zip(io.dout.outer_iter()).enumerate() {
            let ((xn, inv_std), d) = (Self::normalize(x), T::from_f64(x.len() as f64));
            (dgamma, dbeta) = (dgamma + &dout * &xn, dbeta + dout);
            if let Some(dx) = &mut wanted.dx {
                let dxn = &dout * &gamma; // (D)
                let (mean, dot) = (dxn.sum() / d, dxn.dot(&xn) / d);
                dx.row_mut(n).assign(&((dxn - mean - xn * dot) * inv_std));
            }
        }
        if wanted.params { self.grads = [dgamma.to_vec(), dbeta.to_vec()]; }
        Ok(())
    }
    fn state(&self, visit: &mut dyn FnMut(State<T>)) {
        for ((name, value), grad) in ["gamma", "beta"].iter().zip(&self.params).zip(&self.grads) {
            visit(State::Array(Param::new(name, &[value.len()], value, grad)));
        }
    }
    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<T>)) {
        let arrays = self.params.iter_mut().zip(&mut self.grads);
        for (name, (value, grad)) in ["gamma", "beta"].iter().zip(arrays) {
            visit(StateMut::Array(ParamMut::new(name, &[value.len()], value, grad)));
        }
    }
}
