use bn_layers::{Activation, Scalar};
/// `y = x/2·(1 + tanh u)` with `u = √(2/π)·(x + 0.044715·x³)`.
#[derive(Debug, Clone)]
pub struct Gelu;
impl Activation for Gelu {
    fn value<T: Scalar>(&self, x: T) -> T {
        let u = T::from_f64(0.797_884_560_802_865_4) * (x + T::from_f64(0.044715) * x * x * x);
        T::from_f64(0.5) * x * (T::one() + u.tanh())
    }
    fn derivative<T: Scalar>(&self, x: T, y: T) -> T {
        let u = T::from_f64(0.797_884_560_802_865_4) * (x + T::from_f64(0.044715) * x * x * x);
        let du = T::from_f64(0.797_884_560_802_865_4) * (T::one() + T::from_f64(0.134145) * x * x);
        T::from_f64(0.5) * (T::one() + u.tanh()) + y * (T::one() - u.tanh()) * du
    }
}
