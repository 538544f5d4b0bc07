//! Networks with every layer that can be exported.

use bn_layers::{
    BatchNormConfig, BatchNormalization, Conv2dConfig, Elu, Gelu, GroupNorm, InstanceNorm,
    Interpolation, Layer, LayerExt, LayerNorm, Layout, PRelu, Padding, Pool2dConfig, Shape,
    images_to_channels_first,
};
use bn_net::{
    BatchNormConvNet, MultiLayerNet, MultiLayerNetConfig, Network, NetworkBuilder, ResNet,
    SimpleConvNet,
};
use ndarray::{Array2, ArrayView2};

/// A network and what it shows.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) network: Network,
}

/// Numbers between −1 and 1 without a pattern, the same in each run.
pub(crate) fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A batch of rows for a network.
pub(crate) fn batch(network: &Network, rows: usize) -> Array2<f32> {
    let mut noise = noise(7);
    Array2::from_shape_simple_fn((rows, network.input().size()), || 2.0 * noise())
}

pub(crate) fn case(
    name: &'static str,
    input: impl Into<Shape>,
    layers: impl FnOnce(NetworkBuilder<f32>) -> NetworkBuilder<f32>,
) -> Case {
    settled(name, layers(Network::builder(input)).build(3).expect(name))
}

/// Gives all arrays values that are not those of the beginning.
fn settled(name: &'static str, mut network: Network) -> Case {
    let mut noise = noise(name.len() as u64);
    network.visit_mut(&mut |p| {
        let is_scale = ["gamma", "running_var"]
            .iter()
            .any(|part| p.name.ends_with(part));
        for value in p.value {
            *value = match is_scale {
                true => 1.0 + 0.5 * noise(),
                false => *value + 0.2 * noise(),
            };
        }
    });
    Case { name, network }
}

fn layer(name: &'static str, input: impl Into<Shape>, layer: impl Layer<f32>) -> Case {
    case(name, input, |b| b.layer("layer", layer))
}

/// Networks that can be exported, but not imported.
pub(crate) fn export_only() -> Vec<Case> {
    vec![case("dropout of the book", 5, |b| {
        b.affine(4).dropout_book(0.3)
    })]
}

/// Rows of images `(N, C·H·W)` from `(N, H·W·C)`; other rows as they are.
pub(crate) fn channels_first(rows: ArrayView2<'_, f32>, shape: Shape) -> Array2<f32> {
    let Shape::Image {
        height,
        width,
        channels,
    } = shape
    else {
        return rows.to_owned();
    };
    let images = rows
        .into_shape_with_order((rows.nrows(), height, width, channels))
        .unwrap();
    let images = images_to_channels_first(images);
    images
        .into_shape_with_order((rows.nrows(), shape.size()))
        .unwrap()
}

/// Every layer, and the ways in which they follow each other.
pub(crate) fn all() -> Vec<Case> {
    let image = (7, 6, 4);
    let mut cases = activations();
    cases.extend(pixels());
    cases.extend(normalizations());
    cases.extend(models());
    cases.extend([
        case("affine", 5, |b| b.affine(3)),
        case("affine without bias", 5, |b| {
            b.affine_without_bias(3).relu()
        }),
        case("mlp", 6, |b| {
            b.affine(8)
                .batch_norm()
                .relu()
                .dropout(0.25)
                .affine(3)
                .softmax()
        }),
        case("affine of an image", image, |b| b.affine(5)),
        case("flatten", image, |b| {
            b.relu().flatten().tanh().dropout(0.5).affine(5).relu()
        }),
        case("flatten at the end", image, |b| b.relu().flatten()),
        case("flatten of one channel", (3, 5, 1), |b| b.relu().flatten()),
        case("flatten before batch norm", image, |b| {
            b.flatten().batch_norm().affine(2)
        }),
        case("row to image", 24, |b| b.reshape((2, 3, 4)).relu()),
        case("row to image of one channel", 24, |b| {
            b.affine(12).reshape((4, 3, 1)).relu()
        }),
        case("image to image", image, |b| {
            b.reshape((6, 7, 4)).relu().affine(3)
        }),
        case("generator", 8, |b| {
            let up = |filters| {
                Conv2dConfig::new(filters, 4)
                    .stride(2)
                    .padding(Padding::all(1))
                    .without_bias()
            };
            b.affine(48)
                .batch_norm()
                .relu()
                .reshape((4, 4, 3))
                .conv_transpose2d(up(4))
                .batch_norm()
                .relu()
                .conv_transpose2d(up(1))
                .tanh()
        }),
        case("cnn", (12, 12, 1), |b| {
            b.conv2d(Conv2dConfig::new(4, 3).same())
                .batch_norm()
                .relu()
                .max_pool2d(2)
                .conv2d(Conv2dConfig::new(6, 3))
                .relu()
                .avg_pool2d(2)
                .affine(10)
        }),
        case("residual", image, |b| {
            let conv = |filters| Conv2dConfig::new(filters, 3).same().without_bias();
            b.conv2d(conv(4))
                .batch_norm()
                .relu()
                .residual(move |b| {
                    b.conv2d(conv(4))
                        .batch_norm()
                        .relu()
                        .conv2d(conv(4))
                        .batch_norm()
                })
                .relu()
                .residual_with(
                    move |b| b.conv2d(conv(6).stride(2)).batch_norm(),
                    move |b| b.conv2d(Conv2dConfig::new(6, 1).stride(2)),
                )
                .relu()
                .global_avg_pool2d()
                .affine(3)
        }),
        case("residual of rows", 6, |b| {
            b.residual(|b| b.affine(4).relu().affine(6)).relu()
        }),
        case("residual in a residual", 4, |b| {
            b.residual(|b| b.affine(4).residual(|b| b.tanh()).relu())
        }),
        case("concat", image, |b| {
            b.concat(|c| {
                c.branch(|b| b.conv2d(Conv2dConfig::new(2, 1)).relu())
                    .branch(|b| b.identity())
            })
            .conv2d(Conv2dConfig::new(2, 1))
        }),
        case("concat of rows", 4, |b| {
            b.concat(|c| c.branch(|b| b.affine(2)).branch(|b| b.affine(3).tanh()))
                .affine(2)
        }),
        case("nested", (4, 4, 2), |b| {
            let inner = Network::builder((4, 4, 2))
                .conv2d(Conv2dConfig::new(3, 2))
                .relu()
                .build(1)
                .expect("inner");
            b.relu().layer("inner", inner).flatten().affine(2)
        }),
    ]);
    cases
}

