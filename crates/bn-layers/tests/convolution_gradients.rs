//! Convolutions, pools and upsampling: gradients against central differences in f64, and invalid
//! input.

use crate::common::random;
use bn_layers::{
    AvgPool2d, Conv2d, Conv2dConfig, ConvTranspose2d, Error, GradientCheck, Init, Layer, LayerExt,
    MaxPool2d, Mode, Padding, Upsample2d,
};
use ndarray::{Array2, Array4};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(5)
}

fn passes(layer: &mut dyn Layer<f64>, width: usize, at: &str) {
    for batch in [1, 3] {
        let x = random((batch, width), 1);
        let report = GradientCheck::default().check(layer, x.view()).unwrap();
        assert!(report.worst().relative < 1e-6, "{at}\n{report}");
    }
}

const PADDINGS: [Padding; 3] = [
    Padding::Valid,
    Padding::Same,
    Padding::Explicit {
        top: 1,
        bottom: 0,
        left: 0,
        right: 1,
    },
];

#[test]
fn convolutions() {
    for kernel in 1..=5 {
        for stride in 1..=3 {
            for padding in PADDINGS {
                let config = Conv2dConfig::new(3, kernel).stride(stride).padding(padding);
                let at = format!("{config:?}");
                let mut conv = Conv2d::init((6, 5, 2), config, Init::He, &mut rng()).unwrap();
                passes(&mut conv, 60, &at);
            }
        }
    }
}

#[test]
fn transposed_convolutions() {
    for kernel in 1..=5 {
        for stride in 1..=3 {
            for padding in PADDINGS {
                let config = Conv2dConfig::new(2, kernel).stride(stride).padding(padding);
                let at = format!("{config:?}");
                let layer = ConvTranspose2d::init((3, 4, 2), config, Init::He, &mut rng());
                passes(&mut layer.unwrap(), 24, &at);
            }
        }
    }
}

#[test]
fn dilation_and_groups() {
    for (dilation, stride) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)] {
        for padding in PADDINGS {
            // Groups of two and three channels, of one channel, and of one channel with two filters.
            for (channels, groups, filters) in
                [(3, 1, 2), (4, 2, 6), (6, 2, 2), (3, 3, 3), (2, 2, 4)]
            {
                let config = Conv2dConfig::new(filters, 2)
                    .stride(stride)
                    .padding(padding)
                    .dilation(dilation)
                    .groups(groups);
                let (at, width) = (format!("{config:?}"), 20 * channels);
                let image = (5, 4, channels);
                let mut conv = Conv2d::init(image, config, Init::He, &mut rng()).unwrap();
                passes(&mut conv, width, &at);
                let layer = ConvTranspose2d::init(image, config, Init::He, &mut rng());
                passes(&mut layer.unwrap(), width, &at);
            }
        }
    }
}

#[test]
fn pools_and_upsampling() {
    let image = (5, 6, 2);
    for (kernel, stride) in [(1, 1), (2, 2), (3, 1), (3, 2), (2, 3)] {
        for padding in [Padding::Valid, Padding::Same, Padding::all(kernel / 2)] {
            let (kernel, stride) = ((kernel, kernel), (stride, stride));
            let at = format!("{kernel:?} {stride:?} {padding:?}");
            passes(
                &mut MaxPool2d::new(image, kernel, stride, padding).unwrap(),
                60,
                &at,
            );
            let pool = AvgPool2d::new(image, kernel, stride, padding).unwrap();
            passes(&mut pool.clone().counting_padding(), 60, &at);
            passes(&mut { pool }, 60, &at);
        }
    }
    passes(&mut AvgPool2d::global(image).unwrap(), 60, "global");
    for factor in 1..=3 {
        passes(
            &mut Upsample2d::new(image, factor).unwrap(),
            60,
            "upsampling",
        );
    }
}

#[test]
fn a_nan_passes_through_a_pool() {
    let mut x = Array2::ones((1, 4));
    x[[0, 1]] = f64::NAN;
    let mut pool = MaxPool2d::new((2, 2, 1), (2, 2), (1, 1), Padding::Valid).unwrap();
    let y = pool.forward(x.view(), Mode::Train).unwrap();
    assert!(y[[0, 0]].is_nan());
    let dx = pool
        .backward(x.view(), y.view(), Array2::ones((1, 1)).view())
        .unwrap();
    assert_eq!(dx.row(0).to_vec(), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn invalid_settings_and_shapes_are_refused() {
    let image = (5, 5, 2);
    let init = |config| Conv2d::<f32>::init(image, config, Init::He, &mut rng());
    for (config, why) in [
        (Conv2dConfig::new(3, 6), "larger than the padded image"),
        (
            Conv2dConfig::new(3, 3).stride(0),
            "stride must be at least 1",
        ),
        (Conv2dConfig::new(3, 0), "kernel is empty"),
        (Conv2dConfig::new(0, 3), "number of filters"),
    ] {
        let error = init(config).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let init = |config| ConvTranspose2d::<f32>::init(image, config, Init::He, &mut rng());
    for (config, why) in [
        (Conv2dConfig::new(3, 3).stride(0).same(), "image is empty"),
        (
            Conv2dConfig::new(3, 3).stride(2).with_output_padding(2),
            "less than the stride",
        ),
        (
            Conv2dConfig::new(3, 3).padding(Padding::all(4)),
            "image is empty",
        ),
        (Conv2dConfig::new(0, 3), "number of filters"),
    ] {
        let error = init(config).unwrap_err().to_string();
        assert!(error.contains(why), "{config:?}: {error}");
    }
    // A wrong number of channels, in the weights and in the input.
    let w = Array4::<f32>::zeros((3, 3, 4, 1));
    assert!(Conv2d::new(image, w.clone(), None, (1, 1), Padding::Same).is_err());
    assert!(ConvTranspose2d::new(image, w, None, (1, 1), Padding::Same, (0, 0)).is_err());
    let mut conv =
        Conv2d::<f32>::init(image, Conv2dConfig::new(3, 3), Init::He, &mut rng()).unwrap();
    assert!(conv.output_shape((5, 2, 5).into()).is_err());
    assert!(conv.output_shape(49.into()).is_err());

    // An empty batch and rows of a wrong size; nothing changes.
    let state = |conv: &Conv2d<f32>| (conv.w(), conv.dw(), conv.db().to_owned());
    let before = state(&conv);
    let empty = conv.forward(Array2::zeros((0, 50)).view(), Mode::Train);
    assert!(matches!(empty, Err(Error::EmptyBatch { .. })));
    let narrow = Array2::zeros((2, 49));
    conv.forward(narrow.view(), Mode::Train).unwrap_err();
    conv.eval(narrow.view()).unwrap_err();
    let (x, y, dout) = (
        Array2::ones((2, 50)),
        Array2::ones((2, 27)),
        Array2::ones((3, 27)),
    );
    for [x, y, dout] in [[&narrow, &y, &y], [&x, &dout, &y], [&x, &y, &dout]] {
        let error = conv.backward(x.view(), y.view(), dout.view());
        assert!(matches!(error, Err(Error::Tensor(_))), "{error:?}");
    }
    assert_eq!(state(&conv), before);

    assert!(MaxPool2d::new(image, (2, 2), (2, 2), Padding::all(2)).is_err());
    assert!(AvgPool2d::new(image, (2, 2), (2, 2), Padding::all(2)).is_err());
    assert!(Upsample2d::new(image, 0).is_err());
    assert!(Upsample2d::new(image, usize::MAX).is_err());
}
