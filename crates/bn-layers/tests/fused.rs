//! A fused layer computes the same as the separate layers.

use crate::common::{AnyShape, evaluated, input_gradient, random, random_row, state};
use bn_layers::{
    Affine, BatchNormConfig, BatchNormalization, Conv2d, Conv2dConfig, ConvTranspose2d, Dropout,
    Layer, LayerExt, Layout, LeakyRelu, Mode, Padding, Relu, Reshape, Tanh,
    fusion::{Folded, fold, fuse},
};
use bn_tensor::Scalar;
use ndarray::Array2;
use proptest::prelude::*;

fn batch_norm<T: Scalar>(channels: usize, layout: Layout) -> AnyShape<BatchNormalization<T>> {
    let (gamma, beta) = (random_row(channels, 0.0, 1), random_row(channels, 0.0, 2));
    let bn = BatchNormalization::new(channels, BatchNormConfig::paper()).unwrap();
    AnyShape(bn.with_layout(layout).with_gamma_beta(gamma, beta).unwrap())
}

fn assert_close<T: Scalar>(got: &Array2<T>, want: &Array2<T>, what: &str) {
    let tolerance = T::epsilon().as_f64() * 16.0;
    for (place, got) in got.indexed_iter() {
        let (got, want) = (got.as_f64(), want[place].as_f64());
        assert!(
            (got - want).abs() <= tolerance * (1.0 + want.abs()),
            "{what} at {place:?}: {got}, {want}"
        );
    }
}

fn check<T: Scalar>(n: usize, channels: usize, inner: usize, layout: Layout, seed: u64) {
    let rectifiers: [Box<dyn Layer<T>>; 2] =
        [Box::new(Relu), Box::new(LeakyRelu::new(0.2).unwrap())];
    for mut rectifier in rectifiers {
        let (mut separate, mut fused) =
            (batch_norm(channels, layout), batch_norm(channels, layout));
        assert!(fuse(&mut fused.0, &*rectifier));
        assert!(
            !fuse(&mut fused.0, &*rectifier),
            "only one rectifier can be fused"
        );
        let x = random::<T>((n, channels * inner), seed);
        let dout = random(x.dim(), seed + 1);
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let middle = LayerExt::forward(&mut separate, x.view(), mode).unwrap();
            let want = rectifier.forward(middle.view(), mode).unwrap();
            let got = LayerExt::forward(&mut fused, x.view(), mode).unwrap();
            assert_close(&got, &want, "y");
            let dmiddle = rectifier
                .backward(middle.view(), want.view(), dout.view())
                .unwrap();
            let want_dx =
                LayerExt::backward(&mut separate, x.view(), middle.view(), dmiddle.view()).unwrap();
            let got_dx = LayerExt::backward(&mut fused, x.view(), got.view(), dout.view()).unwrap();
            assert_close(&got_dx, &want_dx, "dx");
            assert_eq!(state::<T>(&fused), state::<T>(&separate));
            let arrays = [x.view(), got.view(), dout.view()];
            let dx_only = input_gradient(&mut fused, arrays);
            assert_eq!(
                dx_only, got_dx,
                "dx without the gradients of the parameters"
            );
        }
        let want = evaluated(&separate, x.view(), x.ncols()).mapv(|v| v);
        let want = rectifier.forward(want.view(), Mode::Eval).unwrap();
        assert_close(&evaluated(&fused, x.view(), x.ncols()), &want, "evaluated");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn fused_and_separate_layers_agree(n in 2usize..120, channels in 1usize..40, inner in 1usize..12, seed in 0u64..1000) {
        check::<f32>(n, channels, inner, Layout::ChannelsFirst, seed);
        check::<f64>(n, channels, inner, Layout::ChannelsLast, seed);
    }
}

#[test]
fn fused_and_separate_layers_agree_on_large_batches() {
    check::<f32>(3000, 70, 1, Layout::ChannelsLast, 5);
    check::<f64>(64, 16, 196, Layout::ChannelsFirst, 6);
}

