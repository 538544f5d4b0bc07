use super::{
    chain::{Chain, Form},
    graph::Graph,
    node::Node,
    part::{Assembled, Part},
};
use crate::{
    error::{Error, invalid},
    proto::TensorProto,
};
use bn_layers::{LayerSpec, Shape};
use bn_net::Network;
use serde_json::json;
use std::collections::HashMap;

/// The most branches inside branches. While a network is built, each of them has a copy of the descriptions inside it.
const MAX_DEPTH: usize = 8;

/// Follows the values of a model.
pub(super) struct Walk<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) graph: &'a mut Graph,
}

/// Where a chain ends.
enum End {
    /// At the model's output.
    Output,
    /// At a node with several inputs, of which this value is one.
    Joined { node: usize, value: String },
}

impl Walk<'_> {
    pub(super) fn network(mut self) -> Result<Network<f32>, Error> {
        let (mut input, mut form) = input_shape(self.graph)?;
        if let (Form::Image((rows, columns, first)), true) = (form, self.takes_channels_last()) {
            let image = (first, rows, columns); // the model's second, third and fourth axis
            (input, form) = (image.into(), Form::ChannelsLast(image));
        }
        let mut chain = Chain::new(input, form);
        let start = self.graph.input.name.clone();
        match self.follow(start, None, &mut chain, 0)? {
            End::Output => {}
            End::Joined { node, .. } => {
                return self.nodes[node].refused("its inputs are not branches of one value");
            }
        }
        if let (Form::Unsettled(_), Some(last)) = (chain.form, self.nodes.last()) {
            chain.settle(last)?;
        }
        match chain.form {
            Form::Rows | Form::Image(_) => Assembled::new(input, chain.parts).network(),
            _ => invalid(
                "its output is a flattened image, or has its channels last; the last layer must be one after it",
            ),
        }
    }

    /// Whether the model first moves the last axis of its input to the channels, as Keras does.
    fn takes_channels_last(&self) -> bool {
        let mut value = &*self.graph.input.name;
        while let [user] = *self.graph.users(value) {
            let node = &self.nodes[user];
            match node.operator() {
                "Cast" | "Identity" => value = node.output(),
                "Transpose" => return node.ints("perm") == Some(&[0, 3, 1, 2]),
                _ => break,
            }
        }
        false
    }

    /// Adds the layers from `value` on to the chain; the first of them is that of node `first`, if it is given.
    fn follow(
        &mut self,
        mut value: String,
        first: Option<usize>,
        chain: &mut Chain,
        depth: usize,
    ) -> Result<End, Error> {
        let mut first = first;
        loop {
            let users = match first.take() {
                Some(node) => vec![node],
                None => self.graph.users(&value).to_vec(),
            };
            value = match *users {
                [] if value == self.graph.output => return Ok(End::Output),
                [] => return invalid(format!("nothing uses {value:?}, and it is not the output")),
                _ if value == self.graph.output => {
                    return invalid("a node uses the output; a network has one output, at its end");
                }
                [node] if self.graph.joins(node) => {
                    return Ok(End::Joined { node, value });
                }
                [node] => {
                    let node = &self.nodes[node];
                    self.graph.operator(node, chain)?;
                    node.output().to_owned()
                }
                _ => match self.activation(&value, &users, chain)? {
                    Some(output) => output,
                    None => self.branches(&value, &users, chain, depth)?,
                },
            };
        }
    }

    /// Adds the layer of the branches that begin at `value`. Returns the name of its output.
    fn branches(
        &mut self,
        value: &str,
        users: &[usize],
        chain: &mut Chain,
        depth: usize,
    ) -> Result<String, Error> {
        let first = &self.nodes[users[0]];
        if depth == MAX_DEPTH {
            return first.refused(format!(
                "there are more than {MAX_DEPTH} branches inside branches"
            ));
        }
        chain.settle(first)?;
        if !matches!(chain.form, Form::Rows | Form::Image(_)) {
            return first
                .refused("it is a branch of a flattened image, or of one with its channels last");
        }
        // By the values that they end with.
        let (mut join, mut branches) = (None, HashMap::with_capacity(users.len()));
        for &user in users {
            let mut branch = Chain::new(chain.shape, chain.form);
            let is_join = self.graph.joins(user);
            let (node, end) = if is_join {
                (user, value.to_owned())
            } else {
                match self.follow(value.to_owned(), Some(user), &mut branch, depth + 1)? {
                    End::Joined { node, value } => (node, value),
                    End::Output => {
                        return self.nodes[user]
                            .refused("a branch ends at the output without the others");
                    }
                }
            };
            branches.insert(end, branch);
            if *join.get_or_insert(node) != node {
                return self.nodes[node].refused(
                    "it joins some of the branches of a value; all must meet in one node",
                );
            }
        }
        let join = &self.nodes[join.unwrap_or(users[0])];
        let mut in_order = Vec::with_capacity(branches.len());
        for input in &join.0.input {
            match branches.remove(input) {
                Some(branch) => in_order.push(branch),
                None => return join.refused("its inputs are not the branches of one value"),
            }
        }
        for branch in &mut in_order {
            branch.settle(join)?;
            if !matches!(branch.form, Form::Rows | Form::Image(_)) {
                return join.refused("it joins a flattened image, or one with its channels last");
            }
            branch.as_image(join)?;
        }
        match join.operator() {
            "Add" => residual(join, in_order, chain)?,
            "Concat" => concat(join, in_order, chain)?,
            _ => {
                return join.refused("branches can be joined by an Add of two or by a Concat");
            }
        }
        Ok(join.output().to_owned())
    }
}

