//! Sizes of every magnitude give an error or a network that runs, never a panic or an abort.

use crate::memory_limit::with_little_memory;
use bn_layers::{Conv2dConfig, Error as LayerError, Interpolation, Padding, Pool2dConfig, Shape};
use bn_net::{
    BatchNormConvNet, BinaryCrossEntropy, ConfusionMatrix, Error, Gan, Huber, Loss, Metric,
    MultiLayerNet, MultiLayerNetConfig, Network, NetworkBuilder, NetworkSpec, Schedule,
    SimpleConvNet, SoftmaxWithLoss, Targets, TopK,
};
use bn_tensor::Error as TensorError;
use ndarray::Array2;

const SIZES: [usize; 6] = [0, 1, 2, 1 << 31, (1 << 62) + 1, usize::MAX];

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    SIZES
        .iter()
        .flat_map(|&a| SIZES.iter().map(move |&b| (a, b)))
}

fn is_too_large(error: &Error) -> bool {
    matches!(
        error,
        Error::Tensor(TensorError::TooLarge { .. })
            | Error::Layers(LayerError::Tensor(TensorError::TooLarge { .. }))
            | Error::Layer {
                source: LayerError::Tensor(TensorError::TooLarge { .. }),
                ..
            }
    )
}

/// Evaluates one row, if it is small. Returns whether it ran.
fn run(network: Result<Network<f32>, Error>) -> bool {
    let Ok(network) = network else { return false };
    let width = network.input().size();
    if width > 1 << 12 {
        return false;
    }
    match network.predict(Array2::ones((1, width)).view()) {
        Ok(y) => y.dim() == (1, network.output().size()),
        Err(error) => {
            assert!(is_too_large(&error), "{error}");
            false
        }
    }
}

/// Every method of the builder that takes a size.
fn with_layer(builder: NetworkBuilder, layer: usize, size: usize) -> Option<NetworkBuilder> {
    let three = Conv2dConfig::new(2, 3).same();
    Some(match layer {
        0 => builder.affine(size),
        1 => builder.affine_without_bias(size).batch_norm(),
        2 => builder.max_pool2d(size),
        3 => builder.avg_pool2d(size),
        4 => builder.upsample2d(size),
        5 => builder.upsample2d(size).upsample2d(size),
        6 => builder.reshape(size),
        7 => builder.reshape((size, size, 1)),
        8 => builder.reshape((size, 4, 1)).flatten(),
        9 => builder.conv2d(Conv2dConfig::new(size, 1)),
        10 => builder.conv2d(Conv2dConfig::new(1, size).same()),
        11 => builder.conv2d(Conv2dConfig::new(1, 1).padding(Padding::all(size))),
        12 => builder.conv2d(three.stride(size)),
        13 => builder.conv_transpose2d(Conv2dConfig::new(size, 2)),
        14 => builder.conv_transpose2d(Conv2dConfig::new(1, size)),
        15 => builder.conv_transpose2d(three.stride(size)),
        16 => builder.conv_transpose2d(Conv2dConfig::new(1, 3).with_output_padding(size)),
        17 => builder.batch_norm().relu().dropout(0.5).flatten(),
        18 => builder.upsample2d(size).global_avg_pool2d(),
        19 => builder.group_norm(size),
        20 => builder
            .upsample2d(size)
            .instance_norm()
            .prelu()
            .layer_norm(),
        21 => builder.residual(move |b| b.affine(size)),
        22 => builder
            .residual_with(move |b| b.affine(size), move |s| s.affine(size))
            .relu(),
        23 => builder.concat(|all| {
            all.branch(move |b| b.upsample2d(size))
                .branch(|b| b.softmax())
        }),
        24 => builder
            .conv2d(Conv2dConfig::new(size, 1))
            .log_softmax()
            .global_max_pool2d(),
        25 => builder.conv2d(three.groups(size)),
        26 => builder.conv2d(three.dilation(size)),
        27 => builder.conv2d(Conv2dConfig::depthwise(2, size, 1)),
        28 => builder.conv2d(Conv2dConfig::depthwise(size, size, size)),
        29 => builder.conv_transpose2d(Conv2dConfig::new(2, 2).dilation(size).groups(2)),
        30 => builder.max_pool2d_with(Pool2dConfig::new(2).dilation(size).ceil_mode()),
        31 => builder.avg_pool2d_with(Pool2dConfig::new(2).stride(size).ceil_mode()),
        32 => builder.avg_pool2d_with(Pool2dConfig::new(2).padding(Padding::all(size))),
        33 => builder.resize2d((size, 2), Interpolation::Bilinear),
        34 => builder
            .resize2d((1, size), Interpolation::Nearest)
            .flatten(),
        35 => builder.zero_pad2d((size, 0), (0, 1)),
        36 => builder.reflect_pad2d((0, size), (0, 0)),
        _ => return None,
    })
}