/// The networks of the examples, in small.
fn models() -> Vec<Case> {
    let config = MultiLayerNetConfig {
        use_batchnorm: true,
        ..MultiLayerNetConfig::new(20, &[12, 12], 5)
    };
    let of_book = MultiLayerNet::<f32>::new(&config, 1).expect("multi-layer net");
    let simple = SimpleConvNet {
        input_dim: (14, 14, 1),
        filter_num: 6,
        hidden_size: 20,
        ..SimpleConvNet::default()
    };
    let batch_norm = BatchNormConvNet {
        hidden: Some(12),
        dropout: 0.5,
        ..BatchNormConvNet::new((8, 8, 1), &[(4, 1), (6, 2)], 10)
    };
    let res_net = ResNet::new((8, 8, 3), &[(4, 1), (6, 2)], 10);
    let mut cases = vec![
        settled("multi-layer net", of_book.network().clone()),
        settled(
            "simple conv net",
            simple.builder().build(1).expect("simple conv net"),
        ),
        settled(
            "batch norm conv net",
            batch_norm.builder().build(1).expect("batch norm conv net"),
        ),
        settled("res net", res_net.builder().build(1).expect("res net")),
    ];
    let mut folded = res_net.builder().build(1).expect("res net");
    let sample = batch(&folded, 2);
    folded.fold(sample.view()).expect("fold");
    cases.push(settled("res net, folded", folded));
    cases
}

fn activations() -> Vec<Case> {
    let image = (3, 2, 4);
    let per_channel = |input| case("prelu", input, |b: NetworkBuilder<f32>| b.prelu());
    vec![
        case("relu", image, |b| b.relu()),
        case("leaky relu", image, |b| b.leaky_relu(0.2)),
        case("sigmoid", image, |b| b.sigmoid()),
        case("tanh", 5, |b| b.tanh()),
        case("identity", 5, |b| b.identity()),
        case("gelu", image, |b| b.gelu()),
        layer("gelu tanh", 5, Gelu::tanh()),
        case("silu", image, |b| b.silu()),
        layer("elu", 5, Elu::new(0.7).expect("elu")),
        case("relu6", 5, |b| b.relu6()),
        per_channel(Shape::from(image)),
        per_channel(Shape::Flat(5)),
        layer(
            "prelu of one slope",
            image,
            PRelu::new(1, 0.25).expect("prelu"),
        ),
        layer(
            "prelu of pixels in a row",
            12,
            PRelu::new(4, 0.25).expect("prelu"),
        ),
        case("softmax", 5, |b| b.softmax()),
        case("log softmax of pixels", image, |b| b.log_softmax()),
        case("dropout", 5, |b| b.dropout(0.3)),
    ]
}

