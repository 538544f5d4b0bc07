//! Convolutions and pools.

use super::{
    chain::{Chain, Form},
    graph::Graph,
    node::Node,
    part::Part,
};
use crate::{
    error::Error,
    permute::axes,
    settings::{self, Padding},
};

impl Graph {
    pub(super) fn image_operator(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        match node.operator() {
            "Conv" => self.conv2d(node, chain),
            "ConvTranspose" => self.conv_transpose2d(node, chain),
            "MaxPool" | "AveragePool" => self.pool(node, chain),
            "GlobalMaxPool" | "GlobalAveragePool" => self.global_pool(node, chain),
            "ReduceMean" => self.mean_of_pixels(node, chain),
            "Pad" => self.pad(node, chain),
            "Resize" => self.resize(node, chain),
            _ => node.refused(
                "this operator has no layer; known are Add, AveragePool, BatchNormalization, Cast, Clip, Concat, \
                 Constant, Conv, ConvTranspose, Dropout, Elu, Flatten, Gelu, Gemm, GlobalAveragePool, GlobalMaxPool, \
                 GroupNormalization, Identity, InstanceNormalization, LayerNormalization, LeakyRelu, LogSoftmax, \
                 MatMul, MaxPool, Mul, Pad, PRelu, ReduceMean, Relu, Reshape, Resize, Sigmoid, Softmax, Sub, Tanh and \
                 Transpose",
            ),
        }
    }

    /// A kernel as `(rows, columns, B, A)` from `(A, B, rows, columns)`, and these sizes.
    fn kernel(&mut self, node: &Node) -> Result<([usize; 4], Vec<f32>), Error> {
        let (dims, w) = self.weights(node, 1)?;
        let [a, b, rows, columns] = *dims else {
            return node.refused(format!(
                "its kernel has the dimensions {dims:?}, but an image needs four"
            ));
        };
        if node.sizes("kernel_shape", [rows, columns])? != [rows, columns] {
            return node.refused(format!(
                "kernel_shape is not {rows}, {columns}, the size of its kernel"
            ));
        }
        Ok((
            [rows, columns, b, a],
            axes(&w, [a, b, rows, columns], [2, 3, 1, 0]),
        ))
    }

    fn conv2d(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let image = chain.image(node)?;
        let ([rows, columns, of_group, filters], w) = self.kernel(node)?;
        let bias = node.input(2).is_some();
        let settings = settings::Conv2d {
            image,
            kernel: (rows, columns, of_group, filters),
            bias,
            stride: node.pair("strides", 1)?,
            padding: padding(node)?,
            dilation: node.pair("dilations", 1)?,
            groups: node.size("group", node.int("group", 1))?,
        };
        let mut part = Part::new("Conv2d", settings).with("weight", w);
        if bias {
            part = part.with("bias", self.vector(node, 2, filters)?);
        }
        chain.push_image(node, part)
    }

    fn conv_transpose2d(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if node.attribute("output_shape").is_some() {
            return node.refused("output_shape is not supported; pads and output_padding are");
        }
        let image = chain.image(node)?;
        let ([rows, columns, of_group, channels], w) = self.kernel(node)?;
        let (bias, groups) = (
            node.input(2).is_some(),
            node.size("group", node.int("group", 1))?,
        );
        let settings = settings::ConvTranspose2d {
            image,
            kernel: (rows, columns, of_group, channels),
            bias,
            stride: node.pair("strides", 1)?,
            padding: padding(node)?,
            output_padding: node.pair("output_padding", 0)?,
            dilation: node.pair("dilations", 1)?,
            groups,
        };
        let mut part = Part::new("ConvTranspose2d", settings).with("weight", w);
        if bias {
            part = part.with(
                "bias",
                self.vector(node, 2, of_group.saturating_mul(groups))?,
            );
        }
        chain.push_image(node, part)
    }

    fn pool(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let image = chain.image(node)?;
        let window = settings::Window {
            image,
            kernel: node.pair("kernel_shape", 1)?,
            stride: node.pair("strides", 1)?,
            padding: padding(node)?,
            dilation: node.pair("dilations", 1)?,
            ceil_mode: node.int("ceil_mode", 0) != 0,
        };
        let counts_padding = node.int("count_include_pad", 0) != 0;
        chain.push_image(node, pool(node, window, counts_padding, false))
    }

    fn global_pool(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let image = chain.image(node)?;
        let window = settings::Window {
            image,
            kernel: (image.0, image.1),
            stride: (1, 1),
            padding: Padding::Valid,
            dilation: (1, 1),
            ceil_mode: false,
        };
        chain.push_image(node, pool(node, window, false, true))
    }

    /// A global average pool, as Keras and `x.mean((2, 3))` write it.
    fn mean_of_pixels(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let axes = match node.input(1) {
            Some(_) => self.integers(node, 1)?,
            None => node.ints("axes").unwrap_or_default(),
        };
        let keeps_axes = node.int("keepdims", 1) != 0;
        let of_pixels = match chain.form {
            Form::ChannelsLast(image) if !keeps_axes => {
                chain.form = Form::Image(image);
                [[1, 2], [2, 1], [-3, -2], [-2, -3]]
            }
            _ => [[2, 3], [3, 2], [-2, -1], [-1, -2]],
        };
        if !of_pixels.iter().any(|of| axes == of) {
            return node.refused(format!(
                "its axes are {axes:?}, but must be those of the pixels"
            ));
        }
        self.global_pool(node, chain)?;
        if !keeps_axes {
            chain.form = Form::Rows;
        }
        Ok(())
    }
}

/// The largest value of each window, or the mean.
fn pool(node: &Node, window: settings::Window, counts_padding: bool, is_global: bool) -> Part {
    match node.operator() {
        "MaxPool" | "GlobalMaxPool" => {
            Part::new("MaxPool2d", settings::MaxPool2d { window, is_global })
        }
        _ => Part::new(
            "AvgPool2d",
            settings::AvgPool2d {
                window,
                counts_padding,
                is_global,
            },
        ),
    }
}

fn padding(node: &Node) -> Result<Padding, Error> {
    match &*node.text("auto_pad", "NOTSET") {
        "NOTSET" => {}
        "VALID" => return Ok(Padding::Valid),
        "SAME_UPPER" => return Ok(Padding::Same),
        other => {
            return node.refused(format!(
                "auto_pad {other:?} is not supported; NOTSET, VALID and SAME_UPPER are"
            ));
        }
    }
    Ok(match node.sizes("pads", [0; 4])? {
        [0, 0, 0, 0] => Padding::Valid,
        [top, left, bottom, right] => Padding::Explicit {
            top,
            bottom,
            left,
            right,
        },
    })
}
