//! Networks for images: inferred and invalid shapes, training, reproducible bits.

use bn_layers::{
    Conv2dConfig, GradientCheck, Init, Interpolation, LayerExt, Padding, Pool2dConfig,
};
use bn_net::{BatchNormConvNet, Network, NetworkBuilder, Sgd, SimpleConvNet, SoftmaxWithLoss};
use bn_tensor::{Pool, Scalar};
use ndarray::Array2;

fn batch<T: Scalar>(rows: usize, columns: usize) -> Array2<T> {
    let value = |(i, j)| T::from_f64(((i * columns + j) as f64 * 0.37).sin());
    Array2::from_shape_fn((rows, columns), value)
}

/// The generator and the discriminator of Keras' DCGAN example for digits.
fn generator() -> NetworkBuilder<f32> {
    let up = |filters| Conv2dConfig::new(filters, 3).stride(2).same();
    Network::builder(100)
        .init(Init::XavierUniform)
        .affine(7 * 7 * 128)
        .reshape((7, 7, 128))
        .leaky_relu(0.2)
        .conv_transpose2d(up(64))
        .leaky_relu(0.2)
        .batch_norm()
        .conv_transpose2d(up(1))
        .tanh()
}

fn discriminator() -> NetworkBuilder<f32> {
    Network::builder((28, 28, 1))
        .conv2d(Conv2dConfig::new(64, 3).same())
        .leaky_relu(0.2)
        .dropout(0.25)
        .conv2d(Conv2dConfig::new(128, 3).stride(2).same())
        .leaky_relu(0.2)
        .dropout(0.25)
        .flatten()
        .affine(1)
}

#[test]
fn the_builder_infers_shapes_and_counts() {
    // Keras counts 708,097 parameters in the generator, 128 of which are running statistics.
    let (generator, discriminator) = (
        generator().build(1).unwrap(),
        discriminator().build(1).unwrap(),
    );
    assert_eq!(generator.output(), (28, 28, 1).into());
    assert_eq!(generator.param_count(), 708_097 - 128);
    assert_eq!(discriminator.param_count(), 99_585);
    let shapes = |network: &Network| {
        let mut shapes = Vec::new();
        network.visit(&mut |p| shapes.push((p.name.to_owned(), p.shape.to_vec())));
        shapes
    };
    let of = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
    assert!(shapes(&generator).contains(&of("layers.3.weight", &[3, 3, 64, 128])));
    assert!(shapes(&discriminator).contains(&of("layers.3.weight", &[3, 3, 64, 128])));
}

