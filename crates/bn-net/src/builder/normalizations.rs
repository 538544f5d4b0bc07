//! The normalisations of each row by itself.

use super::NetworkBuilder;
use bn_layers::{GroupNorm, InstanceNorm, LayerNorm};
use bn_tensor::Scalar;

impl<T: Scalar> NetworkBuilder<T> {
    /// A [`LayerNorm`] of each flat row, or of all values of each image, as PyTorch's `LayerNorm([C, H,
    /// W])`. For each pixel by itself, use [`layer`](Self::layer) with as many values as channels.
    #[must_use]
    pub fn layer_norm(self) -> Self {
        self.push("layer_norm", |input, _| {
            Ok(Box::new(LayerNorm::new(input.size())?))
        })
    }

    /// A [`GroupNorm`] of the channels, or of the values of a flat row, in so many groups.
    #[must_use]
    pub fn group_norm(self, groups: usize) -> Self {
        self.push("group_norm", move |input, _| {
            Ok(Box::new(GroupNorm::new(groups, input.channels())?))
        })
    }

    /// An [`InstanceNorm`] of each channel of each image.
    #[must_use]
    pub fn instance_norm(self) -> Self {
        self.push("instance_norm", |input, _| {
            Ok(Box::new(InstanceNorm::new(input.channels())?))
        })
    }
}