fn normalizations() -> Vec<Case> {
    let image = (4, 3, 6);
    let bn = |name, config| case(name, 5, move |b| b.affine(4).batch_norm_with(config));
    let per_position = BatchNormalization::new(72, BatchNormConfig::book()).expect("per position");
    let per_position = per_position.with_layout(Layout::PerPosition);
    vec![
        bn("book", BatchNormConfig::book()),
        bn("bias corrected", BatchNormConfig::bias_corrected()),
        bn("paper", BatchNormConfig::paper()),
        bn("pytorch", BatchNormConfig::pytorch()),
        bn("keras", BatchNormConfig::keras()),
        bn(
            "not affine",
            BatchNormConfig {
                affine: false,
                ..BatchNormConfig::pytorch()
            },
        ),
        case("batch norm of images", image, |b| b.batch_norm()),
        layer("batch norm per position", image, per_position),
        case("layer norm", 6, |b| b.layer_norm()),
        case("layer norm of images", image, |b| b.layer_norm()),
        layer(
            "layer norm of pixels",
            image,
            LayerNorm::new(6).expect("layer norm"),
        ),
        layer(
            "layer norm of an image",
            image,
            LayerNorm::new(72).expect("layer norm"),
        ),
        case("instance norm", image, |b| b.instance_norm()),
        layer(
            "instance norm of pixels in a row",
            72,
            InstanceNorm::new(6).expect("instance norm"),
        ),
        case("group norm", image, |b| b.group_norm(3)),
        layer(
            "group norm of rows",
            12,
            GroupNorm::new(3, 12).expect("group norm"),
        ),
    ]
}

fn pixels() -> Vec<Case> {
    let image = (7, 6, 4);
    let conv = |name, config: Conv2dConfig| case(name, image, move |b| b.conv2d(config));
    let up = |name, config: Conv2dConfig| case(name, image, move |b| b.conv_transpose2d(config));
    let max = |name, config: Pool2dConfig| case(name, image, move |b| b.max_pool2d_with(config));
    let mean = |name, config: Pool2dConfig| case(name, image, move |b| b.avg_pool2d_with(config));
    let uneven = Padding::Explicit {
        top: 1,
        bottom: 0,
        left: 0,
        right: 2,
    };
    vec![
        conv("conv", Conv2dConfig::new(3, 3)),
        conv("conv without bias", Conv2dConfig::new(3, 3).without_bias()),
        conv(
            "conv same, strided",
            Conv2dConfig::new(3, 3).stride(2).same(),
        ),
        conv("conv same, even kernel", Conv2dConfig::new(3, 4).same()),
        conv(
            "conv padded unevenly",
            Conv2dConfig::new(3, 3).padding(uneven),
        ),
        conv("conv dilated", Conv2dConfig::new(3, 3).dilation(2)),
        conv("conv grouped", Conv2dConfig::new(6, 3).groups(2)),
        conv("conv depthwise", Conv2dConfig::depthwise(4, 2, 3)),
        case("conv of a row", 168, |b| {
            b.reshape(image).conv2d(Conv2dConfig::new(3, 3))
        }),
        up("conv transposed", Conv2dConfig::new(3, 3)),
        up(
            "conv transposed, same",
            Conv2dConfig::new(3, 3).stride(2).same(),
        ),
        up(
            "conv transposed, same, wide stride",
            Conv2dConfig::new(3, 2).stride(3).same(),
        ),
        up(
            "conv transposed, padded",
            Conv2dConfig::new(3, 4).stride(2).padding(Padding::all(1)),
        ),
        up(
            "conv transposed, output padding",
            Conv2dConfig::new(3, 3)
                .stride(2)
                .padding(uneven)
                .with_output_padding(1),
        ),
        up(
            "conv transposed, grouped, dilated",
            Conv2dConfig::new(6, 2).groups(2).dilation(2),
        ),
        max("max pool", Pool2dConfig::new(2)),
        max(
            "max pool padded",
            Pool2dConfig::new(3).stride(2).padding(Padding::all(1)),
        ),
        max("max pool same", Pool2dConfig::new(3).stride(2).same()),
        max("max pool ceil", Pool2dConfig::new(2).stride(2).ceil_mode()),
        max(
            "max pool dilated",
            Pool2dConfig::new(2).stride(1).dilation(2),
        ),
        mean("avg pool", Pool2dConfig::new(2)),
        mean(
            "avg pool padded",
            Pool2dConfig::new(3).stride(2).padding(Padding::all(1)),
        ),
        mean(
            "avg pool counting padding",
            Pool2dConfig::new(3)
                .stride(2)
                .padding(Padding::all(1))
                .counting_padding(),
        ),
        mean("avg pool ceil", Pool2dConfig::new(2).stride(2).ceil_mode()),
        mean(
            "avg pool dilated",
            Pool2dConfig::new(2).stride(1).dilation(2),
        ),
        case("global max pool", image, |b| b.global_max_pool2d()),
        case("global avg pool", image, |b| {
            b.global_avg_pool2d().affine(2)
        }),
        case("zero pad", image, |b| b.zero_pad2d((1, 2), (0, 3))),
        case("reflect pad", image, |b| b.reflect_pad2d((1, 2), (0, 3))),
        case("upsample", image, |b| b.upsample2d(3)),
        case("resize nearest", image, |b| {
            b.resize2d((10, 4), Interpolation::Nearest)
        }),
        case("resize nearest, a multiple", image, |b| {
            b.resize2d((14, 12), Interpolation::Nearest)
        }),
        case("resize bilinear", image, |b| {
            b.resize2d((10, 4), Interpolation::Bilinear)
        }),
        case("resize bilinear, a multiple", image, |b| {
            b.resize2d((14, 12), Interpolation::Bilinear)
        }),
    ]
}