/// The bits are the same, because an epilogue applies the operations of the layers in their order.
fn check_convolution<T: Scalar>(n: usize, side: usize, channels: usize, config: Conv2dConfig) {
    let Conv2dConfig {
        filters: out,
        groups,
        ..
    } = config;
    let followers: [Vec<Box<dyn Layer<T>>>; 4] = [
        vec![Box::new(Relu)],
        vec![Box::new(LeakyRelu::new(0.2).unwrap())],
        vec![Box::new(Dropout::book(0.3, 5).unwrap())],
        vec![
            Box::new(LeakyRelu::new(0.2).unwrap()),
            Box::new(Dropout::new(0.25, 6).unwrap()),
        ],
    ];
    for mut next in followers {
        let w = random::<T>((9 * channels / groups, out), 1);
        let w = w
            .into_shape_with_order((3, 3, channels / groups, out))
            .unwrap();
        let b = Some(random_row(out, 0.0, 2));
        let image = (side, side, channels);
        let mut separate = Conv2d::from_weights(image, config, w, b).unwrap();
        let mut fused = separate.clone();
        for layer in &next {
            assert!(fuse(&mut fused, &**layer));
        }
        let x = random::<T>((n, side * side * channels), 3);
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let mut outputs = vec![LayerExt::forward(&mut separate, x.view(), mode).unwrap()];
            for layer in &mut next {
                let y = layer.forward(outputs.last().unwrap().view(), mode).unwrap();
                outputs.push(y);
            }
            let want = outputs.last().unwrap();
            let got = LayerExt::forward(&mut fused, x.view(), mode).unwrap();
            assert_eq!(&got, want, "y");

            let dout = random(want.dim(), 4);
            let mut dy = dout.clone();
            for (layer, pair) in next.iter_mut().zip(outputs.windows(2)).rev() {
                dy = layer
                    .backward(pair[0].view(), pair[1].view(), dy.view())
                    .unwrap();
            }
            let y = outputs[0].view();
            let want_dx = LayerExt::backward(&mut separate, x.view(), y, dy.view()).unwrap();
            let got_dx = LayerExt::backward(&mut fused, x.view(), got.view(), dout.view()).unwrap();
            assert_eq!(got_dx, want_dx, "dx");
            assert_eq!(fused.dw(), separate.dw());
            assert_eq!(fused.db(), separate.db());

            let none = Array2::zeros(dout.dim());
            let of = |dout: &Array2<T>, fused: &mut Conv2d<T>| {
                input_gradient(fused, [x.view(), got.view(), dout.view()])
            };
            assert!(of(&none, &mut fused).iter().all(|v| *v == T::zero()));
            assert_eq!(of(&dout, &mut fused), want_dx);
        }
        let places = side.div_ceil(2).pow(2) * out;
        let want = next
            .iter_mut()
            .fold(evaluated(&separate, x.view(), places), |y, l| {
                l.forward(y.view(), Mode::Eval).unwrap()
            });
        assert_eq!(evaluated(&fused, x.view(), want.ncols()), want);
    }
}

#[test]
fn a_convolution_fused_with_the_layers_after_it_gives_the_same_bits() {
    let half = |filters| Conv2dConfig::new(filters, 3).stride(2).same();
    check_convolution::<f64>(3, 5, 2, half(3));
    check_convolution::<f32>(2, 8, 1, half(5));
    check_convolution::<f32>(40, 28, 16, half(32)); // several blocks of images
    check_convolution::<f64>(3, 5, 4, half(6).groups(2));
    check_convolution::<f32>(60, 28, 16, half(32).groups(16).dilation(2));
}

#[test]
fn a_convolution_takes_a_rectifier_and_then_a_dropout() {
    let w = random::<f32>((9, 2), 1)
        .into_shape_with_order((3, 3, 1, 2))
        .unwrap();
    let conv = Conv2d::new((4, 4, 1), w, None, (1, 1), Padding::Same).unwrap();
    let relu: &dyn Layer<f32> = &Relu;
    let dropout: &dyn Layer<f32> = &Dropout::new(0.5, 1).unwrap();
    let mut both = conv.clone();
    assert!(fuse(&mut both, relu) && fuse(&mut both, dropout));
    assert!(!fuse(&mut both, relu) && !fuse(&mut both, dropout));
    let mut dropped = conv.clone();
    assert!(fuse(&mut dropped, dropout));
    assert!(!fuse(&mut dropped, relu), "the rectifier would come first");
}