/// `y = body(x) + shortcut(x)`. A branch without layers is no shortcut.
fn residual(join: &Node, branches: Vec<Chain>, chain: &mut Chain) -> Result<(), Error> {
    let Ok([a, b]) = <[Chain; 2]>::try_from(branches) else {
        return join.refused("a residual block has two branches");
    };
    let (body, shortcut) = match a.parts.is_empty() {
        true => (b, a),
        false => (a, b),
    };
    if body.parts.is_empty() || (body.shape, body.form) != (shortcut.shape, shortcut.form) {
        return join.refused(format!(
            "its branches have the shapes {} and {}, or no layers; one must have a layer, and their shapes must be the \
             same",
            body.shape, shortcut.shape
        ));
    }
    let (shape, form) = (body.shape, body.form);
    let body = Assembled::new(chain.shape, body.parts);
    let shortcut = Some(shortcut.parts).filter(|parts| !parts.is_empty());
    let shortcut = shortcut.map(|parts| Assembled::new(chain.shape, parts));
    let settings =
        json!({ "body": body.spec, "shortcut": shortcut.as_ref().map(|branch| &branch.spec) });
    let mut part = Part::new("Residual", settings);
    part.arrays.extend(body.branch_arrays("body"));
    let of_shortcut = shortcut
        .into_iter()
        .flat_map(|branch| branch.branch_arrays("shortcut"));
    part.arrays.extend(of_shortcut);
    chain.push_to(part, shape);
    chain.form = form;
    Ok(())
}

/// The outputs of the branches, one after the other.
fn concat(join: &Node, branches: Vec<Chain>, chain: &mut Chain) -> Result<(), Error> {
    let (mut specs, mut arrays, mut shape) = (Vec::new(), Vec::new(), None);
    for (i, branch) in branches.into_iter().enumerate() {
        shape = match (shape, branch.shape) {
            (None, own) => Some(own),
            (Some(Shape::Flat(a)), Shape::Flat(b)) => Some(Shape::Flat(a.saturating_add(b))),
            (
                Some(Shape::Image {
                    height,
                    width,
                    channels,
                }),
                Shape::Image {
                    height: h,
                    width: w,
                    channels: more,
                },
            ) if (height, width) == (h, w) => {
                Some((height, width, channels.saturating_add(more)).into())
            }
            _ => {
                return join
                    .refused("its inputs have different heights, widths or numbers of axes");
            }
        };
        let mut parts = branch.parts;
        if parts.is_empty() {
            parts.push(Part::new("Identity", ()));
        }
        let branch = Assembled::new(chain.shape, parts);
        specs.push(branch.spec.clone());
        arrays.extend(branch.branch_arrays(&format!("branches.{i}")));
    }
    let Some(shape) = shape else {
        return join.refused("it has no inputs");
    };
    let (form, axes) = match shape {
        Shape::Flat(_) => (Form::Rows, [1, -1]),
        Shape::Image {
            height,
            width,
            channels,
        } => (Form::Image((height, width, channels)), [1, -3]),
    };
    if !axes.contains(&join.int("axis", 1)) {
        return join.refused("only the axis of the channels, 1, can be joined");
    }
    let spec = LayerSpec::new("Concat", specs);
    chain.push_to(Part { spec, arrays }, shape);
    chain.form = form;
    Ok(())
}

/// The shape of the input's rows.
fn input_shape(graph: &Graph) -> Result<(Shape, Form), Error> {
    let name = &graph.input.name;
    let tensor = graph
        .input
        .r#type
        .as_ref()
        .and_then(|of| of.tensor_type.as_ref());
    let Some(shape) = tensor.and_then(|tensor| tensor.shape.as_ref()) else {
        return invalid(format!("the input {name:?} has no shape"));
    };
    let types = [
        0,
        TensorProto::FLOAT,
        TensorProto::DOUBLE,
        TensorProto::FLOAT16,
        TensorProto::BFLOAT16,
    ];
    if tensor.is_some_and(|tensor| !types.contains(&tensor.elem_type)) {
        return invalid(format!(
            "the input {name:?} does not have a floating-point type"
        ));
    }
    let sizes = shape.dim.iter().skip(1).map(|dim| {
        let size = dim.dim_value.and_then(|size| usize::try_from(size).ok());
        size.filter(|&size| size > 0)
    });
    match *sizes.collect::<Vec<_>>() {
        [Some(size)] => Ok((Shape::Flat(size), Form::Rows)),
        [Some(channels), Some(height), Some(width)] => {
            let image = (height, width, channels);
            let shape = Shape::from(image);
            shape.checked_size().map_err(bn_net::Error::from)?;
            Ok((shape, Form::Image(image)))
        }
        _ => invalid(format!(
            "the input {name:?} must be (N, D) or (N, C, H, W), all but N known; export with these sizes fixed"
        )),
    }
}
