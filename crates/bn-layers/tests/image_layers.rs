//! Pools with dilation and ceil mode, resizing and padding: gradients against central differences in
//! f64, values by definition, NaN, and invalid settings.

use crate::common::{
    every_layer::{depthwise, every_layer},
    random,
};
use bn_layers::{
    AvgPool2d, Conv2d, Conv2dConfig, ConvTranspose2d, Error, GradientCheck, Init, Interpolation,
    Layer, LayerExt, MaxPool2d, Mode, Padding, Pool2dConfig, ReflectPad2d, Resize2d, ZeroPad2d,
};
use bn_tensor::Error as TensorError;
use ndarray::{Array2, Array4, array};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

fn passes(mut layer: impl Layer<f64>, width: usize) {
    for batch in [1, 3] {
        let x = random((batch, width), 1);
        let report = GradientCheck::default()
            .check(&mut layer, x.view())
            .unwrap();
        assert!(report.worst().relative < 1e-6, "{layer:?}\n{report}");
    }
}

const IMAGE: (usize, usize, usize) = (5, 6, 2);
const WIDTH: usize = 60;

#[test]
fn gradients_of_pools() {
    for (kernel, stride, dilation) in [
        (2, 2, 1),
        (2, 3, 1),
        (3, 2, 1),
        (2, 1, 2),
        (3, 2, 2),
        (2, 2, 3),
    ] {
        for padding in [Padding::Valid, Padding::Same, Padding::all(1)] {
            let config = Pool2dConfig::new(kernel).stride(stride).padding(padding);
            for config in [
                config.dilation(dilation),
                config.dilation(dilation).ceil_mode(),
            ] {
                passes(MaxPool2d::with_config(IMAGE, config).unwrap(), WIDTH);
                passes(AvgPool2d::with_config(IMAGE, config).unwrap(), WIDTH);
                let counting = config.counting_padding();
                passes(AvgPool2d::with_config(IMAGE, counting).unwrap(), WIDTH);
            }
        }
    }
}

#[test]
fn gradients_of_resizing_and_padding() {
    for size in [(5, 6), (7, 4), (1, 1), (10, 18), (2, 11)] {
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
            passes(Resize2d::new(IMAGE, size, interpolation).unwrap(), WIDTH);
        }
    }
    for (rows, columns) in [((0, 0), (0, 0)), ((1, 2), (0, 3)), ((4, 4), (5, 5))] {
        passes(ZeroPad2d::new(IMAGE, rows, columns).unwrap(), WIDTH);
        passes(ReflectPad2d::new(IMAGE, rows, columns).unwrap(), WIDTH);
    }
}

/// A mean over a window is a depthwise convolution whose weights are equal.
#[test]
fn an_average_of_dilated_windows_is_a_depthwise_convolution() {
    let x = random::<f64>((3, WIDTH), 2);
    for (kernel, stride, dilation) in [(2, 1, 1), (2, 2, 3), (3, 1, 2)] {
        let config = Pool2dConfig::new(kernel)
            .stride(stride)
            .padding(Padding::all(1));
        let config = config.dilation(dilation).counting_padding();
        let pool = AvgPool2d::with_config(IMAGE, config).unwrap();
        let filters = Conv2dConfig::depthwise(IMAGE.2, 1, kernel).stride(stride);
        let filters = filters.padding(Padding::all(1)).dilation(dilation);
        let w = Array4::from_elem((kernel, kernel, 1, 2), 1.0 / (kernel * kernel) as f64);
        let conv = Conv2d::from_weights(IMAGE, filters, w, None).unwrap();
        let (got, want) = (pool.eval(x.view()).unwrap(), conv.eval(x.view()).unwrap());
        assert!((got - want).iter().all(|d| d.abs() < 1e-14));
    }
}

#[test]
fn resizing_to_the_same_size_changes_nothing() {
    let x = random::<f32>((2, WIDTH), 3).mapv(|v| if v < -0.9 { -0.0 } else { v });
    for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
        let same = Resize2d::new(IMAGE, (5, 6), interpolation).unwrap();
        let y = same.eval(x.view()).unwrap();
        assert!(x.iter().zip(&y).all(|(x, y)| x.to_bits() == y.to_bits()));
    }
    // The nearest pixel where `i·size / new size` is an integer.
    for new in 1..60 {
        let column: Array2<f64> = Array2::from_shape_fn((1, 7), |(_, i)| i as f64);
        let nearest = Resize2d::new((7, 1, 1), (new, 1), Interpolation::Nearest).unwrap();
        let y = nearest.eval(column.view()).unwrap();
        assert!(
            y.iter()
                .enumerate()
                .all(|(i, &y)| y as usize == i * 7 / new),
            "{new}"
        );
    }
}

