//! One of each layer, with unusual settings and weights that are not trivial.

use super::{random, random_row};
use bn_layers::{
    Affine, AvgPool2d, BatchNormConfig, BatchNormalization, Conv2d, Conv2dConfig, ConvTranspose2d,
    Dropout, Elu, Gelu, GroupNorm, Identity, InstanceNorm, Interpolation, Layer, LayerNorm, Layout,
    LeakyRelu, LogSoftmax, MaxPool2d, PRelu, Padding, Pool2dConfig, ReflectPad2d, Relu, Relu6,
    Reshape, Resize2d, RunningAverage, Sigmoid, Silu, Softmax, Tanh, Upsample2d, ZeroPad2d, fusion,
};
use bn_tensor::Scalar;
use ndarray::Array4;

const ASYMMETRIC: Padding = Padding::Explicit {
    top: 1,
    bottom: 0,
    left: 0,
    right: 1,
};

fn kernel<T: Scalar>(dim: (usize, usize, usize, usize)) -> Array4<T> {
    let flat = random((dim.0 * dim.1 * dim.2, dim.3), 11);
    flat.into_shape_with_order(dim).unwrap()
}

pub(crate) fn conv<T: Scalar>() -> Conv2d<T> {
    let (w, b) = (kernel((3, 2, 2, 3)), random_row(3, 0.0, 12));
    Conv2d::new((5, 4, 2), w, Some(b), (2, 1), ASYMMETRIC).unwrap()
}

/// Two filters for each of two channels, of every other row.
pub(crate) fn depthwise<T: Scalar>() -> Conv2d<T> {
    let config = Conv2dConfig {
        dilation: (2, 1),
        ..Conv2dConfig::depthwise(2, 2, 3).padding(ASYMMETRIC)
    };
    let (w, b) = (kernel((3, 3, 1, 4)), random_row(4, 0.0, 25));
    Conv2d::from_weights((5, 4, 2), config, w, Some(b)).unwrap()
}

pub(crate) fn batch_norm<T: Scalar>(
    layout: Layout,
    config: BatchNormConfig,
) -> BatchNormalization<T> {
    let bn = BatchNormalization::new(5, config).unwrap();
    let bn = bn.with_layout(layout);
    if !config.affine {
        return bn;
    }
    let (gamma, beta) = (random_row(5, 1.5, 13), random_row(5, 0.0, 14));
    bn.with_gamma_beta(gamma, beta).unwrap()
}

