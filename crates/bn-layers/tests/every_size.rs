//! Sizes of every magnitude give an error or a layer that runs, never a panic or an abort.

use crate::{common::random, memory_limit::with_little_memory};
use bn_layers::{
    Affine, AvgPool2d, BatchNormConfig, BatchNormalization, Conv2d, Conv2dConfig, ConvTranspose2d,
    Error, GradientCheck, GroupNorm, Init, InstanceNorm, Interpolation, Layer, LayerExt, LayerNorm,
    LayerSpec, LogSoftmax, MaxPool2d, Mode, PRelu, Padding, Pool2dConfig, ReflectPad2d, Relu,
    Reshape, Resize2d, RunningStats, Shape, Softmax, Upsample2d, ZeroPad2d,
};
use ndarray::Array2;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;

const SIZES: [usize; 6] = [0, 1, 2, 1 << 31, (1 << 62) + 1, usize::MAX];

/// `small` with every pair of its sizes replaced by every pair of `SIZES`.
fn pairs<const N: usize>(small: [usize; N]) -> impl Iterator<Item = [usize; N]> {
    let places = (0..N).flat_map(|i| (i..N).map(move |j| (i, j)));
    places.flat_map(move |(i, j)| {
        SIZES.iter().flat_map(move |&a| {
            SIZES.iter().map(move |&b| {
                let mut sizes = small;
                (sizes[i], sizes[j]) = (a, b);
                sizes
            })
        })
    })
}

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(1)
}

/// Two rows forward and backward, if they are small. Returns whether they ran.
fn run(layer: Result<impl Layer<f32>, Error>, input: Shape) -> bool {
    let (Ok(mut layer), Ok(width)) = (layer, input.checked_size()) else {
        return false;
    };
    let _ = layer.output_shape(input);
    if width > 1 << 12 {
        return false;
    }
    let x: Array2<f32> = random((2, width), 1);
    let y = match layer.forward(x.view(), Mode::BatchStats) {
        Ok(y) => y,
        Err(Error::Tensor(bn_tensor::Error::TooLarge { .. }) | Error::TooFewValues { .. }) => {
            return false;
        }
        Err(error) => panic!("{layer:?}: {error}"),
    };
    layer.backward(x.view(), y.view(), y.view()).unwrap();
    assert_eq!(layer.eval(x.view()).unwrap().dim(), y.dim());
    true
}

fn paddings([top, bottom, left, right]: [usize; 4]) -> [Padding; 3] {
    let explicit = Padding::Explicit {
        top,
        bottom,
        left,
        right,
    };
    [Padding::Valid, Padding::Same, explicit]
}

#[test]
fn dense_layers_and_initialisations() {
    with_little_memory("every_size::dense_layers_and_initialisations", || {
        let rng = &mut rng();
        let mut ran = 0;
        for [a, b] in pairs([2, 2]) {
            for init in [Init::He, Init::XavierUniform, Init::Orthogonal(1.0)] {
                let _ = init.sample::<f64>((a, b), rng);
                let affine = Affine::<f32>::init(a, b, init, rng);
                ran += usize::from(a > 0 && run(affine, a.into()));
            }
        }
        assert!(ran > 0);
        for size in SIZES {
            let config = BatchNormConfig::default();
            let _ = RunningStats::<f32>::new(size, &config);
            let bn = BatchNormalization::<f32>::new(size, config);
            assert!(bn.is_ok() || !(1..1 << 31).contains(&size));
            run(bn, size.into());
        }
    });
}

#[test]
fn activations_and_normalisations() {
    with_little_memory("every_size::activations_and_normalisations", || {
        for size in SIZES {
            let ran = [
                run(PRelu::new(size, 0.25), size.into()),
                run(Softmax::new(size), size.into()),
                run(LogSoftmax::new(size), size.into()),
                run(LayerNorm::new(size), size.saturating_mul(2).into()),
                run(InstanceNorm::new(size), size.saturating_mul(2).into()),
            ];
            // A LayerNorm of one value has no variance.
            let runs = size == 1 || size == 2;
            assert_eq!(ran, [runs, runs, runs, size == 2, runs], "{size}");
        }
        let ran = pairs([2, 4]).filter(|&[groups, channels]| {
            run(
                GroupNorm::new(groups, channels),
                channels.saturating_mul(2).into(),
            )
        });
        assert!(ran.count() > 0);
    });
}

