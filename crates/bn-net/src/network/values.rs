//! All parameters and buffers of a network as one vector, in the order of its state.

use super::chain::Network;
use bn_layers::LayerExt;
use bn_tensor::Scalar;

impl<T: Scalar> Network<T> {
    /// The number of values of all parameters and buffers.
    pub(crate) fn value_count(&self) -> usize {
        let mut count = 0;
        self.visit(&mut |p| count += p.value.len());
        count
    }

    /// Replaces `to` by the values of all parameters and buffers.
    pub(crate) fn copy_values(&self, to: &mut Vec<T>) {
        to.clear();
        self.visit(&mut |p| to.extend_from_slice(p.value));
    }

    /// Sets all parameters and buffers to values of [`copy_values`](Self::copy_values).
    pub(crate) fn set_values(&mut self, from: &[T]) {
        let mut from = from.iter();
        self.visit_mut(&mut |p| {
            p.value
                .iter_mut()
                .zip(&mut from)
                .for_each(|(to, &v)| *to = v);
        });
    }
}
