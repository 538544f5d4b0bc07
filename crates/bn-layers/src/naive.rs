//! Batch Normalization as the book writes it, one step per line, for a matrix `(N, D)`. Read this
//! first; the tests compare the fast form with it. Nothing is fused, reused or parallel.

use ndarray::{Array1, Array2, Axis};

/// What [`batch_norm_train`] saves for [`batch_norm_backward`].
#[derive(Debug, Clone)]
pub struct Saved {
    /// `x − mu`, `(N, D)`.
    pub xc: Array2<f64>,
    /// `√(var + eps)`, `(D)`.
    pub std: Array1<f64>,
    /// `xc/std`, `(N, D)`.
    pub xn: Array2<f64>,
}

/// Returns `y: (N, D)` for `x: (N, D)`, `gamma, beta: (D)`, and what the backward pass needs.
///
/// ```
/// use bn_layers::naive::batch_norm_train;
/// use ndarray::array;
/// let (y, _) = batch_norm_train(&array![[1.0], [3.0]], &array![1.0], &array![0.0], 0.0);
/// assert_eq!(y, array![[-1.0], [1.0]]);
/// ```
pub fn batch_norm_train(
    x: &Array2<f64>,
    gamma: &Array1<f64>,
    beta: &Array1<f64>,
    eps: f64,
) -> (Array2<f64>, Saved) {
    let n = x.nrows() as f64;
    let mu = x.sum_axis(Axis(0)) / n; // (D)
    let xc = x - &mu; // (N, D)
    let var = (&xc * &xc).sum_axis(Axis(0)) / n; // (D)
    let std = (var + eps).sqrt(); // (D)
    let xn = &xc / &std; // (N, D)
    let y = gamma * &xn + beta; // (N, D)
    (y, Saved { xc, std, xn })
}

/// Returns `(dx: (N, D), dgamma: (D), dbeta: (D))` for `dout: (N, D)`, by the chain rule.
pub fn batch_norm_backward(
    dout: &Array2<f64>,
    gamma: &Array1<f64>,
    saved: &Saved,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    let Saved { xc, std, xn } = saved;
    let n = dout.nrows() as f64;
    let dbeta = dout.sum_axis(Axis(0)); // (D)
    let dgamma = (xn * dout).sum_axis(Axis(0)); // (D)
    let dxn = gamma * dout; // (N, D)
    let mut dxc = &dxn / std; // (N, D)
    let dstd = -(&dxn * xc / (std * std)).sum_axis(Axis(0)); // (D)
    let dvar = 0.5 * &dstd / std; // (D)
    dxc += &(xc * &(dvar * (2.0 / n)));
    let dmu = dxc.sum_axis(Axis(0)); // (D)
    let dx = dxc - &(dmu / n); // (N, D)
    (dx, dgamma, dbeta)
}
