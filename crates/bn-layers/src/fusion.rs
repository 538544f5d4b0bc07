//! Fusion: a layer also computes the layer after it, if both are in the same network. Layers from
//! outside this crate are never fused.

use crate::{
    activation::{LeakyRelu, Rectifier, Relu},
    affine::Affine,
    batch_norm::BatchNormalization,
    convolution::{Conv2d, ConvTranspose2d},
    dropout::Dropout,
    layer::Layer,
    reshape::Reshape,
};
use bn_tensor::Scalar;
use std::any::Any;

/// Makes `layer` compute `next`, the layer after it, in its own passes from now on: one pass over
/// memory in each direction instead of two. Returns false, and changes nothing, if it cannot.
///
/// Any layer can be followed by a Reshape, which computes nothing. BatchNormalization can compute a
/// rectifier; Conv2d a rectifier and then a Dropout.
pub fn fuse<T: Scalar>(layer: &mut dyn Layer<T>, next: &dyn Layer<T>) -> bool {
    let (layer, next) = (layer as &mut dyn Any, next as &dyn Any);
    if next.is::<Reshape>() {
        return true;
    }
    let rectifier = match (
        next.downcast_ref::<Relu>(),
        next.downcast_ref::<LeakyRelu>(),
    ) {
        (Some(&relu), _) => Some(Rectifier::Relu(relu)),
        (_, Some(&leaky_relu)) => Some(Rectifier::LeakyRelu(leaky_relu)),
        _ => None,
    };
    if let Some(bn) = layer.downcast_mut::<BatchNormalization<T>>() {
        return rectifier.is_some_and(|rectifier| bn.fuse_rectifier(rectifier));
    }
    let Some(conv) = layer.downcast_mut::<Conv2d<T>>() else {
        return false;
    };
    match (rectifier, next.downcast_ref::<Dropout>()) {
        (Some(rectifier), _) => conv.fuse_rectifier(rectifier),
        (_, Some(dropout)) => conv.fuse_dropout(dropout),
        _ => false,
    }
}

/// What remains of a BatchNormalization after [`fold`].
#[derive(Debug)]
pub enum Folded<T> {
    /// All of it: it could not be folded.
    Not,
    /// Nothing.
    Whole,
    /// The rectifier that it also computed.
    Rectifier(Box<dyn Layer<T>>),
}

/// Folds `next` into the weights of `layer`, the layer before it, for inference. This is possible if
/// `next` is a BatchNormalization with running statistics and `layer` an Affine or a convolution
/// that computes no other layer; otherwise nothing changes.
pub fn fold<T: Scalar>(layer: &mut dyn Layer<T>, next: &dyn Layer<T>) -> Folded<T> {
    let (layer, next) = (layer as &mut dyn Any, next as &dyn Any);
    let Some(bn) = next.downcast_ref::<BatchNormalization<T>>() else {
        return Folded::Not;
    };
    let Some([scale, shift]) = bn.channel_map() else {
        return Folded::Not;
    };
    let map = [&scale[..], &shift[..]];
    let is_folded = if let Some(affine) = layer.downcast_mut::<Affine<T>>() {
        affine.fold(map)
    } else if let Some(conv) = layer.downcast_mut::<Conv2d<T>>() {
        conv.fold(map)
    } else if let Some(conv) = layer.downcast_mut::<ConvTranspose2d<T>>() {
        conv.fold(map)
    } else {
        false
    };
    match (is_folded, bn.rectifier()) {
        (false, _) => Folded::Not,
        (true, None) => Folded::Whole,
        (true, Some(Rectifier::Relu(relu))) => Folded::Rectifier(Box::new(relu)),
        (true, Some(Rectifier::LeakyRelu(leaky))) => Folded::Rectifier(Box::new(leaky)),
    }
}