#[test]
fn other_layers_are_not_fused() {
    let bn = || batch_norm::<f32>(3, Layout::ChannelsLast).0;
    let dropout: &dyn Layer<f32> = &Dropout::new(0.5, 1).unwrap();
    assert!(!fuse(&mut bn(), dropout) && !fuse(&mut bn(), &Tanh));
    assert!(!fuse::<f32>(&mut Relu, &Relu));
    // A layer from outside is not fused, even if it contains one that could be.
    assert!(!fuse(&mut AnyShape(bn()), &Relu));
    assert!(fuse::<f32>(&mut Tanh, &Reshape::new(3.into())));
}

/// Compares `layer` followed by a trained BatchNormalization with the folded layer, in evaluation.
fn check_fold(layer: impl Layer<f64> + Clone, width: usize, channels: usize) {
    let x = random((6, width), 21);
    for rectified in [false, true] {
        let mut layer = layer.clone();
        let mut bn = batch_norm::<f64>(channels, Layout::ChannelsLast);
        assert!(!rectified || fuse(&mut bn.0, &Relu));
        let middle = layer.eval(x.view()).unwrap();
        bn.forward(middle.view(), Mode::Train).unwrap();
        let want = bn.eval(middle.view()).unwrap();
        let folded = fold(&mut layer, &bn.0);
        let got = layer.eval(x.view()).unwrap();
        match folded {
            Folded::Whole if !rectified => assert_close(&got, &want, "folded"),
            Folded::Rectifier(relu) if rectified => {
                assert_close(&relu.eval(got.view()).unwrap(), &want, "folded");
            }
            other => panic!("{layer:?} gave {other:?}"),
        }
    }
}

#[test]
fn batch_normalization_is_folded_into_the_layer_before_it() {
    let w = |dim: (usize, usize, usize, usize)| {
        let flat = random::<f64>((dim.0 * dim.1 * dim.2, dim.3), 22);
        flat.into_shape_with_order(dim).unwrap()
    };
    check_fold(Affine::without_bias(random((5, 3), 22)).unwrap(), 5, 3);
    let image = (4, 4, 2);
    let conv = Conv2d::new(image, w((3, 3, 2, 3)), None, (1, 1), Padding::Same);
    check_fold(conv.unwrap(), 32, 3);
    let b = Some(random_row(3, 0.0, 23));
    let up = ConvTranspose2d::new(image, w((3, 3, 3, 2)), b, (2, 2), Padding::Same, (0, 0));
    check_fold(up.unwrap(), 32, 3);
    let two = Conv2dConfig::new(6, 3).same().groups(2).dilation(2);
    let conv = Conv2d::from_weights(image, two, w((3, 3, 1, 6)), None);
    check_fold(conv.unwrap(), 32, 6);
    let (image, w, b) = ((4, 2, 4), w((3, 3, 3, 4)), Some(random_row(6, 0.0, 24)));
    let up = ConvTranspose2d::from_weights(image, two, w, b);
    check_fold(up.unwrap(), 32, 6);

    let mut affine = Affine::without_bias(random((5, 3), 22)).unwrap();
    let not = |layer: &mut dyn Layer<f64>, next: &dyn Layer<f64>| {
        let before = state(layer);
        assert!(matches!(fold(layer, next), Folded::Not));
        assert_eq!(state(layer), before);
    };
    not(&mut affine, &Relu);
    not(&mut affine, &batch_norm::<f64>(4, Layout::ChannelsLast).0);
    not(&mut affine, &batch_norm::<f64>(3, Layout::ChannelsFirst).0);
    let config = BatchNormConfig {
        track_running_stats: false,
        ..BatchNormConfig::book()
    };
    not(&mut affine, &BatchNormalization::new(3, config).unwrap());
    not(&mut Tanh, &batch_norm::<f64>(3, Layout::ChannelsLast).0);
}