#[test]
fn convolutions() {
    with_little_memory("every_size::convolutions", || {
        let rng = &mut rng();
        let (mut ran, mut ran_transposed) = (0, 0);
        for sizes in pairs([3, 4, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1]) {
            let [h, w, c, filters, lines, columns, down, across, rest @ ..] = sizes;
            let [top, bottom, left, right, more_rows, more_columns, rest @ ..] = rest;
            let [below, beside, groups] = rest;
            for padding in paddings([top, bottom, left, right]) {
                let config = Conv2dConfig {
                    kernel: (lines, columns),
                    stride: (down, across),
                    padding,
                    output_padding: (more_rows, more_columns),
                    dilation: (below, beside),
                    ..Conv2dConfig::new(filters, 1).groups(groups)
                };
                let image = (h, w, c);
                let conv = Conv2d::<f32>::init(image, config, Init::He, rng);
                ran += usize::from(run(conv, image.into()));
                let conv = ConvTranspose2d::<f32>::init(image, config, Init::He, rng);
                ran_transposed += usize::from(run(conv, image.into()));
            }
        }
        assert!(
            ran > 1000 && ran_transposed > 1000,
            "{ran}, {ran_transposed}"
        );
    });
}

#[test]
fn pools() {
    with_little_memory("every_size::pools", || {
        let mut ran = 0;
        for sizes in pairs([3, 4, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1]) {
            let [h, w, c, lines, columns, down, across, rest @ ..] = sizes;
            let [top, bottom, left, right, below, beside] = rest;
            for padding in paddings([top, bottom, left, right]) {
                for ceil_mode in [false, true] {
                    let image = (h, w, c);
                    let config = Pool2dConfig {
                        kernel: (lines, columns),
                        stride: (down, across),
                        padding,
                        dilation: (below, beside),
                        ceil_mode,
                        counts_padding: false,
                    };
                    let pool = MaxPool2d::with_config(image, config);
                    ran += usize::from(run(pool, image.into()));
                    let pool = AvgPool2d::with_config(image, config.counting_padding());
                    run(pool, image.into());
                }
            }
        }
        assert!(ran > 1000, "{ran}");
    });
}

#[test]
fn images_of_every_size() {
    with_little_memory("every_size::images_of_every_size", || {
        let mut ran = 0;
        for [h, w, c, factor] in pairs([3, 4, 2, 2]) {
            let (image, shape) = ((h, w, c), Shape::from((h, w, c)));
            ran += usize::from(run(AvgPool2d::global(image), shape));
            ran += usize::from(run(Upsample2d::new(image, factor), shape));
            if shape.size() > 0 {
                ran += usize::from(run(Ok(Reshape::new(shape)), shape.size().into()));
            }
            assert_eq!(shape.size() == usize::MAX, shape.checked_size().is_err());
        }
        assert!(ran > 100, "{ran}");
    });
}

#[test]
fn resizing_and_padding() {
    with_little_memory("every_size::resizing_and_padding", || {
        let (mut ran, mut refused) = (0, 0);
        let mut count = |has_run: bool| match has_run {
            true => ran += 1,
            false => refused += 1,
        };
        for [h, w, c, height, width] in pairs([3, 4, 2, 2, 5]) {
            for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
                let layer = Resize2d::new((h, w, c), (height, width), interpolation);
                count(run(layer, (h, w, c).into()));
            }
        }
        for [h, w, c, top, bottom, left, right] in pairs([3, 4, 2, 1, 0, 2, 1]) {
            let (rows, columns) = ((top, bottom), (left, right));
            count(run(
                ZeroPad2d::new((h, w, c), rows, columns),
                (h, w, c).into(),
            ));
            let layer = ReflectPad2d::new((h, w, c), rows, columns);
            count(run(layer, (h, w, c).into()));
        }
        assert!(ran > 300 && refused > 1000, "{ran}, {refused}");
    });
}