#[test]
fn networks_of_every_size() {
    with_little_memory("every_size::networks_of_every_size", || {
        let inputs = pairs().map(|(a, b)| Shape::from((a, b, 2)));
        let inputs = inputs
            .chain(SIZES.map(Shape::Flat))
            .chain([Shape::from((1, 4, 1))]);
        let mut ran = 0;
        for input in inputs {
            for size in SIZES {
                let layers =
                    (0..).map_while(|layer| with_layer(Network::builder(input), layer, size));
                for builder in layers {
                    ran += usize::from(run(builder.build(1)));
                }
            }
        }
        assert!(ran > 100, "{ran}");
    });
}

#[test]
fn an_input_with_more_values_than_can_be_addressed() {
    // Their products, taken modulo 2^64, are 4.
    for shape in [((1 << 62) + 1, 4, 1), (1, (1 << 62) + 1, 4)] {
        let error = Network::builder(shape)
            .flatten()
            .affine(3)
            .build(1)
            .unwrap_err();
        assert!(is_too_large(&error), "{error}");
    }
}

#[test]
fn activations_for_which_there_is_no_memory() {
    // Two factors that fit; their product does not.
    let builder = Network::builder((1, 1, 1))
        .upsample2d(1 << 10)
        .upsample2d(1 << 19);
    let network = builder.global_avg_pool2d().affine(2).build(1).unwrap();
    let error = network.predict(Array2::ones((1, 1)).view()).unwrap_err();
    assert!(is_too_large(&error), "{error}");
    let rows = Array2::<f32>::ones((1, 4));
    let rows = rows.broadcast((1 << 60, 4)).unwrap();
    let mut network = Network::builder(4).affine(3).build(1).unwrap();
    for error in [
        network.predict(rows).unwrap_err(),
        network.forward(rows, bn_layers::Mode::Train).unwrap_err(),
        network.predict_proba(rows).unwrap_err(),
    ] {
        assert!(is_too_large(&error), "{error}");
    }
}

#[test]
fn named_networks_of_every_size() {
    with_little_memory("every_size::named_networks_of_every_size", || {
        let mut ran = 0;
        for (a, b) in pairs() {
            for (input_size, hidden, output_size) in [(a, b, 2), (a, 2, b), (2, a, b)] {
                let config = MultiLayerNetConfig {
                    use_batchnorm: true,
                    ..MultiLayerNetConfig::new(input_size, &[hidden], output_size)
                };
                ran += usize::from(MultiLayerNet::<f32>::new(&config, 1).is_ok());
            }
            let simple = SimpleConvNet {
                input_dim: (9, 9, 1),
                filter_num: 2,
                filter_size: 3,
                hidden_size: 4,
                ..SimpleConvNet::default()
            };
            for net in [
                SimpleConvNet {
                    filter_num: a,
                    filter_size: b,
                    ..simple.clone()
                },
                SimpleConvNet {
                    pad: a,
                    stride: b,
                    ..simple.clone()
                },
                SimpleConvNet {
                    hidden_size: a,
                    output_size: b,
                    ..simple.clone()
                },
                SimpleConvNet {
                    input_dim: (a, b, 1),
                    ..simple.clone()
                },
            ] {
                ran += usize::from(run(net.builder().build(1)));
            }
            for net in [
                BatchNormConvNet::new((5, 5, 1), &[(a, b)], 2),
                BatchNormConvNet::new((5, 5, 1), &[(2, 1)], a),
                BatchNormConvNet {
                    hidden: Some(a),
                    ..BatchNormConvNet::new((b, 5, 1), &[(2, 1)], 2)
                },
            ] {
                ran += usize::from(run(net.builder().build(1)));
            }
        }
        assert!(ran > 50, "{ran}");
    });
}

