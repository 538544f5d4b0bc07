//! The settings of the layers as [`LayerSpec`](bn_layers::LayerSpec) stores them.

use bn_layers::{BatchNormConfig, Interpolation, LayerSpec, Layout};
use serde::{Deserialize, Serialize};

/// `(height, width, channels)`.
pub(crate) type Image = (usize, usize, usize);
/// `(rows, columns)`.
pub(crate) type Pair = (usize, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Padding {
    Valid,
    Same,
    Explicit {
        top: usize,
        bottom: usize,
        left: usize,
        right: usize,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Affine {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) bias: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BatchNormalization {
    pub(crate) channels: usize,
    pub(crate) layout: Layout,
    pub(crate) config: BatchNormConfig,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Conv2d {
    pub(crate) image: Image,
    pub(crate) kernel: (usize, usize, usize, usize), // rows, columns, in / groups, out
    pub(crate) bias: bool,
    pub(crate) stride: Pair,
    pub(crate) padding: Padding,
    pub(crate) dilation: Pair,
    pub(crate) groups: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConvTranspose2d {
    pub(crate) image: Image,
    pub(crate) kernel: (usize, usize, usize, usize), // rows, columns, out / groups, in
    pub(crate) bias: bool,
    pub(crate) stride: Pair,
    pub(crate) padding: Padding,
    pub(crate) output_padding: Pair,
    pub(crate) dilation: Pair,
    pub(crate) groups: usize,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) image: Image,
    pub(crate) kernel: Pair,
    pub(crate) stride: Pair,
    pub(crate) padding: Padding,
    pub(crate) dilation: Pair,
    pub(crate) ceil_mode: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MaxPool2d {
    #[serde(flatten)]
    pub(crate) window: Window,
    pub(crate) is_global: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AvgPool2d {
    pub(crate) window: Window,
    pub(crate) counts_padding: bool,
    pub(crate) is_global: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pad2d {
    pub(crate) image: Image,
    pub(crate) rows: Pair,    // top, bottom
    pub(crate) columns: Pair, // left, right
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Resize2d {
    pub(crate) image: Image,
    pub(crate) size: Pair,
    pub(crate) interpolation: Interpolation,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Upsample2d {
    pub(crate) image: Image,
    pub(crate) factor: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dropout {
    pub(crate) ratio: f64,
    pub(crate) is_book: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExampleNorm {
    pub(crate) channels: usize,
    pub(crate) groups: usize,
    pub(crate) eps: f64,
    pub(crate) affine: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PRelu {
    pub(crate) channels: usize,
}

/// Whether each value of the output depends on the value of the input at the same position only.
pub(crate) fn is_element_wise(spec: &LayerSpec) -> bool {
    const ELEMENT_WISE: [&str; 10] = [
        "Dropout",
        "Elu",
        "Gelu",
        "Identity",
        "LeakyRelu",
        "Relu",
        "Relu6",
        "Sigmoid",
        "Silu",
        "Tanh",
    ];
    ELEMENT_WISE.contains(&&*spec.layer)
}
