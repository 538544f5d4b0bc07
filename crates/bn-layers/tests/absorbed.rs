//! BatchNormalization that computes the rectifier after it in its own pass is the two apart.

mod common;

use bn_layers::{BatchNormConfig, BatchNormalization, Layer, Layout, LeakyRelu, Mode, Relu};
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
        assert!(fused.absorb(Layer::<T>::rectifier(&*rectifier).unwrap()));
        assert!(
            !fused.absorb(Layer::<T>::rectifier(&*rectifier).unwrap()),
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