#[test]
fn a_shape_with_more_values_than_can_be_addressed_is_no_other_shape() {
    // Their products, taken modulo 2^64, are 4.
    let shape = Shape::from(((1 << 62) + 1, 4, 1));
    assert!(shape.checked_size().is_err());
    let error = Layer::<f32>::output_shape(&Reshape::new(shape), Shape::Flat(4)).unwrap_err();
    assert!(
        error.to_string().contains("more than can be allocated"),
        "{error}"
    );
    let both = Layer::<f32>::output_shape(&Reshape::new(shape), Shape::Flat(usize::MAX));
    assert!(both.is_err());
}

#[test]
fn descriptions_with_every_size() {
    with_little_memory("every_size::descriptions_with_every_size", || {
        for [a, b, c] in pairs([2, 2, 2]) {
            let window = json!({
                "image": [a, b, 1], "kernel": [1, c], "stride": [1, 1], "padding": "Same",
            });
            for (layer, settings) in [
                ("Affine", json!({"inputs": a, "outputs": b, "bias": true})),
                ("MaxPool2d", window),
                ("Upsample2d", json!({"image": [a, b, 1], "factor": c})),
                (
                    "Reshape",
                    json!({"Image": {"height": a, "width": b, "channels": c}}),
                ),
                (
                    "Conv2d",
                    json!({
                        "image": [3, 3, a], "kernel": [1, b, a, c], "bias": true, "stride": [1, 1],
                        "padding": "Same",
                    }),
                ),
                (
                    "ConvTranspose2d",
                    json!({
                        "image": [3, 3, 2], "kernel": [1, 2, a, 2], "bias": true, "stride": [1, 1],
                        "padding": "Valid", "output_padding": [0, 0], "groups": b, "dilation": [1, c],
                    }),
                ),
                (
                    "Resize2d",
                    json!({"image": [a, b, 1], "size": [2, c], "interpolation": "Nearest"}),
                ),
                (
                    "ReflectPad2d",
                    json!({"image": [a, 3, 1], "rows": [b, c], "columns": [0, 0]}),
                ),
                (
                    "ConvTranspose2d",
                    json!({
                        "image": [3, 3, a], "kernel": [1, b, c, a], "bias": true, "stride": [1, 1],
                        "padding": "Valid", "output_padding": [0, 0],
                    }),
                ),
            ] {
                let layer = layer.to_owned();
                if let Ok(layer) = (LayerSpec { layer, settings }).build::<f32>() {
                    let _ = layer.output_shape((a, b, 1).into());
                }
            }
        }
    });
}

#[test]
fn the_gradient_check_with_every_number_of_entries() {
    let mut affine = Affine::<f64>::new(random((3, 2), 1), ndarray::Array1::zeros(2)).unwrap();
    for entries in SIZES {
        let check = GradientCheck {
            entries,
            ..GradientCheck::default()
        };
        let report = check.check(&mut affine, random((4, 3), 2).view()).unwrap();
        assert!(report.worst().checked > 0 && report.worst().relative < 1e-6);
    }
}

#[test]
fn views_that_repeat_one_row() {
    let one = Array2::<f32>::ones((1, 1));
    let many = one.broadcast((1 << 60, 1)).unwrap();
    let error = Relu.forward(many, Mode::Train).unwrap_err();
    assert!(
        matches!(error, Error::Tensor(bn_tensor::Error::TooLarge { .. })),
        "{error}"
    );
    let config = BatchNormConfig::default();
    let mut bn = BatchNormalization::<f32>::new(1, config).unwrap();
    assert!(bn.forward(many, Mode::Train).is_err());
    let mut affine = Affine::init(1, 1, Init::He, &mut rng()).unwrap();
    assert!(affine.forward(many, Mode::Train).is_err());
    assert!(affine.backward(many, many).is_err());
}

#[test]
fn what_was_too_large_names_the_layer_and_the_sizes() {
    let error = Affine::<f32>::init(1, 1 << 60, Init::He, &mut rng()).unwrap_err();
    let message = "the weights: an array of shape [1, 1152921504606846976] takes 4.6e18 bytes, more \
                   than can be allocated; use smaller sizes";
    assert_eq!(error.to_string(), message);
}