#[test]
fn a_description_with_every_size() {
    with_little_memory("every_size::a_description_with_every_size", || {
        for (a, b) in pairs() {
            let json = serde_json::json!({
                "input": {"Image": {"height": a, "width": b, "channels": 1}},
                "layers": [
                    {"name": "flatten", "weight_decay": 0.0, "layer": "Reshape",
                     "settings": {"Flat": 4}},
                    {"name": "affine", "weight_decay": 0.0, "layer": "Affine",
                     "settings": {"inputs": 4, "outputs": b, "bias": true}},
                ],
            });
            let spec: NetworkSpec = serde_json::from_value(json).unwrap();
            run(spec.build());
        }
    });
}

#[test]
fn confusion_matrices_of_every_size() {
    with_little_memory("every_size::confusion_matrices_of_every_size", || {
        for (a, b) in pairs() {
            let Ok(mut matrix) = ConfusionMatrix::new(a) else {
                assert!(a > 2);
                continue;
            };
            matrix.add(a, b);
            matrix.add(b, a);
            matrix.add(b, None);
            assert!((0.0..=1.0).contains(&matrix.accuracy()));
            assert!(!matrix.to_string().is_empty());
        }
    });
}

#[test]
fn losses_and_metrics_check_every_size() {
    let labels: [usize; 2] = [1, usize::MAX];
    let values = Array2::<f32>::zeros((2, 3));
    let losses: [Box<dyn Loss<f32>>; 3] = [
        Box::new(SoftmaxWithLoss::new().with_ignored_label(usize::MAX)),
        Box::new(BinaryCrossEntropy::on_logits()),
        Box::new(Huber::default()),
    ];
    for (rows, width) in pairs() {
        for t in [Targets::Labels(&labels), values.view().into()] {
            let fits = match t {
                Targets::Labels(_) => rows == 2 && width > 1,
                Targets::Dense(_) => (rows, width) == (2, 3),
            };
            for loss in &losses {
                assert!(fits || loss.check(rows, width, t).is_err());
                assert!(loss.weight(rows, width, t) >= 0.0);
                for metric in loss.metrics() {
                    assert!(fits || metric.check(rows, width, t).is_err());
                }
            }
            assert_eq!(losses[0].check(rows, width, t).is_ok(), fits);
        }
        let top = TopK::new(rows);
        assert_eq!(top.is_ok(), rows > 0);
        let t = Targets::Labels(&labels[..1]);
        let is_ok = |top: TopK| Metric::<f32>::check(&top, 1, width, t).is_ok();
        assert_eq!(top.is_ok_and(is_ok), 0 < rows && rows <= width && 1 < width);
    }
}

#[test]
fn a_gan_with_every_number_of_points() {
    with_little_memory("every_size::a_gan_with_every_number_of_points", || {
        let generator = Network::builder(4).affine(2).build(1).unwrap();
        let discriminator = Network::builder(2).affine(1).build(2).unwrap();
        let mut gan = Gan::new(generator, discriminator, 3).unwrap();
        for n in SIZES {
            assert_eq!(gan.noise(7, n).is_ok(), n <= 2, "{n}");
            assert_eq!(gan.generator_step(n).is_ok(), n == 1 || n == 2, "{n}");
        }
        // A step that is refused draws no noise.
        let generator = Network::builder(4).affine(2).build(1).unwrap();
        let discriminator = Network::builder(2).affine(1).build(2).unwrap();
        let mut same = Gan::new(generator, discriminator, 3).unwrap();
        same.generator_step(1).unwrap();
        same.generator_step(2).unwrap();
        assert_eq!(
            gan.generator_step(2).unwrap(),
            same.generator_step(2).unwrap()
        );
    });
}

#[test]
fn schedules_at_every_step() {
    for (a, b) in pairs() {
        let (steps, t) = (a as u64, b as u64);
        let cosine = Schedule::Cosine {
            lr: 1.0,
            steps,
            min_lr: 0.0,
        };
        let step = Schedule::Step {
            lr: 1.0,
            step_size: steps,
            gamma: 0.5,
        };
        let warm_up = Schedule::WarmUp {
            steps,
            start_factor: 0.0,
            then: Box::new(cosine.clone()),
        };
        for schedule in [cosine, step, warm_up] {
            assert!((0.0..=1.0).contains(&schedule.learning_rate(t)));
        }
    }
}
