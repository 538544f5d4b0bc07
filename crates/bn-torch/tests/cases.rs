//! Networks with every layer that has a module, and those that are refused.

use crate::networks::{self, Case, case};
use bn_layers::{
    BatchNormConfig, BatchNormalization, Conv2dConfig, GroupNorm, Interpolation, LayerNorm, PRelu,
    Padding, Pool2dConfig,
};
use bn_net::Network;

/// Each network has a state_dict and a Sequential.
pub(crate) fn supported() -> Vec<Case> {
    let refused = refused();
    let is_known = |case: &Case| refused.iter().all(|(other, _)| other.name != case.name);
    let mut cases = networks::all();
    cases.extend(networks::export_only());
    cases.extend(more());
    cases.into_iter().filter(is_known).collect()
}

/// Networks with a layer that has no module, and the reason.
pub(crate) fn refused() -> Vec<(Case, &'static str)> {
    let uneven = Padding::Explicit {
        top: 0,
        bottom: 1,
        left: 1,
        right: 1,
    };
    let pool = Pool2dConfig::new(3).stride(2).padding(uneven);
    let avg = |name, pool| case(name, (7, 6, 4), move |b| b.avg_pool2d_with(pool));
    let dilated = Pool2dConfig::new(2).stride(1).dilation(2);
    vec![
        (
            avg("avg pool dilated", dilated),
            "layers.0 (AvgPool2d) has no counterpart in PyTorch: nn.AvgPool2d has no dilation",
        ),
        (
            avg("avg pool padded unevenly", pool),
            "layers.0 (AvgPool2d) has no counterpart in PyTorch: its padding must be counted, ",
        ),
        (
            case("ceil mode, padded unevenly", (8, 6, 4), move |b| {
                b.relu().max_pool2d_with(pool.ceil_mode())
            }),
            "layers.1 (MaxPool2d) has no counterpart in PyTorch: with ceil mode, its padding ",
        ),
        (
            case("nearest, rounded to other pixels", (1, 14, 1), |b| {
                b.resize2d((1, 46), Interpolation::Nearest)
            }),
            "layers.0 (Resize2d) has no counterpart in PyTorch: at this size nn.Upsample ",
        ),
    ]
}

/// What only this crate reorders or writes.
fn more() -> Vec<Case> {
    let image = (4, 3, 2);
    let own_batch = BatchNormConfig {
        track_running_stats: false,
        ..BatchNormConfig::pytorch()
    };
    let pool = Pool2dConfig::new(3).stride(2).padding(Padding::Explicit {
        top: 2,
        bottom: 1,
        left: 0,
        right: 1,
    });
    let cut = Conv2dConfig::new(3, 4)
        .stride(2)
        .padding(Padding::Explicit {
            top: 2,
            bottom: 1,
            left: 0,
            right: 1,
        });
    vec![
        case("flattened vectors", image, |b| {
            b.flatten()
                .batch_norm()
                .layer("prelu", PRelu::new(24, 0.25).expect("prelu"))
                .layer("norm", LayerNorm::new(24).expect("layer norm"))
                .layer("one slope", PRelu::new(1, 0.25).expect("prelu"))
                .affine(5)
        }),
        case("from image to image by an affine", image, |b| {
            b.affine(30)
                .batch_norm()
                .dropout(0.5)
                .layer("prelu", PRelu::new(30, 0.25).expect("prelu"))
                .layer("norm", LayerNorm::new(30).expect("layer norm"))
                .reshape((2, 5, 3))
                .conv2d(Conv2dConfig::new(2, 1))
                .affine(3)
        }),
        case("groups of a flattened image", image, |b| {
            b.flatten()
                .layer("norm", GroupNorm::new(3, 24).expect("group norm"))
                .affine(2)
        }),
        case("groups of positions", image, |b| {
            b.layer("norm", GroupNorm::new(3, 24).expect("group norm"))
        }),
        case("batch norm of pixels in a row", image, |b| {
            let bn = BatchNormalization::new(2, BatchNormConfig::pytorch());
            b.flatten()
                .reshape((2, 6, 2))
                .layer("norm", bn.expect("batch norm"))
        }),
        case("reshaped twice", 24, |b| {
            b.affine(24).reshape((2, 4, 3)).reshape((4, 2, 3)).affine(2)
        }),
        case("affine before a row", 24, |b| {
            b.affine(24).softmax().reshape((2, 4, 3)).relu()
        }),
        case("own statistics", 5, move |b| b.batch_norm_with(own_batch)),
        case("max pool padded unevenly", (7, 6, 4), move |b| {
            b.max_pool2d_with(pool)
        }),
        case("avg pool padded unevenly, counted", (7, 6, 4), move |b| {
            b.avg_pool2d_with(pool.counting_padding())
        }),
        case("ceil mode, counted", (6, 6, 2), |b| {
            let pool = Pool2dConfig::new(3).stride(2).padding(Padding::all(1));
            b.avg_pool2d_with(pool.ceil_mode().counting_padding())
        }),
        case("conv transposed, cut unevenly", image, move |b| {
            b.conv_transpose2d(cut)
        }),
        case("no parameters", 3, |b| b.relu()),
        case("nested twice", image, |b| {
            let inner = Network::builder(24).affine(6).batch_norm().relu();
            let inner = inner.build(1).expect("inner");
            let outer = Network::builder(image).relu().layer("inner", inner);
            b.layer("outer", outer.build(1).expect("outer")).affine(2)
        }),
        case("concat in a residual", image, |b| {
            b.residual(|b| {
                b.concat(|c| {
                    c.branch(|b| b.conv2d(Conv2dConfig::new(1, 1)).batch_norm())
                        .branch(|b| b.conv2d(Conv2dConfig::new(1, 1)))
                })
            })
            .flatten()
            .affine(2)
        }),
        case("residual before an image", 24, |b| {
            b.residual(|b| b.affine(24)).reshape((2, 4, 3)).relu()
        }),
    ]
}