/// Each layer, with the width of its input.
pub(crate) fn every_layer<T: Scalar>() -> Vec<(Box<dyn Layer<T>>, usize)> {
    let mut all: Vec<(Box<dyn Layer<T>>, usize)> = Vec::new();
    let w = || random((5, 3), 15);
    all.push((
        Box::new(Affine::new(w(), random_row(3, 0.0, 16)).unwrap()),
        5,
    ));
    all.push((Box::new(Affine::without_bias(w()).unwrap()), 5));
    for (layout, config) in [
        (Layout::ChannelsLast, BatchNormConfig::bias_corrected()),
        (Layout::ChannelsFirst, BatchNormConfig::pytorch()),
        (Layout::PerPosition, BatchNormConfig::paper()),
        (
            Layout::ChannelsLast,
            BatchNormConfig {
                affine: false,
                eps: 1e-2,
                running: RunningAverage::Add(0.3),
                ..BatchNormConfig::keras()
            },
        ),
        (
            Layout::ChannelsLast,
            BatchNormConfig {
                track_running_stats: false,
                ..BatchNormConfig::book()
            },
        ),
    ] {
        all.push((Box::new(batch_norm(layout, config)), 5));
    }
    all.push((Box::new(conv()), 40));
    let plain = Conv2d::new((5, 4, 2), kernel((2, 3, 2, 4)), None, (1, 3), Padding::Same);
    all.push((Box::new(plain.unwrap()), 40));
    let (w, b) = (kernel((3, 4, 3, 2)), random_row(3, 0.0, 17));
    let transposed = ConvTranspose2d::new((3, 2, 2), w, Some(b), (2, 3), ASYMMETRIC, (1, 2));
    all.push((Box::new(transposed.unwrap()), 12));
    let w = kernel((2, 3, 4, 2));
    let plain = ConvTranspose2d::new((3, 2, 2), w, None, (2, 1), Padding::Same, (0, 0));
    all.push((Box::new(plain.unwrap()), 12));
    all.push((Box::new(depthwise()), 40));
    let grouped = Conv2dConfig {
        dilation: (1, 2),
        ..Conv2dConfig::new(6, 2).groups(2).same()
    };
    let layer = Conv2d::from_weights((3, 2, 4), grouped, kernel((2, 2, 2, 6)), None);
    all.push((Box::new(layer.unwrap()), 24));
    let (w, b) = (kernel((2, 2, 3, 4)), Some(random_row(6, 0.0, 26)));
    let layer = ConvTranspose2d::from_weights((3, 2, 4), grouped, w, b);
    all.push((Box::new(layer.unwrap()), 24));
    all.push((Box::new(Dropout::new(0.4, 18).unwrap()), 7));
    all.push((Box::new(Dropout::book(0.3, 19).unwrap()), 7));
    all.push((Box::new(Identity), 7));
    all.push((Box::new(LeakyRelu::new(0.3).unwrap()), 7));
    all.push((Box::new(Relu), 7));
    all.push((Box::new(Sigmoid), 7));
    all.push((Box::new(Tanh), 7));
    all.push((Box::new(Elu::new(1.5).unwrap()), 7));
    all.push((Box::new(Gelu::new()), 7));
    all.push((Box::new(Gelu::tanh()), 7));
    all.push((Box::new(Relu6), 7));
    all.push((Box::new(Silu), 7));
    let slopes = random_row(3, 0.2, 20);
    all.push((
        Box::new(PRelu::new(3, 0.0).unwrap().with_slopes(slopes).unwrap()),
        12,
    ));
    all.push((Box::new(Softmax::new(3).unwrap()), 12));
    all.push((Box::new(LogSoftmax::new(7).unwrap()), 7));
    let (gamma, beta) = (random_row(6, 1.5, 21), random_row(6, 0.0, 22));
    let of = LayerNorm::new(6).unwrap().with_eps(1e-3).unwrap();
    all.push((Box::new(of.with_gamma_beta(gamma, beta).unwrap()), 12));
    let (gamma, beta) = (random_row(6, 1.5, 23), random_row(6, 0.0, 24));
    let of = GroupNorm::new(2, 6).unwrap();
    all.push((Box::new(of.with_gamma_beta(gamma, beta).unwrap()), 24));
    all.push((Box::new(GroupNorm::new(3, 6).unwrap().without_affine()), 6));
    all.push((Box::new(InstanceNorm::new(3).unwrap()), 12));
    let max = MaxPool2d::new((5, 4, 2), (3, 2), (2, 1), ASYMMETRIC).unwrap();
    all.push((Box::new(max), 40));
    let average = AvgPool2d::new((5, 4, 2), (3, 2), (2, 1), ASYMMETRIC).unwrap();
    all.push((Box::new(average.clone()), 40));
    all.push((Box::new(average.counting_padding()), 40));
    all.push((Box::new(AvgPool2d::global((5, 4, 2)).unwrap()), 40));
    all.push((Box::new(MaxPool2d::global((5, 4, 2)).unwrap()), 40));
    let apart = Pool2dConfig {
        dilation: (2, 3),
        ..Pool2dConfig::new(2).padding(ASYMMETRIC).ceil_mode()
    };
    all.push((
        Box::new(MaxPool2d::with_config((5, 4, 2), apart).unwrap()),
        40,
    ));
    let average = AvgPool2d::with_config((5, 4, 2), apart.counting_padding());
    all.push((Box::new(average.unwrap()), 40));
    for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
        let resize = Resize2d::new((5, 4, 2), (3, 7), interpolation);
        all.push((Box::new(resize.unwrap()), 40));
    }
    let zero = ZeroPad2d::new((5, 4, 2), (1, 0), (2, 3)).unwrap();
    all.push((Box::new(zero), 40));
    let reflect = ReflectPad2d::new((5, 4, 2), (1, 0), (2, 3)).unwrap();
    all.push((Box::new(reflect), 40));
    all.push((Box::new(Reshape::new((2, 3, 1).into())), 6));
    all.push((Box::new(Upsample2d::new((2, 3, 2), 3).unwrap()), 12));
    all
}

/// Layers that also compute the layers after them, with the width of their input.
pub(crate) fn fused_layers<T: Scalar>() -> Vec<(Box<dyn Layer<T>>, usize)> {
    let mut bn: Box<dyn Layer<T>> = Box::new(batch_norm(
        Layout::ChannelsLast,
        BatchNormConfig::bias_corrected(),
    ));
    assert!(fusion::fuse(&mut *bn, &Relu));
    let mut conv: Box<dyn Layer<T>> = Box::new(conv());
    assert!(fusion::fuse(&mut *conv, &LeakyRelu::new(0.1).unwrap()));
    assert!(fusion::fuse(&mut *conv, &Dropout::new(0.4, 20).unwrap()));
    let mut depthwise: Box<dyn Layer<T>> = Box::new(depthwise());
    assert!(fusion::fuse(&mut *depthwise, &Relu));
    vec![(bn, 5), (conv, 40), (depthwise, 40)]
}
