use super::{
    chain::{Chain, Form},
    graph::Graph,
    node::Node,
    part::Part,
};
use crate::{
    error::Error,
    permute::{last_from_first, rows},
    settings,
};
use bn_layers::{BatchNormConfig, Layout, RunningAverage};

impl Graph {
    pub(super) fn batch_norm(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if node.int("training_mode", 0) != 0 {
            return node.refused("it is in training mode; export the model in evaluation");
        }
        let channels = match chain.form {
            Form::Image((_, _, channels)) => channels,
            _ => chain.row_len(node)?,
        };
        let config = BatchNormConfig {
            eps: node.float("epsilon", 1e-5),
            running: RunningAverage::Add(rounded(1.0 - node.float("momentum", 0.9))),
            ..BatchNormConfig::pytorch()
        };
        let settings = settings::BatchNormalization {
            channels,
            layout: Layout::ChannelsLast,
            config,
        };
        let mut part = Part::new("BatchNormalization", settings);
        for (i, name) in ["gamma", "beta", "running_mean", "running_var"]
            .into_iter()
            .enumerate()
        {
            let mut values = self.vector(node, i + 1, channels)?;
            if let Form::Flattened(image) = chain.form {
                values = rows(&values, 1, &last_from_first(image));
            }
            part = part.with(name, values);
        }
        if let Some((_, var)) = part.arrays.last()
            && let Some(var) = var.iter().find(|&&var| var < 0.0)
        {
            return node.refused(format!(
                "it has the running variance {var}, which must be 0 or more"
            ));
        }
        chain.push(node, part)
    }

    pub(super) fn layer_norm(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let (axis, last) = match chain.form {
            Form::Rows => (1, chain.shape.size()),
            Form::ChannelsLast((_, _, channels)) => (3, channels),
            _ => {
                return node.refused("its input must be (N, D), or (N, H, W, C) after a Transpose");
            }
        };
        let got = node.int("axis", -1);
        if ![axis, -1].contains(&got) {
            return node.refused(format!("its axis is {got}, but must be the last"));
        }
        self.example_norm(node, chain, "LayerNorm", last, 1)
    }

    pub(super) fn instance_norm(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let (_, _, channels) = chain.image(node)?;
        self.example_norm(node, chain, "InstanceNorm", channels, channels)
    }

    pub(super) fn group_norm(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if self.opset < 21 {
            return node.refused(
                "its parameters are those of groups before opset 21, and must be those of channels",
            );
        }
        let channels = match chain.form {
            Form::Rows => chain.shape.size(),
            _ => chain.image(node)?.2,
        };
        let groups = node.size("num_groups", node.int("num_groups", 0))?;
        self.example_norm(node, chain, "GroupNorm", channels, groups)
    }

    fn example_norm(
        &mut self,
        node: &Node,
        chain: &mut Chain,
        layer: &str,
        channels: usize,
        groups: usize,
    ) -> Result<(), Error> {
        let gamma = self.vector(node, 1, channels)?;
        let beta = match node.input(2) {
            Some(_) => self.vector(node, 2, channels)?,
            None => vec![0.0; channels],
        };
        let settings = settings::ExampleNorm {
            channels,
            groups,
            eps: node.float("epsilon", 1e-5),
            affine: true,
        };
        chain.push(
            node,
            Part::new(layer, settings)
                .with("gamma", gamma)
                .with("beta", beta),
        )
    }
}

/// 0.1 for `1 − 0.9`, which is not quite that.
fn rounded(share: f64) -> f64 {
    (share * 1e9).round() / 1e9
}
