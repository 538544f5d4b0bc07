//! The operators with one input that keep its shape, and those of flat rows.

use super::{
    chain::{Chain, Form},
    graph::Graph,
    node::{Node, decimal},
    part::Part,
};
use crate::{
    error::Error,
    permute::{last_from_first, rows, transposed},
    proto::TensorProto,
    settings,
};

impl Graph {
    /// Adds the layer of a node whose only input, besides constants, is the chain's value.
    pub(super) fn operator(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if !["", "ai.onnx"].contains(&&*node.0.domain) {
            return node.refused(format!(
                "its domain {:?} is not that of ONNX",
                node.0.domain
            ));
        }
        if !["Cast", "Flatten", "Reshape", "Transpose"].contains(&node.operator()) {
            chain.settle(node)?;
        }
        match node.operator() {
            "Identity" | "Relu" | "Sigmoid" | "Tanh" => {
                chain.push(node, Part::new(node.operator(), ()))
            }
            "Elu" => chain.push(node, Part::new("Elu", node.float("alpha", 1.0))),
            "LeakyRelu" => chain.push(node, Part::new("LeakyRelu", node.float("alpha", 0.01))),
            "Gelu" => match &*node.text("approximate", "none") {
                "none" => chain.push(node, Part::new("Gelu", false)),
                "tanh" => chain.push(node, Part::new("Gelu", true)),
                other => node.refused(format!(
                    "approximate is {other:?}, but must be \"none\" or \"tanh\""
                )),
            },
            "Cast" => self.cast(node),
            "Clip" => self.clip(node, chain),
            "Dropout" => self.dropout(node, chain),
            "PRelu" => self.prelu(node, chain),
            "Softmax" | "LogSoftmax" => self.over_classes(node, chain),
            "Gemm" => self.gemm(node, chain),
            "MatMul" => self.matmul(node, chain),
            "Add" => self.plus(node, chain),
            "Sub" => self.minus(node, chain),
            "Mul" => self.times(node, chain),
            "Flatten" => self.flatten(node, chain),
            "Reshape" => self.reshape(node, chain),
            "Transpose" => chain.transpose(node),
            "BatchNormalization" => self.batch_norm(node, chain),
            "LayerNormalization" => self.layer_norm(node, chain),
            "InstanceNormalization" => self.instance_norm(node, chain),
            "GroupNormalization" => self.group_norm(node, chain),
            _ => self.image_operator(node, chain),
        }
    }

    fn cast(&self, node: &Node) -> Result<(), Error> {
        const FLOATS: [i32; 4] = [
            TensorProto::FLOAT,
            TensorProto::DOUBLE,
            TensorProto::FLOAT16,
            TensorProto::BFLOAT16,
        ];
        match FLOATS.iter().any(|&of| i64::from(of) == node.int("to", 0)) {
            true => Ok(()),
            false => node.refused("it must cast to a floating-point type"),
        }
    }

    fn clip(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let limit = |i, name, none: f32| match (node.attribute(name), node.input(i)) {
            (Some(attribute), _) => attribute.f,
            (None, Some(_)) => self.scalar(node, i).unwrap_or(f32::NAN),
            (None, None) => none,
        };
        let (least, most) = (limit(1, "min", f32::MIN), limit(2, "max", f32::MAX));
        match (least, most) {
            (0.0, 6.0) => chain.push(node, Part::new("Relu6", ())),
            (0.0, f32::MAX..) => chain.push(node, Part::new("Relu", ())),
            _ => node.refused(format!(
                "it clips to {least} and {most}; known are 0 to 6, and 0 without an upper limit"
            )),
        }
    }

    fn dropout(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if node.input(2).is_some() {
            let is_off = match &self.required(node, 2)?.values {
                super::array::Values::Other => true, // a bool, which is not read
                _ => false,
            };
            if !is_off {
                return node.refused("its training_mode must be a bool");
            }
        }
        let ratio = match node.input(1) {
            Some(_) => self.scalar(node, 1).map_or(f64::NAN, decimal),
            None => node.float("ratio", 0.5),
        };
        let is_book = false;
        chain.push(
            node,
            Part::new("Dropout", settings::Dropout { ratio, is_book }),
        )
    }

