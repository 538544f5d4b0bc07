//! The passes over memory, each with the rectifier that follows Batch Normalization, if there is
//! one. In the backward pass, `dout` is multiplied by the derivative of the rectifier at `z`.

use crate::activation::{Activation, Rectifier};
use bn_tensor::{
    ChannelAffine, Error, Scalar, Scratch, channel_affine, channel_combine, channel_sum_and_dot,
};
use ndarray::{ArrayView3, ArrayViewMut3};

/// See [`channel_affine`].
pub(super) fn affine<T: Scalar>(
    rectifier: Option<Rectifier>,
    x: ArrayView3<'_, T>,
    affine: ChannelAffine<'_, T>,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    match rectifier {
        None => channel_affine(x, affine, |z| z, y),
        Some(Rectifier::Relu(relu)) => channel_affine(x, affine, |z| relu.value(z), y),
        Some(Rectifier::LeakyRelu(leaky)) => channel_affine(x, affine, |z| leaky.value(z), y),
    }
}

/// See [`channel_sum_and_dot`].
pub(super) fn sums<T: Scalar>(
    rectifier: Option<Rectifier>,
    [x, dout]: [ArrayView3<'_, T>; 2],
    affine: ChannelAffine<'_, T>,
    sums: [&mut [f64]; 2],
    scratch: &mut Scratch,
) -> Result<(), Error> {
    match rectifier {
        None => channel_sum_and_dot(x, affine, dout, |_, d| d, sums, scratch),
        Some(Rectifier::Relu(relu)) => {
            channel_sum_and_dot(x, affine, dout, |z, d| d * slope(&relu, z), sums, scratch)
        }
        Some(Rectifier::LeakyRelu(leaky)) => {
            channel_sum_and_dot(x, affine, dout, |z, d| d * slope(&leaky, z), sums, scratch)
        }
    }
}

/// See [`channel_combine`].
pub(super) fn combine<T: Scalar>(
    rectifier: Option<Rectifier>,
    [x, dout]: [ArrayView3<'_, T>; 2],
    affine: ChannelAffine<'_, T>,
    pqr: [&[T]; 3],
    dx: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    match rectifier {
        None => channel_combine(x, affine, dout, |_, d| d, pqr, dx),
        Some(Rectifier::Relu(relu)) => {
            channel_combine(x, affine, dout, |z, d| d * slope(&relu, z), pqr, dx)
        }
        Some(Rectifier::LeakyRelu(leaky)) => {
            channel_combine(x, affine, dout, |z, d| d * slope(&leaky, z), pqr, dx)
        }
    }
}

#[inline(always)]
fn slope<T: Scalar>(activation: &impl Activation, z: T) -> T {
    activation.derivative(z, activation.value(z))
}
