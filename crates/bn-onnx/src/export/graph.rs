use crate::{
    error::{Error, invalid},
    proto::{AttributeProto, NodeProto, TensorProto},
};
use std::collections::BTreeMap;

/// The nodes and arrays of a model that is being written.
pub(super) struct Graph {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
    pub(super) opset: i64,              // the smallest that has all nodes
    arrays: BTreeMap<String, Vec<f32>>, // of the network, by name
}

/// A setting of a node.
pub(super) enum Setting<'a> {
    Int(&'a str, usize),
    Ints(&'a str, &'a [usize]),
    Axis(&'a str, i64),
    Float(&'a str, f64),
    Text(&'a str, &'a str),
}

impl Graph {
    pub(super) fn new(arrays: BTreeMap<String, Vec<f32>>) -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            opset: 17,
            arrays,
        }
    }

    /// An array of the network, which has `len` values. Arrays are used once.
    pub(super) fn array(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        match self.arrays.remove(name) {
            Some(array) if array.len() == len => Ok(array),
            _ => invalid(format!(
                "the network has no array {name} of {len} values, which its description needs"
            )),
        }
    }

    /// Requires operators of this opset.
    pub(super) fn needs_opset(&mut self, opset: i64) {
        self.opset = self.opset.max(opset);
    }

    /// Adds a node with one output. Returns the output's name.
    pub(super) fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        settings: &[Setting<'_>],
    ) -> String {
        let output = format!("{name}.output");
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute: settings.iter().map(attribute).collect(),
            domain: String::new(),
        });
        output
    }

    /// Adds an array of `f32`. Returns its name.
    pub(super) fn floats(&mut self, name: String, dims: &[usize], values: &[f32]) -> String {
        let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, TensorProto::FLOAT, dims, raw_data)
    }

    /// Adds a vector of `i64`. Returns its name.
    pub(super) fn integers(&mut self, name: String, values: &[usize]) -> String {
        let raw_data = values.iter().flat_map(|&v| int(v).to_le_bytes()).collect();
        self.initializer(name, TensorProto::INT64, &[values.len()], raw_data)
    }

    fn initializer(
        &mut self,
        name: String,
        data_type: i32,
        dims: &[usize],
        raw_data: Vec<u8>,
    ) -> String {
        self.initializers.push(TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|&dim| int(dim)).collect(),
            data_type,
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// Gives the value the name `output`. Adds a node if it is the input.
    pub(super) fn name_output(&mut self, value: &str) {
        if value == "input" {
            self.node("Identity", "identity", &["input"], &[]);
        }
        if let Some(name) = self
            .nodes
            .last_mut()
            .and_then(|last| last.output.first_mut())
        {
            "output".clone_into(name);
        }
    }
}

/// Sizes of arrays in memory are in the range of `i64`.
fn int(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn attribute(setting: &Setting<'_>) -> AttributeProto {
    let empty = AttributeProto::default();
    let (name, attribute) = match *setting {
        Setting::Int(name, value) => (name, int_attribute(int(value))),
        Setting::Axis(name, value) => (name, int_attribute(value)),
        Setting::Ints(name, values) => (
            name,
            AttributeProto {
                r#type: AttributeProto::INTS,
                ints: values.iter().map(|&value| int(value)).collect(),
                ..empty
            },
        ),
        Setting::Float(name, value) => (
            name,
            AttributeProto {
                r#type: AttributeProto::FLOAT,
                f: value as f32,
                ..empty
            },
        ),
        Setting::Text(name, value) => (
            name,
            AttributeProto {
                r#type: AttributeProto::STRING,
                s: value.as_bytes().to_vec(),
                ..empty
            },
        ),
    };
    AttributeProto {
        name: name.to_owned(),
        ..attribute
    }
}

fn int_attribute(i: i64) -> AttributeProto {
    AttributeProto {
        r#type: AttributeProto::INT,
        i,
        ..AttributeProto::default()
    }
}