    fn prelu(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let slopes = self.of_channels(node, 1, chain)?;
        let channels = slopes.len();
        chain.push(
            node,
            Part::new("PRelu", settings::PRelu { channels }).with("weight", slopes),
        )
    }

    fn over_classes(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let axis = node.int("axis", if self.opset < 13 { 1 } else { -1 });
        let (axes, classes) = match chain.form {
            Form::Image((_, _, channels)) if self.opset >= 13 => ([1, -3], channels),
            Form::ChannelsLast((_, _, channels)) => ([3, -1], channels),
            Form::Rows => ([1, -1], chain.shape.size()),
            _ => return node.refused("its input is neither (N, D) nor an image"),
        };
        match axes.contains(&axis) {
            true => chain.push(node, Part::new(node.operator(), classes)),
            false => node.refused(format!(
                "its axis is {axis}, but must be that of the channels"
            )),
        }
    }

    fn gemm(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if node.int("transA", 0) != 0 {
            return node.refused("transA must be 0: the batch is the first axis");
        }
        let (alpha, beta) = (
            node.float("alpha", 1.0) as f32,
            node.float("beta", 1.0) as f32,
        );
        let (inputs, outputs, mut w) = self.matrix(node, node.int("transB", 0) != 0, chain)?;
        if alpha != 1.0 {
            w.iter_mut().for_each(|w| *w *= alpha);
        }
        let bias = match node.input(2) {
            Some(_) => {
                let (dims, mut b) = self.weights(node, 2)?;
                if b.len() == 1 && outputs > 1 {
                    return node.refused(
                        "its bias is one value for all outputs; it must have one for each",
                    );
                }
                if b.len() != outputs || dims.last().is_some_and(|&last| last != outputs) {
                    return node.refused(format!(
                        "its bias has the dimensions {dims:?}, but must be ({outputs})"
                    ));
                }
                b.iter_mut().for_each(|b| *b *= beta);
                Some(b)
            }
            None => None,
        };
        self.affine(node, chain, (inputs, outputs, w), bias)
    }

    fn matmul(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let weights = self.matrix(node, false, chain)?;
        self.affine(node, chain, weights, None)
    }

    /// The weights `(inputs, outputs)` for the value.
    fn matrix(
        &mut self,
        node: &Node,
        is_transposed: bool,
        chain: &mut Chain,
    ) -> Result<(usize, usize, Vec<f32>), Error> {
        let len = chain.row_len(node)?;
        let (dims, w) = self.weights(node, 1)?;
        let (inputs, outputs) = match (&*dims, is_transposed) {
            (&[inputs, outputs], false) | (&[outputs, inputs], true) => (inputs, outputs),
            _ => {
                return node.refused(format!(
                    "its weights have the dimensions {dims:?}, but must be a matrix"
                ));
            }
        };
        if inputs != len {
            return node.refused(format!(
                "its weights are for rows of {inputs} values, but the rows have {len}"
            ));
        }
        let mut w = match is_transposed {
            true => transposed(&w, outputs, inputs),
            false => w,
        };
        if let Form::Flattened(image) = chain.form {
            w = rows(&w, outputs, &last_from_first(image));
        }
        Ok((inputs, outputs, w))
    }

    fn affine(
        &self,
        node: &Node,
        chain: &mut Chain,
        (inputs, outputs, w): (usize, usize, Vec<f32>),
        b: Option<Vec<f32>>,
    ) -> Result<(), Error> {
        let bias = b.is_some();
        let settings = settings::Affine {
            inputs,
            outputs,
            bias,
        };
        let mut part = Part::new("Affine", settings).with("weight", w);
        if let Some(b) = b {
            part = part.with("bias", b);
        }
        chain.push(node, part)?;
        chain.form = Form::Rows;
        Ok(())
    }
}
