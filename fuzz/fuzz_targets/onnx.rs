//! Bytes as an ONNX model: a network that was read is written, and read again as the same network.

#![no_main]

mod memory;
mod seeds;

use bn_layers::{Conv2dConfig, Interpolation};
use bn_net::{Network, NetworkBuilder};
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use ndarray::Array2;

/// As documented: descriptions of layers inside eight residual blocks take the most.
const BOUND: Bound = Bound {
    factor: 2000,
    constant: 2 << 20,
};

/// A network that has larger activations is not evaluated.
const MOST_VALUES: usize = 1 << 12;

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    let Ok(network) = BOUND.check(bytes.len(), || bn_onnx::from_bytes(bytes)) else {
        return;
    };
    let written = bn_onnx::to_bytes(&network).expect("what was read can be written");
    let again = bn_onnx::from_bytes(&written).expect("what was written is read");
    assert!(bn_onnx::to_bytes(&again).expect("written before") == written);
    if network.layer_shapes().all(|shape| shape.size() <= MOST_VALUES) {
        let x = Array2::from_elem((2, network.input().size()), 0.5);
        let [y, again] = [&network, &again].map(|network| network.predict(x.view()));
        let bits = |y: &Array2<f32>| y.mapv(f32::to_bits);
        assert_eq!(y.as_ref().ok().map(bits), again.as_ref().ok().map(bits));
    }
});

fn seeds() -> Vec<Vec<u8>> {
    let row = || Network::builder(4);
    let image = || Network::builder((3, 3, 2));
    let conv = |filters| Conv2dConfig::new(filters, 2).same();
    let networks: [NetworkBuilder<f32>; 12] = [
        row().affine(2),
        row()
            .affine(3)
            .batch_norm()
            .relu()
            .dropout(0.5)
            .affine_without_bias(2)
            .softmax(),
        row()
            .gelu()
            .silu()
            .elu(0.5)
            .relu6()
            .prelu()
            .leaky_relu(0.1)
            .sigmoid()
            .tanh()
            .log_softmax(),
        row().reshape((1, 2, 2)).relu().affine(1),
        row()
            .affine(8)
            .batch_norm()
            .reshape((2, 2, 2))
            .conv_transpose2d(Conv2dConfig::new(1, 2).stride(2)),
        row()
            .layer_norm()
            .group_norm(2)
            .residual(|b| b.affine(4).tanh()),
        image()
            .conv2d(conv(2))
            .batch_norm()
            .relu()
            .max_pool2d(2)
            .flatten()
            .affine(2),
        image()
            .conv2d(conv(2).groups(2))
            .instance_norm()
            .avg_pool2d(2)
            .global_avg_pool2d()
            .affine(2),
        image()
            .residual_with(move |b| b.conv2d(conv(1)), move |b| b.conv2d(conv(1)))
            .global_max_pool2d(),
        image().concat(|c| {
            c.branch(|b| b.conv2d(Conv2dConfig::new(1, 1)))
                .branch(|b| b.identity())
        }),
        image()
            .zero_pad2d((1, 0), (0, 1))
            .upsample2d(2)
            .resize2d((2, 2), Interpolation::Nearest),
        image()
            .reflect_pad2d((1, 0), (0, 1))
            .resize2d((2, 5), Interpolation::Bilinear)
            .flatten()
            .relu(),
    ];
    let written = networks.map(|builder| {
        let network = builder.build(1).expect("the layers fit");
        bn_onnx::to_bytes(&network).expect("it can be written")
    });
    written.into()
}
