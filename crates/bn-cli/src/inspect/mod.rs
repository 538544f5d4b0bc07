//! `bn inspect`.

mod arrays;
mod statistics;

use crate::{
    error::Error,
    model,
    model::Origin,
    output::{Output, table},
};
use bn_layers::LayerExt;
use bn_net::{Checkpoint, Model, Network, OptimizerSpec};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

use arrays::ArrayRow;

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A model, a checkpoint, or an .onnx, .npz or any .safetensors file
    #[arg(default_value = model::DEFAULT)]
    file: PathBuf,
}

/// What is in a file.
#[derive(Default)]
struct Contents {
    kind: &'static str,
    networks: Vec<(String, Network)>,
    /// Arrays that belong to no network.
    arrays: Vec<ArrayRow>,
    /// What else is known, such as `classes`.
    values: Map<String, Value>,
}

pub(crate) fn report(args: &InspectArgs, output: Output) -> Result<(), Error> {
    let extension = args.file.extension().and_then(|e| e.to_str()).unwrap_or("");
    let contents = match extension.to_ascii_lowercase().as_str() {
        "onnx" => Contents {
            kind: "ONNX model",
            networks: vec![("network".to_owned(), bn_onnx::load(&args.file)?)],
            ..Contents::default()
        },
        "npz" => Contents {
            kind: "NumPy arrays",
            arrays: arrays::of_npz(&args.file)?,
            ..Contents::default()
        },
        _ => match model::open(&args.file) {
            Ok(checkpoint) => Contents::of_checkpoint(&checkpoint)?,
            // A file of another program.
            Err(Error::Net(bn_net::Error::Checkpoint { .. })) => Contents {
                kind: "safetensors arrays",
                arrays: arrays::of_safetensors(&args.file)?,
                ..Contents::default()
            },
            Err(error) => return Err(error),
        },
    };
    output.report(&contents.to_json(args), || contents.to_text(args))
}

impl Contents {
    fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let mut contents = Self {
            kind: "network",
            ..Self::default()
        };
        for name in checkpoint.network_names() {
            let network = model::network(checkpoint, &name)?;
            contents.networks.push((name, network));
        }
        // Both precisions have the same preparation and classes.
        if let Ok(model) = Model::<f32>::from_checkpoint(checkpoint) {
            if !model.classes.is_empty() {
                contents.insert("classes", json!(model.classes));
            }
            let p = &model.preprocessing;
            let [mean, std] = [p.mean(), p.std()].map(|values| match values {
                [one] => json!(one),
                many => json!(format!("{} values", many.len())),
            });
            let preprocessing = json!({ "scale": p.scale(), "mean": mean, "std": std });
            contents.insert("preprocessing", preprocessing);
        }
        if let Ok(origin) = checkpoint.value::<Origin>("origin") {
            contents.kind = "model of bn train";
            contents.insert("trained_on", json!(origin.data.data));
        }
        // Those of a trainer's checkpoint.
        if let Ok(state) = checkpoint.value::<Value>("trainer") {
            contents.kind = "checkpoint of a training run";
            contents.insert("step", state["iteration"].clone());
            let records = state["history"]["records"].as_array();
            if let Some(record) = records.and_then(|records| records.last()) {
                contents.insert("epoch", record["epoch"].clone());
            }
        }
        if let Ok(optimizer) = checkpoint.value::<Value>("optimizer") {
            let optimizer = &optimizer["optimizer"];
            let kind = serde_json::from_value::<OptimizerSpec>(optimizer["kind"].clone());
            if let Ok(kind) = kind {
                contents.insert("optimizer", json!(kind.to_string()));
            }
            contents.insert("learning_rate", optimizer["learning_rate"].clone());
        }
        Ok(contents)
    }

    fn insert(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    fn to_text(&self, args: &InspectArgs) -> String {
        let mut parts = vec![format!("{}: {}", args.file.display(), self.kind)];
        let values: Vec<String> = self
            .values
            .iter()
            .map(|(name, value)| format!("{}: {}", name.replace('_', " "), plain(value)))
            .collect();
        if !values.is_empty() {
            parts.push(values.join("\n"));
        }
        for (name, network) in &self.networks {
            parts.push(format!(
                "{name}\n{}",
                network.summary().to_string().trim_end()
            ));
            parts.push(ArrayRow::table(&parameters(network)));
        }
        if !self.arrays.is_empty() {
            parts.push(ArrayRow::table(&self.arrays));
        }
        parts.join("\n\n")
    }

    fn to_json(&self, args: &InspectArgs) -> Value {
        let networks = self.networks.iter().map(|(name, network)| {
            let summary = network.summary();
            let layers = summary.layers.iter().map(|layer| {
                json!({
                    "place": layer.place,
                    "name": layer.name,
                    "output": layer.output.to_string(),
                    "parameters": layer.params,
                    "trained": layer.trained,
                    "multiply_adds": layer.multiply_adds,
                })
            });
            json!({
                "name": name,
                "input": network.input().to_string(),
                "output": network.output().to_string(),
                "parameters": network.param_count(),
                "multiply_adds": summary.multiply_adds(),
                "layers": layers.collect::<Vec<_>>(),
                "arrays": parameters(network).iter().map(ArrayRow::to_json).collect::<Vec<_>>(),
            })
        });
        let mut json = json!({
            "file": args.file,
            "kind": self.kind,
            "networks": networks.collect::<Vec<_>>(),
            "arrays": self.arrays.iter().map(ArrayRow::to_json).collect::<Vec<_>>(),
        });
        for (name, value) in &self.values {
            json[name.as_str()] = value.clone();
        }
        json
    }
}

/// The parameters and buffers of a network.
fn parameters(network: &Network) -> Vec<ArrayRow> {
    let mut rows = Vec::new();
    network.visit(&mut |p| {
        let values = p.value.iter().map(|&value| f64::from(value));
        rows.push(ArrayRow::new(p.name, "f32", p.shape, Some(values)));
    });
    rows
}

/// A value in words.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name} {}", plain(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// The table of arrays.
impl ArrayRow {
    fn table(rows: &[Self]) -> String {
        let header = [
            "array",
            "type",
            "shape",
            "min",
            "max",
            "mean",
            "std",
            "zeros",
            "not finite",
        ];
        let mut lines = vec![header.map(str::to_owned).to_vec()];
        lines.extend(rows.iter().map(Self::cells));
        table(&lines)
    }
}