/// Where an output depends on a value of the input, a NaN there makes it NaN, and nowhere else.
#[test]
fn a_nan_reaches_the_outputs_that_depend_on_it() {
    let linear = [
        "Conv2d",
        "ConvTranspose2d",
        "AvgPool2d",
        "Resize2d",
        "ZeroPad2d",
        "ReflectPad2d",
    ];
    let mut seen = 0;
    for (layer, width) in every_layer::<f32>() {
        if !linear.contains(&&*layer.describe().unwrap().layer) {
            continue;
        }
        seen += 1;
        let x = random::<f32>((1, width), 4);
        let y = layer.eval(x.view()).unwrap();
        for at in 0..width {
            let with = |value: f32| {
                let mut x = x.clone();
                x[[0, at]] = value;
                layer.eval(x.view()).unwrap()
            };
            let (moved, nan) = (with(1e3), with(f32::NAN));
            for ((y, moved), nan) in y.iter().zip(&moved).zip(&nan) {
                assert_eq!(nan.is_nan(), y != moved, "{layer:?}: a NaN at {at}");
            }
        }
    }
    assert!(seen >= 12, "{seen}");
}

/// As in PyTorch and Keras, the number of inputs of an initialisation is that of one output value.
#[test]
fn weights_of_groups_are_drawn_for_the_inputs_of_a_group() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(3);
    let image = (5, 5, 256);
    for (config, inputs) in [
        (Conv2dConfig::depthwise(256, 2, 3), 9.0),
        (Conv2dConfig::new(256, 3).groups(4), 9.0 * 64.0),
    ] {
        let conv = Conv2d::<f64>::init(image, config, Init::He, rng).unwrap();
        let up = ConvTranspose2d::<f64>::init(image, config, Init::He, rng).unwrap();
        // Of the transposed convolution it is `kernel · out / groups`.
        let outputs = inputs * config.filters as f64 / 256.0;
        for (w, inputs) in [(conv.w(), inputs), (up.w(), outputs)] {
            let variance = w.mapv(|w| w * w).mean().unwrap();
            let ratio = variance / (2.0 / inputs);
            assert!((ratio - 1.0).abs() < 0.1, "{config:?}: {ratio}");
        }
    }
}

fn message<L: std::fmt::Debug>(result: Result<L, Error>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Tensor(_)), "{error}");
    error.to_string()
}

#[test]
fn invalid_dilation_and_groups() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let three = Conv2dConfig::new(4, 3);
    for (config, why) in [
        (three.dilation(0), "the dilation must be at least 1"),
        (
            three.dilation(3),
            "the dilated kernel is larger than the padded image",
        ),
        (
            three.dilation(usize::MAX),
            "the dilated kernel is too large",
        ),
        (three.groups(0), "the number of groups must be a divisor"),
        (three.groups(4), "the number of groups must be a divisor"),
        (
            Conv2dConfig::new(3, 3).groups(2),
            "the number of groups must be a divisor",
        ),
        (
            Conv2dConfig::depthwise(3, 1, 3),
            "the number of groups must be a divisor",
        ),
        (
            Conv2dConfig::depthwise(2, 0, 3),
            "the number of filters must be at least 1",
        ),
    ] {
        let error = message(Conv2d::<f32>::init(IMAGE, config, Init::He, rng));
        assert!(error.contains(why), "{error}");
        if why.contains("larger than") {
            continue; // a transposed convolution has a larger output
        }
        let error = message(ConvTranspose2d::<f32>::init(IMAGE, config, Init::He, rng));
        assert!(
            error.contains(why) || error.contains("too large"),
            "{error}"
        );
    }
    // Weights of another number of groups, and weights that do not fit the settings.
    for dim in [(3, 3, 2, 4), (3, 3, 1, 2), (2, 3, 1, 4)] {
        let config = three.groups(2);
        let error = message(Conv2d::from_weights(
            IMAGE,
            config,
            Array4::<f32>::zeros(dim),
            None,
        ));
        assert!(error.contains("expected shape [3, 3, 1, 4]"), "{error}");
    }
    let w = Array4::<f32>::zeros((3, 3, 4, 2));
    let error = message(ConvTranspose2d::from_weights(
        IMAGE,
        three.groups(2),
        w,
        None,
    ));
    assert!(error.contains("expected shape [3, 3, 2, 2]"), "{error}");
}

