use super::definition::{Loss, Targets, check_backward};
use crate::error::Error;
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2, Zip};

/// The mean squared error of an identity output layer, for regression.
///
/// ```text
/// loss = Σ (x − t)²/(N·E)        x, t: (N, E)
/// dx   = 2·(x − t)/(N·E)
/// ```
///
/// The mean over all values, as `torch.nn.MSELoss`. (The book's `mean_squared_error`,
/// `common/functions.py`, is half the sum.)
///
/// ```
/// use bn_net::{IdentityWithLoss, Loss};
/// use ndarray::array;
/// let (x, t) = (array![[1.0, 2.0]], array![[0.0, 4.0]]);
/// let loss = IdentityWithLoss::default().forward(x.view(), t.view().into())?;
/// assert_eq!(loss, 2.5);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct IdentityWithLoss {
    last: (usize, usize),
}

fn values<'a, T>(t: Targets<'a, T>, x: (usize, usize)) -> Result<ArrayView2<'a, T>, Error> {
    match t {
        Targets::Dense(values) if values.dim() == x => Ok(values),
        _ => Err(Error::Targets {
            loss: "IdentityWithLoss",
            expected: format!("values of shape [{}, {}]", x.0, x.1),
            got: t.describe(),
        }),
    }
}

impl<T: Scalar> Loss<T> for IdentityWithLoss {
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        values(t, (rows, width)).map(|_| ())
    }

    fn forward(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error> {
        let t = values(t, x.dim())?;
        self.last = x.dim();
        let squares = x
            .iter()
            .zip(t)
            .map(|(x, t)| (x.as_f64() - t.as_f64()).powi(2));
        Ok(squares.sum::<f64>() / x.len().max(1) as f64)
    }

    fn backward_into(
        &self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        check_backward("IdentityWithLoss", x.dim(), self.last, &dx)?;
        let t = values(t, x.dim())?;
        let scale = T::from_f64(2.0 / x.len().max(1) as f64);
        Zip::from(dx)
            .and(x)
            .and(t)
            .for_each(|dx, &x, &t| *dx = scale * (x - t));
        Ok(())
    }
}