#[test]
fn an_invalid_shape_gives_an_error_with_the_layer_and_the_sizes() {
    for (builder, words) in [
        (
            Network::builder((4, 4, 1)).conv2d(Conv2dConfig::new(2, 5)),
            &[
                "layer 0 (conv2d)",
                "(4, 4, 1)",
                "(5, 5)",
                "larger than the padded image",
            ][..],
        ),
        (
            Network::builder((4, 4, 1))
                .relu()
                .conv2d(Conv2dConfig::new(2, 3).stride(0)),
            &["layer 1 (conv2d)", "stride must be at least 1"],
        ),
        (
            Network::builder(16).conv2d(Conv2dConfig::new(2, 3)),
            &["layer 0 (conv2d)", "16 values", "reshape"],
        ),
        (
            Network::builder(16).reshape((4, 5, 1)),
            &["layer 0 (reshape)", "[20]", "[16]"],
        ),
        (
            Network::builder((4, 4, 1)).max_pool2d(5),
            &["layer 0 (max_pool2d)", "larger than the padded image"],
        ),
        (
            Network::builder((4, 4, 1)).upsample2d(0),
            &["layer 0 (upsample2d)"],
        ),
        (
            Network::builder((4, 4, 3)).conv2d(Conv2dConfig::new(4, 3).groups(2)),
            &[
                "layer 0 (conv2d)",
                "the number of groups",
                "divisor",
                "got 2",
            ],
        ),
        (
            Network::builder((4, 4, 1)).conv2d(Conv2dConfig::new(4, 3).dilation(2)),
            &[
                "layer 0 (conv2d)",
                "the dilated kernel is larger than the padded image",
            ],
        ),
        (
            Network::builder((4, 4, 1)).resize2d((0, 2), Interpolation::Nearest),
            &["layer 0 (resize2d)", "[0, 2, 1]"],
        ),
        (
            Network::builder((4, 4, 1)).reflect_pad2d((4, 0), (0, 0)),
            &[
                "layer 0 (reflect_pad2d)",
                "less than the size of the image",
                "got 4",
            ],
        ),
        (
            Network::builder(16).zero_pad2d((1, 1), (1, 1)),
            &["layer 0 (zero_pad2d)", "16 values", "reshape"],
        ),
    ] {
        let error = builder.build(1).unwrap_err();
        let error = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

fn small<T: Scalar>() -> Network<T> {
    NetworkBuilder::new((8, 6, 2))
        .conv2d(Conv2dConfig::new(4, 3).same().without_bias())
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .conv_transpose2d(Conv2dConfig::new(3, 3).stride(2).same())
        .batch_norm()
        .leaky_relu(0.1)
        .upsample2d(2)
        .avg_pool2d(2)
        .conv2d(Conv2dConfig::new(5, 3).stride(2))
        .tanh()
        .global_avg_pool2d()
        .affine(3)
        .build(5)
        .unwrap()
}

/// A network whose first layers are those of MobileNet (arXiv:1704.04861): a depthwise convolution and one
/// of single pixels.
fn separable<T: Scalar>() -> Network<T> {
    NetworkBuilder::new((8, 6, 2))
        .zero_pad2d((1, 1), (0, 2))
        .conv2d(Conv2dConfig::depthwise(2, 2, 3).stride(2).without_bias())
        .batch_norm()
        .relu()
        .conv2d(Conv2dConfig::new(6, 1).without_bias())
        .batch_norm()
        .leaky_relu(0.1)
        .conv2d(Conv2dConfig::new(4, 3).same().dilation(2).groups(2))
        .batch_norm()
        .resize2d((5, 6), Interpolation::Bilinear)
        .conv_transpose2d(Conv2dConfig::new(2, 2).groups(2).stride(2).same())
        .batch_norm()
        .relu()
        .reflect_pad2d((1, 0), (0, 1))
        .max_pool2d_with(Pool2dConfig::new(3).stride(2).padding(Padding::all(1)))
        .avg_pool2d_with(Pool2dConfig::new(2).ceil_mode())
        .affine(3)
        .build(5)
        .unwrap()
}

#[test]
fn a_summary_counts_the_products_of_groups() {
    let summary = separable::<f32>().summary();
    let counts: Vec<_> = summary
        .layers
        .iter()
        .map(|row| (row.params, row.multiply_adds))
        .filter(|counts| counts.1 > 0)
        .collect();
    // Weights of each output value, times output values (of the transposed: of inputs, times theirs).
    let (depthwise, pointwise, grouped) = (9 * 4, 4 * 6, 9 * 3 * 4 + 4);
    assert_eq!(
        counts,
        [
            (depthwise, 9 * 4 * 4 * 3),
            (pointwise, 4 * 6 * 4 * 3),
            (grouped, 9 * 3 * 4 * 4 * 3),
            (4 * 4 + 2, 4 * 4 * 5 * 6),
            (3 * 4 * 2 * 3 + 3, 3 * 4 * 2 * 3),
        ]
    );
}

#[test]
fn the_whole_gradient_agrees_with_central_differences() {
    for mut network in [small::<f64>(), separable()] {
        let report = GradientCheck::default()
            .check(&mut network, batch(4, 96).view())
            .unwrap();
        assert!(report.worst().relative < 1e-6, "{report}");
    }
}

#[test]
fn it_trains_to_the_same_bits_on_any_number_of_threads_and_folds() {
    for make in [small::<f32>, separable] {
        check_training(make);
    }
}

fn check_training(make: fn() -> Network) {
    let (x, labels) = (
        batch::<f32>(96, 96),
        (0..96).map(|i| i % 3).collect::<Vec<usize>>(),
    );
    let train = |threads| {
        let mut network = make();
        let mut losses = Vec::new();
        Pool::new(threads).unwrap().install(|| {
            let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
            for _ in 0..20 {
                let t = (&labels).into();
                losses.push(
                    network
                        .train_step(x.view(), t, &mut loss, &mut sgd)
                        .unwrap(),
                );
            }
        });
        let mut bits = Vec::new();
        network.visit(&mut |p| bits.extend(p.value.iter().map(|v| v.to_bits())));
        (network, bits, losses)
    };
    let (mut network, bits, losses) = train(1);
    assert!(losses[19] < losses[0], "{losses:?}");
    for threads in [2, 3, 8] {
        assert!(train(threads).1 == bits, "{threads} threads");
    }
    let want = network.predict(x.view()).unwrap();
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(network.fold(x.view()).unwrap() < 1e-5 * f64::from(largest));
    let mut normalisations = 0;
    network.visit(&mut |p| normalisations += usize::from(p.name.ends_with("gamma")));
    assert_eq!(normalisations, 0);
}

#[test]
fn the_gradients_of_the_predefined_networks_agree_with_central_differences() {
    let simple = SimpleConvNet {
        input_dim: (7, 6, 2),
        filter_num: 3,
        filter_size: 3,
        pad: 1,
        stride: 2,
        hidden_size: 5,
        output_size: 4,
        weight_init_std: 0.5,
    };
    let deep = BatchNormConvNet {
        hidden: Some(6),
        dropout: 0.2,
        ..BatchNormConvNet::new((7, 6, 2), &[(3, 1), (4, 2)], 4)
    };
    for builder in [simple.builder::<f64>(), deep.builder()] {
        let mut network = builder.build(3).unwrap();
        assert_eq!(network.output().size(), 4);
        let report = GradientCheck::default()
            .check(&mut network, batch(5, 84).view())
            .unwrap();
        assert!(report.worst().relative < 1e-6, "{report}");
    }
    let impossible = SimpleConvNet {
        filter_size: 30,
        ..SimpleConvNet::default()
    };
    assert!(impossible.builder::<f32>().build(1).is_err());
}

#[test]
fn a_batch_norm_after_an_activation_is_not_folded_into_the_convolution_before() {
    let mut network = Network::builder((6, 6, 1))
        .conv2d(Conv2dConfig::new(4, 3).same())
        .leaky_relu(0.2)
        .batch_norm()
        .affine(2)
        .build(1)
        .unwrap();
    let x = batch::<f32>(8, 36);
    network.forward(x.view(), bn_layers::Mode::Train).unwrap();
    let before = network.predict(x.view()).unwrap();
    network.fold(x.view()).unwrap();
    let after = network.predict(x.view()).unwrap();
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn a_convolution_fused_with_the_layers_after_it_has_no_activation() {
    let mut network = discriminator().build(1).unwrap();
    let x = batch::<f32>(2, 784);
    network
        .forward(x.view(), bn_layers::Mode::BatchStats)
        .unwrap();
    for (index, width) in [
        (2, Some(28 * 28 * 64)),
        (0, None),
        (1, None),
        (5, None),
        (6, Some(14 * 14 * 128)),
    ] {
        let activation = network.activation(index);
        assert_eq!(activation.map(|a| a.ncols()), width, "layer {index}");
    }
    let shapes: Vec<_> = network.layer_shapes().collect();
    assert_eq!(shapes.len(), network.layer_names().len());
    assert_eq!(shapes[3], (14, 14, 128).into());
    assert_eq!(shapes[6], 25_088.into());
}
