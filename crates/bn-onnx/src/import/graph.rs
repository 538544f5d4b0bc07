use super::{
    array::{Array, Values},
    node::Node,
};
use crate::{
    error::{Error, invalid},
    proto::{AttributeProto, GraphProto, ValueInfoProto},
};
use std::collections::{HashMap, HashSet};

/// The constants of a model, and which node uses which value.
pub(super) struct Graph {
    pub(super) opset: i64,
    pub(super) input: ValueInfoProto,
    pub(super) output: String,
    arrays: Vec<Array>,
    constants: HashMap<String, usize>,  // the array of a constant
    joins: Vec<bool>,                   // whether a node has several inputs that are no constants
    users: HashMap<String, Vec<usize>>, // the nodes that a value is an input of, once for each such input
    left: usize,                        // how many more values the network's arrays may have
}

impl Graph {
    /// From the graph of a file of `bytes` bytes, with its nodes except those of constants.
    pub(super) fn new(
        graph: GraphProto,
        opset: i64,
        bytes: usize,
    ) -> Result<(Self, Vec<Node>), Error> {
        let (mut arrays, mut constants) = (Vec::new(), HashMap::new());
        let mut produced = HashSet::new();
        for tensor in graph.initializer {
            let name = tensor.name.clone();
            is_new(&mut produced, &name)?;
            constants.insert(name, arrays.len());
            arrays.push(Array::read(tensor)?);
        }
        // Old files list the initializers among the inputs.
        let mut inputs = graph
            .input
            .into_iter()
            .filter(|input| !constants.contains_key(&input.name));
        let (Some(input), None, [output]) = (inputs.next(), inputs.next(), &*graph.output) else {
            return invalid("a network has one input and one output");
        };
        is_new(&mut produced, &input.name)?;
        let mut nodes = Vec::with_capacity(graph.node.len());
        for mut node in graph.node {
            node.output
                .iter()
                .filter(|name| !name.is_empty())
                .try_for_each(|name| is_new(&mut produced, name))?;
            let first = node
                .input
                .first()
                .and_then(|name| constants.get(name))
                .copied();
            let array = match (&*node.op_type, first) {
                ("Constant", _) => {
                    arrays.push(constant(node.attribute.pop())?);
                    arrays.len() - 1
                }
                ("Identity" | "Cast", Some(array)) => array,
                _ => {
                    nodes.push(Node(node));
                    continue;
                }
            };
            constants.extend(node.output.into_iter().next().map(|name| (name, array)));
        }
        let mut users: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, node) in nodes.iter().enumerate() {
            for name in node.0.input.iter().filter(|name| !name.is_empty()) {
                if !produced.contains(name) {
                    return invalid(format!("nothing produces {name:?}, which a node needs"));
                }
                if !constants.contains_key(name) {
                    users.entry(name.clone()).or_default().push(i);
                }
            }
        }
        let mut counts = vec![0; nodes.len()];
        for &user in users.values().flatten() {
            counts[user] += 1;
        }
        let graph = Self {
            joins: counts.into_iter().map(|count| count > 1).collect(),
            output: output.name.clone(),
            opset,
            input,
            arrays,
            constants,
            users,
            left: bytes.saturating_mul(2).saturating_add(1 << 16),
        };
        Ok((graph, nodes))
    }

    /// The nodes that use a value, once for each input.
    pub(super) fn users(&self, value: &str) -> &[usize] {
        self.users.get(value).map_or(&[], |users| users)
    }

    /// Whether several inputs of a node are not constants.
    pub(super) fn joins(&self, node: usize) -> bool {
        self.joins.get(node).is_some_and(|&joins| joins)
    }

    /// The inputs of a node that are not constants.
    pub(super) fn values<'a>(&self, node: &'a Node) -> Vec<&'a str> {
        let inputs = node.0.input.iter().map(|name| &**name);
        inputs
            .filter(|&name| !name.is_empty() && !self.constants.contains_key(name))
            .collect()
    }

    /// The constant that is input `i` of a node; none if the input is left out.
    pub(super) fn optional(&self, node: &Node, i: usize) -> Result<Option<&Array>, Error> {
        let Some(name) = node.input(i) else {
            return Ok(None);
        };
        match self
            .constants
            .get(name)
            .and_then(|&array| self.arrays.get(array))
        {
            Some(array) => Ok(Some(array)),
            None => node.refused(format!("its input {name:?} is not a constant")),
        }
    }

    pub(super) fn required(&self, node: &Node, i: usize) -> Result<&Array, Error> {
        match self.optional(node, i)? {
            Some(array) => Ok(array),
            None => node.refused(format!("it has no input {i}")),
        }
    }

    /// The dimensions and the values of input `i`, for an array of the network.
    pub(super) fn weights(
        &mut self,
        node: &Node,
        i: usize,
    ) -> Result<(Vec<usize>, Vec<f32>), Error> {
        let array = self.required(node, i)?;
        let Values::Floats(values) = &array.values else {
            return node.refused(format!(
                "input {i} does not have the type float, double, float16 or bfloat16"
            ));
        };
        if values.is_empty() {
            return node.refused(format!("input {i} has no values"));
        }
        let (dims, values) = (array.dims.clone(), values.clone());
        // Many nodes may use one array.
        match self.left.checked_sub(values.len()) {
            Some(left) => self.left = left,
            None => {
                return invalid(
                    "its nodes share so many arrays that the network would be larger than the file by far",
                );
            }
        }
        Ok((dims, values))
    }

    /// As [`weights`](Self::weights), a vector of this length.
    pub(super) fn vector(&mut self, node: &Node, i: usize, len: usize) -> Result<Vec<f32>, Error> {
        let (dims, values) = self.weights(node, i)?;
        match values.len() == len {
            true => Ok(values),
            false => node.refused(format!(
                "input {i} has the dimensions {dims:?}, but must have {len} values"
            )),
        }
    }

    /// The integers of input `i`.
    pub(super) fn integers(&self, node: &Node, i: usize) -> Result<&[i64], Error> {
        match &self.required(node, i)?.values {
            Values::Integers(values) => Ok(values),
            _ => node.refused(format!("input {i} does not have an integer type")),
        }
    }

    /// The only value of input `i`, if it is a constant of one value.
    pub(super) fn scalar(&self, node: &Node, i: usize) -> Option<f32> {
        match &self.optional(node, i).ok()??.values {
            Values::Floats(values) if values.len() == 1 => values.first().copied(),
            _ => None,
        }
    }
}

/// Each value has one producer, so no values depend on themselves along a chain.
fn is_new(produced: &mut HashSet<String>, name: &str) -> Result<(), Error> {
    match produced.insert(name.to_owned()) {
        true => Ok(()),
        false => invalid(format!("two nodes or arrays have the name {name:?}")),
    }
}

/// The value of a node `Constant`.
fn constant(attribute: Option<AttributeProto>) -> Result<Array, Error> {
    let Some(attribute) = attribute else {
        return invalid("a constant has no value");
    };
    match (&*attribute.name, attribute.t) {
        ("value", Some(tensor)) => Array::read(*tensor),
        ("value_float", _) => Ok(Array::of(Values::Floats(vec![attribute.f]))),
        ("value_floats", _) => Ok(Array::of(Values::Floats(attribute.floats))),
        ("value_int", _) => Ok(Array::of(Values::Integers(vec![attribute.i]))),
        ("value_ints", _) => Ok(Array::of(Values::Integers(attribute.ints))),
        _ => Ok(Array::of(Values::Other)),
    }
}