#[test]
fn invalid_pools() {
    let two = Pool2dConfig::new(2);
    let around = |padding| two.stride(1).padding(Padding::all(padding));
    for (config, why) in [
        (two.dilation(0), "the dilation must be at least 1"),
        (two.stride(0), "the stride must be at least 1"),
        (
            two.dilation(6),
            "the dilated kernel is larger than the padded image",
        ),
        (around(2), "a pool's padding must be less than its kernel"),
        // The window's two rows would be above and below the image.
        (
            around(1).dilation(6),
            "a pool's dilation must be at most the size of the image",
        ),
        (
            two.same().dilation(7),
            "a pool's dilation must be at most the size of the image",
        ),
    ] {
        let error = message(MaxPool2d::with_config(IMAGE, config));
        assert!(error.contains(why), "{error}");
        let error = message(AvgPool2d::with_config(IMAGE, config));
        assert!(error.contains(why), "{error}");
    }
    let error = message(MaxPool2d::with_config(IMAGE, two.counting_padding()));
    assert_eq!(
        error,
        "whether a MaxPool2d counts its padding must be false, got 1"
    );
    assert!(MaxPool2d::with_config(IMAGE, around(2).dilation(3)).is_ok());
}

#[test]
fn invalid_resizing_and_padding() {
    for size in [(0, 3), (3, 0), (1 << 40, 1 << 40)] {
        let error = message(Resize2d::new(IMAGE, size, Interpolation::Nearest));
        assert!(error.starts_with("Resize2d: "), "{error}");
    }
    for (rows, columns) in [((5, 0), (0, 0)), ((0, 0), (0, 6))] {
        let error = message(ReflectPad2d::new(IMAGE, rows, columns));
        assert!(
            error.contains("must be less than the size of the image"),
            "{error}"
        );
        assert!(ZeroPad2d::new(IMAGE, rows, columns).is_ok());
    }
    let error = message(ZeroPad2d::new(IMAGE, (usize::MAX, 1), (0, 0)));
    assert!(error.starts_with("ZeroPad2d: "), "{error}");
    for empty in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        message(Resize2d::new(empty, (1, 1), Interpolation::Nearest));
        message(ZeroPad2d::new(empty, (1, 1), (1, 1)));
        message(ReflectPad2d::new(empty, (0, 0), (0, 0)));
    }
}

#[test]
fn a_failed_call_changes_nothing() {
    let mut conv = depthwise::<f32>();
    let before = (conv.w(), conv.dw(), conv.db().to_owned());
    let narrow = Array2::zeros((2, 39));
    let mut failures = vec![
        conv.forward(narrow.view(), Mode::Train).unwrap_err(),
        conv.eval(narrow.view()).unwrap_err(),
    ];
    let (x, y) = (Array2::ones((2, 40)), Array2::ones((2, 7)));
    failures.push(conv.backward(x.view(), y.view(), y.view()).unwrap_err());
    for error in failures {
        let is_shape = matches!(error, Error::Tensor(TensorError::ShapeMismatch { .. }));
        assert!(is_shape, "{error}");
    }
    assert_eq!((conv.w(), conv.dw(), conv.db().to_owned()), before);
}

#[test]
fn values_by_hand() {
    let x = array![[1.0, 2.0, 3.0, 4.0, 5.0]]; // a row of five pixels
    let row = |kernel: usize| Pool2dConfig {
        kernel: (1, kernel),
        stride: (1, 2),
        ..Pool2dConfig::new(1)
    };
    let image = (1, 5, 1);
    let max = |config| {
        MaxPool2d::with_config(image, config)
            .unwrap()
            .eval(x.view())
            .unwrap()
    };
    assert_eq!(max(row(2)), array![[2.0, 4.0]]);
    assert_eq!(max(row(2).ceil_mode()), array![[2.0, 4.0, 5.0]]);
    let dilated = Pool2dConfig {
        dilation: (1, 2),
        ..row(2)
    };
    assert_eq!(max(dilated), array![[3.0, 5.0]]);
    let average = AvgPool2d::with_config(image, row(2).ceil_mode()).unwrap();
    assert_eq!(average.eval(x.view()).unwrap(), array![[1.5, 3.5, 5.0]]);
}
