//! No layer turns a NaN into a number, and BatchNormalization keeps it in its channel.

use crate::common::{bits, evaluated, random, random_row};
use bn_layers::{
    Affine, BatchNormConfig, BatchNormalization, Dropout, Elu, Error, Gelu, Identity, Layer,
    LayerExt, Layout, LeakyRelu, Mode, PRelu, Relu, Relu6, Sigmoid, Silu, Tanh,
};
use bn_tensor::Scalar;
use ndarray::{Array2, Array4, Axis};

/// The width is odd and longer than a vector register, so that the vector loop and its rest are tested.
const DIM: (usize, usize) = (3, 37);

fn element_wise<T: Scalar>() -> Vec<Box<dyn Layer<T>>> {
    vec![
        Box::new(Relu),
        Box::new(LeakyRelu::new(0.1).unwrap()),
        Box::new(Sigmoid),
        Box::new(Tanh),
        Box::new(Elu::new(1.5).unwrap()),
        Box::new(Gelu::new()),
        Box::new(Gelu::tanh()),
        Box::new(PRelu::new(1, 0.25).unwrap()),
        Box::new(PRelu::new(DIM.1, 0.25).unwrap()),
        Box::new(Relu6),
        Box::new(Silu),
        Box::new(Identity),
        Box::new(Dropout::new(0.9, 1).unwrap()), // a dropped NaN is a NaN too
        Box::new(Dropout::book(0.9, 1).unwrap()),
    ]
}

/// Whether `at` is NaN and nothing else is.
fn only_there<T: Scalar>(y: &Array2<T>, at: (usize, usize)) -> bool {
    y.indexed_iter().all(|(j, v)| v.is_nan() == (j == at))
}

fn check_element_wise<T: Scalar>() {
    for mut layer in element_wise::<T>() {
        for at in (0..DIM.0).flat_map(|i| (0..DIM.1).map(move |j| (i, j))) {
            let good = random::<T>(DIM, 2);
            let mut x = good.clone();
            x[at] = T::nan();
            let y = evaluated(&*layer, x.view(), DIM.1);
            assert!(only_there(&y, at), "{layer:?} eval_into {at:?}");
            for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
                let y = layer.forward(x.view(), mode).unwrap();
                assert!(only_there(&y, at), "{layer:?} {mode:?} {at:?}");
                let y = layer.forward(good.view(), mode).unwrap();
                let dx = layer.backward(good.view(), y.view(), x.view()).unwrap();
                assert!(only_there(&dx, at), "{layer:?} {mode:?} dx {at:?}");
            }
        }
    }
}

#[test]
fn passes_through_every_element_wise_layer() {
    check_element_wise::<f32>();
    check_element_wise::<f64>();
}

#[test]
fn passes_through_affine_in_its_row() {
    for bias in [true, false] {
        let w = random::<f32>((5, 7), 3);
        let mut affine = if bias {
            Affine::new(w, random_row(7, 0.0, 4)).unwrap()
        } else {
            Affine::without_bias(w).unwrap()
        };
        let mut x = random::<f32>((6, 5), 5);
        x[[2, 3]] = f32::NAN;
        for mode in [Mode::Train, Mode::Eval] {
            let y = affine.forward(x.view(), mode).unwrap();
            for ((row, _), v) in y.indexed_iter() {
                assert_eq!(v.is_nan(), row == 2);
            }
        }
    }
}

fn batch_norm<T: Scalar>(layout: Layout) -> BatchNormalization<T> {
    let bn = BatchNormalization::new(3, BatchNormConfig::book()).unwrap();
    bn.with_layout(layout)
}

/// Runs one pass in [`Mode::BatchStats`] and back. Returns dgamma, y and dx of each channel.
fn step<T: Scalar>(layout: Layout, x: &Array4<T>, dout: &Array4<T>) -> [Vec<T>; 3] {
    let mut bn = batch_norm(layout);
    let y = bn.forward(x.view(), Mode::BatchStats).unwrap();
    let dx = bn.backward(x.view(), dout.view()).unwrap();
    let axis = match layout {
        Layout::ChannelsFirst => Axis(1),
        _ => Axis(3),
    };
    std::array::from_fn(|c| {
        let mut values = vec![bn.dgamma().unwrap()[c]];
        values.extend(y.index_axis(axis, c));
        values.extend(dx.index_axis(axis, c));
        values
    })
}

/// Puts `bad` into one channel of x, then of dout. The other channels must keep their bits.
fn check_batch_norm<T: Scalar>(layout: Layout, channel: usize, bad: T) {
    let (dims, place) = match layout {
        Layout::ChannelsFirst => ((5, 3, 2, 7), [3, channel, 0, 6]),
        _ => ((5, 2, 7, 3), [3, 0, 6, channel]),
    };
    let images = |seed| random::<T>((5, 42), seed).into_shape_with_order(dims);
    let (x, dout): (Array4<T>, Array4<T>) = (images(6).unwrap(), images(7).unwrap());
    let spoilt = |values: &Array4<T>| {
        let mut values = values.clone();
        values[place] = bad;
        values
    };
    let want = step(layout, &x, &dout);
    let of_x = step(layout, &spoilt(&x), &dout);
    let of_dout = step(layout, &x, &spoilt(&dout));

    // Training returns an error with the channel, and the running statistics do not change.
    let mut bn = batch_norm(layout);
    let error = bn.forward(spoilt(&x).view(), Mode::Train).unwrap_err();
    let named = matches!(error, Error::Statistics { channel: c, .. } if c == channel);
    assert!(named, "{layout:?} {bad}: {error}");
    assert_eq!(bn.running(), batch_norm(layout).running());
    for c in 0..3 {
        if c == channel {
            assert!(of_x[c].iter().all(|v| v.is_nan()), "{layout:?} {bad}");
            assert!(!of_dout[c][0].is_finite(), "{layout:?} {bad}: dgamma");
        } else {
            let seen = format!("{layout:?}: channel {c} sees {bad} of {channel}");
            assert_eq!(bits(&of_x[c]), bits(&want[c]), "{seen}");
            assert_eq!(bits(&of_dout[c]), bits(&want[c]), "{seen}");
        }
    }
}

#[test]
fn stays_in_its_channel_in_batch_normalization() {
    for layout in [Layout::ChannelsLast, Layout::ChannelsFirst] {
        for channel in 0..3 {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                check_batch_norm(layout, channel, bad);
                check_batch_norm(layout, channel, bad as f32);
            }
        }
    }
}

#[test]
fn stays_in_its_position_with_running_statistics() {
    let mut bn = BatchNormalization::<f32>::new(DIM.1, BatchNormConfig::book()).unwrap();
    let mut x = random::<f32>(DIM, 8);
    bn.forward(x.view(), Mode::Train).unwrap();
    x[[1, 20]] = f32::NAN;
    for y in [
        evaluated(&bn, x.view(), DIM.1),
        bn.forward(x.view(), Mode::Eval).unwrap(),
    ] {
        for (place, v) in y.indexed_iter() {
            assert_eq!(v.is_nan(), place == (1, 20));
        }
    }
}
