//! A layer that computes those after it in its own pass is what they are apart.

mod common;

use bn_layers::{
    BatchNormConfig, BatchNormalization, Conv2d, Dropout, Layer, Layout, LeakyRelu, Mode, Padding,
    Pointwise, Relu,
};
use bn_tensor::Scalar;
use common::{evaluated, random, random_row, state};
use ndarray::Array2;
use proptest::prelude::*;

fn batch_norm<T: Scalar>(channels: usize, layout: Layout) -> BatchNormalization<T> {
    let (gamma, beta) = (random_row(channels, 0.0, 1), random_row(channels, 0.0, 2));
    let bn = BatchNormalization::new(channels, BatchNormConfig::paper()).unwrap();
    bn.with_layout(layout).with_gamma_beta(gamma, beta).unwrap()
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
        let (mut apart, mut fused) = (batch_norm(channels, layout), batch_norm(channels, layout));
        assert!(fused.absorb(rectifier.pointwise().unwrap()));
        assert!(
            !fused.absorb(rectifier.pointwise().unwrap()),
            "one is enough"
        );
        let x = random::<T>((n, channels * inner), seed);
        let dout = random(x.dim(), seed + 1);
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let middle = Layer::forward(&mut apart, x.view(), mode).unwrap();
            let want = rectifier.forward(middle.view(), mode).unwrap();
            let got = Layer::forward(&mut fused, x.view(), mode).unwrap();
            assert_close(&got, &want, "y");
            let dmiddle = rectifier
                .backward(middle.view(), want.view(), dout.view())
                .unwrap();
            let want_dx =
                Layer::backward(&mut apart, x.view(), middle.view(), dmiddle.view()).unwrap();
            let got_dx = Layer::backward(&mut fused, x.view(), got.view(), dout.view()).unwrap();
            assert_close(&got_dx, &want_dx, "dx");
            assert_eq!(
                state(&fused as &dyn Layer<T>),
                state(&apart as &dyn Layer<T>)
            );
        }
        let want = evaluated(&apart, x.view(), x.ncols()).mapv(|v| v);
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
    fn the_same_as_apart(n in 2usize..120, channels in 1usize..40, inner in 1usize..12, seed in 0u64..1000) {
        check::<f32>(n, channels, inner, Layout::ChannelsFirst, seed);
        check::<f64>(n, channels, inner, Layout::ChannelsLast, seed);
    }
}

#[test]
fn the_same_as_apart_where_work_is_shared() {
    check::<f32>(3000, 70, 1, Layout::ChannelsLast, 5);
    check::<f64>(64, 16, 196, Layout::ChannelsFirst, 6);
}

/// The same bits: an epilogue does to each value what the layers do, in their order.
fn check_convolution<T: Scalar>(n: usize, side: usize, channels: usize, out: usize) {
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
        let w = random::<T>((9 * channels, out), 1);
        let w = w.into_shape_with_order((3, 3, channels, out)).unwrap();
        let b = Some(random_row(out, 0.0, 2));
        let image = (side, side, channels);
        let mut apart = Conv2d::new(image, w, b, (2, 2), Padding::Same).unwrap();
        let mut fused = apart.clone();
        for layer in &next {
            assert!(fused.absorb(layer.pointwise().unwrap()));
        }
        let x = random::<T>((n, side * side * channels), 3);
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let mut outputs = vec![Layer::forward(&mut apart, x.view(), mode).unwrap()];
            for layer in &mut next {
                let y = layer.forward(outputs.last().unwrap().view(), mode).unwrap();
                outputs.push(y);
            }
            let want = outputs.last().unwrap();
            let got = Layer::forward(&mut fused, x.view(), mode).unwrap();
            assert_eq!(&got, want, "y");

            let dout = random(want.dim(), 4);
            let mut dy = dout.clone();
            for (layer, pair) in next.iter_mut().zip(outputs.windows(2)).rev() {
                dy = layer
                    .backward(pair[0].view(), pair[1].view(), dy.view())
                    .unwrap();
            }
            let y = outputs[0].view();
            let want_dx = Layer::backward(&mut apart, x.view(), y, dy.view()).unwrap();
            let got_dx = Layer::backward(&mut fused, x.view(), got.view(), dout.view()).unwrap();
            assert_eq!(got_dx, want_dx, "dx");
            assert_eq!(fused.dw(), apart.dw());
            assert_eq!(fused.db(), apart.db());

            let (mut dx, dw) = (Array2::zeros(x.dim()), fused.dw());
            let none = Array2::zeros(dout.dim());
            let zero = fused.input_gradient_into(x.view(), got.view(), none.view(), dx.view_mut());
            assert!(zero.is_ok() && dx.iter().all(|v| *v == T::zero()));
            fused
                .input_gradient_into(x.view(), got.view(), dout.view(), dx.view_mut())
                .unwrap();
            assert_eq!(dx, want_dx);
            assert_eq!(fused.dw(), dw, "the gradients of the parameters stay");
        }
        let places = side.div_ceil(2).pow(2) * out;
        let want = next
            .iter_mut()
            .fold(evaluated(&apart, x.view(), places), |y, l| {
                l.forward(y.view(), Mode::Eval).unwrap()
            });
        assert_eq!(evaluated(&fused, x.view(), want.ncols()), want);
    }
}

#[test]
fn a_convolution_and_what_follows_it() {
    check_convolution::<f64>(3, 5, 2, 3);
    check_convolution::<f32>(2, 8, 1, 5);
    check_convolution::<f32>(40, 28, 16, 32); // several blocks of images
}

#[test]
fn a_convolution_takes_a_rectifier_and_then_a_dropout() {
    let w = random::<f32>((9, 2), 1)
        .into_shape_with_order((3, 3, 1, 2))
        .unwrap();
    let conv = Conv2d::new((4, 4, 1), w, None, (1, 1), Padding::Same).unwrap();
    let relu = || Layer::<f32>::pointwise(&Relu).unwrap();
    let dropout = || Pointwise::Dropout(Dropout::new(0.5, 1).unwrap());
    let mut both = conv.clone();
    assert!(both.absorb(relu()) && both.absorb(dropout()));
    assert!(!both.absorb(relu()) && !both.absorb(dropout()));
    let mut dropped = conv.clone();
    assert!(dropped.absorb(dropout()));
    assert!(!dropped.absorb(relu()), "the rectifier would come first");
}
